"""Region: polarity, exactness of its operations, and the input that must be refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit import morphology
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region


def blob(size: tuple[int, int] = (40, 30), box: tuple[int, int, int, int] = (10, 8, 21, 17)) -> Region:
    return Region.from_box(box, size)


def disc_by_hand(mask: np.ndarray, radius: float, pick: str) -> np.ndarray:
    """Every pixel's maximum or minimum over the pixels within the radius, the slow and plain way."""
    ys, xs = np.mgrid[: mask.shape[0], : mask.shape[1]]
    result = np.empty_like(mask)
    for y, x in np.ndindex(mask.shape):
        near = mask[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2]
        result[y, x] = getattr(near, pick)()
    return result


# -- polarity


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_white_and_black_are_opposites_in_every_mode(mode: str) -> None:
    image = Image.new("L", (12, 9), 0)
    image.paste(255, (3, 2, 8, 7))
    expected = Region.from_box((3, 2, 8, 7), (12, 9)).mask
    masks = image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)
    assert masks.mode == mode
    np.testing.assert_array_equal(Region.from_white_is_edit(masks).mask, expected)
    np.testing.assert_array_equal(Region.from_black_is_edit(masks).mask, 1 - expected)


def test_alpha_transparent_is_edit() -> None:
    image = Image.new("RGBA", (12, 9), (90, 120, 30, 255))
    image.paste((0, 0, 0, 0), (3, 2, 8, 7))
    np.testing.assert_array_equal(Region.from_alpha(image).mask, Region.from_box((3, 2, 8, 7), (12, 9)).mask)
    with pytest.raises(AdaptEditError, match="no alpha.*polarity white or black"):
        Region.from_alpha(image.convert("RGB"))


def test_a_mask_in_the_alpha_channel_is_not_read_as_colour() -> None:
    image = Image.new("RGBA", (12, 9), (255, 255, 255, 255))
    image.paste((255, 255, 255, 0), (3, 2, 8, 7))
    for constructor in (Region.from_white_is_edit, Region.from_black_is_edit):
        with pytest.raises(AdaptEditError, match=r"only in its transparency; read it with polarity alpha"):
            constructor(image)


def test_strokes_on_a_transparent_canvas() -> None:
    canvas = Image.new("RGBA", (12, 9), (0, 0, 0, 0))
    canvas.paste((255, 255, 255, 255), (3, 2, 8, 7))
    expected = Region.from_box((3, 2, 8, 7), (12, 9)).mask
    np.testing.assert_array_equal(Region.from_white_is_edit(canvas).mask, expected)
    black = Image.new("RGBA", (12, 9), (255, 255, 255, 0))
    black.paste((0, 0, 0, 255), (3, 2, 8, 7))
    np.testing.assert_array_equal(Region.from_black_is_edit(black).mask, expected)


def test_a_photograph_and_deep_masks_are_refused() -> None:
    with pytest.raises(AdaptEditError, match="coloured.*polarity alpha"):
        Region.from_white_is_edit(Image.new("RGB", (4, 4), (255, 0, 0)))
    with pytest.raises(AdaptEditError, match="I;16"):
        Region.from_white_is_edit(Image.new("I;16", (4, 4)))


def test_sizes_are_checked_and_both_printed() -> None:
    for constructor in (Region.from_white_is_edit, Region.from_black_is_edit):
        with pytest.raises(AdaptEditError, match="12x9.*9x12"):
            constructor(Image.new("L", (12, 9)), size=(9, 12))
    with pytest.raises(AdaptEditError, match="12x9.*9x12"):
        Region.from_alpha(Image.new("RGBA", (12, 9)), size=(9, 12))
    with pytest.raises(AdaptEditError, match="40x30.*9x12"):
        blob().overlay(Image.new("RGB", (9, 12)))


@pytest.mark.parametrize(
    "array",
    [
        np.full((3, 3), np.nan),
        np.full((3, 3), np.inf),
        np.full((3, 3), -0.1),
        np.full((3, 3), 255, np.uint8),
        np.zeros((3, 3, 1)),
        np.zeros(3),
        np.zeros((0, 3)),
        np.array([["a"]]),
    ],
)
def test_bad_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(AdaptEditError):
        Region.from_array(array)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (-1, 0, 4, 4), (0, 0, 41, 4), (4, 9, 8, 3)])
def test_bad_boxes_are_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(AdaptEditError, match="40x30"):
        Region.from_box(box, (40, 30))
    with pytest.raises(AdaptEditError, match="40x30"):
        blob().crop(box)


def test_it_cannot_be_changed_from_outside() -> None:
    array = np.zeros((4, 4), np.float32)
    regions = [Region(array), Region.from_array(array)]
    array[:] = 1
    for region in regions:
        assert region.coverage() == 0
        with pytest.raises(ValueError):
            region.mask[0, 0] = 1


