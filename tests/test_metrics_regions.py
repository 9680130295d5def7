"""Inside and outside: both ways of averaging on known cases, LPIPS, and the scores of a found region."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.change import change_mask
from adaptedit.evaluation.metrics.fidelity import Fidelity
from adaptedit.evaluation.metrics.lpips import Lpips
from adaptedit.evaluation.metrics.region_scores import RegionScores, best_threshold, region_scores
from adaptedit.region import Region

WIDTH, HEIGHT = 100, 80
BOX = (20, 16, 70, 56)  # a quarter of the picture


def grey(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8)


def noisy(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def inside() -> np.ndarray:
    left, top, right, bottom = BOX
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def scored(source: np.ndarray, result: np.ndarray, target: np.ndarray | None = None) -> dict[str, float]:
    sample = EditSample(
        "a",
        "",
        Image.fromarray(source),
        None if target is None else Image.fromarray(target),
        Region.from_box(BOX, (WIDTH, HEIGHT)),
    )
    return Fidelity()(sample, Image.fromarray(result), None)


def test_the_two_conventions_differ_by_the_sides_share_of_the_picture() -> None:
    """Everything is off by 51 levels, 0.2: the masked mean says so on each side, PIE-Bench's dilutes it."""
    scores = scored(grey(100), grey(151), grey(202))
    for side, share in (("inside", 0.25), ("outside", 0.75)):
        assert scores[f"MSE-{side}"] == pytest.approx(0.04)
        assert scores[f"PIE-MSE-{side}"] == pytest.approx(0.04 * share)
        assert scores[f"PSNR-{side}"] == pytest.approx(-10 * math.log10(0.04))
        assert scores[f"PIE-PSNR-{side}"] == pytest.approx(-10 * math.log10(0.04 * share))
    assert scores["MSE-whole"] == pytest.approx(0.04) and scores["MSE-whole-source"] == pytest.approx(0.04)


def test_pie_ssim_counts_the_black_pixels_as_identical() -> None:
    scores = scored(noisy(0), noisy(1), noisy(2))
    assert scores["SSIM-outside"] < 0.1 and scores["SSIM-inside"] < 0.1
    assert 0.1 < scores["PIE-SSIM-outside"] < 0.35  # a quarter is black in both
    assert 0.6 < scores["PIE-SSIM-inside"] < 0.9


@pytest.mark.parametrize("source", [noisy(0), grey(250)], ids=["noise", "bright and flat"])
def test_an_untouched_background_is_perfect_whatever_is_inside(source) -> None:
    scores = scored(source, np.where(inside()[..., None], noisy(1), source))
    assert scores["SSIM-outside"] == 1.0
    assert scores["MSE-outside"] == 0.0 and scores["PSNR-outside"] == 100.0
    assert scores["SSIM-whole-source"] < 0.9
    assert not any(column.endswith(("inside", "whole")) for column in scores), "there is no target"


def test_a_leak_is_outside_and_a_miss_is_inside() -> None:
    source, target = grey(100), np.where(inside()[..., None], grey(200), grey(100))
    leak = target.copy()
    leak[0, 0] = 0
    assert scored(source, leak, target)["MSE-outside"] > 0 == scored(source, leak, target)["MSE-inside"]
    assert scored(source, source, target)["MSE-inside"] > 0 == scored(source, source, target)["MSE-outside"]


def test_sides_without_pixels_are_absent() -> None:
    picture = Image.fromarray(noisy(0))
    full = EditSample("a", "", picture, picture, Region.full(picture.size))
    scores = Fidelity()(full, picture, None)
    assert "MSE-inside" in scores and "MSE-outside" not in scores and "PIE-MSE-outside" not in scores


# -- LPIPS: torchmetrics' own code and heads on a random SqueezeNet, which torchvision would bring


class _Fire(torch.nn.Module):
    def __init__(self, wide: int, narrow: int, out: int) -> None:
        super().__init__()
        self.squeeze = torch.nn.Conv2d(wide, narrow, 1)
        self.one = torch.nn.Conv2d(narrow, out, 1)
        self.three = torch.nn.Conv2d(narrow, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.one(x).relu(), self.three(x).relu()], dim=1)


def _squeezenet(*_: object) -> torch.nn.Sequential:
    def pool() -> torch.nn.Module:
        return torch.nn.MaxPool2d(3, stride=2, ceil_mode=True)

    torch.manual_seed(0)
    return torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 64, 3, stride=2), torch.nn.ReLU(), pool()),
        *(_Fire(64, 16, 64), _Fire(128, 16, 64), pool()),
        *(_Fire(128, 32, 128), _Fire(256, 32, 128), pool()),
        *(_Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)),
    )


@pytest.fixture
def lpips(monkeypatch) -> Lpips:
    monkeypatch.setattr("torchmetrics.functional.image.lpips._get_tv_model_features", _squeezenet)
    monkeypatch.setattr("torchmetrics.image.lpip._TORCHVISION_AVAILABLE", True)
    return Lpips()


