"""A zip with traditional encryption, as most zip tools write it; Python's own module only reads it."""

from __future__ import annotations

import struct
import zlib


class _Cipher:
    """APPNOTE.TXT 6.1."""

    def __init__(self, password: bytes) -> None:
        self.keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._update(byte)

    def _update(self, byte: int) -> None:
        k = self.keys
        k[0] = _crc(k[0], byte)
        k[1] = ((k[1] + (k[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        k[2] = _crc(k[2], k[1] >> 24)

    def encrypt(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            mixed = (self.keys[2] | 2) & 0xFFFF
            out.append(byte ^ ((mixed * (mixed ^ 1)) >> 8 & 255))
            self._update(byte)
        return bytes(out)


def encrypted_zip(files: dict[str, bytes], password: str) -> bytes:
    """A whole zip of these files, deflated and encrypted."""
    body, directory = bytearray(), bytearray()
    for name, data in files.items():
        packer = zlib.compressobj(wbits=-15)
        crc = zlib.crc32(data)
        head = bytes(11) + bytes([crc >> 24])  # its last byte is what a password is checked by
        packed = _Cipher(password.encode()).encrypt(head + packer.compress(data) + packer.flush())
        common = struct.pack(
            "<HHHHHIIIHH", 20, 1, 8, 0, 33, crc, len(packed), len(data), len(name), 0
        )  # version, flag "encrypted", deflated, time, date, ...
        place = len(body)
        body += b"PK\x03\x04" + common + name.encode() + packed
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, place) + name.encode()
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def _crc(crc: int, byte: int) -> int:
    crc ^= byte
    for _ in range(8):
        crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return crc
