"""The places of a batch's pictures: only files that the batch wrote are replaced or removed there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.claims import Claims, replace, sha256
from adaptedit.interfaces.batch.fields import named
from adaptedit.interfaces.batch.reading import BadRecords
from adaptedit.interfaces.batch.records import Record

GO_ON = "correct that, then run the same command: it goes on from here"


class CannotWrite(AdaptEditError):
    """The fault is not the record's: the batch stops, and goes on from this record when it is run again."""

    @classmethod
    def to(cls, path: Path, error: OSError | AdaptEditError) -> CannotWrite:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError):
            return cls(f"{named(path)}: cannot be written ({cause.strerror or cause}); {GO_ON}")
        return cls(f"{error}; {GO_ON}")


class Outputs:
    """out: the batch's folder. overwrite: files at the pictures' places may be replaced, whoever wrote them.

    A file is the batch's own if its bytes were claimed for this path (see `claims`), or if it is empty, as a
    power cut leaves it. Folders, links and special files never are, and are not replaced with `overwrite`
    either. Paths are relative to the folder.
    """

    def __init__(self, out: Path, overwrite: bool = False) -> None:
        self.out, self.overwrite = out, overwrite
        self._claims: Claims | None = None  # read when a file is met for the first time

    def check(self, records: Iterable[Record]) -> None:
        """For use before the work. Raises BadRecords with a line per file in the way or read-only folder."""
        paths = [path for record in records for path in record.outputs]
        folders = sorted({os.path.dirname(path) for path in paths})
        found = [wrong for folder in folders if (wrong := self._shut(folder))]
        try:
            found += self.problems(paths)
        except OSError as error:
            raise AdaptEditError(
                f"{named(error.filename or self.out)}: cannot be read ({error.strerror}); give another --out"
            ) from None
        if found:
            raise BadRecords(found, self.out)

    def problems(self, paths: Iterable[str]) -> list[str]:
        """What stands in the way of writing to these places, one line each. Raises OSError."""
        wrong = [path for path in paths if self._problem(path)]
        if wrong:
            self._claims = None  # another process may have written since they were read
        return [problem for path in wrong if (problem := self._problem(path))]

    def write(self, files: Mapping[str, bytes]) -> None:
        """Writes all files, or none if one of the places holds anything that is not the batch's own.

        Raises AdaptEditError for that, and CannotWrite if the disk does not take them.
        """
        path = self.out
        try:
            if problems := self.problems(files):
                raise _InTheWay(problems[0])
            for name, data in files.items():
                path = self.out / name
                path.parent.mkdir(parents=True, exist_ok=True)
                replace(self.out, name, data)
                if self._claims is not None:
                    self._claims.add(name, sha256(data))
        except _InTheWay:
            raise
        except (OSError, AdaptEditError) as error:
            raise CannotWrite.to(path, error) from None

    def remove(self, paths: Iterable[str]) -> None:
        """Removes those of the files that are the batch's own. Raises CannotWrite."""
        for path in paths:
            place = self.out / path
            try:
                status = _status(place)
                if status is None or not stat.S_ISREG(status.st_mode):
                    continue
                if not self._owns(path, status):
                    self._claims = None
                    if not self._owns(path, status):
                        continue
                place.unlink(missing_ok=True)
            except OSError as error:
                raise CannotWrite.to(place, error) from None

    def _problem(self, path: str) -> str | None:
        place = self.out / path
        status = _status(place)
        if status is None:
            folder = _nearest(place.parent)
            if not folder.is_dir():
                return (
                    f"{named(folder)}: is not a folder, but {named(path)} goes into it; move it away, or "
                    "give another --out"
                )
            return None
        if not stat.S_ISREG(status.st_mode):
            kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link"}
            kind = kinds.get(stat.S_IFMT(status.st_mode), "a special file")
            return f"{named(place)}: is {kind}, which is never replaced; move it away, or give another --out"
        if not status.st_mode & 0o222:
            return f"{named(place)}: is read-only; make it writable, move it away, or give another --out"
        if self.overwrite or self._owns(path, status):
            return None
        ours = self._claims is not None and path in self._claims.files
        what = "was changed after this batch wrote it" if ours else "was not written by this batch"
        return f"{named(place)}: {what}; move it away, or give --overwrite to replace it"

    def _owns(self, path: str, status: os.stat_result) -> bool:
        """A regular file."""
        if status.st_size == 0:
            return True
        if self._claims is None:
            self._claims = Claims.of(self.out)
        try:
            return sha256((self.out / path).read_bytes()) in self._claims.files.get(path, ())
        except FileNotFoundError:  # gone since
            return True

    def _shut(self, folder: str) -> str | None:
        nearest = _nearest(self.out / folder)
        if nearest.is_dir() and not os.access(nearest, os.W_OK | os.X_OK):
            return f"{named(nearest)}: this folder is read-only; make it writable, or give another --out"
        return None


class _InTheWay(AdaptEditError):
    """The record's place is taken."""


def _status(path: Path) -> os.stat_result | None:
    """The path's own status, not that of a link's target. None if nothing is there."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _nearest(folder: Path) -> Path:
    """The folder, or the first thing above it that is there."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder
