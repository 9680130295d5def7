"""Requests that are small, or soon sent, and cost a server much: what `attackers` sends."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from malformed import KIND, chunk, multipart, png
from PIL import Image

from adaptedit.pictures import structure

ROUTE = "/v1/images/edits"
SIDE = 4000
DESK = Path(__file__).parents[2] / "examples" / "desk.png"

# One block with 63 coefficients of 15 bits, coded arithmetically. After it each decision is the expected one,
# so the decoder goes on like this, 2079 decisions a block, when there are no bytes any more.
ENDLESS = base64.b64decode(
    "O9FIUchltxrZkKOQy24gImPVl/CDnJs/xBAnZ6Lc2pr3sLPODqnwMjs2D7o969TzCOIQXxRWGJ2SEkkkkkkkkkkkkkkkkkkkeJY="
)


def request(body: bytes, kind: str = KIND, hosts: tuple[str, ...] = ("127.0.0.1",)) -> bytes:
    """A whole HTTP request after which the server closes the connection."""
    head = [f"POST {ROUTE} HTTP/1.1", *(f"Host: {host}" for host in hosts), f"Content-Type: {kind}"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "Connection: close", "\r\n"]).encode() + body


def edit(image: bytes, mask: bytes | None = None, **fields: str | list[str]) -> bytes:
    """The body of "remove the apple"."""
    parts: list[tuple[bytes, bytes | None, bytes]] = [(b"image", b"a", image)]
    if mask is not None:
        parts.append((b"mask", b"m.png", mask))
    for name, value in fields.items():
        values = [value] if isinstance(value, str) else value
        parts += [(name.encode(), None, one.encode()) for one in values]
    return multipart([*parts, (b"prompt", None, b"remove the apple")])


def scan_bombs() -> list[bytes]:
    """30,000 empty scans."""
    return [request(edit(with_scans(30_000, size))) for size in ((64, 48), (1000, 1000), (SIDE, SIDE))]


def most_scans() -> list[bytes]:
    """As many scans and pixels as pass: empty ones, and ones that look at every coefficient."""
    files = []
    for width, height in ((SIDE, 3000), (2000, 2000), (SIDE, SIDE)):
        count = min(structure.MAX_SCANS, structure.MAX_SCANNED // (width * height))
        files += [with_scans(count, (width, height)), refined(width, height, count)]
    for file in files:
        structure.check(file)
    return [request(edit(file)) for file in files]


def arithmetic_scans() -> list[bytes]:
    """As many as pass, coded arithmetically: 3 kB that take 25 seconds to decode."""
    sizes = ((SIDE, 3000, 33), (2000, 2000, 100))
    return [request(edit(arithmetic(width, height, count))) for width, height, count in sizes]


def chunk_bombs() -> list[bytes]:
    """Too many chunks, and nearly too many; texts and profiles that unpack to 200 MB."""
    text = zlib.compress(bytes(200_000_000), 9)
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    files = [with_chunks(count) for count in (100_000, 9000)]
    files += [with_riff_chunks(count) for count in (100_000, 9000)]
    files += [png(8, 8, chunk(name, b"k\0\0" + text), pixels) for name in (b"zTXt", b"iCCP")]
    return [request(edit(file)) for file in files]


def hidden_work() -> list[bytes]:
    """Work that no count of segments or chunks shows: scans in a segment that a lost decoder reads, EXIF
    whose entries all point at the same bytes, EXIF as text, and a profile fifty times."""
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10)
    whole = encoded(Image.new("RGB", (1400, 1400)), "JPEG", progressive=True)
    hidden = b"\xff\x02\xff\xff" + (scan * 6553)[:65_533]
    exif = directory(3000, 400_000)
    head = encoded(Image.new("RGB", (64, 48)), "JPEG")
    pieces = [exif[at : at + 60_000] for at in range(0, len(exif), 60_000)]
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    text = f"\nexif\n{len(exif):8}\n".encode() + exif.hex().encode()
    profile = chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(900_000)))
    files = [
        whole[:-2] + hidden * 20 + whole[-2:],
        head[:2] + b"".join(_segment(0xE1, b"Exif\0\0" + one) for one in pieces) + head[2:],
        png(8, 8, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)), pixels),
        png(8, 8, profile * 50, pixels),
    ]
    return [request(edit(file)) for file in files]


def large_answers() -> list[bytes]:
    """Of noise, which no format makes small."""
    noise = np.random.default_rng(0).integers(0, 256, (1400, 1400, 3), dtype=np.uint8)
    return [request(edit(encoded(Image.fromarray(noise), "PNG"), n="10"))]


def one_colour() -> list[bytes]:
    """16 megapixels in a few kB, of 8 and of 16 bits."""
    plain = Image.new("RGB", (SIDE, SIDE), (90, 120, 60))
    files = [encoded(plain, "PNG"), encoded(plain, "WEBP", lossless=True), deep_png()]
    return [request(edit(file)) for file in files]


def hard_masks() -> list[bytes]:
    """A checkerboard and dots that do not touch, four points on them, as much to grow as may be."""
    plain = encoded(Image.new("RGB", (SIDE, SIDE), (90, 120, 60)), "PNG")
    rows, columns = np.indices((SIDE, SIDE), dtype=np.uint16)
    points = ["0,0", "1000,1000", "2000,3000", "3998,3998"]
    bodies = []
    for kept in ((rows + columns) % 2, (rows % 2) | (columns % 2)):
        alpha = Image.fromarray((kept * 255).astype(np.uint8))
        mask = encoded(Image.merge("LA", (Image.new("L", alpha.size), alpha)), "PNG")
        bodies.append(edit(plain, mask, include=points, grow="256"))
    return [request(body) for body in bodies]


def large_pictures() -> list[bytes]:
    """That take long enough to be left while they are decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (2400, 2400, 3), dtype=np.uint8)
    return [request(edit(file)) for file in (deep_png(), encoded(Image.fromarray(noise), "PNG"))]


