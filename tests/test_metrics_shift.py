"""Shift and zoom of a background, from pictures that were moved by known amounts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.shift import Shift
from adaptedit.region import Region

Pixels = np.ndarray


def texture(height: int, width: int, seed: int) -> Pixels:
    """(H, W, 3) in [0, 1], with something to see at several scales."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((height, width, 3))
    layers = [ndimage.gaussian_filter(noise, (sigma, sigma, 0)) * sigma for sigma in (1.5, 4, 12)]
    total = np.sum(layers, axis=0)
    return (total - total.min()) / (total.max() - total.min())


def moved(pixels: Pixels, x: float, y: float, zoom: float) -> Pixels:
    """Zoomed about the centre, then shifted; the border is mirrored."""
    centre = (np.array(pixels.shape[:2]) - 1) / 2
    offset = centre - (centre + np.array([y, x])) / zoom
    channels = [
        ndimage.affine_transform(pixels[..., c], (1 / zoom, 1 / zoom), offset, order=3, mode="mirror")
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def to_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8))


def edited(source: Pixels, mask: Pixels, x: float, y: float, zoom: float) -> Pixels:
    """Another texture where the mask goes, brighter and less contrasted all over, as editors leave it."""
    where = moved(mask[..., None].repeat(3, 2).astype(float), x, y, zoom) > 0.5
    return np.where(where, texture(*mask.shape, seed=9), 0.9 * moved(source, x, y, zoom) + 0.05)


def rectangle(height: int, width: int) -> Pixels:
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 4 : height * 3 // 5, width // 3 : width * 3 // 4] = True
    return mask


MOTIONS = [
    (0.0, 0.0, 1.0),
    (0.5, 0.0, 1.0),
    (3.25, -1.5, 1.0),
    (0.0, 0.0, 0.97),
    (0.0, 0.0, 1.05),
    (-7.3, 4.1, 1.02),
]


@pytest.mark.parametrize("given", [True, False], ids=["mask", "no mask"])
@pytest.mark.parametrize("motion", MOTIONS, ids=str)
def test_a_known_motion_is_found_beside_a_changed_region(motion, given) -> None:
    x, y, zoom = motion
    source, mask = texture(150, 200, seed=1), rectangle(150, 200)
    result = edited(source, mask, x, y, zoom)
    sample = EditSample("a", "", to_image(source), region=Region.from_array(mask) if given else None)
    scores = Shift()(sample, to_image(result), None)
    assert scores["aligned"] == 1.0
    assert scores["shift-x"] == pytest.approx(x, abs=0.05)
    assert scores["shift-y"] == pytest.approx(y, abs=0.05)
    assert scores["shift"] == pytest.approx(np.hypot(x, y), abs=0.05)
    assert scores["zoom"] == pytest.approx(zoom, abs=1e-3)
    assert scores["zoom-error"] == pytest.approx(abs(zoom - 1), abs=1e-3)


def test_a_large_picture_is_measured_in_its_own_pixels() -> None:
    source, mask = texture(720, 1000, seed=2), rectangle(720, 1000)
    sample = EditSample("a", "", to_image(source), region=Region.from_array(mask))
    scores = Shift()(sample, to_image(edited(source, mask, 40.0, -22.5, 1.04)), None)
    assert scores["shift-x"] == pytest.approx(40.0, abs=0.1)
    assert scores["shift-y"] == pytest.approx(-22.5, abs=0.1)
    assert scores["zoom"] == pytest.approx(1.04, abs=1e-3)


@pytest.mark.parametrize("flat", [False, True], ids=["texture", "flat"])
def test_an_unchanged_background_has_exactly_no_motion(flat) -> None:
    source, mask = texture(150, 200, seed=1), rectangle(150, 200)
    if flat:
        source = np.full_like(source, 0.5)
    result = np.where(mask[..., None], texture(150, 200, seed=9), source)
    sample = EditSample("a", "", to_image(source), region=Region.from_array(mask))
    scores = Shift()(sample, to_image(result), None)
    assert scores == {
        "shift": 0.0,
        "shift-x": 0.0,
        "shift-y": 0.0,
        "zoom": 1.0,
        "zoom-error": 0.0,
        "aligned": 1.0,
    }


def test_noise_alone_moves_nothing() -> None:
    source = texture(150, 200, seed=1)
    noise = np.random.default_rng(0).normal(0, 0.03, source.shape)
    scores = Shift()(EditSample("a", "", to_image(source)), to_image(source + noise), None)
    assert scores["shift"] < 0.05 and scores["zoom-error"] < 1e-3


@pytest.mark.parametrize("result", ["another picture", "black"])
def test_what_cannot_be_aligned_says_so(result) -> None:
    other = texture(150, 200, seed=5) * (result != "black")
    scores = Shift()(EditSample("a", "", to_image(texture(150, 200, seed=1))), to_image(other), None)
    assert scores == {"aligned": 0.0}


def test_a_region_that_leaves_no_background_has_no_score() -> None:
    source = to_image(texture(60, 80, seed=1))
    assert Shift()(EditSample("a", "", source, region=Region.full((80, 60))), source, None) == {}


def test_a_result_of_another_size_is_brought_to_the_sources() -> None:
    source = to_image(texture(150, 200, seed=1))
    scores = Shift()(EditSample("a", "", source), source.resize((400, 300)), None)
    assert scores["shift"] < 0.05 and scores["zoom-error"] < 1e-3
