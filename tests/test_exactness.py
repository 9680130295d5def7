"""preserve="exact", for any accepted picture and any region: what is not edited is the input, bit for bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adaptedit.editing.pipeline import AdaptEditPipeline, feather_of
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Source
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone

# The source's mode -> the result's; "+t" is one transparent colour.
BYTES = {"1": "L", "L": "L", "LA": "LA", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"}
BYTES |= {"L+t": "LA", "P+t": "RGBA", "PA": "RGBA"}
DEEP = {"I;16": (), "LA;16": (2,), "RGB;16": (3,), "RGBA;16": (4,)}

side = st.integers(1, 400)
sizes = st.tuples(side, side) | st.tuples(side, st.just(1)) | st.tuples(st.just(1), side)


def may_change(region: Region) -> np.ndarray:
    """bool (H, W): the pixels within the reach that `exact_alpha` documents, 2 * feather + 3."""
    hard = region.mask > min(0.5, float(region.mask.max()) / 2)
    distance = cv2.distanceTransform((~hard).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (distance < 2 * feather_of(region) + 3) | hard


def picture(mode: str, size: tuple[int, int], seed: int) -> tuple[Source, np.ndarray]:
    """Noise of that mode, and the samples that the result must have outside."""
    rng, (width, height) = np.random.default_rng(seed), size
    if mode in DEEP:
        samples = rng.integers(0, 65536, (height, width, *DEEP[mode]), dtype=np.uint16)
        return Image16(samples), samples
    rgba = Image.fromarray(rng.integers(0, 256, (height, width, 4), dtype=np.uint8))
    kind = mode.removesuffix("+t")
    colours = rgba if "A" in mode else rgba.convert("RGB")
    image = colours.convert("P" if kind == "PA" else kind).convert(kind)
    if mode.endswith("+t"):
        image.info["transparency"] = image.getpixel((0, 0))
    whole = image.convert("RGBA") if "A" in BYTES[mode] else image
    return image, np.asarray(whole.convert(BYTES[mode]))


@st.composite
def regions(draw: st.DrawFn, size: tuple[int, int]) -> Region:
    """One to three boxes, often at the border; as they are, faint, or with soft edges; or everything."""
    if draw(st.integers(0, 9)) == 0:
        return Region.full(size)
    mask = np.zeros((size[1], size[0]), np.float32)
    for _ in range(draw(st.integers(1, 3))):
        (left, right), (top, bottom) = (
            sorted((draw(st.integers(0, length - 1)), draw(st.integers(0, length - 1)))) for length in size
        )
        mask[top : bottom + 1, left : right + 1] = draw(st.sampled_from([1.0, 1.0, 0.6, 0.02]))
    region = Region.from_array(mask)
    return region.feather(draw(st.sampled_from([0.0, 0.0, 3.0]))) if mask.max() > 0.5 else region


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from([*BYTES, *DEEP]), sizes, st.integers(0, 2**16))
def test_outside_the_feathered_region_not_one_bit_moves(
    data: st.DataObject, mode: str, size: tuple[int, int], seed: int
) -> None:
    source, before = picture(mode, size, seed)
    region = data.draw(regions(size))
    pipe = AdaptEditPipeline(FakeBackbone(), FakeAdapter())  # type: ignore[arg-type]
    (result,) = pipe(source, "invert", region, seed=1).images

    after = np.asarray(result)
    assert (result.size, result.mode) == (size, BYTES.get(mode, mode))
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    outside = ~may_change(region)
    assert np.array_equal(after[outside], before[outside])
    if "A" in result.mode:
        assert np.array_equal(after[..., -1], before[..., -1])


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("mode", ["L", "RGBA;16"])
def test_pictures_of_one_pixel_and_one_line_are_edited(
    pipe: AdaptEditPipeline, mode: str, size: tuple[int, int]
) -> None:
    source, before = picture(mode, size, seed=0)
    width, height = size
    region = Region.from_box((width // 2, height // 2, width // 2 + 1, height // 2 + 1), size)
    (result,) = pipe(source, "invert", region, seed=1).images
    changed = np.asarray(result) != before
    assert result.size == size
    assert changed.any() and not changed[~may_change(region)].any()
