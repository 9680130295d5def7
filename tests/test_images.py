"""Pictures come back in their own mode, and wrong files give one clear line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adaptedit.editing.images import Picture, save
from adaptedit.errors import AdaptEditError
from adaptedit.pixels import to_pil, to_tensor


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
    wrong: list[Any] = [noise(7, 5, 2), noise(7), noise(0, 5, 3), np.zeros((7, 5, 3)), [[1]], None]
    for array in wrong:
        with pytest.raises(AdaptEditError, match="uint8"):
            Picture.open(array)


def test_exif_orientation_is_applied_once(tmp_path: Path) -> None:
    image = Image.fromarray(noise(16, 8, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    picture = Picture.open(tmp_path / "turned.png")
    assert same(picture.rgb, image.transpose(Image.Transpose.ROTATE_270))
    save(picture.restore(picture.rgb), tmp_path / "again.png")
    assert Picture.open(tmp_path / "again.png").size == (16, 8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_colour_profile_is_carried_over(suffix: str, tmp_path: Path) -> None:
    image = Image.fromarray(noise(16, 8, 3))
    image.save(tmp_path / "source.png", icc_profile=b"a profile")
    picture = Picture.open(tmp_path / "source.png")
    save(picture.restore(picture.rgb), tmp_path / f"out{suffix}")
    assert Picture.open(tmp_path / f"out{suffix}").icc_profile == b"a profile"


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "CMYK", "YCbCr"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(AdaptEditError, match="convert it to 8-bit"):
        Picture.open(Image.new(mode, (4, 4)))


def test_restore_refuses_another_size_or_mode() -> None:
    picture = Picture.open(noise(7, 5, 3))
    for edit in (Image.new("RGB", (7, 5)), Image.new("RGBA", (5, 7))):
        with pytest.raises(AdaptEditError, match="5x7"):
            picture.restore(edit)


# -- wrong files


def test_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(noise(64, 64, 3)).save(whole)
    Image.fromarray(noise(64, 64, 3)).save(tmp_path / "whole.jpg")
    (tmp_path / "text.png").write_text("no picture at all")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    for path, message in {
        "missing.png": "no such file",
        "": "folder",
        "text.png": "not a known kind",
        "empty.png": "empty",
        "cut.png": "truncated",
        "cut.jpg": "truncated",
        "moving.gif": "2 frames",
        "x" * 300: "cannot be read",
    }.items():
        with pytest.raises(AdaptEditError, match=message) as caught:
            Picture.open(tmp_path / path)
        assert "\n" not in str(caught.value)
    with pytest.raises(AdaptEditError, match="0x4"):
        Picture.open(Image.new("RGB", (0, 4)))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [3000, 1000])  # below the limit's double PIL only warns
def test_too_many_pixels(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(AdaptEditError, match="too many pixels"):
        Picture.open(tmp_path / "large.png")


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
        (rgba, "out", "extension"),
        (rgba, "no/out.png", "does not exist"),
        (Image.new("RGB", (20_000, 1)), "out.webp", "webp|WEBP"),
        (Image.new("F", (4, 4)), "out.jpg", "JPEG"),
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
