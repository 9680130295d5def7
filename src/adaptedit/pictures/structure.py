"""What a picture file declares, counted before a decoder works on it.

A decoder's time follows what the file declares, not its size: a JPEG of 363 kB with 30,000 empty scans takes
23 seconds. So scans, chunks and profiles have limits, far above what cameras and programs write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from adaptedit.errors import AdaptEditError

MAX_SCANS = 100  # of a progressive JPEG; ten are usual
MAX_SCANNED = 400_000_000  # pixels times scans: each scan goes over all of the picture
MAX_PIECES = 10_000  # segments or chunks, and one more for each 4 kB of the file
MAX_PROFILE = 4_000_000  # bytes of colour profile; those for print have one or two million
MAX_EXIF = 1_000_000  # bytes
MAX_ENTRIES = 5_000  # in the directories of EXIF or a TIFF; cameras write about a hundred

HEAD = 12  # bytes that tell the format
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)  # neither filling nor a restart in the pixels
_HUFFMAN = (0xC0, 0xC1, 0xC2)  # arithmetic decoders go on for half a minute where the data has ended
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END, _EXIF, _PROFILE = 0xDA, 0xD9, 0xE1, 0xE2
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TYPE_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes
_SUBDIRECTORIES = (0x8769, 0x8825, 0xA005)  # EXIF, GPS, interoperability
_WITHOUT_LENGTH = (0x01, 0xD8)


def can_be_checked(head: bytes) -> bool:
    """head: the first `HEAD` bytes of a file. Whether `check` looks into its format."""
    return head.startswith((_JPEG, _PNG, *_TIFF)) or _is_webp(head)


def check(data: bytes) -> None:
    """data: a whole file. Raises AdaptEditError, without the file's name, for what is over a limit.

    What is damaged is left to the decoder, and so is BMP.
    """
    if data.startswith(_JPEG):
        _check_jpeg(data)
    elif data.startswith(_PNG):
        _check_chunks(data, 8, 12, lambda at: (_big(data[at : at + 4]), data[at + 4 : at + 8]))
    elif data.startswith(_TIFF):
        _check_directories(data)
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


def check_exif_text(text: object) -> None:
    """text: a PNG's "Raw profile type exif", as older programs write it: three lines, then hexadecimals.

    Raises AdaptEditError as `check`, ValueError for what is no such text.
    """
    data = bytes.fromhex("".join(str(text).split("\n")[3:]))
    _check_directories(data.removeprefix(b"Exif\0\0"))


def check_profile(profile: object) -> None:
    """profile: an opened picture's `info["icc_profile"]`, whatever it is."""
    if isinstance(profile, bytes):
        _limit("bytes of colour profile", len(profile), MAX_PROFILE)


def _check_jpeg(data: bytes) -> None:
    pixels, profile, exif, first_scan = 0, 0, b"", len(data)
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
        elif marker == _EXIF and data[at + 2 : at + 8] == b"Exif\0\0":
            exif += data[at + 8 : at + length]
            _limit("bytes of EXIF", len(exif), MAX_EXIF)
        elif marker == _START_OF_SCAN:
            first_scan = min(first_scan, at - 2)
    _check_directories(exif)
    # Counted by their bytes: a decoder that has lost its place finds scans inside other segments too.
    scans = data.count(b"\xff\xda", first_scan)
    _limit("scans", scans, MAX_SCANS)
    _limit("pixels in all its scans", scans * pixels, max(MAX_SCANNED, 20 * pixels))


def _check_directories(data: bytes) -> None:
    """EXIF's or TIFF's directories: entries may all point at the same bytes, and each is read anew."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], order)

    big = number(2, 2) == 43  # BigTIFF
    start, count, word, entry = (8, 8, 8, 20) if big else (4, 2, 4, 12)
    waiting, seen, entries, total = [number(start, word)], set[int](), 0, 0
    while waiting:
        at = waiting.pop()
        if at in seen or not 0 < at < len(data):
            continue
        seen.add(at)
        here = min(number(at, count), (len(data) - at) // entry)  # damaged ones name more than there is
        entries += here
        _limit("entries in its directories", entries, MAX_ENTRIES)
        for place in range(at + count, at + count + here * entry, entry):
            tag, kind = number(place, 2), number(place + 2, 2)
            size, target = _TYPE_SIZES.get(kind, 1) * number(place + 4, word), number(place + 4 + word, word)
            if size > word and target + size <= len(data):
                total += size
                _limit("bytes in its directories", total, 2 * len(data) + MAX_EXIF)
            if tag in _SUBDIRECTORIES:
                waiting.append(target)


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
    pieces, profiles, most = 0, 0, _most_pieces(data)
    while at + frame <= len(data):
        length, name = read(at)
        pieces += 1
        _limit("chunks", pieces, most)
        if name in (b"iCCP", b"ICCP"):
            profiles += 1
            _limit("colour profiles", profiles, 1)
            _limit("bytes of colour profile", length, MAX_PROFILE)
        elif name in (b"eXIf", b"EXIF"):
            _limit("bytes of EXIF", length, MAX_EXIF)
            _check_directories(data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0"))
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
