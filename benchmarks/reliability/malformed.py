"""Uploads that are wrong in every way that we could think of. Each is a whole HTTP body, or raw bytes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable

from PIL import Image

BOUNDARY = b"7f3a"
Case = tuple[str, bytes]  # content type, body


def multipart(parts: list[tuple[bytes, bytes | None, bytes]]) -> bytes:
    """(name, file name, data) a part."""
    body = b""
    for name, filename, data in parts:
        file = b"" if filename is None else b'; filename="%s"' % filename
        head = b'Content-Disposition: form-data; name="%s"%s' % (name, file)
        body += b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, head, data)
    return body + b"--%s--\r\n" % BOUNDARY


def form(image: bytes, **fields: bytes) -> Case:
    parts: list[tuple[bytes, bytes | None, bytes]] = [(b"image", b"a.png", image)]
    parts += [(name.encode(), None, value) for name, value in fields.items()]
    return KIND, multipart([*parts, (b"prompt", None, b"remove the apple")])


KIND = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def cases(picture: Image.Image, rng: random.Random) -> list[Callable[[], Case]]:
    """Twenty kinds; each call of one is another case."""
    files = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        files[kind] = buffer.getvalue()
    good = files["PNG"]
    zeros = chunk(b"IDAT", zlib.compress(bytes(40_000_000), 9))

    def readable() -> bytes:
        return files[rng.choice(["PNG", "JPEG", "WEBP"])]

    def truncated() -> Case:
        data = readable()
        return form(data[: rng.randrange(len(data))])

    def flipped() -> Case:
        data = bytearray(readable())
        for _ in range(rng.randint(1, 50)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return form(bytes(data))

    def flipped_mask() -> Case:
        data = bytearray(good)
        data[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
        return KIND, multipart(
            [(b"image", b"a", good), (b"mask", b"m", bytes(data)), (b"prompt", None, b"remove it")]
        )

    def bomb_of_pixels() -> Case:
        side = rng.choice([5000, 20_000, 65_535, 2**31 - 1])
        return form(png(side, rng.choice([side, 4000]), zeros[:100_000]))

    def bomb_of_zeros() -> Case:
        return form(png(3999, 3999, zeros))

    def bomb_of_text() -> Case:
        text = zlib.compress(bytes(200_000_000), 9)
        name = rng.choice([b"zTXt", b"iCCP"])
        pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
        return form(png(8, 8, chunk(name, b"k\0\0" + text), pixels))

    def wrong_type() -> Case:
        magic = [
            b"%PDF-1.7\n",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"PK\3\4",
            b"\x7fELF",
            b"%!PS\n",
        ]
        junk = rng.choice([*magic, files["GIF"], files["TIFF"], files["BMP"], b"", b"\0"])
        return form(junk + rng.randbytes(rng.randrange(200)))

    def only_magic() -> Case:
        return form(readable()[: rng.randint(3, 40)] + rng.randbytes(5000))

    def other_fields() -> Case:
        name = rng.choice(
            ["n", "seed", "steps", "threshold", "grow", "feather", "context", "size", "include"]
        )
        values = [
            b"",
            b"-1",
            b"1e999",
            b"nan",
            b"99999999999999999999",
            b"1,2,3",
            b"\xff\xfe",
            b"\0",
            b"0x10",
        ]
        return form(good, **{name: rng.choice([*values, b"x" * 70_000])})

    def odd_words() -> Case:
        words = [b"\xff" * 9, b"\xed\xa0\x80", b"a\0b", b" " * 100, b"\xf0\x9f\x8d\x8e" * 999, b"\r\n" * 9]
        return KIND, multipart([(b"image", b"a", good), (b"prompt", None, rng.choice(words))])

    def cut_body() -> Case:
        kind, body = form(good)
        return kind, body[: rng.randrange(len(body))]

    def shuffled_body() -> Case:
        kind, body = form(good)
        data = bytearray(body)
        for _ in range(rng.randint(1, 20)):
            at = rng.randrange(len(data))
            data[at : at + rng.randrange(300)] = rng.randbytes(rng.randrange(300))
        return kind, bytes(data)

    def wrong_boundary() -> Case:
        kinds = [
            "",
            "; boundary=",
            "; boundary=other",
            f"; boundary={'b' * 5000}",
            '; boundary="',
            "; charset=x",
        ]
        return "multipart/form-data" + rng.choice(kinds), form(good)[1]

    def many_parts() -> Case:
        count = rng.choice([101, 5000])
        return KIND, multipart([(b"include", rng.choice([None, b"f"]), b"1,1")] * count)

    def long_headers() -> Case:
        name = rng.choice([b"n" * 1_000_000, b'a"b' * 1000, b"\0", b"\r", b""])
        return KIND, multipart([(name, rng.choice([None, b"f" * 100_000]), b"x")])

    def no_disposition() -> Case:
        return KIND, b"--%s\r\n%s: y\r\n\r\nz\r\n--%s--" % (BOUNDARY, b"X" * rng.randint(1, 9000), BOUNDARY)

    def other_kind() -> Case:
        kinds = ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "multipart/mixed"]
        return rng.choice(kinds), b'{"prompt": "x", "image": "https://example.org/a.png"}'

    def too_large() -> Case:
        return form(good + bytes(25_000_000))

    def twice() -> Case:
        name = rng.choice([b"image", b"prompt", b"seed", b"n"])
        part = (name, b"a" if name == b"image" else None, good if name == b"image" else b"1")
        return KIND, multipart([part, part, (b"prompt", None, b"x")])

    def animation() -> Case:
        frames = [picture.resize((32, 32)).rotate(angle) for angle in range(0, 90, 10)]
        buffer = io.BytesIO()
        frames[0].save(buffer, rng.choice(["PNG", "WEBP"]), save_all=True, append_images=frames[1:])
        return form(buffer.getvalue())

    return [
        truncated, flipped, flipped_mask, bomb_of_pixels, bomb_of_zeros, bomb_of_text, wrong_type, only_magic,
        other_fields, odd_words, cut_body, shuffled_body, wrong_boundary, many_parts, long_headers,
        no_disposition, other_kind, too_large, twice, animation,
    ]  # fmt: skip
