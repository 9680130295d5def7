"""MagicBrush from files of its real layouts: the hub's parquet, and the authors' zip and folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import pyzipper
from PIL import Image

from adaptedit.data.readers.archive import Archive
from adaptedit.data.readers.magicbrush import MagicBrush, erased, load
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.benchmarks import benchmark
from adaptedit.evaluation.benchmarks.base import Benchmark
from adaptedit.region import Region
from hub_parquet import IMAGE, png, write
from zipcrypto import encrypted_zip

TYPES = {
    "img_id": pa.string(),
    "turn_index": pa.int32(),
    "source_img": IMAGE,
    "mask_img": IMAGE,
    "instruction": pa.string(),
    "target_img": IMAGE,
}
PASSWORD = "a password"
SIZE = (32, 24)


def photo(number: int) -> Image.Image:
    """Dark, as most of a photograph is, with a bright window."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 110, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    pixels[2:6, 4:28] = 230
    return Image.fromarray(pixels)


def box(number: int) -> npt.NDArray[np.bool_]:
    edited = np.zeros((SIZE[1], SIZE[0]), bool)
    edited[10:18, 4 + number : 14 + number] = True
    return edited


def mask_img(picture: Image.Image, edited: npt.NDArray[np.bool_]) -> Image.Image:
    """As the real ones: the photograph in RGBA, what was erased is transparent black."""
    pixels = np.asarray(picture.convert("RGBA")).copy()
    pixels[edited] = 0
    return Image.fromarray(pixels)


def rows() -> list[dict[str, Any]]:
    """Picture 100 with two turns and picture 7 with one; a later turn may stand before an earlier one."""
    return [
        {
            "img_id": img_id,
            "turn_index": turn,
            "source_img": photo(first + turn - 1),
            "mask_img": mask_img(photo(first + turn - 1), box(turn)),
            "instruction": f"instruction {img_id} {turn}",
            "target_img": photo(first + turn),
        }
        for img_id, turn, first in (("100", 2, 10), ("100", 1, 10), ("7", 1, 20))
    ]


def captions(kind: str) -> dict[str, dict[str, str]]:
    return {
        "100": {"100-output1.png": f"{kind} 100 1", "100-output2.png": f"{kind} 100 2"},
        "7": {"7-output1.png": f"{kind} 7 1"},
    }


def parquet(root: Path, changed: list[dict[str, Any]] | None = None, split: str = "dev") -> Path:
    data = changed or rows()
    write(root / "data" / f"{split}-00000-of-00002-0123456789abcdef.parquet", data[:1], TYPES)
    write(root / "data" / f"{split}-00001-of-00002-0123456789abcdef.parquet", data[1:], TYPES)
    return root


def files() -> dict[str, bytes]:
    """The authors' layout: turn 2's input is turn 1's output."""
    found: dict[str, bytes] = {}
    sessions: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows(), key=lambda row: (row["img_id"], row["turn_index"])):
        img_id, turn = row["img_id"], row["turn_index"]
        names = {
            "input": f"{img_id}-input.png" if turn == 1 else f"{img_id}-output{turn - 1}.png",
            "mask": f"{img_id}-mask{turn}.png",
            "output": f"{img_id}-output{turn}.png",
        }
        for key, column in (("input", "source_img"), ("mask", "mask_img"), ("output", "target_img")):
            found[f"test/images/{img_id}/{names[key]}"] = png(row[column])
        sessions.setdefault(img_id, []).append({**names, "instruction": row["instruction"]})
    turns = [turn for session in sessions.values() for turn in session]
    found["test/edit_sessions.json"] = json.dumps(sessions).encode()
    found["test/edit_turns.json"] = json.dumps(turns).encode()
    found["test/local_descriptions.json"] = json.dumps(captions("local")).encode()
    found["test/global_descriptions.json"] = json.dumps(captions("global")).encode()
    return found


def unpacked(root: Path) -> Path:
    for name, data in files().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def traditional_zip(path: Path) -> Path:
    path.write_bytes(encrypted_zip(files(), PASSWORD))
    return path


