"""Every reader on small files of exactly its data set's schema."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub import errors
from PIL import Image

import drawn
from adaptedit.data.readers import emu_edit, hub
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.benchmarks import BENCHMARKS, benchmark, options, pairs
from adaptedit.evaluation.benchmarks.base import SingleEdits
from adaptedit.pictures.read import read_image
from command import run
from hub_parquet import IMAGE, write


def picture(number: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    )


def same(left: Image.Image | None, right: Image.Image) -> bool:
    return left is not None and left.mode == "RGB" and left.tobytes() == right.convert("RGB").tobytes()


def ids(sessions: list[list[str]]) -> list[str]:
    return [one for session in sessions for one in session]


# -- by name


def test_names_and_options_are_checked() -> None:
    with pytest.raises(
        AdaptEditError, match="unknown benchmark 'magicbrush'; choose one of synthetic, rendered, folder"
    ):
        benchmark("magicbrush")
    with pytest.raises(AdaptEditError, match="pie-bench takes path, border, not token"):
        benchmark("pie-bench", token="x")
    assert options("emu-edit-test-filtered") == ["path", "token"]
    assert options("magicbrush-test-iter") == ["path", "password", "descriptions", "token"]


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if "path" in options(name)])
def test_a_path_that_is_not_there_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError) as caught:
        benchmark(name, path=tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


# -- the hub

HUB = ["magicbrush-dev-inde", "emu-edit-test", "gedit-en"]


@pytest.mark.parametrize("name", HUB)
def test_offline_without_a_copy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(AdaptEditError, match="is not on this machine and the Hugging Face hub cannot be"):
        benchmark(name)


def _response(status: int) -> Any:
    return SimpleNamespace(status_code=status, headers={}, request=SimpleNamespace(url="https://hub"))


@pytest.mark.parametrize(
    "error, message",
    [
        (
            errors.GatedRepoError("no", response=_response(401)),
            "emu_edit_test_set is gated: accept .* token=",
        ),
        (errors.RepositoryNotFoundError("no", response=_response(401)), "there is no data set facebook/emu"),
        (errors.HfHubHTTPError("busy\nmore", response=_response(503)), "cannot be downloaded: busy$"),
    ],
)
def test_what_the_hub_refuses(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(AdaptEditError, match=message):
        benchmark("emu-edit-test")


def test_the_hubs_files_and_no_others_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def download(name: str, **how: Any) -> str:
        asked.append((name, how))
        return str(emu_files(tmp_path))

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert len(benchmark("emu-edit-test", token="secret").sessions) == 5
    how = {"repo_type": "dataset", "allow_patterns": ["data/test-*.parquet"], "token": "secret"}
    assert asked == [("facebook/emu_edit_test_set", how)]


# -- Emu-Edit

EMU = {
    "instruction": pa.string(),
    "image": IMAGE,
    "task": pa.string(),
    "split": pa.string(),
    "idx": pa.int64(),
    "hash": pa.string(),
    "input_caption": pa.string(),
    "output_caption": pa.string(),
}
CAPTIONS = [
    ("a room", "a room with a cat"),
    ("a street", "A street."),
    ("a dog", "a train station in city"),
    ("", "a red car"),
    ("a tree", "a blue tree"),
]
TASKS = ["add", "local", "remove", "color", "add"]


def emu_rows(split: str) -> list[dict[str, Any]]:
    return [
        {
            "instruction": f"{split} {n}",
            "image": picture(n),
            "task": TASKS[n],
            "split": split,
            "idx": n,
            "hash": f"{split[0]}{n:03d}",
            "input_caption": before,
            "output_caption": after,
        }
        for n, (before, after) in enumerate(CAPTIONS)
    ]


def emu_files(root: Path, swapped: bool = False) -> Path:
    for split, other in (("test", "validation"), ("validation", "test")):
        name = f"{other if swapped else split}-00000-of-00001.parquet"
        write(root / "data" / name, emu_rows(split), EMU)
    return root


def generation_files(root: Path) -> Path:
    """As the hub has them: the files' split names are swapped."""
    for split, other in (("test", "validation"), ("validation", "test")):
        rows = [{**row, "edited_image": picture(100 + row["idx"])} for row in emu_rows(split)]
        write(root / "data" / f"{other}-00000-of-00001.parquet", rows, {**EMU, "edited_image": IMAGE})
    return root