def odd_requests() -> list[bytes]:
    """Of other hosts, and in charsets that Python has and no form is sent in."""
    body = edit(encoded(Image.open(DESK).resize((64, 48)), "PNG"))  # comes in with the head
    hosts = [("evil.com",), ("127.0.0.1.evil.com:80",), ("evil.com", "127.0.0.1"), (), ("",), ("\xff",)]
    charsets = ["base64", "idna", "undefined", "rot13", "hex", "utf-7", "zip", "mbcs", "\xff", "utf-8\0"]
    return [request(body, hosts=one) for one in hosts] + [
        request(body, f"{KIND}; charset={one}") for one in charsets
    ]


def ten_candidates() -> list[bytes]:
    """Of 16 megapixels."""
    large = Image.open(DESK).convert("RGB").resize((4608, 3456), Image.Resampling.BICUBIC)
    return [request(edit(encoded(large, "JPEG", quality=90), n="10"))]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_scans(count: int, size: tuple[int, int]) -> bytes:
    """A progressive JPEG of so many scans; all but its own ten refine nothing."""
    whole = encoded(Image.new("RGB", size, (90, 120, 60)), "JPEG", progressive=True)
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0x10) + b"\0"
    return whole[:-2] + scan * (count - whole.count(b"\xff\xda")) + whole[-2:]


def refined(width: int, height: int, scans: int) -> bytes:
    """Each scan but the first says "no block has anything new", so that each block is looked through."""
    runs = ("0" + "1" * 14) * -(-width * height // 64 // 32_767)  # 32,767 blocks each
    bits = runs + "0" * (-len(runs) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    tables = _segment(0xC4, _table(0, 0)) + _segment(0xC4, _table(1, 0xE0))
    first = bytes(width * height // 64 * 3 // 8 + 1)
    return _jpeg(0xC2, (width, height), tables, first, [(0x10, data)] * (scans - 1))


def arithmetic(width: int, height: int, scans: int) -> bytes:
    return _jpeg(0xCA, (width, height), b"", b"\0", [(0, ENDLESS)] * (scans - 1))


def _jpeg(
    frame: int, size: tuple[int, int], tables: bytes, first: bytes, scans: list[tuple[int, bytes]]
) -> bytes:
    """Three components, all of full size. first: data of the scan of means; the others have (bits, data)."""
    head = struct.pack(">BHHB", 8, size[1], size[0], 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    parts = [b"\xff\xd8", _segment(0xDB, b"\0" + b"\1" * 64), _segment(frame, head), tables]
    parts += [_segment(0xDA, b"\3\1\0\2\0\3\0\0\0\0"), first]
    for number, (bits, data) in enumerate(scans):
        parts += [_segment(0xDA, bytes([1, 1 + number % 3, 0, 1, 63, bits])), data]
    return b"".join(parts) + b"\xff\xd9"


def _segment(marker: int, data: bytes) -> bytes:
    return b"\xff%c" % marker + struct.pack(">H", len(data) + 2) + data


def _table(kind: int, symbol: int) -> bytes:
    """A Huffman table with one code of one bit."""
    return bytes([kind << 4, 1, *[0] * 15, symbol])


def with_chunks(count: int) -> bytes:
    whole = encoded(Image.new("RGB", (64, 48)), "PNG")
    return whole[:33] + b"".join(chunk(b"tEXt", b"k%d\0b" % number) for number in range(count)) + whole[33:]


def with_riff_chunks(count: int) -> bytes:
    whole = encoded(Image.new("RGB", (64, 48)), "WEBP", lossless=True)
    return whole[:4] + struct.pack("<I", len(whole) - 8 + 8 * count) + whole[8:] + b"ABCD\0\0\0\0" * count


def directory(entries: int, size: int) -> bytes:
    """A TIFF's, whose entries all point at the same bytes."""
    tags = b"".join(struct.pack("<HHII", 0x9000 + number, 7, size, 8) for number in range(entries))
    return b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + struct.pack("<H", entries) + tags + bytes(4)


def deep_png() -> bytes:
    """16 bits, RGBA, 16 megapixels, one colour."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 6, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((1 + 8 * SIDE) * SIDE), 9))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")
