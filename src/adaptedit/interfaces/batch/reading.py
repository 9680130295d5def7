"""Records from a JSONL or a folder of pictures, all of them checked before a model is loaded."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from adaptedit.errors import AdaptEditError, quoted
from adaptedit.interfaces.batch.fields import KNOWN, Fields, named, problems, without_adapter
from adaptedit.interfaces.batch.records import Record
from adaptedit.pictures.formats import WRITABLE

METADATA = "metadata.jsonl"
OWN = ("manifest.json", "manifest.jsonl", "shards")  # in the batch's folder
HEAD = 65_536  # bytes of a file that show whether it is text


class BadRecords(AdaptEditError):
    """problems: one line each, starting with its place. source: the jobs, or the outputs' folder."""

    def __init__(self, problems: list[str], source: Path) -> None:
        self.problems = problems
        more = f"{named(source)}: {len(problems)} problems; correct them, nothing was edited"
        super().__init__(problems[0] if len(problems) == 1 else more)


def load(
    source: Path, out: Path, instruction: str | None = None, *, has_adapter: bool = True
) -> list[Record]:
    """source: a JSONL, a folder with metadata.jsonl, or a folder whose pictures are all edited.

    out: the batch's folder. instruction: for records without one. has_adapter: whether the editor has one.

    Raises BadRecords for fields, types, what needs an adapter where there is none, missing files, ids or
    outputs that two records share, outputs inside one another, and outputs that would overwrite an input;
    AdaptEditError if there is no record at all.
    """
    check, wanted = KNOWN["instruction"]
    if instruction is not None and not check(instruction):
        raise AdaptEditError(f"--instruction must be {wanted}, got {quoted(instruction)}")
    try:
        folder = stat.S_ISDIR(os.stat(source).st_mode)
    except OSError as error:
        raise _unreadable(source, error) from None
    lines = source / METADATA if folder else source
    if folder and not lines.exists():
        if instruction is None:
            raise AdaptEditError(
                f'{named(source)}: has no {METADATA}; give --instruction "..." to edit every picture in it'
            )
        if os.path.realpath(out) == os.path.realpath(source):
            raise AdaptEditError(f"{named(out)}: holds the pictures to edit; give another --out")
        written = _pictures(source)
    else:
        written = _lines(lines)
    checks = _Checks(has_adapter)
    for where, fields in written:
        if isinstance(fields, dict) and instruction is not None:
            fields.setdefault("instruction", instruction)
        checks.add(where, fields, lines.parent.absolute())
    checks.nested()
    checks.overwriting(out)
    if checks.found:
        raise BadRecords(checks.found, source)
    if not checks.records:
        raise AdaptEditError(
            f"{named(source)}: there is nothing to edit; give a folder of pictures, or a line for each edit "
            'such as {"image": "a.jpg", "instruction": "remove the mug"}'
        )
    return checks.records


def _pictures(folder: Path) -> Iterator[tuple[str, Fields | str]]:
    """Those in the folder itself, hidden ones left out."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from None
    for path in paths:
        if path.suffix.lower() in WRITABLE and not path.name.startswith(".") and path.is_file():
            yield named(path), {"image": path.name}


def _lines(path: Path) -> Iterator[tuple[str, Fields | str]]:
    """Its place, and the object or what is wrong with it. A null field counts as not given."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or a device may never end
            raise AdaptEditError(
                f"{named(path)}: is not an ordinary file; give a JSONL file or a folder of pictures"
            )
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None
    with file:
        if b"\0" in file.read(HEAD):
            raise AdaptEditError(
                f"{named(path)}: is not text in UTF-8; give a JSONL file or a folder of pictures"
            )
        file.seek(0)
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            fields: Fields | str
            try:
                fields = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:  # ValueError: of JSON or of UTF-8
                fields = f"is not JSON ({error})"
            else:
                if isinstance(fields, dict):
                    fields = {key: value for key, value in fields.items() if value is not None}
                    if "file_name" in fields and "image" not in fields:  # the imagefolder's name for it
                        fields["image"] = fields.pop("file_name")
                else:
                    fields = 'is not an object such as {"image": "a.jpg", "instruction": "remove the mug"}'
            yield f"{named(path)}, line {number}", fields


def _unreadable(path: Path, error: OSError) -> AdaptEditError:
    return AdaptEditError(
        f"{named(path)}: cannot be read ({error.strerror}); give a JSONL file or a folder of pictures"
    )


class _Checks:
    """Checks beyond one record's fields: its files exist, its names are unique."""

    def __init__(self, has_adapter: bool) -> None:
        self.has_adapter = has_adapter
        self.records: list[Record] = []
        self.found: list[str] = []
        self.where: list[str] = []
        self.ids: dict[str, str] = {}
        self.outputs: dict[str, str] = {}

    def add(self, where: str, fields: Fields | str, root: Path) -> None:
        wrong = [fields] if isinstance(fields, str) else problems(fields)
        if isinstance(fields, dict) and not wrong:
            record = Record.of(fields, root)
            wrong = [*self._names(record, where), *_missing(record)]
            wrong += [] if self.has_adapter else without_adapter(fields)
            self.records.append(record)
            self.where.append(where)
        self.found += [f"{where}: {one}" for one in wrong]

    def _names(self, record: Record, where: str) -> Iterator[str]:
        first = self.ids.setdefault(record.id, where)
        if first != where:
            yield f'the id {quoted(record.id)} is taken by {first}; give an "id" of its own'
        name = record.outputs[0]
        check, wanted = KNOWN["out"]
        if not check(name):
            yield f'its output would be {quoted(name)}; give an "out", {wanted}'
        elif (first_part := name.split("/")[0]).casefold() in OWN:
            yield f'its output would be {named(name)}, but the batch uses {first_part} itself; give an "out"'
        taken = [self.outputs[one] for one in record.outputs if one in self.outputs]
        if taken and first == where:
            yield f'its output {named(name)} is also that of {taken[0]}; give an "out" of its own'
        self.outputs |= dict.fromkeys(record.outputs, where)

    def nested(self) -> None:
        """Finds outputs that need a folder where another output is a file."""
        for output, where in self.outputs.items():
            above = output.rpartition("/")[0]
            while above:
                if above in self.outputs:
                    self.found.append(
                        f"{where}: its output {named(output)} lies inside {named(above)}, the output of "
                        f'{self.outputs[above]}; give an "out" of its own'
                    )
                above = above.rpartition("/")[0]

    def overwriting(self, out: Path) -> None:
        """Finds outputs that are also a picture or a mask that is read."""
        folder = os.path.realpath(out)
        if not os.path.isdir(folder):
            return
        inputs = {os.path.realpath(path) for record in self.records for path in record.files}
        for where, record in zip(self.where, self.records, strict=True):
            for output in record.outputs:
                if os.path.realpath(os.path.join(folder, output)) in inputs:
                    self.found.append(
                        f"{where}: {named(output)} would overwrite an input; give another --out"
                    )


def _missing(record: Record) -> Iterator[str]:
    for path in record.files:
        try:
            kind = stat.S_IFMT(os.stat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            yield f"{named(path)} is missing; give the path of a picture"
        except OSError as error:
            yield f"{named(path)} cannot be read ({error.strerror}); give the path of a picture"
        else:
            if kind != stat.S_IFREG:
                what = "a folder" if kind == stat.S_IFDIR else "not an ordinary file"
                yield f"{named(path)} is {what}; give the path of a picture"
