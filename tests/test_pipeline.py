"""What the pipeline promises: the outside stays, sizes and modes come back, a seed is a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.backbones.base import Edited, PromptStates
from adaptedit.backbones.denoise import denoise, follow_source_outside
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError, GlobalEdit, RegionNotFound
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone


def noise_picture(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    return Image.fromarray(values)


def flat_picture(size: tuple[int, int], grey: int = 40) -> Image.Image:
    return Image.new("RGB", size, (grey, grey, grey))


def far_from(region: Region, px: int) -> np.ndarray:
    return region.dilate(px).mask == 0


# -- preservation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (70, 53), (333, 217), (40, 300), (17, 9)])
def test_exact_keeps_every_pixel_outside_and_edits_inside(
    pipe: AdaptEditPipeline, size: tuple[int, int]
) -> None:
    picture = flat_picture(size)
    box = (size[0] // 3, size[1] // 3, 2 * size[0] // 3, 2 * size[1] // 3)
    region = Region.from_box(box, size)
    (result,) = pipe(picture, "invert", region, seed=1).images
    before, after = np.asarray(picture), np.asarray(result)
    outside = far_from(region, max(size) // 4)
    assert outside.any()
    assert (before[outside] == after[outside]).all()
    centre = (box[1] + box[3]) // 2, (box[0] + box[2]) // 2
    assert after[centre].mean() > 180  # 255 - 40, less the trace of noise


def test_exact_keeps_a_noisy_picture_outside_bit_for_bit(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((200, 120))
    region = Region.from_box((80, 40, 120, 80), picture.size)
    (result,) = pipe(picture, "invert", region, seed=1).images
    changed = (np.asarray(picture) != np.asarray(result)).any(axis=-1)
    assert changed[45:75, 85:115].mean() > 0.9
    assert not changed[far_from(region, 30)].any()


def test_soft_leaks_inside_the_crop_and_never_outside_it(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((400, 400))
    region = Region.from_box((180, 180, 220, 220), picture.size)
    (result,) = pipe(picture, "invert", region, preserve="soft", seed=1).images
    changed = (np.asarray(picture) != np.asarray(result)).any(axis=-1)
    assert changed[far_from(region, 5)].any()
    assert not changed[:60].any() and not changed[-60:].any()


def test_latent_leaves_outside_tokens_as_the_codec_has_them(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((64, 64))  # the working size: no crop, no resampling
    region = Region.from_box((16, 16, 32, 32), picture.size)  # one token of the fake
    (result,) = pipe(picture, "invert", region, preserve="latent", seed=1).images
    difference = np.abs(np.asarray(picture).astype(int) - np.asarray(result)).max(axis=-1)
    assert difference[16:32, 16:32].mean() > 30
    difference[16:32, 16:32] = 0
    assert difference.max() == 0


def test_the_source_path_starts_at_the_noise_and_ends_at_the_source() -> None:
    source, latents, noise = torch.randn(3, 2, 5, 4).unbind(0)
    inside = torch.tensor([[True, False, False, False, True]] * 2)
    constrain = follow_source_outside(source, inside)
    assert torch.equal(constrain(latents, noise, torch.tensor(1.0))[~inside], noise[~inside])
    assert torch.equal(constrain(latents, noise, torch.tensor(0.0))[~inside], source[~inside])
    assert torch.equal(constrain(latents, noise, torch.tensor(0.5))[inside], latents[inside])


# -- denoise ---------------------------------------------------------------------------------------


def test_euler_follows_a_straight_path_exactly_in_any_number_of_steps() -> None:
    source = torch.randn(1, 16, 3)
    for steps in (1, 3, 8):
        latents = denoise(
            lambda latents, t: (latents + source) / t[:, None, None],
            source,
            num_inference_steps=steps,
            generators=[torch.Generator()],
        )
        torch.testing.assert_close(latents, -source, atol=1e-4, rtol=0)


# -- formats and sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(64, 64), (101, 77)])
def test_size_mode_and_alpha_come_back(pipe: AdaptEditPipeline, mode: str, size: tuple[int, int]) -> None:
    picture = noise_picture(size, mode)
    (result,) = pipe(picture, "invert", seed=0).images
    assert (result.size, result.mode) == (size, mode)
    if mode == "RGBA":
        assert result.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
    assert result.tobytes() != picture.tobytes()


def test_palette_keeps_its_colours_outside(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((90, 60)).quantize(16)
    region = Region.from_box((30, 20, 50, 40), picture.size)
    (result,) = pipe(picture, "invert", region, seed=0).images
    outside = far_from(region, 20)
    assert (np.asarray(result)[outside] == np.asarray(picture.convert("RGB"))[outside]).all()


def test_exif_rotation_is_applied_before_editing(pipe: AdaptEditPipeline, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored sideways
    path = tmp_path / "phone.jpg"
    noise_picture((90, 60)).save(path, exif=exif)
    (result,) = pipe(path, "invert", seed=0).images
    assert result.size == (60, 90)
    assert result.getexif().get(0x0112, 1) == 1


def test_arrays_and_lists(pipe: AdaptEditPipeline) -> None:
    pictures = [np.asarray(noise_picture((50, 40), seed=1)), noise_picture((64, 64), seed=2)]
    region = Region.from_box((5, 5, 20, 20), (64, 64))
    out = pipe(pictures, ["invert", "turn"], [None, region], seed=3)
    assert [image.size for image in out.images] == [(50, 40), (64, 64)]
    assert out.regions[1] is region
    assert out.seeds == [3, 3]
    alone = pipe(pictures[1], "turn", region, seed=3)
    assert out.images[1].tobytes() == alone.images[0].tobytes()


# -- seeds -----------------------------------------------------------------------------------------


def test_a_recorded_seed_gives_the_same_result_again(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((64, 64))
    first = pipe(picture, "invert")
    again = pipe(picture, "invert", seed=first.seeds[0])
    other = pipe(picture, "invert", seed=first.seeds[0] + 1)
    assert first.images[0].tobytes() == again.images[0].tobytes()
    assert first.images[0].tobytes() != other.images[0].tobytes()


def test_a_generator_decides_the_seeds(pipe: AdaptEditPipeline) -> None:
    pictures = [noise_picture((64, 64))] * 2
    draws = [pipe(pictures, ["a", "b"], generator=torch.Generator().manual_seed(5)).seeds for _ in range(2)]
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[0][1]


# -- the region ------------------------------------------------------------------------------------


def test_predicted_region_has_the_pictures_size_and_place(pipe: AdaptEditPipeline) -> None:
    region = pipe.predict_region(noise_picture((200, 100)), "the thing")
    assert region.size == (200, 100)
    left, top, right, bottom = region.bbox() or (0, 0, 0, 0)
    assert abs(left - 50) <= 3 and abs(top - 25) <= 3 and abs(right - 100) <= 3 and abs(bottom - 50) <= 3


def test_the_adapter_gets_the_crop_of_the_given_region(pipe: AdaptEditPipeline) -> None:
    region = Region.from_box((300, 300, 340, 340), (640, 480))
    pipe(noise_picture(region.size), "invert", region, num_inference_steps=1)
    assert isinstance(pipe.adapter, FakeAdapter)
    (seen,) = pipe.adapter.seen
    assert seen.size == (64, 64)
    assert seen.coverage() > 3 * region.coverage()  # the crop is closer than the whole picture
    assert seen.mask.max() > 0.9


@pytest.mark.parametrize("certainty", [0.0, 0.49])
def test_nothing_found_is_an_error_and_not_an_edit_of_everything(certainty: float) -> None:
    pipe = AdaptEditPipeline(FakeBackbone(), FakeAdapter(certainty))  # type: ignore[arg-type]
    with pytest.raises(RegionNotFound, match="draw the region"):
        pipe(noise_picture((64, 64)), "remove the elephant")
    out = pipe(noise_picture((64, 64)), "remove the elephant", Region.full((64, 64)))
    assert out.regions[0].coverage() == 1


def test_two_parts_far_apart_are_edited_each_in_its_own_crop(pipe: AdaptEditPipeline) -> None:
    picture = flat_picture((900, 700))
    parts = (100, 100, 150, 150), (700, 500, 750, 550)
    region = Region.from_box(parts[0], picture.size) | Region.from_box(parts[1], picture.size)
    steps: list[tuple[int, int]] = []
    out = pipe(
        picture, "invert", region, seed=1, num_inference_steps=2, on_step=lambda *step: steps.append(step)
    )
    assert isinstance(pipe.adapter, FakeAdapter)
    assert len(pipe.adapter.seen) == 2 and steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    after = np.asarray(out.images[0])
    assert after[125, 125].mean() > 180 and after[525, 725].mean() > 180
    assert (after[far_from(region, 20)] == 40).all()


def test_a_part_in_another_parts_crop_is_left_to_its_own(pipe: AdaptEditPipeline) -> None:
    """The adapter is shown only what its crop will keep."""
    size = (1200, 400)
    region = Region.from_box((100, 100, 300, 300), size) | Region.from_box((460, 190, 470, 200), size)
    pipe(flat_picture(size), "invert", region, seed=1)
    assert isinstance(pipe.adapter, FakeAdapter)
    for seen in pipe.adapter.seen:
        assert len(Region.from_array(seen.mask > 0.05).components()) == 1


def test_a_drift_of_tone_does_not_show_inside_the_exact_region() -> None:
    class Drifting(FakeBackbone):
        def edit(self, images: Sequence[Image.Image], *_: object, **__: object) -> list[Edited]:
            return [Edited(Image.eval(image, lambda value: min(value + 10, 255)), image) for image in images]

    pipe = AdaptEditPipeline(Drifting(), FakeAdapter())  # type: ignore[arg-type]
    picture, region = flat_picture((300, 300)), Region.from_box((120, 120, 180, 180), (300, 300))
    (exact,) = pipe(picture, "do nothing", region, seed=1).images
    assert exact.tobytes() == picture.tobytes()
    (soft,) = pipe(picture, "do nothing", region, seed=1, preserve="soft").images
    assert np.asarray(soft)[150, 150].mean() == 50


def test_candidates_come_in_a_row_with_their_seeds(pipe: AdaptEditPipeline) -> None:
    picture = noise_picture((64, 64))
    out = pipe([picture, picture], ["invert", "turn"], seed=4, num_images_per_prompt=2)
    assert out.seeds == [4, 5, 4, 5] and len(out.images) == len(out.regions) == 4
    again = pipe(picture, "invert", out.regions[0], seed=5)
    assert again.images[0].tobytes() == out.images[1].tobytes() != out.images[0].tobytes()


def test_a_threshold_moves_the_edge_of_what_is_found() -> None:
    class Sloping(FakeAdapter):
        def predict_region(self, states: PromptStates, guide: torch.Tensor) -> torch.Tensor:
            return torch.linspace(0, 0.8, guide.shape[-1]).expand(len(guide), guide.shape[-2], -1)

    pipe = AdaptEditPipeline(FakeBackbone(), Sloping())  # type: ignore[arg-type]
    picture = flat_picture((64, 64))
    found = {t: pipe.predict_region(picture, "x", threshold=t).mask[0] > 0.5 for t in (0.2, 0.5, 0.7)}
    assert [int(one.sum()) for one in found.values()] == [48, 24, 8]
    with pytest.raises(RegionNotFound, match="best match 80%"):
        pipe.predict_region(picture, "x", threshold=0.85)
    with pytest.raises(AdaptEditError, match="threshold is 1"):
        pipe.predict_region(picture, "x", threshold=1.0)


def test_a_region_that_is_everything_is_no_local_edit() -> None:
    class Everything(FakeAdapter):
        def predict_region(self, states: PromptStates, guide: torch.Tensor) -> torch.Tensor:
            return torch.full((len(guide), *guide.shape[-2:]), 0.9)

    pipe = AdaptEditPipeline(FakeBackbone(), Everything())  # type: ignore[arg-type]
    with pytest.raises(GlobalEdit, match="whole picture"):
        pipe(flat_picture((64, 64)), "make it winter")


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "  "}, "instruction is empty"),
        ({"region": Region.full((63, 64))}, "63x64.*64x64"),
        ({"region": Region.from_array(np.zeros((64, 64)))}, "region is empty"),
        ({"preserve": "hard"}, "exact, latent, soft"),
        ({"num_inference_steps": 0}, "steps is 0; give 1 to 1000"),
        ({"num_images_per_prompt": 0}, "1 or more"),
        ({"feather": -1.0}, "feather is -1"),
        ({"context": 0.9}, "context is 0.9"),
        ({"prompt": ["a", "b"]}, "2 prompts"),
        ({"image": "nowhere.png"}, "nowhere.png"),
    ],
)
def test_bad_input_is_refused_with_the_reason(
    pipe: AdaptEditPipeline, change: dict[str, object], message: str
) -> None:
    arguments = {"image": flat_picture((64, 64)), "prompt": "invert"} | change
    with pytest.raises(AdaptEditError, match=message):
        pipe(**arguments)  # type: ignore[arg-type]


def test_every_picture_of_a_list_is_checked_before_the_first_is_edited(pipe: AdaptEditPipeline) -> None:
    with pytest.raises(AdaptEditError, match="instruction is empty"):
        pipe([flat_picture((64, 64))] * 2, ["invert", ""])
    assert isinstance(pipe.adapter, FakeAdapter)
    assert not pipe.adapter.seen


@pytest.mark.parametrize("name", ["nobody", "nobody/no/thing", "."])
def test_an_unknown_editor_is_refused(name: str) -> None:
    with pytest.raises(AdaptEditError, match="'tiny'|no diffusers pipeline"):
        AdaptEditPipeline.from_pretrained(name)
