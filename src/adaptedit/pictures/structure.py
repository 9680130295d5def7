"""What a picture file declares, counted before a decoder works on it.

A decoder's time follows what the file declares, not its size: a JPEG of 363 kB with 30,000 empty scans takes
23 seconds. So scans, chunks and profiles have limits, far above what cameras and programs write (ours).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from adaptedit.errors import AdaptEditError

MAX_SCANS = 100  # of a progressive JPEG; ten are usual
MAX_SCANNED = 400_000_000  # pixels times scans: each scan goes over all of the picture
MAX_PIECES = 10_000  # segments or chunks, and one more for each 4 kB of the file
MAX_PROFILE = 4_000_000  # bytes of colour profile; those for print have one or two million
MAX_EXIF = 1_000_000  # bytes

HEAD = 12  # bytes that tell the format
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)  # neither filling nor a restart in the pixels
_HUFFMAN = (0xC0, 0xC1, 0xC2)  # arithmetic decoders go on for half a minute where the data has ended
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END, _PROFILE = 0xDA, 0xD9, 0xE2
_WITHOUT_LENGTH = (0x01, 0xD8)


def can_be_checked(head: bytes) -> bool:
    """head: the first `HEAD` bytes of a file. Whether `check` looks into its format."""
    return head.startswith((_JPEG, _PNG)) or _is_webp(head)


def check(data: bytes) -> None:
    """data: a whole file. Raises AdaptEditError, without the file's name, for what is over a limit.

    What is damaged is left to the decoder, and so is any format but PNG, JPEG and WebP.
    """
    if data.startswith(_JPEG):
        _check_jpeg(data)
    elif data.startswith(_PNG):
        _check_chunks(data, 8, 12, lambda at: (_big(data[at : at + 4]), data[at + 4 : at + 8]))
    elif _is_webp(data):
        _check_chunks(data, 12, 8, lambda at: (_even(data[at + 4 : at + 8]), data[at : at + 4]))


def declared_pixels(data: bytes) -> int | None:
    """How many pixels a PNG, JPEG or WebP says that it has; None where that is not to be found."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR":
        return _big(data[16:20]) * _big(data[20:24])
    if data.startswith(_JPEG):
        frames = (at for marker, at, _ in _segments(data) if marker in _START_OF_FRAME)
        at = next(frames, None)
        return None if at is None else _frame_pixels(data, at)
    if _is_webp(data):
        if data[12:16] == b"VP8X":
            return (_little(data[24:27]) + 1) * (_little(data[27:30]) + 1)
        if data[12:16] == b"VP8L":
            bits = _little(data[21:25])
            return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
        if data[12:16] == b"VP8 ":
            return (_little(data[26:28]) & 0x3FFF) * (_little(data[28:30]) & 0x3FFF)
    return None


def check_profile(profile: object) -> None:
    """profile: an opened picture's `info["icc_profile"]`, whatever it is."""
    if isinstance(profile, bytes):
        _limit("bytes of colour profile", len(profile), MAX_PROFILE)


def _check_jpeg(data: bytes) -> None:
    scans, pixels, profile = 0, 0, 0
    most = _most_pieces(data)
    for pieces, (marker, at, length) in enumerate(_segments(data), 1):
        _limit("segments", pieces, most)
        if marker in _START_OF_FRAME:
            if marker not in _HUFFMAN:
                raise AdaptEditError(
                    "a JPEG with arithmetic or lossless coding is not read here; save it as an ordinary JPEG"
                )
            pixels = max(pixels, _frame_pixels(data, at))
        elif marker == _PROFILE:
            profile += length
            _limit("bytes of colour profile", profile, MAX_PROFILE)
        elif marker == _START_OF_SCAN:
            scans += 1
            _limit("scans", scans, MAX_SCANS)
            _limit("pixels in all its scans", scans * pixels, max(MAX_SCANNED, 20 * pixels))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Of a JPEG, up to its end: marker, where the segment starts after it, and its length."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found.group()[1], found.end()
        if marker == _END:
            return
        if marker not in _WITHOUT_LENGTH:
            length = _big(data[at : at + 2])
            yield marker, at, length
            at += length


def _frame_pixels(data: bytes, at: int) -> int:
    return _big(data[at + 3 : at + 5]) * _big(data[at + 5 : at + 7])


def _check_chunks(data: bytes, at: int, frame: int, read: Callable[[int], tuple[int, bytes]]) -> None:
    """at: of the first chunk. frame: bytes of a chunk beside its content. read: its length and name."""
    pieces, most = 0, _most_pieces(data)
    while at + frame <= len(data):
        length, name = read(at)
        pieces += 1
        _limit("chunks", pieces, most)
        if name in (b"iCCP", b"ICCP"):
            _limit("bytes of colour profile", length, MAX_PROFILE)
        elif name in (b"eXIf", b"EXIF"):
            _limit("bytes of EXIF", length, MAX_EXIF)
        at += frame + length


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")


def _even(length: bytes) -> int:
    """RIFF fills chunks up to an even length."""
    value = _little(length)
    return value + value % 2


def _most_pieces(data: bytes) -> int:
    return MAX_PIECES + len(data) // 4096


def _limit(what: str, found: int, most: int) -> None:
    if found > most:
        raise AdaptEditError(
            f"the file has {found:,} {what} or more, over {most:,}; save the picture anew and give that"
        )
