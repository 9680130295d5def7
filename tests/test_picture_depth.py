"""16 bits a channel: every sample survives files, turns and edits, or the layout is refused."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.sheet import sheet
from adaptedit.pictures.image16 import Image16, as_8bit
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.read import read_image
from adaptedit.pictures.save import save
from adaptedit.region import Region

SHAPES = {"I;16": (7, 5), "LA;16": (7, 5, 2), "RGB;16": (7, 5, 3), "RGBA;16": (7, 5, 4)}
FILES = [
    (mode, suffix) for mode in SHAPES for suffix in (".png", ".tif") if (mode, suffix) != ("LA;16", ".tif")
]


def noise(mode: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65536, SHAPES[mode], dtype=np.uint16)


def reopened(path: Path) -> np.ndarray:
    original = Picture.open(path).original
    assert isinstance(original, Image16)
    return original.samples


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def tiff(path: Path, samples: np.ndarray, order: str = "<", **tags: Any) -> Path:
    """An uncompressed TIFF, RGB(A) or grey, written by hand; `tags` by number, as in t338."""
    height, width, count = samples.reshape(*samples.shape[:2], -1).shape
    directory = ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    default = {256: width, 257: height, 258: (16,) * count, 259: 1, 262: 2 if count > 2 else 1}
    default |= {273: 0, 277: count, 278: height, 279: samples.nbytes, 284: 1}
    for tag, value in (default | {int(name[1:]): value for name, value in tags.items()}).items():
        directory[tag] = value
    directory.tagtype[273] = directory.tagtype[279] = 4
    buffer = io.BytesIO()
    directory.save(buffer)
    path.write_bytes(buffer.getvalue() + samples.astype(order + "u2").tobytes())
    return path


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "suffix"), FILES)
def test_every_sample_comes_back_from_a_file(mode: str, suffix: str, tmp_path: Path) -> None:
    samples, path = noise(mode), tmp_path / f"in{suffix}"
    if mode == "LA;16":
        save(Image16(samples), path)  # OpenCV writes no such file
    else:
        cv2.imwrite(
            str(path), samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]
        )
    picture = Picture.open(path)
    result = picture.restore(picture.rgb)
    assert (picture.mode, picture.size, picture.rgb.mode) == (mode, (5, 7), "RGB")
    assert isinstance(result, Image16) and np.array_equal(result, samples)
    save(result, tmp_path / f"out{suffix}")
    assert np.array_equal(reopened(tmp_path / f"out{suffix}"), samples)
    seen = np.asarray(read_image(tmp_path / f"out{suffix}"))  # by PIL, in RGBA for LA
    seen = seen[..., [0, 3]] if mode == "LA;16" else seen
    assert np.array_equal(seen, samples if mode == "I;16" else samples >> 8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_the_samples(orientation: int, suffix: str, tmp_path: Path) -> None:
    path, exif = tmp_path / f"turned{suffix}", Image.Exif()
    exif[0x0112] = orientation
    if suffix == ".tif":
        tiff(path, noise("RGB;16"), t274=orientation)
    else:
        save(Image16(noise("RGB;16"), {"exif": exif.tobytes()}), path)
    assert np.array_equal(reopened(path) >> 8, np.asarray(read_image(path)))  # PIL turns its 8 bits itself


def test_layouts_of_tiff(tmp_path: Path) -> None:
    grey, rgb, rgba = (noise(mode) for mode in ("I;16", "RGB;16", "RGBA;16"))
    path = tmp_path / "x.tif"
    assert np.array_equal(reopened(tiff(path, rgb, order=">")), rgb)
    assert np.array_equal(reopened(tiff(path, grey, order=">")), grey)
    assert np.array_equal(reopened(tiff(path, grey, t262=0)), 65535 - grey)  # white is zero
    assert np.array_equal(reopened(tiff(path, rgba, t338=2)), rgba)
    assert np.array_equal(reopened(tiff(path, rgba, t338=0)), rgba[..., :3])  # the fourth is no alpha
    for refused in ({"t338": 1}, {"t338": 2, "t284": 2}):  # premultiplied alpha; one plane a channel
        with pytest.raises(AdaptEditError, match="ordinary 16-bit PNG"):
            Picture.open(tiff(path, rgba, **refused))


@pytest.mark.parametrize("mode", ["I;16", "RGB;16"])
def test_one_transparent_colour_becomes_alpha(mode: str, tmp_path: Path) -> None:
    samples = noise(mode)
    path = tmp_path / "in.png"
    save(Image16(samples), path)
    whole, colour = path.read_bytes(), samples[3, 2].reshape(-1).astype(">u2").tobytes()
    path.write_bytes(whole[:33] + png_chunk(b"tRNS", colour) + whole[33:])
    found = reopened(path)
    alpha = np.full(samples.shape[:2], 65535)
    alpha[3, 2] = 0
    assert np.array_equal(found, np.dstack([samples, alpha]))


def test_what_16_bits_cannot_be_saved_as(tmp_path: Path) -> None:
    for mode, name, message in (
        ("RGB;16", "out.jpg", "16 bits.*png"),
        ("I;16", "out.webp", "16 bits.*png"),
        ("LA;16", "out.tif", "LA;16.*png"),
    ):
        with pytest.raises(AdaptEditError, match=message):
            save(Image16(noise(mode)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# -- memory ----------------------------------------------------------------------------------------


def test_arrays_pil_images_and_results_are_taken(tmp_path: Path) -> None:
    for mode in ("I;16", "RGB;16", "RGBA;16"):
        for source in (noise(mode), Image16(noise(mode))):
            picture = Picture.open(source)
            assert picture.mode == mode and np.array_equal(picture.restore(picture.rgb), noise(mode))
    for kind in ("I;16", "I;16B"):
        grey = Picture.open(Image.fromarray(noise("I;16")).convert("I").convert(kind))
        assert np.array_equal(grey.restore(grey.rgb), noise("I;16"))
    save(Image16(noise("RGB;16")), tmp_path / "in.png")
    with Image.open(tmp_path / "in.png") as opened:  # not decoded yet; once it is, it has 8 bits
        assert np.array_equal(Picture.open(opened).original, noise("RGB;16"))
        assert Picture.open(opened).mode == "RGB"


def test_an_array_is_copied() -> None:
    samples = noise("RGB;16")
    picture = Picture.open(samples)
    samples[:] = 0
    assert np.array_equal(picture.restore(picture.rgb), noise("RGB;16"))


def test_the_8_bit_view_is_the_nearest_level() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    seen = np.asarray(as_8bit(Image16(every))).astype(int)
    assert np.abs(seen * 257 - every).max() == 128
    assert np.array_equal(
        np.asarray(as_8bit(Image16(np.arange(256, dtype=np.uint16)[None] * 257)))[0], range(256)
    )


@pytest.mark.parametrize("mode", SHAPES)
def test_an_edit_moves_samples_by_its_own_change_and_nothing_else(mode: str) -> None:
    samples = noise(mode)
    samples[2, 3], samples[5, 1] = 257 * 100 - 50, 257 * 100 + 50
    picture = Picture.open(Image16(samples))
    own = np.asarray(picture.rgb).astype(int)
    edit = own.copy()
    edit[2, 3], edit[5, 1] = 0, 255
    expected = samples.astype(int)
    colours = expected.reshape(7, 5, -1)[..., : 3 if "RGB" in mode else 1]
    colours += 257 * (edit - own)[..., : colours.shape[2]]
    result = np.asarray(picture.restore(Image.fromarray(edit.astype(np.uint8))))
    assert np.array_equal(result, expected.clip(0, 65535))
    assert expected.min() == -50 and expected.max() == 65535 + 50  # else the clipping is not tried


def test_a_sheet_shows_it() -> None:
    picture = Picture.open(Image16(np.full((40, 60, 3), 65535, np.uint16)))
    drawn = sheet(picture.original, Region.full((60, 40)), picture.restore(Image.new("RGB", (60, 40), "red")))
    colours = {colour for _, colour in drawn.getcolors(1 << 20) or []}
    assert {(255, 255, 255), (255, 0, 0)} <= colours


@pytest.mark.parametrize("size", [(9000, 1), (1, 9000), (4000, 3000)])
def test_a_sheet_has_a_bound_whatever_the_picture(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    width, height = sheet(picture, Region.full(size), picture).size
    assert width <= 3 * 2048 + 200 and height <= 700
