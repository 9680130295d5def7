"""Rendered pairs as training reads them: small parquet files, written as the renderer writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch

pytest.importorskip("mitsuba")
pytest.importorskip("scipy")

from adaptedit.data.render import shards  # noqa: E402
from adaptedit.data.render.labels import NOUNS  # noqa: E402
from adaptedit.data.render.pairs import RenderedPairs  # noqa: E402
from adaptedit.data.render.sessions import Turn  # noqa: E402
from adaptedit.errors import AdaptEditError  # noqa: E402
from adaptedit.evaluation.benchmarks import benchmark  # noqa: E402
from adaptedit.tiny.training.batches import collate  # noqa: E402
from arrays import arrays  # noqa: E402


def turn(number: int, kind: str = "add", size: int = 32) -> Turn:
    """A picture of noise in which a box is edited; its labels say that one cell shows the noun `number`."""
    rng = np.random.default_rng(number)
    source, other = rng.integers(0, 256, (2, size, size, 3), np.uint8)
    mask = np.zeros((size, size), np.uint8)
    mask[4:20, 8:24] = 255
    labels = np.zeros((16, 16), np.uint8)
    labels[5, 3] = number + 1
    target = np.where(mask[..., None] > 0, other, source)
    words = f"instruction {number}"
    return Turn(f"picture-{number}", 1, source, mask, target, words, kind, NOUNS[number], "", "", labels)


def write(folder: Path, name: str, *turns: Turn) -> Path:
    file = folder / "data" / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(shards.encoded(list(turns), shards.Job("train", 0, 32, 1)))
    return file


def test_every_pair_of_every_file_comes_back(tmp_path: Path) -> None:
    turns = [turn(0), turn(1, "remove"), turn(2, "text")]
    write(tmp_path, "train-000001-000001", turns[2])
    write(tmp_path, "train-000000-000000", *turns[:2])
    pairs = RenderedPairs(tmp_path, size=32)
    assert len(pairs) == 3 and pairs.kinds == ["add", "remove", "text"] and pairs.nouns == list(NOUNS)
    for index, wanted in enumerate(turns):
        sample = pairs[index]
        source, target, mask = arrays(sample)
        assert (source == wanted.source).all() and (target == wanted.target).all()
        assert (mask == wanted.mask).all()
        assert (sample.instruction, sample.category) == (wanted.instruction, wanted.kind)
        assert pairs.nouns[sample.labels.shown[5, 3] - 1] == wanted.noun


def test_draws_follow_the_seed_and_the_kind(tmp_path: Path) -> None:
    write(tmp_path, "train-000000-000000", turn(0), turn(1, "remove"), turn(2, "remove"))
    pairs = RenderedPairs(tmp_path, size=32)
    drawn = [pairs.draw(np.random.default_rng(seed)).instruction for seed in range(30)]
    assert drawn == [pairs.draw(np.random.default_rng(seed)).instruction for seed in range(30)]
    assert len(set(drawn)) == 3
    assert {pairs.draw(np.random.default_rng(seed), "remove").instruction for seed in range(30)} == {
        "instruction 1",
        "instruction 2",
    }
    with pytest.raises(AdaptEditError, match="no pair of kind 'style'; there are add, remove"):
        pairs.draw(np.random.default_rng(0), "style")


@pytest.mark.parametrize("size", [16, 24, 48])
def test_resized_pairs_stay_pairs(tmp_path: Path, size: int) -> None:
    write(tmp_path, "train-000000-000000", turn(0))
    source, target, mask = arrays(RenderedPairs(tmp_path, size)[0])
    assert source.shape == target.shape == (size, size, 3) and mask.shape == (size, size)
    assert (source[mask == 0] == target[mask == 0]).all()
    assert (mask > 127).mean() == pytest.approx(0.25, abs=0.02)


def test_they_make_a_batch_for_training(tmp_path: Path) -> None:
    write(tmp_path, "train-000000-000000", turn(0), turn(1))
    pairs = RenderedPairs(tmp_path, size=32)
    batch = collate([pairs[0], pairs[1]], torch.Generator())
    assert batch.source.shape == (2, 3, 32, 32) and batch.shown.shape == batch.wanted.shape == (2, 16, 16)
    for i in range(2):
        source, target, mask = arrays(pairs[i])
        assert torch.equal(batch.source[i].permute(1, 2, 0), torch.tensor(source).float() / 255)
        assert torch.equal(batch.target[i].permute(1, 2, 0), torch.tensor(target).float() / 255)
        assert torch.equal(batch.mask[i], torch.tensor(mask).float() / 255)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="holds no parquet files"):
        RenderedPairs(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train-000000-000000", turn(0))
    file = write(tmp_path, "train-000001-000001", turn(1))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(AdaptEditError, match=r"train-000001-000001\.parquet: .*damaged"):
        RenderedPairs(tmp_path)


def test_a_file_without_labels_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "train-000000-000000", turn(0))
    parquet.write_table(parquet.read_table(file).drop_columns(["noun_labels"]), file)
    with pytest.raises(AdaptEditError, match=r"000000\.parquet: has no column noun_labels"):
        RenderedPairs(tmp_path)


def test_files_that_count_other_nouns_are_named(tmp_path: Path) -> None:
    write(tmp_path, "train-000000-000000", turn(0))
    file = write(tmp_path, "train-000001-000001", turn(1))
    table = parquet.read_table(file)
    parquet.write_table(table.replace_schema_metadata({"nouns": '["cup"]'}), file)
    with pytest.raises(AdaptEditError, match=r"000001\.parquet: counts other nouns than"):
        RenderedPairs(tmp_path)
    parquet.write_table(table.replace_schema_metadata({}), file)
    with pytest.raises(AdaptEditError, match=r"000001\.parquet: does not say which nouns"):
        RenderedPairs(tmp_path)


@pytest.mark.parametrize("stored", [b"no picture", b"\x89PNG\r\n\x1a\n", b"", None])
def test_a_damaged_picture_is_named_when_it_is_drawn(tmp_path: Path, stored: bytes | None) -> None:
    file = write(tmp_path, "train-000000-000000", turn(0), turn(1))
    table = parquet.read_table(file)
    pictures = table.column("target_img").to_pylist()
    pictures[1]["bytes"] = stored
    place = table.column_names.index("target_img")
    changed = pa.array(pictures, table.schema.field(place).type)
    parquet.write_table(table.set_column(place, table.schema.field(place), changed), file)
    pairs = RenderedPairs(tmp_path, size=32)
    assert pairs[0].category == "add"
    with pytest.raises(AdaptEditError, match=r"000000\.parquet, row 1: .*(missing|damaged|picture)"):
        pairs[1]


def test_pictures_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    wide = replace(turn(0), target=np.zeros((32, 48, 3), np.uint8))
    write(tmp_path, "train-000000-000000", wide)
    with pytest.raises(AdaptEditError, match=r"row 0: expected three square pictures .* \(48, 32\)"):
        RenderedPairs(tmp_path)[0]


def test_renders_are_a_benchmark_by_kind_with_soft_masks(tmp_path: Path) -> None:
    wanted = [turn(0), turn(1, "remove")]
    wanted[1].mask[4, 8] = 100  # what MagicBrush's reader would count as edited through and through
    write(tmp_path, "dev-000000-000001", *wanted)
    found = benchmark("rendered", path=tmp_path, size=32)
    assert found.sessions == [["00000"], ["00001"]] and not found.chained
    sample = found.load("00001")
    assert (sample.instruction, sample.category) == ("instruction 1", "remove")
    assert sample.region is not None and sample.target is not None
    assert (np.round(sample.region.mask * 255) == wanted[1].mask).all()
    assert (np.asarray(sample.target) == wanted[1].target).all()
    with pytest.raises(AdaptEditError, match="--data"):
        benchmark("rendered")
