"""Pictures of 8 bits come back in their own mode, and lossless formats hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.save import save
from adaptedit.pictures.tensors import to_pil, to_tensor


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def same(first: Image.Image, second: Image.Image) -> bool:
    return first.mode == second.mode and np.array_equal(np.asarray(first), np.asarray(second))


@pytest.mark.parametrize("mode,channels", [("RGB", 3), ("RGBA", 4), ("LA", 2), ("L", 0)])
def test_an_unedited_picture_comes_back_bit_for_bit(mode: str, channels: int, tmp_path: Path) -> None:
    image = Image.fromarray(noise(7, 5, channels) if channels else noise(7, 5))
    assert image.mode == mode
    image.save(tmp_path / "picture.png")
    for source in (image, tmp_path / "picture.png", str(tmp_path / "picture.png")):
        picture = Picture.open(source)
        assert picture.rgb.mode == "RGB" and picture.size == (5, 7)
        assert same(picture.restore(picture.rgb), image)


def test_every_grey_survives_the_way_through_rgb() -> None:
    greys = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    picture = Picture.open(greys)
    assert same(picture.restore(picture.rgb), greys)


def test_the_edit_takes_colour_and_keeps_alpha() -> None:
    image, edit = Image.fromarray(noise(7, 5, 4)), Image.fromarray(noise(7, 5, 3, seed=1))
    edited = np.asarray(Picture.open(image).restore(edit))
    np.testing.assert_array_equal(edited[..., :3], np.asarray(edit))
    np.testing.assert_array_equal(edited[..., 3], np.asarray(image)[..., 3])


def test_modes_that_cannot_hold_an_edit_become_wider() -> None:
    grey = Image.fromarray(noise(7, 5))
    palette, bitmap = grey.convert("P"), grey.convert("1")
    edit = Image.fromarray(noise(7, 5, 3, seed=1))
    assert same(Picture.open(palette).restore(edit), edit)
    assert Picture.open(bitmap).restore(edit).mode == "L"
    palette.info["transparency"] = 3
    edited = Picture.open(palette).restore(edit)
    assert edited.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(edited)[..., 3] == 0, np.asarray(palette) == 3)
    grey.info["transparency"] = 3
    assert Picture.open(grey).restore(edit).mode == "LA"


def test_arrays() -> None:
    for shape, mode in (((7, 5), "L"), ((7, 5, 3), "RGB"), ((7, 5, 4), "RGBA")):
        picture = Picture.open(noise(*shape))
        np.testing.assert_array_equal(np.asarray(picture.restore(picture.rgb)), noise(*shape))
        assert picture.mode == mode


def test_exif_orientation_is_applied_once(tmp_path: Path) -> None:
    image = Image.fromarray(noise(16, 8, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    picture = Picture.open(tmp_path / "turned.png")
    assert same(picture.rgb, image.transpose(Image.Transpose.ROTATE_270))
    save(picture.restore(picture.rgb), tmp_path / "again.png")
    assert Picture.open(tmp_path / "again.png").size == (16, 8)


def test_restore_refuses_another_size_or_mode() -> None:
    picture = Picture.open(noise(7, 5, 3))
    for edit in (Image.new("RGB", (7, 5)), Image.new("RGBA", (5, 7))):
        with pytest.raises(AdaptEditError, match="5x7"):
            picture.restore(edit)


# -- saving


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".PNG"])
def test_lossless_formats(suffix: str, tmp_path: Path) -> None:
    for channels in (3, 4):
        image = Image.fromarray(noise(9, 8, channels))
        save(image, tmp_path / f"out{suffix}")
        assert same(Picture.open(tmp_path / f"out{suffix}").restore(image.convert("RGB")), image)


def test_refused_saves_leave_nothing(tmp_path: Path) -> None:
    rgba = Image.fromarray(noise(9, 8, 4))
    for image, name, message in (
        (rgba, "out.jpg", "png"),
        (rgba, "out.bmp", "png"),
        (rgba, "out.xyz", r"\.xyz"),
        (rgba, "out", "cannot write"),
        (rgba, "no/out.png", "does not exist"),
        (Image.new("RGB", (20_000, 1)), "out.webp", "16,383"),
        (Image.new("F", (4, 4)), "out.jpg", "JPEG"),
        (Image.new("P", (4, 4)), "out.tif", "mode P"),
    ):
        with pytest.raises(AdaptEditError, match=message):
            save(image, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_save_replaces_the_old_file_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jpg"
    save(Image.fromarray(noise(9, 8, 3)), path)
    before = path.read_bytes()
    with pytest.raises(AdaptEditError):
        save(Image.fromarray(noise(9, 8, 4)), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# -- tensors


def test_tensor_round_trip_and_clamping() -> None:
    image = Image.fromarray(np.arange(768, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3))
    pixels = to_tensor(image)
    assert pixels.shape == (1, 3, 16, 16) and pixels.dtype == torch.float32
    assert pixels.min() == 0 and pixels.max() == 1
    assert same(to_pil(pixels[0]), image)
    beyond = torch.tensor([-1.0, 0.4999, 7.0])[:, None, None]
    assert to_pil(beyond).getpixel((0, 0)) == (0, 127, 255)
    with pytest.raises(AdaptEditError, match="NaN"):
        to_pil(beyond * float("nan"))
