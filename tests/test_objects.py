"""tiny's objects: how the votes of cells are clustered, and how objects are drawn."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adaptedit.tiny.objects import ObjectConfig, ObjectDecoder, Objects, Votes, decode_frames, frame_loss

SIDE, CODE = 16, 5


def frames_of(*objects: tuple[float, float, float, range, range]) -> Tensor:
    """Frames (1, 16, 16, 3) of objects (x, y, size, rows, columns); NaN elsewhere."""
    frames = torch.full((1, SIDE, SIDE, 3), math.nan)
    for x, y, size, rows, columns in objects:
        frames[0, rows.start : rows.stop, columns.start : columns.stop] = torch.tensor([x, y, size])
    return frames


def votes(frames: Tensor, noise: float = 0.0) -> Votes:
    generator = torch.Generator().manual_seed(0)
    has_object = frames[..., 0].isfinite()
    voted = frames.nan_to_num(0.5) + noise * torch.randn(frames.shape, generator=generator)
    code = torch.randn(*has_object.shape, CODE, generator=generator)
    return Votes(torch.where(has_object, 3.0, -3.0), voted, code)


TWO = frames_of((0.25, 0.3, 0.34, range(3, 7), range(2, 6)), (0.75, 0.7, 0.4, range(9, 14), range(10, 15)))


# -- votes ---------------------------------------------------------------------------------------------


def test_cells_that_agree_are_one_object_at_their_mean() -> None:
    noisy_votes = votes(TWO, noise=0.01)
    objects = noisy_votes.cluster()
    assert objects.image.tolist() == [0, 0]
    large, small = objects.frame  # the one with more cells first
    assert torch.allclose(large, torch.tensor([0.75, 0.7, 0.4]), atol=0.01)
    assert torch.allclose(small, torch.tensor([0.25, 0.3, 0.34]), atol=0.01)
    assert torch.allclose(objects.code[1], noisy_votes.code[0, 3:7, 2:6].mean((0, 1)), atol=1e-5)


def test_a_few_stray_cells_are_no_object_and_do_not_split_one() -> None:
    stray = TWO.clone()
    stray[0, 0, :2] = torch.tensor([0.1, 0.9, 0.3])  # two cells alone
    stray[0, 9, 10:14] = torch.tensor([0.64, 0.7, 0.4])  # four that put the large object a little aside
    assert len(votes(stray).cluster().image) == 2
    assert len(votes(frames_of()).cluster().image) == 0


def test_pictures_of_a_batch_keep_their_own_objects() -> None:
    one = frames_of((0.5, 0.5, 0.3, range(6, 10), range(6, 10)))
    both = votes(torch.cat([one, frames_of(), TWO]))
    for objects in (both.cluster(), both.at_frames(torch.cat([one, frames_of(), TWO]))):
        assert objects.image.tolist() == [0, 2, 2]
    alone = Votes(both.presence[2:], both.frame[2:], both.code[2:]).cluster()
    assert torch.equal(alone.frame, both.cluster().frame[1:])
    assert torch.equal(alone.code, both.cluster().code[1:])


def test_true_frames_are_used_exactly() -> None:
    objects = votes(TWO, noise=0.3).at_frames(TWO)
    assert sorted(objects.frame.tolist()) == sorted(
        torch.tensor([[0.25, 0.3, 0.34], [0.75, 0.7, 0.4]]).tolist()
    )


def test_the_gradient_of_pixels_reaches_the_votes() -> None:
    channels = torch.zeros(1, 1 + 3 + CODE, SIDE, SIDE)
    channels[:, 0] = torch.where(TWO[..., 0].isfinite(), 3.0, -3.0)
    centres = (torch.arange(SIDE) + 0.5) / SIDE
    x, y = centres.expand(SIDE, SIDE), centres[:, None].expand(SIDE, SIDE)
    channels[0, 1], channels[0, 2] = (
        4 * (TWO[0, ..., 0] - x).nan_to_num(),
        4 * (TWO[0, ..., 1] - y).nan_to_num(),
    )
    channels.requires_grad_()
    objects = Votes.from_channels(channels).cluster()
    assert torch.allclose(
        objects.frame[:, :2].sort(0).values, torch.tensor([[0.25, 0.3], [0.75, 0.7]]), atol=1e-5
    )
    drawing(seed=1)(objects, *blank())[0].square().sum().backward()
    reached = channels.grad[0, 1:].abs().sum(0) > 0
    assert torch.equal(reached, TWO[0, ..., 0].isfinite())


def test_the_frame_loss_is_zero_for_true_frames_and_without_frames() -> None:
    channels = torch.randn(2, 3, SIDE, SIDE, requires_grad=True)
    truth = decode_frames(channels.detach()).clone()
    truth[0, :, :8] = math.nan
    assert frame_loss(decode_frames(channels), truth) == 0
    loss = frame_loss(decode_frames(channels), truth + 0.125)
    loss.backward()
    assert channels.grad is not None and channels.grad.isfinite().all()
    assert not channels.grad[0, :, :, :8].any() and channels.grad[0, :, :, 8:].any()
    assert frame_loss(decode_frames(channels), torch.full_like(truth, math.nan)) == 0


# -- drawing -------------------------------------------------------------------------------------------


def drawing(seed: int = 0) -> ObjectDecoder:
    """One that draws something."""
    torch.manual_seed(seed)
    decoder = ObjectDecoder(ObjectConfig(code=CODE, planes=3, frequencies=8, hidden=16, mixed=8))
    torch.nn.init.normal_(decoder.last.weight)
    return decoder


def blank(count: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    grey = torch.full((count, 3, 128, 128), 0.5)
    return grey, grey, torch.zeros(count, 1, 128, 128)


def at(*frames: tuple[float, float, float], image: int = 0) -> Objects:
    code = torch.linspace(-1, 1, CODE).expand(len(frames), -1)
    return Objects(torch.full((len(frames),), image), torch.tensor(frames), code)


def test_nothing_is_drawn_before_training_and_where_there_is_no_object() -> None:
    untrained, picture = ObjectDecoder(ObjectConfig(code=CODE)), torch.rand(1, 3, 128, 128)
    assert torch.equal(untrained(at((0.5, 0.5, 0.3)), picture, picture, blank()[2])[0], picture)
    nothing = Objects(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3), torch.zeros(0, CODE))
    assert torch.equal(drawing()(nothing, picture, picture, blank()[2])[0], picture)


def test_an_object_is_the_same_wherever_it_lies() -> None:
    decoder = drawing()
    here, there = (decoder(at(frame), *blank())[0] for frame in ((0.25, 0.25, 0.25), (0.625, 0.5, 0.25)))
    assert (here - 0.5).abs().max() > 0.05
    assert torch.allclose(here[..., 4:60, 4:60], there[..., 36:92, 52:108], atol=1e-4)


def test_twice_the_size_is_the_same_picture_magnified() -> None:
    decoder = drawing()
    small, large = (decoder(at((0.5, 0.5, size)), *blank())[0] for size in (0.25, 0.5))
    magnified = torch.nn.functional.interpolate(small[..., 32:96, 32:96], scale_factor=2, mode="bilinear")
    assert torch.nn.functional.l1_loss(magnified, large) < 0.1 * (large - 0.5).abs().mean()


def test_beyond_its_reach_and_in_other_pictures_nothing_changes() -> None:
    pictures = torch.rand(2, 3, 128, 128)
    drawn, coverage_drawn = drawing()(at((0.5, 0.5, 0.25), image=1), pictures, pictures, blank(2)[2])
    assert torch.equal(drawn[0], pictures[0]) and not coverage_drawn[0].any()
    changed = (drawn[1] != pictures[1]).any(0)
    rows, columns = changed.any(1).nonzero(), changed.any(0).nonzero()
    reach = 0.7 * 0.25 * 128
    for lines in (rows, columns):
        assert lines.min() >= 64 - reach - 1 and lines.max() <= 64 + reach
        assert lines.max() - lines.min() > reach


@pytest.mark.parametrize("coverage", [0.0, 1.0])
def test_coverage_hides_what_lies_beneath(coverage: float) -> None:
    decoder = drawing()
    torch.nn.init.zeros_(decoder.last.weight)
    decoder.last.bias.data = torch.tensor([0.0, 0.0, 0.0, coverage])
    beneath = torch.rand(1, 3, 128, 128)
    drawn, coverage_drawn = (
        x[..., 50:78, 50:78] for x in decoder(at((0.5, 0.5, 0.25)), beneath, beneath, blank()[2])
    )
    expected = beneath[..., 50:78, 50:78] if coverage == 0 else torch.full_like(drawn, 0.5)
    assert torch.allclose(drawn, expected, atol=1e-6) and (coverage_drawn == coverage).all()