# -- operations


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("strip", [1, 50, 1 << 16])
@pytest.mark.parametrize("radius", [1, 2**0.5, 1.5, 2, 26**0.5, 5.0, 7.3, 19, 27.8, 40])
def test_dilate_and_erode_are_the_disc_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, radius: float, strip: int, hard: bool
) -> None:
    monkeypatch.setattr(morphology, "STRIP", strip)
    mask = np.random.default_rng(0).random((17, 23)).astype(np.float32)
    mask[mask < 0.7] = 0
    mask[4:12, 5:20] += 0.2
    mask[13:, 6:] = 0
    narrow = [mask[8:9], mask[:, 8:9], mask[5:6, 3:4], mask[2:4].T]
    for some in [mask, mask.T, mask[5:10, 6:17], *narrow]:
        region = Region.from_array((some > 0.6) if hard else some.clip(0, 1))
        np.testing.assert_array_equal(region.dilate(radius).mask, disc_by_hand(region.mask, radius, "max"))
        np.testing.assert_array_equal(region.erode(radius).mask, disc_by_hand(region.mask, radius, "min"))


@pytest.mark.parametrize("radius", [2500, 2499.9999, 2046.5])
def test_a_hard_edge_is_exact_where_32_bit_floats_are_not(radius: float) -> None:
    mask = np.zeros((1501, 2001), np.float32)
    mask[0, 0] = 1  # the far corner is 2500 away, as 1500² + 2000² = 2500²
    ys, xs = np.ogrid[:1501, :2001]
    within = ys**2 + xs**2 <= radius**2
    np.testing.assert_array_equal(Region(mask).dilate(radius).mask, within)
    np.testing.assert_array_equal(Region(1 - mask).erode(radius).mask, ~within)


@pytest.mark.parametrize("px", [30, 1e9, 1e300])
@pytest.mark.parametrize("level", [1.0, 0.6])
def test_beyond_the_diagonal_a_disc_is_the_whole_picture(px: float, level: float) -> None:
    mask = np.zeros((12, 25), np.float32)
    mask[3, 20], mask[4, 20] = level, level / 2
    region = Region(mask)
    np.testing.assert_array_equal(region.dilate(px).mask, np.full_like(mask, level))
    assert region.erode(px).coverage() == 0
    assert (Region(mask * 0 + np.float32(level)).erode(px).mask == np.float32(level)).all()
    soft = region.feather(px)
    np.testing.assert_array_equal(soft.mask, region.feather(math.hypot(25, 12)).mask)
    np.testing.assert_array_equal(Region.full((25, 12)).feather(px).mask, 1)


def test_morphology_at_the_ends() -> None:
    empty, full = Region.from_array(np.zeros((5, 7))), Region.full((7, 5))
    assert empty.dilate(3).coverage() == 0 and full.erode(3).coverage() == 1
    np.testing.assert_array_equal(blob().dilate(0).mask, blob().mask)
    for method in (blob().dilate, blob().erode, blob().feather):
        for px in (-1, float("nan"), float("inf")):
            with pytest.raises(AdaptEditError):
                method(px)


@pytest.mark.parametrize("px", [0.5, 1, 2, 3.3, 6])
def test_feather_softens_within_its_bound(px: float) -> None:
    region = blob((90, 80), (35, 30, 55, 50))
    soft = region.feather(px)
    assert ((soft.mask > 0) & (soft.mask < 1)).any()
    assert not soft.mask[region.dilate(3 * px + 3).mask == 0].any()
    np.testing.assert_array_equal(Region.full((9, 7)).feather(px).mask, 1)


@pytest.mark.parametrize("dx,dy", [(0, 0), (3, -2), (-11, 5), (39, 0), (40, 0), (0, -30), (500, 500)])
def test_shift_moves_and_fills_with_zero(dx: int, dy: int) -> None:
    region = Region.from_array(np.random.default_rng(1).random((30, 40)))
    moved = region.shift(dx, dy).mask
    for y in range(0, 30, 7):
        for x in range(40):
            inside = 0 <= y - dy < 30 and 0 <= x - dx < 40
            assert moved[y, x] == (region.mask[y - dy, x - dx] if inside else 0)


def test_bbox_and_coverage() -> None:
    assert blob().bbox() == (10, 8, 21, 17)
    assert blob().coverage() == pytest.approx(11 * 9 / 1200)
    faint = Region.from_array(blob().mask * 0.4)
    assert faint.bbox() is None and faint.bbox(0.3) == (10, 8, 21, 17)


