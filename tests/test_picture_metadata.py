"""What stands beside the pixels: profile, EXIF and resolution stay, no view of the unedited picture does."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.pictures.image16 import Image16
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.save import save
from adaptedit.region import Region

SECRET = b"the removed object"
PROFILE = b"a profile"
DESK = Path(__file__).parents[1] / "examples" / "desk.png"
FORMATS = [".png", ".jpg", ".webp", ".tif"]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(width: int, height: int) -> Image.Image:
    """Something that a JPEG is made for."""
    return Image.fromarray(noise(height // 8, width // 8, 3)).resize(
        (width, height), Image.Resampling.BICUBIC
    )


def exif_of_a_camera(orientation: int = 1) -> bytes:
    """Descriptive tags, camera and GPS directories; a maker note and a thumbnail, both with the secret."""
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Copyright], exif[Base.Orientation] = "Maker", "Owner", orientation
    exif[IFD.Exif] = {
        Base.DateTimeOriginal: "2020:01:01 00:00:00",
        Base.ExifImageWidth: 24,
        Base.ExifImageHeight: 16,
        Base.UserComment: b"ASCII\0\0\0hello",
        Base.MakerNote: SECRET,
        IFD.Interop: {1: "R03"},
    }
    exif[IFD.GPSInfo] = {1: "N", 2: (1.0, 2.0, 3.0)}
    whole = exif.tobytes()
    tags = struct.unpack(">H", whole[14:16])[0]
    link = 16 + 12 * tags  # of the first directory to the second, the thumbnail's
    start = len(whole) - 6
    thumbnail = SECRET + b"'s thumbnail"
    second = struct.pack(">H", 3) + struct.pack(">HHII", 0x0103, 4, 1, 6)
    second += struct.pack(">HHII", 0x0201, 4, 1, start + 42) + struct.pack(
        ">HHII", 0x0202, 4, 1, len(thumbnail)
    )
    return whole[:link] + struct.pack(">I", start) + whole[link + 4 :] + second + bytes(4) + thumbnail


def photograph(path: Path, orientation: int = 1, size: tuple[int, int] = (24, 16)) -> Path:
    """24 x 16 as stored: everything of a camera, and the secret in XMP and the comment too."""
    smooth(*size).save(
        path,
        exif=exif_of_a_camera(orientation),
        icc_profile=PROFILE,
        dpi=(300, 300),
        xmp=SECRET,
        comment=SECRET,
    )
    return path


def test_the_photograph_has_what_the_others_look_for(tmp_path: Path) -> None:
    path = photograph(tmp_path / "in.jpg")
    assert path.read_bytes().count(SECRET) == 4
    with Image.open(path) as image:
        assert image.getexif().get_ifd(IFD.IFD1)[0x0202] == len(SECRET + b"'s thumbnail")
        assert image.getexif().get_ifd(IFD.Exif)[Base.MakerNote] == SECRET


@pytest.mark.parametrize(
    ("suffix", "bits"), [*((suffix, 8) for suffix in FORMATS), (".png", 16), (".tif", 16)]
)
def test_the_rest_of_exif_profile_and_resolution_are_kept(suffix: str, bits: int, tmp_path: Path) -> None:
    picture = Picture.open(photograph(tmp_path / "in.jpg", orientation=6))
    result = picture.restore(picture.rgb)
    if bits == 16:
        result = Image16(np.asarray(result) * np.uint16(257), result.info)
    for name in ("first", "again"):  # and once more, from what was written
        path = tmp_path / f"{name}{suffix}"
        save(result, path)
        assert SECRET not in path.read_bytes()
        with Image.open(path) as image:
            image.load()
            exif = image.getexif()
            assert image.size == (16, 24)
            assert image.info["icc_profile"] == PROFILE
            assert suffix == ".webp" or np.allclose(
                [float(side) for side in image.info["dpi"]], 300, atol=0.01
            )
        assert (exif[Base.Make], exif[Base.Copyright]) == ("Maker", "Owner")
        assert Base.Orientation not in exif
        camera = exif.get_ifd(IFD.Exif)
        assert (camera[Base.ExifImageWidth], camera[Base.ExifImageHeight]) == (16, 24)
        assert camera[Base.DateTimeOriginal] == "2020:01:01 00:00:00"
        assert camera[Base.UserComment] == b"ASCII\0\0\0hello"
        assert suffix == ".tif" or exif.get_ifd(IFD.Interop) == {1: "R03"}  # PIL has closed the file by then
        assert exif.get_ifd(IFD.GPSInfo) == {1: "N", 2: (1.0, 2.0, 3.0)}
        result = Picture.open(path).original


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_view_of_the_unedited_picture_is_left_by_any_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"in{suffix}"
    smooth(24, 16).save(path, exif=exif_of_a_camera(), **({} if suffix == ".tif" else {"xmp": SECRET}))
    assert SECRET in path.read_bytes()
    picture = Picture.open(path)
    for out in FORMATS:
        save(picture.restore(picture.rgb), tmp_path / f"out{out}")
        assert SECRET not in (tmp_path / f"out{out}").read_bytes()


def test_an_mpo_is_edited_without_its_further_pictures(pipe: AdaptEditPipeline, tmp_path: Path) -> None:
    path = tmp_path / "stereo.jpg"
    photo, preview = smooth(64, 48), Image.new("RGB", (64, 48), "red")
    photo.save(path, format="MPO", save_all=True, append_images=[preview], exif=exif_of_a_camera())
    with Image.open(path) as opened:
        assert (opened.format, opened.n_frames) == ("MPO", 2)
    (result,) = pipe(path, "invert", Region.from_box((10, 10, 20, 20), (64, 48)), seed=1).images
    save(result, tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes().count(b"\xff\xd8\xff") == 1  # starts of a JPEG
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.format == "JPEG" and written.getexif()[Base.Make] == "Maker"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_is_no_reason_to_refuse_a_picture(tmp_path: Path) -> None:
    for exif in (b"Exif\0\0nothing", exif_of_a_camera()[:40], exif_of_a_camera(orientation=77)):
        smooth(24, 16).save(tmp_path / "in.jpg", exif=exif)
        picture = Picture.open(tmp_path / "in.jpg")
        assert picture.size == (24, 16)
        save(picture.restore(picture.rgb), tmp_path / "out.jpg")


# -- JPEG as the source's --------------------------------------------------------------------------


def written_as(path: Path) -> tuple[dict[int, list[int]], int, bool]:
    with Image.open(path) as image:
        assert isinstance(image, JpegImageFile)
        return image.quantization, get_sampling(image), "progressive" in image.info


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_is_written_as_its_source_was(subsampling: int, progressive: bool, tmp_path: Path) -> None:
    options = {"quality": 61, "subsampling": subsampling, "progressive": progressive}
    smooth(64, 48).save(tmp_path / "in.jpg", **options)
    picture = Picture.open(tmp_path / "in.jpg")
    save(picture.restore(picture.rgb), tmp_path / "out.jpg")
    assert written_as(tmp_path / "out.jpg") == written_as(tmp_path / "in.jpg")


def test_a_grey_jpeg_too(tmp_path: Path) -> None:
    smooth(64, 48).convert("L").save(tmp_path / "in.jpg", quality=61)
    picture = Picture.open(tmp_path / "in.jpg")
    save(picture.restore(picture.rgb), tmp_path / "out.jpg")
    assert written_as(tmp_path / "out.jpg") == written_as(tmp_path / "in.jpg")
    assert Picture.open(tmp_path / "out.jpg").mode == "L"


def test_other_pictures_become_jpegs_of_quality_95_with_full_colour(tmp_path: Path) -> None:
    smooth(64, 48).save(tmp_path / "95.jpg", quality=95, subsampling=0)
    smooth(64, 48).save(tmp_path / "in.png")
    smooth(64, 48).save(tmp_path / "rgb.jpg", quality=61, keep_rgb=True)  # its tables are not for YCbCr
    for name in ("in.png", "rgb.jpg"):
        picture = Picture.open(tmp_path / name)
        save(picture.restore(picture.rgb), tmp_path / "out.jpg")
        assert written_as(tmp_path / "out.jpg") == written_as(tmp_path / "95.jpg")


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_sources_tables_change_few_pixels_that_were_not_edited(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation  # a turned picture needs turned tables
    with Image.open(DESK) as desk:
        desk.convert("RGB").save(tmp_path / "in.jpg", quality=75, exif=exif)
    picture = Picture.open(tmp_path / "in.jpg")
    result = picture.restore(picture.rgb)
    changed = {}
    for tables in ("own", "quality 95"):
        save(result, tmp_path / "out.jpg")
        again = np.asarray(Picture.open(tmp_path / "out.jpg").rgb)
        changed[tables] = (again != np.asarray(picture.rgb)).any(axis=2).mean()
        result.info.pop("jpeg", None)
    assert changed["own"] < 0.6 * changed["quality 95"]


def test_the_result_of_an_edit_can_be_edited_again(tmp_path: Path) -> None:
    picture = Picture.open(photograph(tmp_path / "in.jpg"))
    once = picture.restore(picture.rgb)
    again = Picture.open(once)
    assert again.restore(again.rgb).info == once.info and set(once.info) == {
        "icc_profile",
        "exif",
        "dpi",
        "jpeg",
    }
