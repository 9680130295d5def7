"""The metrics as a runner sees them: what is there, what is not and why, and known cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.metrics import METRICS, SET_METRICS, scoring
from adaptedit.evaluation.metrics.fid import Fid
from adaptedit.evaluation.metrics.local import Local
from adaptedit.region import Region
from test_metrics_parity import CAPTION, save_clip, save_dino

SIZE = (150, 110)


def picture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)).resize(size)


def sample(**changes: object) -> EditSample:
    fields = {
        "source": picture(0),
        "target": picture(1),
        "region": Region.from_box((40, 30, 90, 80), SIZE),
        "source_caption": "a table",
        "target_caption": CAPTION,
    }
    return EditSample("a", "edit it", **(fields | changes))


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> dict[str, dict[str, object]]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("clip", "pie-clip", "dino", "structure")}
    save_clip(folders["clip"])
    save_clip(folders["pie-clip"])
    save_dino(folders["dino"], patch=16)
    save_dino(folders["structure"], patch=8)
    given = {name: {"model": str(folder)} for name, folder in folders.items()}
    return given | {"region": {"threshold": 0.3}}


def made(names: list[str], options: dict[str, dict[str, object]] | None = None):
    found = scoring(names, {name: given for name, given in (options or {}).items() if name in names})
    return found.metrics, found.unavailable


OFFLINE = [name for name in METRICS if name != "lpips"]  # which needs torchvision


def test_every_column_is_filled_for_a_full_sample_and_finite_for_a_black_result(options) -> None:
    ready, missing = made(OFFLINE, options)
    assert not missing
    columns = [column for metric in ready for column in metric.columns]
    assert len(columns) == len(set(columns))
    for result in (picture(2), Image.new("RGB", SIZE), Image.new("RGB", (97, 64))):
        scores: dict[str, float] = {}
        for metric in ready:
            found = metric(sample(), result, Region.from_box((30, 20, 90, 80), SIZE))
            assert found.keys() <= set(metric.columns)
            scores |= found
        assert all(type(value) is float and np.isfinite(value) for value in scores.values()), scores
        unaligned = {"shift", "shift-x", "shift-y", "zoom", "zoom-error"}
        assert set(columns) - scores.keys() <= unaligned
        assert scores["aligned"] == 0.0


def test_columns_without_their_inputs_are_absent(options) -> None:
    ready, _ = made(OFFLINE, options)
    bare = sample(target=None, region=None, source_caption="", target_caption="")
    scores: dict[str, float] = {}
    for metric in ready:
        scores |= metric(bare, picture(0), None)
    assert scores.keys() == {
        *("L1-source", "CLIP-im", "DINO-source", "DINO-source-no-crop", "structure", "PIE-structure"),
        *("MSE-whole-source", "PSNR-whole-source", "SSIM-whole-source"),
        *("shift", "shift-x", "shift-y", "zoom", "zoom-error", "aligned"),
    }


def test_doing_nothing_has_the_documented_values(options) -> None:
    ready, _ = made(OFFLINE, options)
    scores: dict[str, float] = {}
    for metric in ready:
        scores |= metric(sample(), picture(0), None)
    zero = ("L1-source", "structure", "PIE-structure", "MSE-outside", "PIE-MSE-outside", "CLIP-dir", "shift")
    one = ("CLIP-im", "DINO-source", "DINO-source-no-crop", "SSIM-outside", "PIE-SSIM-outside", "zoom")
    for column in zero:
        assert scores[column] == pytest.approx(0.0, abs=1e-9), column
    for column in one:
        assert scores[column] == pytest.approx(1.0, abs=1e-6), column
    assert scores["PSNR-outside"] == scores["PIE-PSNR-outside"] == 100.0
    assert scores["CLIP-T"] == scores["CLIP-out"]


def test_clip_direction_is_that_of_the_unit_embeddings(options) -> None:
    (clip,), _ = made(["clip"], options)
    before, after = (clip.encoder.image(picture(seed)).double() for seed in (0, 2))
    was, is_ = (clip.encoder.text(text).double() for text in ("a table", CAPTION))
    assert torch.linalg.vector_norm(before).item() == pytest.approx(1.0)
    moved, said = after - before, is_ - was
    expected = float(moved @ said / moved.norm() / said.norm())
    assert clip(sample(), picture(2), None)["CLIP-dir"] == pytest.approx(expected, abs=1e-6)


def test_a_caption_longer_than_clip_reads_is_cut(options) -> None:
    (clip,), _ = made(["clip"], options)
    long, longer = (clip.encoder.text("red cube " * count) for count in (100, 200))
    assert torch.equal(long, longer) and not torch.equal(long, clip.encoder.text("red cube"))


def test_pie_clip_sees_the_edited_part_only(options) -> None:
    (metric,), _ = made(["pie-clip"], options)
    changed = np.array(picture(2))
    changed[:20] = 255
    before, after = (metric(sample(), image, None) for image in (picture(2), Image.fromarray(changed)))
    assert before["PIE-CLIP-inside"] == after["PIE-CLIP-inside"]
    assert before["PIE-CLIP-whole"] != after["PIE-CLIP-whole"]


def test_structure_is_of_the_keys_of_the_last_layer_in_both_ranges(options) -> None:
    (metric,), _ = made(["structure"], options)
    size = (224, 224)  # no resizing, so that the keys can be had from the model's own states
    pair = picture(0, size), picture(2, size)
    scores = metric(sample(source=pair[0], region=None), pair[1], None)
    states: list[torch.Tensor] = []
    last = metric.model.layers[-1]
    handle = last.layernorm_before.register_forward_hook(lambda *call: states.append(call[2][0].double()))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for column, levels in (("structure", 1.0), ("PIE-structure", 255.0)):
        states.clear()
        for image in pair:
            pixels = (torch.from_numpy(np.array(image)).float() / 255 * levels - mean) / std
            with torch.no_grad():
                metric.model(pixels.permute(2, 0, 1)[None])
        keys = [
            state @ last.attention.k_proj.weight.double().T + last.attention.k_proj.bias for state in states
        ]
        one, other = (_cosines(key.detach()) for key in keys)
        assert scores[column] == pytest.approx(float(((one - other) ** 2).mean()), rel=1e-4)
    handle.remove()


def _cosines(keys: torch.Tensor) -> torch.Tensor:
    lengths = keys.norm(dim=1)
    return keys @ keys.T / (lengths[:, None] * lengths[None])


def test_what_cannot_be_had_is_named_column_by_column(tmp_path) -> None:
    ready, missing = made(["pixels", "clip"], {"clip": {"model": str(tmp_path / "none")}})
    assert [metric.columns for metric in ready] == [METRICS["pixels"].columns]
    assert missing.keys() == set(METRICS["clip"].columns)
    assert all("none cannot be loaded" in reason and "\n" not in reason for reason in missing.values())
    with pytest.raises(AdaptEditError, match="no metric 'psnr'; choose among pixels"):
        scoring(["psnr"])


def test_a_damaged_model_folder_says_so(tmp_path) -> None:
    save_dino(tmp_path, patch=16)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(AdaptEditError, match="cannot be loaded"):
        METRICS["dino"](model=str(tmp_path))


def test_without_torchvision_lpips_and_fid_say_that_they_need_it() -> None:
    pytest.importorskip("torchmetrics")
    try:
        import torchvision  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("torchvision is here")
    _, missing = made(["lpips"])
    assert missing.keys() == set(METRICS["lpips"].columns)
    _, missing_sets = made(["fid"])
    assert missing_sets.keys() == set(SET_METRICS["fid"].columns)
    assert all("torchvision" in why for why in (missing | missing_sets).values())


class _Means(torch.nn.Module):
    num_features = 3

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.double().mean(dim=(2, 3)) / 255


def test_fid_of_known_features() -> None:
    """Features are mean colours; results are the targets, 20 levels brighter: the distance of means."""
    fid = Fid(features=_Means())
    assert fid([]) == {}
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(40):
        pixels = rng.integers(0, 200, (1, 1, 3), dtype=np.uint8).repeat(20, 0).repeat(30, 1)
        source, brighter = Image.fromarray(pixels), Image.fromarray(pixels + np.uint8(20))
        pairs.append((sample(source=source, target=source, region=None), brighter))
    value = fid(pairs)
    assert value["FID"] == pytest.approx(3 * (20 / 255) ** 2, rel=1e-3)
    assert value["FID-source"] == value["FID"]
    assert fid((one, one.source) for one, _ in pairs)["FID"] == pytest.approx(0, abs=1e-6)


# -- local


def test_success_is_less_than_half_the_error_of_doing_nothing() -> None:
    grey, mask = np.full((16, 16, 3), 100, np.uint8), np.zeros((16, 16), np.float32)
    mask[4:8, 4:8] = 1
    target = grey.copy()
    target[4:8, 4:8] = 200
    sample = EditSample(
        "a", "brighten", Image.fromarray(grey), Image.fromarray(target), Region.from_array(mask)
    )

    def local(level: int, outside: int = 100) -> dict[str, float]:
        result = np.full_like(grey, outside)
        result[4:8, 4:8] = level
        return Local()(sample, Image.fromarray(result), None)

    assert local(200) == {"L1-outside": 0.0, "L1-inside": 0.0, "success": 1.0}
    assert local(151)["success"] == 1.0 and local(149)["success"] == 0.0
    assert local(200, outside=151)["L1-outside"] == pytest.approx(0.2)