def aes_zip(path: Path) -> Path:
    with pyzipper.AESZipFile(path, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(PASSWORD.encode())
        for name, data in files().items():
            archive.writestr(name, data)
    return path


def check(reader: MagicBrush | Benchmark) -> None:
    """Every sample holds the pictures, region, instruction of its turn."""
    for row in rows():
        turn = row["turn_index"]
        sample = reader.load(f"{row['img_id']}-{turn}")
        assert sample.instruction == row["instruction"]
        assert sample.source.mode == "RGB" and sample.source.tobytes() == row["source_img"].tobytes()
        assert sample.target is not None and sample.target.tobytes() == row["target_img"].tobytes()
        assert sample.region is not None and np.array_equal(sample.region.mask, box(turn))
        assert sample.source_caption == ""


# -- the trap


def test_the_mask_is_in_the_alpha_channel_and_luminance_is_wrong_either_way() -> None:
    picture, edited = photo(1), box(1)
    mask = mask_img(picture, edited)
    grey = np.asarray(mask.convert("L"))
    for wrong in (grey >= 128, grey < 128):
        assert (wrong & edited).sum() / (wrong | edited).sum() < 0.3
    assert np.array_equal(erased(mask, SIZE).mask, edited)


def test_whatever_is_not_opaque_is_to_be_edited() -> None:
    mask = photo(1).convert("RGBA")
    mask.putalpha(Image.fromarray(np.where(box(1), 254, 255).astype(np.uint8)))
    assert np.array_equal(erased(mask, SIZE).mask, box(1))


def test_a_mask_of_another_size_is_brought_to_the_photographs_with_nearest() -> None:
    mask = mask_img(photo(1), box(1)).resize((64, 48), Image.Resampling.NEAREST)
    assert np.array_equal(erased(mask, SIZE).mask, box(1))


def test_a_mask_without_alpha_is_refused(tmp_path: Path) -> None:
    data = rows()
    data[2]["mask_img"] = data[2]["mask_img"].convert("RGB")
    reader = load("dev", path=parquet(tmp_path, data))
    with pytest.raises(AdaptEditError, match="MagicBrush dev, sample 7-1: .*no alpha channel"):
        reader.load("7-1")


# -- protocols


def test_inde_edits_the_annotators_pictures(tmp_path: Path) -> None:
    found = benchmark("magicbrush-dev-inde", path=parquet(tmp_path))
    check(found)
    assert (found.name, found.chained) == ("magicbrush-dev-inde", False)
    assert found.load("100-2").source.tobytes() == rows()[1]["target_img"].tobytes()
    assert [found.load(one).category for one in ("100-1", "100-2", "7-1")] == ["turn 1", "turn 2", "turn 1"]


def test_iter_chains_the_turns_of_a_picture_in_their_order(tmp_path: Path) -> None:
    found = benchmark("magicbrush-dev-iter", path=parquet(tmp_path))
    check(found)
    assert (found.name, found.chained) == ("magicbrush-dev-iter", True)
    assert found.sessions == [["100-1", "100-2"], ["7-1"]]
    assert [found.load(one).category for one in ("100-1", "100-2", "7-1")] == [
        "earlier turn",
        "final turn",
        "final turn",
    ]


# -- the reader


def test_any_split_that_has_tables_is_read(tmp_path: Path) -> None:
    parquet(tmp_path, split="train")
    parquet(tmp_path, rows()[:1])
    reader = load("train", path=tmp_path)
    assert (reader.name, reader.ids) == ("MagicBrush train", ["100-2", "100-1", "7-1"])
    check(reader)
    assert load("dev", path=tmp_path).ids == ["100-2"]


def test_captions_of_the_parquet_come_from_a_file_beside_it(tmp_path: Path) -> None:
    assert load("dev", path=parquet(tmp_path)).load("100-2").target_caption == ""
    descriptions = tmp_path / "local_descriptions.json"
    descriptions.write_text(json.dumps(captions("local")))
    reader = load("dev", path=tmp_path, descriptions=descriptions)
    assert reader.load("100-2").target_caption == "local 100 2"


# -- the test split


@pytest.mark.parametrize("packed", [traditional_zip, aes_zip])
def test_the_test_split_is_read_from_its_protected_zip(
    packed: Callable[[Path], Path], tmp_path: Path
) -> None:
    reader = load("test", path=packed(tmp_path / "test.zip"), password=PASSWORD)
    check(reader)
    assert reader.load("100-2").target_caption == "local 100 2"
    assert sorted(reader.ids) == ["100-1", "100-2", "7-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["test.zip"]


@pytest.mark.parametrize("packed", [traditional_zip, aes_zip])
@pytest.mark.parametrize("password, message", [("MagicBrush", "wrong password"), (None, "give its password")])
def test_a_wrong_password_is_said_in_one_line(
    packed: Callable[[Path], Path], password: str | None, message: str, tmp_path: Path
) -> None:
    path = packed(tmp_path / "test.zip")
    with pytest.raises(AdaptEditError, match=message) as caught:
        load("test", path=path, password=password)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_that_passes_the_zips_own_check_is_still_wrong(tmp_path: Path) -> None:
    archive = traditional_zip(tmp_path / "test.zip")
    with pyzipper.AESZipFile(archive) as plain:
        info = plain.getinfo("test/local_descriptions.json")
    lucky = 0
    for number in range(600):
        with pytest.raises(AdaptEditError, match="wrong password"):
            Archive(archive, f"{number}").read(info.filename)
        with pyzipper.AESZipFile(archive) as plain:
            try:
                plain.open(info, pwd=f"{number}".encode())
            except RuntimeError:
                continue
            lucky += 1
    assert lucky > 0


def test_the_unpacked_test_split_is_the_same(tmp_path: Path) -> None:
    found = benchmark("magicbrush-test-iter", path=unpacked(tmp_path))
    check(found)
    assert found.load("7-1").target_caption == "local 7 1"
    assert found.sessions == [["100-1", "100-2"], ["7-1"]]


def test_a_missing_picture_names_its_sample(tmp_path: Path) -> None:
    unpacked(tmp_path)
    (tmp_path / "test" / "images" / "7" / "7-mask1.png").unlink()
    with pytest.raises(AdaptEditError, match="sample 7-1: .*7-mask1.png: no such file"):
        load("test", path=tmp_path).load("7-1")


def test_without_a_path_the_test_split_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="github.com/OSU-NLP-Group/MagicBrush"):
        load("test")
    with pytest.raises(AdaptEditError, match="neither edit_sessions.json nor parquet"):
        load("test", path=tmp_path)
    with pytest.raises(AdaptEditError, match="no such folder"):
        load("test", path=tmp_path / "missing.zip")
    (tmp_path / "not.zip").write_bytes(b"<html>sign in</html>")
    with pytest.raises(AdaptEditError, match="is no zip"):
        load("test", path=tmp_path / "not.zip")


def test_regions_are_hard(tmp_path: Path) -> None:
    region = load("dev", path=parquet(tmp_path)).load("7-1").region
    assert isinstance(region, Region) and set(np.unique(region.mask)) == {0.0, 1.0}
