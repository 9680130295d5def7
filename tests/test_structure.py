"""Files that declare more than a decoder can do in a second are refused before one sees them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from adaptedit.errors import AdaptEditError
from adaptedit.pictures import formats, structure
from adaptedit.pictures.picture import Picture
from adaptedit.pictures.read import TooManyPixels, read_image


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def with_scans(count: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A progressive JPEG with so many more scans that refine nothing."""
    whole = encoded("JPEG", size, progressive=True)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10) + b"\x00"
    return whole[:-2] + scan * count + whole[-2:]


def with_segments(count: int) -> bytes:
    whole = encoded("JPEG")
    return whole[:2] + b"\xff\xfe\x00\x02" * count + whole[2:]


def with_chunks(count: int, name: bytes = b"tEXt", data: bytes = b"a\0b") -> bytes:
    whole = encoded("PNG")
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return whole[:33] + chunk * count + whole[33:]


def with_riff_chunks(count: int, name: bytes = b"ABCD", data: bytes = b"") -> bytes:
    whole = encoded("WEBP", lossless=True)
    return whole + (name + struct.pack("<I", len(data)) + data) * count


def with_hidden_scans() -> bytes:
    """A decoder that has lost its place throws the strange marker away, and reads the scans behind it."""
    whole = encoded("JPEG", progressive=True)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10)
    return whole[:-2] + b"\xff\x02\xff\xff" + (scan * 6553)[:65_533] + whole[-2:]


def directory(entries: int, size: int) -> bytes:
    """A TIFF's, with so many entries that all point at the same bytes."""
    start = 8 + size
    head = b"II*\0" + struct.pack("<I", start) + bytes(size)
    tags = b"".join(struct.pack("<HHII", 0x9000 + n, 7, size, 8) for n in range(entries))
    return head + struct.pack("<H", entries) + tags + bytes(4)


def with_exif(data: bytes) -> bytes:
    """In as many segments as it takes."""
    whole = encoded("JPEG")
    pieces = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(one) + 8) + b"Exif\0\0" + one for one in pieces]
    return whole[:2] + b"".join(segments) + whole[2:]


REFUSED = {
    "hidden scans": with_hidden_scans(),
    "entries of EXIF": with_exif(directory(1500, 60_000)),
    "much EXIF": with_exif(bytes(1_200_000)),
    "entries of a TIFF": directory(6000, 100),
    "bytes of a TIFF": directory(4000, 100_000),
    "EXIF of a PNG that repeats itself": with_chunks(1, b"eXIf", directory(4000, 50_000)),
    "EXIF of a WebP that repeats itself": with_riff_chunks(1, b"EXIF", b"Exif\0\0" + directory(4000, 50_000)),
    "profiles of a PNG": with_chunks(50, b"iCCP", b"x\0\0" + zlib.compress(bytes(900_000))),
    "scans": with_scans(30_000),
    "scans of a large picture": with_scans(80, (4000, 3000)),
    "segments": with_segments(200_000),
    "chunks": with_chunks(100_000),
    "RIFF chunks": with_riff_chunks(100_000),
    "profile of a PNG": with_chunks(1, b"iCCP", b"x\0\0" + bytes(5_000_000)),
    "profile of a WebP": with_riff_chunks(1, b"ICCP", bytes(5_000_000)),
    "profile of a JPEG": encoded("JPEG", icc_profile=bytes(4_100_000)),
    "EXIF of a PNG": with_chunks(1, b"eXIf", bytes(2_000_000)),
    "arithmetic coding": encoded("JPEG").replace(b"\xff\xc0", b"\xff\xca"),
    "lossless coding": encoded("JPEG").replace(b"\xff\xc0", b"\xff\xc3"),
    "EXIF of a WebP": with_riff_chunks(1, b"EXIF", bytes(2_000_000)),
}


