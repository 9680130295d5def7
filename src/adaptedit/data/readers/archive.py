"""Files by name, out of a folder or out of a password-protected zip, which is never unpacked to disk."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.pictures.read import read_image


class Archive:
    """path: a folder or a zip (traditional or AES encryption). Traditional decryption is slow (about 1 MB/s
    in Python): unpack a large zip that is read often.
    """

    def __init__(self, path: Path, password: str | None = None) -> None:
        self.path, self.password = path, password
        self._zip: Any = None
        self._damage: tuple[type[Exception], ...] = ()
        if not path.is_dir():
            pyzipper = needed("pyzipper", f"reading {path.name}")
            # A wrong password passes its one-byte check once in 256 times; then the data is damaged.
            self._damage = (pyzipper.BadZipFile, zlib.error, EOFError, RuntimeError)
            try:
                self._zip = pyzipper.AESZipFile(path)
            except FileNotFoundError:
                raise AdaptEditError(
                    f"{path}: no such file; give the zip or the folder it was unpacked to"
                ) from None
            except pyzipper.BadZipFile:
                raise AdaptEditError(f"{path}: is no zip or is damaged; download it again") from None

    def find(self, name: str) -> str | None:
        """Where the one file of this name lies: "test/" for test/NAME. None if there is none."""
        if self._zip is not None:
            names = self._zip.namelist()
        else:
            names = [path.relative_to(self.path).as_posix() for path in self.path.rglob(name)]
        found = sorted(one.removesuffix(name) for one in names if f"/{one}".endswith(f"/{name}"))
        if len(found) > 1:
            raise AdaptEditError(
                f"{self.path}: holds {len(found)} files {name}; give the folder of one split"
            )
        return found[0] if found else None

    def read(self, name: str) -> bytes:
        """AdaptEditError for a missing file and a missing or wrong password."""
        try:
            if self._zip is None:
                return (self.path / name).read_bytes()
            if self._zip.getinfo(name).flag_bits & 1 and not self.password:
                raise AdaptEditError(f"{self.path}: is protected; give its password")
            data: bytes = self._zip.read(name, pwd=(self.password or "").encode() or None)
            return data
        except (FileNotFoundError, KeyError):
            raise AdaptEditError(f"{self.path}: lacks {name}; download it again") from None
        except self._damage:
            raise AdaptEditError(f"{self.path}: wrong password, or {name} is damaged") from None

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.read(name))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise AdaptEditError(f"{self.path}: {name} is not JSON ({error}); download it again") from None

    def picture(self, name: str) -> Image.Image:
        """Decoded, in its own mode."""
        if self._zip is None:
            return read_image(self.path / name)
        return read_image(self.read(name), f"{self.path}: {name}")