def test_components_join_diagonals_and_keep_soft_values() -> None:
    mask = np.zeros((12, 14), np.float32)
    mask[0, 0] = mask[1, 1] = mask[2, 0] = 0.75  # touch at corners only
    mask[5:9, 3:9] = 1
    mask[6:8, 5:7] = 0  # a hole
    mask[11, 13] = mask[0, 13] = 0.9  # the right border does not touch the left border of the next row
    mask[1, 5] = 0.5  # not above the threshold
    parts = Region.from_array(mask).components()
    assert [int((part.mask > 0).sum()) for part in parts] == [20, 3, 1, 1]
    np.testing.assert_array_equal(sum(part.mask for part in parts), np.where(mask > 0.5, mask, 0))
    assert len(Region.from_array(mask).components(min_area=4)) == 1
    assert Region.from_array(np.zeros((3, 3))).components() == []


def test_components_of_a_spiral_and_of_noise_agree_with_flood_fill() -> None:
    spiral = np.zeros((31, 31), bool)
    for ring in range(0, 15, 2):
        spiral[ring, ring : 31 - ring] = spiral[30 - ring, ring : 31 - ring] = True
        spiral[ring : 31 - ring, 30 - ring] = spiral[ring + 2 : 31 - ring, ring] = True
        spiral[ring + 2, ring : ring + 2] = True
    noise = [np.random.default_rng(seed).random((24, 33)) < 0.3 for seed in range(8)]
    for on in [spiral, *noise, *(one.T for one in noise)]:
        found = [frozenset(np.flatnonzero(part.mask)) for part in Region.from_array(on).components()]
        assert found == sorted(flood_fill(on), key=lambda part: (-len(part), min(part)))


def flood_fill(on: np.ndarray) -> list[frozenset[int]]:
    height, width = on.shape
    left = set(map(int, np.flatnonzero(on)))
    parts = []
    while left:
        stack, part = [left.pop()], set()
        while stack:
            pixel = stack.pop()
            part.add(pixel)
            y, x = divmod(pixel, width)
            near = {
                v * width + u
                for v in range(max(y - 1, 0), min(y + 2, height))
                for u in range(max(x - 1, 0), min(x + 2, width))
            }
            stack += near & left
            left -= near
        parts.append(frozenset(part))
    return parts


def test_a_thousand_specks_are_refused_with_a_way_out() -> None:
    mask = np.zeros((100, 100))
    mask[::3, ::3] = 1
    mask[50:60, 50:60] = 1
    with pytest.raises(AdaptEditError, match="min_area above 1$"):
        Region.from_array(mask).components()
    assert len(Region.from_array(mask).components(min_area=2)) == 1


@pytest.mark.parametrize(
    "size,grid", [((64, 64), (8, 8)), ((61, 37), (8, 8)), ((5, 3), (8, 6)), ((9, 70), (1, 7))]
)
def test_tokens_keep_the_area(size: tuple[int, int], grid: tuple[int, int]) -> None:
    region = Region.from_array(np.random.default_rng(2).random((size[1], size[0])))
    tokens = region.to_tokens(*grid)
    assert tokens.shape == grid and tokens.dtype == torch.float32
    assert float(tokens.mean()) == pytest.approx(region.coverage(), abs=1e-6)
    assert torch.equal(Region.full(size).to_tokens(*grid), torch.ones(grid))
    if size == (64, 64):
        blocks = region.mask.reshape(8, 8, 8, 8).mean(axis=(1, 3))
        np.testing.assert_allclose(tokens.numpy(), blocks, atol=1e-6)


def test_resize_and_crop() -> None:
    assert np.array_equal(Region.full((40, 30)).resize((7, 11)).mask, np.ones((11, 7)))
    big = blob().resize((400, 300))
    assert big.size == (400, 300) and big.coverage() == pytest.approx(blob().coverage(), abs=2e-3)
    with pytest.raises(AdaptEditError):
        blob().resize((0, 5))
    part = blob().crop((8, 8, 12, 10))
    np.testing.assert_array_equal(part.mask, [[0, 0, 1, 1]] * 2)


def test_overlay_marks_the_region_and_leaves_the_rest() -> None:
    image = Image.new("RGB", (40, 30), (10, 200, 90))
    shown = np.asarray(blob().overlay(image))
    far = blob().dilate(3).mask == 0
    changed = (shown != (10, 200, 90)).any(axis=2)
    assert not changed[far].any() and changed[blob().mask == 1].all()
    assert image.getpixel((15, 12)) == (10, 200, 90)


# -- files


def test_save_and_load(tmp_path: Path) -> None:
    region = Region.from_array(np.arange(256).reshape(16, 16) / 255)
    region.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(Region.load(tmp_path / "mask.png").mask, region.mask)
    assert Image.open(tmp_path / "mask.png").mode == "L"
    with pytest.raises(AdaptEditError, match=r"mask\.png.*16x16.*9x9"):
        Region.load(tmp_path / "mask.png", size=(9, 9))


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "mask.jpg", tmp_path / "no" / "mask.png"):
        with pytest.raises(AdaptEditError):
            blob().save(path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(AdaptEditError, match="folder"):
        blob().save(tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
