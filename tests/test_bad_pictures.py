"""Pictures that are wrong, strange or hostile: a clear result, or one line that says what to do."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pytest import Subtests

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.save import save
from adaptedit.region import Region


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def refusal(source: Any) -> str:
    """The one line with which it is refused; no warning is printed beside it."""
    with warnings.catch_warnings(record=True) as printed, pytest.raises(AdaptEditError) as caught:
        warnings.simplefilter("always")
        Picture.open(source)
    assert not printed and "\n" not in str(caught.value)
    return str(caught.value)


def with_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    """The PNG with one more chunk after its header."""
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return png[:33] + chunk + png[33:]


def test_files_that_are_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture at all")
    (tmp_path / "empty.png").touch()
    for name, message in {
        "missing.png": "no such file",
        "": "folder",
        "text.png": "not a known kind",
        "empty.png": "empty",
        "x" * 300: "cannot be read",
    }.items():
        assert message in refusal(tmp_path / name)
    assert "0x4" in refusal(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("name", ["8.png", "16.png", "8.jpg", "8.webp", "8.tif", "16.tif"])
def test_truncated_files(name: str, share: float, tmp_path: Path) -> None:
    path, pixels = tmp_path / name, noise(64, 64, 3)
    save(Image16(pixels * np.uint16(257)) if name.startswith("16") else Image.fromarray(pixels), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = refusal(path)
    assert "truncated or damaged" in message or "not a known kind" in message


# -- too much --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [3000, 1000])  # below the limit's double PIL only warns
def test_too_many_pixels(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert "too many pixels" in refusal(tmp_path / "large.png")
    assert "too many pixels" in refusal(Image.new("L", (64, 64)))


def test_a_header_that_declares_far_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("L", (64, 64)).save(path)
    whole = path.read_bytes()
    header = struct.pack(">II", 200_000, 200_000) + whole[24:29]
    path.write_bytes(whole[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + whole[33:])
    assert "too many pixels" in refusal(path)


def test_text_and_profiles_that_unpack_to_far_more(tmp_path: Path) -> None:
    path, megabytes = tmp_path / "bomb.png", zlib.compress(bytes(10_000_000))
    Image.new("L", (64, 64)).save(path)
    whole = path.read_bytes()
    for name in (b"zTXt", b"iCCP"):
        path.write_bytes(with_chunk(whole, name, b"x\0\0" + megabytes))
        assert "damaged" in refusal(path)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
@pytest.mark.parametrize("key", ["transparency", "icc_profile", "jpeg", "dpi", "exif"])
def test_text_named_as_something_else_is_text(key: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new(mode, (8, 4)).save(path)
    path.write_bytes(with_chunk(path.read_bytes(), b"tEXt", key.encode() + b"\0some words"))
    picture = Picture.open(path)
    result = picture.restore(picture.rgb)
    save(result, tmp_path / "out.png")
    assert result.mode == mode and key not in result.info


# -- too strange -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_animations_and_pages(suffix: str, tmp_path: Path) -> None:
    first, *others = (Image.fromarray(noise(8, 8 + n)).resize((8, 8)) for n in range(3))
    first.save(tmp_path / f"moving{suffix}", save_all=True, append_images=others)
    expected = "not a known kind" if suffix == ".gif" else "has several frames or pages; save the one to edit"
    assert expected in refusal(tmp_path / f"moving{suffix}")


def test_modes_that_are_no_grey_and_no_rgb(tmp_path: Path, subtests: Subtests) -> None:
    Image.fromarray(noise(8, 8, 4)).convert("CMYK").save(tmp_path / "cmyk.jpg")
    for name, values in {"float": 0.5, "nan": np.nan, "integer": 70_000}.items():
        pixels = np.full((8, 8), values, np.int32 if name == "integer" else np.float32)
        Image.fromarray(pixels).save(tmp_path / f"{name}.tif")
    for source in (
        *sorted(tmp_path.iterdir()),
        *(Image.new(mode, (4, 4)) for mode in ("YCbCr", "LAB", "HSV")),
    ):
        with subtests.test(str(source)):
            assert "is not supported; convert it to 8-bit" in refusal(source)


def test_arrays_that_are_no_picture() -> None:
    wrong: list[Any] = [noise(7, 5, 2), noise(7), noise(0, 5, 3), np.zeros((7, 5, 3)), [[1]], None]
    wrong += [
        np.full((7, 5, 3), np.nan, np.float32),
        np.zeros((7, 5, 2), np.uint16),
        np.zeros((7, 5), np.int16),
    ]
    for array in wrong:
        assert "uint8 or uint16" in refusal(array)
    for shape in ((7,), (0, 5), (7, 5, 5), (7, 5, 1)):
        with pytest.raises(AdaptEditError, match="uint16"):
            Image16(np.zeros(shape, np.uint16))


# -- regions ---------------------------------------------------------------------------------------


def test_a_region_without_anything_in_it_is_refused(pipe: AdaptEditPipeline) -> None:
    picture = Image.fromarray(noise(40, 30, 3))
    for faint in (0.0, 1e-4):
        with pytest.raises(AdaptEditError, match="region is empty"):
            pipe(picture, "invert", Region.from_array(np.full((40, 30), faint)))


@pytest.mark.parametrize("box", [(0, 0, 6, 6), (24, 34, 30, 40), (0, 20, 30, 21), (29, 0, 30, 40)])
def test_a_region_at_the_border_is_edited(pipe: AdaptEditPipeline, box: tuple[int, int, int, int]) -> None:
    picture = Image.new("RGB", (30, 40), (40, 40, 40))
    (result,) = pipe(picture, "invert", Region.from_box(box, picture.size), seed=1).images
    left, top, right, bottom = box
    inside = np.asarray(result)[top:bottom, left:right]
    assert inside.min() > 120  # inverted: 215, less what a thin line loses on its way