def test_emu_edit(tmp_path: Path) -> None:
    found = benchmark("emu-edit-test", path=emu_files(tmp_path))
    assert found.name == "emu-edit-test" and not found.chained
    assert ids(found.sessions) == [f"{n}-t{n:03d}" for n in range(5)]
    sample = found.load("3-t003")
    assert (sample.instruction, sample.category, sample.target) == ("test 3", "color", None)
    assert (sample.source_caption, sample.target_caption, sample.region) == ("", "a red car", None)
    assert same(sample.source, picture(3))


def test_emu_edit_without_useless_captions_says_which_they_are(tmp_path: Path) -> None:
    found = benchmark("emu-edit-test-filtered", path=emu_files(tmp_path))
    assert found.name == "emu-edit-test-filtered"
    assert ids(found.sessions) == ["0-t000", "4-t004"]
    assert isinstance(found, SingleEdits)
    assert found.left_out == {"placeholder caption": ["2-t002", "3-t003"], "identical captions": ["1-t001"]}


def test_swapped_splits_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="rows of its test files are of the validation split"):
        emu_edit.load("test", path=emu_files(tmp_path, swapped=True))


def test_published_results_are_saved_by_the_ids_of_the_set(tmp_path: Path) -> None:
    found = emu_edit.load("test", path=emu_files(tmp_path / "set"))
    generations, out = generation_files(tmp_path / "generations"), tmp_path / "out"
    seen: list[tuple[int, int]] = []
    count = emu_edit.save_generations(
        out, path=generations, on_picture=lambda done, total: seen.append((done, total))
    )
    assert count == len(list(out.iterdir())) == 10 and seen == [(n, 10) for n in range(1, 11)]
    for n, one in enumerate(found.ids):
        assert same(read_image(out / f"{one}.png"), picture(100 + n))
    (out / f"{found.ids[0]}.png").unlink()
    kept = out / f"{found.ids[1]}.png"
    kept.write_bytes(b"as it was")
    emu_edit.save_generations(out, path=generations)
    assert same(read_image(out / f"{found.ids[0]}.png"), picture(100)) and kept.read_bytes() == b"as it was"


def test_saved_results_are_an_editor(tmp_path: Path) -> None:
    data, saved, out = emu_files(tmp_path / "set"), tmp_path / "saved", tmp_path / "runs"
    done = run("data", "emu-edit-results", "--data", generation_files(tmp_path / "generations"), "-o", saved)
    assert done.exit_code == 0 and done.stdout == f"{saved}: 10 pictures\n", done.output
    scored = ("--editor", saved, "--metric", "pixels")
    done = run("evaluate", "emu-edit-test-filtered", "--data", data, "--out", out, *scored)
    assert done.exit_code == 0, done.output
    (described,) = (json.loads(path.read_text()) for path in out.glob("*/run.json"))
    assert described["left_out"].keys() == {"placeholder caption", "identical captions"}
    edits = [json.loads(line) for path in out.glob("*/edits.jsonl") for line in path.read_text().splitlines()]
    assert [(edit["id"], edit["failure"]) for edit in edits] == [("0-t000", None), ("4-t004", None)]
    assert same(read_image(next(out.glob("*/pictures/4-t004.png"))), picture(104))


# -- parquet that is wrong