def test_lpips_outside_sees_leaks_only_and_pie_dilutes_them(lpips) -> None:
    source, other = noisy(0), noisy(1)
    sample = EditSample("a", "", Image.fromarray(source), None, Region.from_box(BOX, (WIDTH, HEIGHT)))
    clean = lpips(sample, Image.fromarray(np.where(inside()[..., None], other, source)), None)
    assert clean.keys() == {"LPIPS-outside", "PIE-LPIPS-outside", "LPIPS-whole-source"}
    assert clean["LPIPS-outside"] == clean["PIE-LPIPS-outside"] == 0.0 < clean["LPIPS-whole-source"]
    leaking = lpips(sample, Image.fromarray(other), None)
    assert leaking["LPIPS-outside"] > leaking["PIE-LPIPS-outside"] > 0.0


def test_lpips_of_the_whole_is_torchmetrics_own(lpips) -> None:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    source, other = noisy(0), noisy(1)
    scores = lpips(EditSample("a", "", Image.fromarray(source)), Image.fromarray(other), None)
    pair = [torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in (other, source)]
    expected = LearnedPerceptualImagePatchSimilarity("squeeze", normalize=True)(*pair)
    assert scores["LPIPS-whole-source"] == pytest.approx(float(expected), rel=1e-5)


# -- found regions


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_region_scores_of_two_boxes() -> None:
    scores = region_scores(box(10, 10, 50, 50), box(30, 10, 70, 50))
    assert scores["IoU"] == pytest.approx(1 / 3)
    assert scores["F1"] == scores["precision"] == scores["recall"] == pytest.approx(0.5)
    assert scores["coverage-error"] == 0.0
    assert 0.2 < scores["boundary-F"] < 0.5  # half of the horizontal sides
    small = region_scores(box(0, 0, 20, 40), box(0, 0, 40, 40))
    assert (small["precision"], small["recall"]) == (1.0, 0.5)
    assert small["coverage-error"] == pytest.approx(800 / 8000)


def test_boundary_f_forgives_what_is_within_its_tolerance() -> None:
    truth = box(20, 20, 60, 60)  # the diagonal is 128 pixels: 1.02, rounded up to 2
    assert region_scores(box(22, 20, 62, 60), truth)["boundary-F"] == 1.0
    assert region_scores(box(23, 20, 63, 60), truth)["boundary-F"] < 1.0
    assert region_scores(box(70, 0, 90, 15), truth)["boundary-F"] == 0.0


def test_empty_regions() -> None:
    nothing, something = box(0, 0, 0, 0), box(10, 10, 30, 30)
    right = region_scores(nothing, nothing)
    assert all(value == 1.0 for name, value in right.items() if name != "coverage-error")
    missed = region_scores(nothing, something)
    assert missed["IoU"] == missed["F1"] == missed["recall"] == missed["boundary-F"] == 0.0


def test_the_mask_as_given_and_the_change_mask_are_told_apart_at_both_thresholds() -> None:
    """The annotator's box is twice as wide as what changed; the found region has 0.4 in the right half."""
    source = grey(100)
    target = source.copy()
    target[16:56, 20:45] = 200
    soft = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    soft[16:56, 20:45], soft[16:56, 45:70] = 0.9, 0.4
    sample = EditSample(
        "a", "", Image.fromarray(source), Image.fromarray(target), Region.from_box(BOX, (WIDTH, HEIGHT))
    )
    scores = RegionScores(threshold=0.3)(sample, sample.source, Region.from_array(soft))
    assert scores["IoU"] == pytest.approx(0.5) and scores["IoU@dev"] == 1.0
    assert scores["IoU-change"] == 1.0 and scores["IoU-change@dev"] < 0.6
    assert scores.keys() == set(RegionScores.columns)
    assert not any("@dev" in column for column in RegionScores()(sample, sample.source, sample.region))
    assert RegionScores()(sample, sample.source, None) == {}


def test_the_change_mask_ignores_compression_and_specks_and_fills_holes() -> None:
    rng = np.random.default_rng(0)
    source = grey(120)
    target = (source + rng.integers(-8, 9, source.shape)).astype(np.uint8)
    target[20:60, 20:60] = 220
    target[38:40, 38:40] = 120
    target[5, 90] = 255
    mask = change_mask(Image.fromarray(source), Image.fromarray(target)).mask > 0.5
    truth = box(20, 20, 60, 60)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.85
    assert mask[39, 39] and not mask[:10, 80:].any()
    assert not change_mask(Image.fromarray(source), Image.fromarray(source)).mask.any()


def test_the_best_threshold_is_the_one_of_the_highest_mean_iou() -> None:
    truth = box(20, 20, 60, 60)
    soft = np.where(truth, 0.3, 0.12).astype(np.float32)
    pairs = [(Region.from_array(soft), Region.from_array(truth))] * 2
    assert best_threshold(pairs) == 0.3
    certain = [(Region.from_array(truth), Region.from_array(truth))]
    assert best_threshold(certain) == 0.5