def raw_profile(data: bytes) -> bytes:
    """EXIF as text, in a compressed chunk."""
    text = f"\nexif\n{len(data):8}\n".encode() + data.hex().encode()
    return with_chunks(1, b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def test_exif_that_a_png_has_as_text_is_checked_too() -> None:
    with pytest.raises(AdaptEditError, match=r"the file has [\d,]+ (entries|bytes) in its directories"):
        Picture.read(raw_profile(b"Exif\0\0" + directory(4000, 200_000)))
    exif = Image.Exif()
    exif[274] = 6
    assert Picture.read(raw_profile(exif.tobytes())).size == (48, 64)  # turned
    assert Picture.read(with_chunks(1, b"tEXt", b"Raw profile type exif\0no numbers\n\n\nx")).mode == "RGB"


@pytest.mark.parametrize("what", REFUSED)
def test_files_that_declare_too_much_never_reach_a_decoder(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object, **__: object) -> None:
        raise AssertionError("a decoder was asked")

    monkeypatch.setattr(Image, "open", decoded)
    (tmp_path / "holiday.png").write_bytes(REFUSED[what])
    for source in (tmp_path / "holiday.png", REFUSED[what]):
        with pytest.raises(
            AdaptEditError, match=r"the file has [\d,]+ .* or more, over|arithmetic or lossless"
        ):
            Picture.open(source) if isinstance(source, Path) else Picture.read(source)


@pytest.mark.parametrize(
    "data",
    [
        encoded("JPEG"),
        encoded("JPEG", progressive=True, icc_profile=bytes(200_000), exif=Image.Exif().tobytes()),
        with_scans(20),
        with_segments(300),
        encoded("PNG", (300, 300)),
        with_chunks(2000),
        encoded("WEBP", lossless=True),
        encoded("WEBP", quality=80, exif=b"Exif\0\0" + bytes(1000)),
        with_exif(directory(100, 10)),
        encoded("JPEG", exif=b"Exif\0\0II*\0" + b"\xff" * 500),
        encoded("TIFF"),
        encoded("TIFF", tiffinfo={270: "x" * 5000}),
        encoded("BMP"),
    ],
)
def test_ordinary_files_pass(data: bytes) -> None:
    structure.check(data)
    assert Picture.read(data).mode == "RGB"


@pytest.mark.parametrize("size", [(64, 48), (1, 3000), (4000, 2)])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "icc_profile": bytes(9_000)}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 80}),
        ("WEBP", {"quality": 80, "exif": b"Exif\0\0x"}),
    ],
)
def test_the_size_is_known_without_a_decoder(
    kind: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    assert structure.declared_pixels(encoded(kind, size, **options)) == size[0] * size[1]


@pytest.mark.parametrize("data", [b"", b"x", encoded("BMP"), encoded("JPEG")[:30], encoded("WEBP")[:12]])
def test_a_size_that_is_not_there_is_none(data: bytes) -> None:
    assert structure.declared_pixels(data) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_any_bytes_can_be_checked(kind: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(encoded(kind, (16, 16)))
        for at in rng.integers(2, len(data), 8):
            data[at] = rng.integers(256)
        cut = bytes(data[: int(rng.integers(12, len(data)))])
        structure.declared_pixels(cut)
        with suppress(AdaptEditError):
            structure.check(cut)


def test_pixels_are_limited_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for kind in formats.READABLE:
        with pytest.raises(TooManyPixels, match="0.003 megapixels"):
            Picture.read(encoded(kind), max_pixels=3000)


# -- one list of formats -----------------------------------------------------------------------------

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("name", ["holiday.png", "holiday.eps", "holiday.jpg", "holiday.tif"])
def test_no_program_is_run_on_a_picture(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker, tools = tmp_path / "it-ran", tmp_path / "tools"
    tools.mkdir()
    for program in ("gs", "gswin64c", "convert", "djpeg", "xdg-open"):
        (tools / program).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (tools / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / name).write_bytes(POSTSCRIPT)
    for read in (Picture.open, read_image):
        with pytest.raises(AdaptEditError, match="give a PNG, JPEG, WebP, BMP or TIFF"):
            read(tmp_path / name)
    assert not marker.exists()


# What PIL can write and this package does not read, by the name of the format.
OTHERS = ["GIF", "PPM", "DDS", "SPIDER", "JPEG2000", "PCX", "SGI", "TGA", "ICO", "AVIF", "IM", "MSP", "QOI"]


@pytest.mark.parametrize("kind", OTHERS)
def test_other_formats_are_refused_whole_or_damaged(kind: str) -> None:
    mode = {"SPIDER": "F", "MSP": "1"}.get(kind, "RGB")
    buffer = io.BytesIO()
    try:
        Image.new(mode, (16, 16)).save(buffer, kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow cannot write {kind}")
    whole = buffer.getvalue()
    for data in (whole, whole[: len(whole) // 2], whole[:40]):
        with pytest.raises(AdaptEditError, match="not a known kind|damaged"):
            Picture.read(data)


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), struct.error("x"), RecursionError("deep")])
def test_whatever_a_decoder_raises_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(AdaptEditError, match="damaged|needs more memory") as caught:
        Picture.read(encoded("PNG"))
    assert "\n" not in str(caught.value)


def test_formats_are_named_in_one_place() -> None:
    """Every `Image.open` of the package passes `formats`, so that no other decoder can be reached."""
    package = Path(formats.__file__).parents[1]
    for path in package.rglob("*.py"):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert "Image.open(" not in line or "formats=" in line, f"{path}:{number}"