def test_parquet_of_another_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match=r"holds no test-\*.parquet"):
        emu_edit.load("test", path=tmp_path)
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    rows = emu_rows("test")
    write(path, rows, {name: kind for name, kind in EMU.items() if name not in ("idx", "hash")})
    with pytest.raises(AdaptEditError, match="has no column idx, hash; expected instruction, "):
        emu_edit.load("test", path=tmp_path)
    write(path, [{**row, "image": "a.png"} for row in rows], {**EMU, "image": pa.string()})
    with pytest.raises(AdaptEditError, match="column image is string, expected struct<bytes, path>"):
        emu_edit.load("test", path=tmp_path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(AdaptEditError, match="is damaged; download it again"):
        emu_edit.load("test", path=tmp_path)


def test_rows_without_a_picture_or_with_the_same_id(tmp_path: Path) -> None:
    path = tmp_path / "test-00000-of-00001.parquet"
    rows = emu_rows("test")
    write(path, [rows[0], {**rows[1], "image": None}], EMU)
    found = emu_edit.load("test", path=tmp_path)
    assert same(found.load("0-t000").source, picture(0))
    with pytest.raises(AdaptEditError, match="Emu-Edit test, sample 1-t001: .*there is no picture"):
        found.load("1-t001")
    write(path, [rows[0], rows[0]], EMU)
    with pytest.raises(AdaptEditError, match="1 rows repeat"):
        emu_edit.load("test", path=tmp_path)


# -- the rest


def test_a_synthetic_sample_depends_on_the_seed_and_its_number_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs.assets, "load", lambda folder: drawn.pack())
    found = benchmark("synthetic", split="all", count=3, seed=5)
    assert found.sessions == [["00000"], ["00001"], ["00002"]] and found.name == "synthetic-all-seed5"
    drawn_again = SyntheticPairs("all", drawn.pack())
    for number in (2, 0):
        sample, pair = found.load(f"{number:05d}"), drawn_again.draw(np.random.default_rng([5, number]))
        assert sample.id == f"{number:05d}"
        assert (sample.instruction, sample.category) == (pair.instruction, pair.category)
        assert same(sample.source, pair.source) and same(sample.target, pair.target)
        assert sample.region is not None and np.array_equal(sample.region.mask, pair.region.mask)
    with pytest.raises(AdaptEditError, match="unknown split 'dev'"):
        benchmark("synthetic", split="dev")


def test_gedit_has_each_request_in_two_languages(tmp_path: Path) -> None:
    types = {
        "task_type": pa.string(),
        "key": pa.string(),
        "instruction": pa.string(),
        "instruction_language": pa.string(),
        "input_image": IMAGE,
        "input_image_raw": IMAGE,
        "Intersection_exist": pa.bool_(),
    }
    rows = [
        {
            "task_type": task,
            "key": f"{n:032x}",
            "instruction": f"{language} {n}",
            "instruction_language": language,
            "input_image": picture(n),
            "input_image_raw": picture(n, (64, 48)),
            "Intersection_exist": True,
        }
        for n, task in enumerate(("subject-add", "ps_human"))
        for language in ("en", "cn")
    ]
    write(tmp_path / "data" / "train-00000-of-00001.parquet", rows, types)
    for language in ("en", "cn"):
        found = benchmark(f"gedit-{language}", path=tmp_path)
        assert ids(found.sessions) == [f"{n:032x}" for n in range(2)]
        sample = found.load(f"{1:032x}")
        assert (sample.instruction, sample.category) == (f"{language} 1", "ps_human")
        assert same(sample.source, picture(1))


def test_imgedit(tmp_path: Path) -> None:
    (tmp_path / "animal").mkdir()
    picture(1).save(tmp_path / "animal" / "000342021.png")
    record = {"id": "animal/000342021.png", "prompt": "Change the shell.", "edit_type": "adjust"}
    hard = {"id": "animal/none.png", "prompt": "Remove the sign."}
    (tmp_path / "singleturn.json").write_text(json.dumps({"1082": record, "1": hard}))
    found = benchmark("imgedit", path=tmp_path / "singleturn.json")
    sample = found.load("1082")
    assert (sample.instruction, sample.category) == ("Change the shell.", "adjust")
    assert same(sample.source, picture(1))
    with pytest.raises(AdaptEditError, match="ImgEdit, sample 1: .*none.png: no such file"):
        found.load("1")
    (tmp_path / "singleturn.json").write_text('{"1": {"id": "a.png"}}')
    with pytest.raises(AdaptEditError, match="is not ImgEdit's"):
        benchmark("imgedit", path=tmp_path / "singleturn.json")
