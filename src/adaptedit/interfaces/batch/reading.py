"""Records from a JSONL or a folder of pictures, all of them checked before a model is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch.fields import KNOWN, Fields, problems
from adaptedit.interfaces.batch.records import Record
from adaptedit.pictures.formats import WRITABLE

METADATA = "metadata.jsonl"


class BadRecords(AdaptEditError):
    """problems: one line each, that starts with the record's line number."""

    def __init__(self, problems: list[str], source: Path) -> None:
        self.problems = problems
        more = f"{source}: {len(problems)} problems; correct them, nothing was edited"
        super().__init__(problems[0] if len(problems) == 1 else more)


def load(source: Path, out: Path, instruction: str | None = None) -> list[Record]:
    """source: a JSONL, a folder with metadata.jsonl, or a folder whose pictures are all edited.

    out: the batch's folder. instruction: of the records that have none.

    Raises BadRecords for fields, types, missing files, ids or outputs that two records share, and outputs
    that would overwrite an input; AdaptEditError if there is no record at all.
    """
    lines = source / METADATA if source.is_dir() else source
    if source.is_dir() and not lines.exists():
        if instruction is None:
            raise AdaptEditError(
                f'{source}: has no {METADATA}; give --instruction "..." to edit every picture in it'
            )
        if out.resolve() == source.resolve():
            raise AdaptEditError(f"{out}: holds the pictures to edit; give another --out")
        written = _pictures(source)
    else:
        written = _lines(lines)
    checks = _Checks()
    for where, fields in written:
        if isinstance(fields, dict) and instruction is not None:
            fields.setdefault("instruction", instruction)
        checks.add(where, fields, lines.parent.absolute())
    checks.overwriting(out)
    if checks.found:
        raise BadRecords(checks.found, source)
    if not checks.records:
        raise AdaptEditError(
            f"{source}: there is nothing to edit; give a folder of pictures, or a line for each edit such as "
            '{"image": "a.jpg", "instruction": "remove the mug"}'
        )
    return checks.records


def _pictures(folder: Path) -> Iterator[tuple[str, Fields | str]]:
    """Those in the folder itself, hidden ones left out."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in WRITABLE and not path.name.startswith(".") and path.is_file():
            yield str(path), {"image": path.name}


def _lines(path: Path) -> Iterator[tuple[str, Fields | str]]:
    """Where it stands, and the object or what is wrong with it. A field that is null is not given."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise AdaptEditError(
            f"{path}: cannot be read ({error.strerror}); give a JSONL file or a folder of pictures"
        ) from None
    with file:
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
            yield f"{path}, line {number}", fields


class _Checks:
    """What one record alone cannot tell: whether its files are there and its names its own."""

    def __init__(self) -> None:
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
            self.records.append(record)
            self.where.append(where)
        self.found += [f"{where}: {one}" for one in wrong]

    def _names(self, record: Record, where: str) -> Iterator[str]:
        first = self.ids.setdefault(record.id, where)
        if first != where:
            yield f'the id {record.id!r} is taken by {first}; give an "id" of its own'
        check, wanted = KNOWN["out"]
        if not check(record.outputs[0]):
            yield f'its output would be {record.outputs[0]!r}; give an "out", {wanted}'
        taken = [self.outputs[one] for one in record.outputs if one in self.outputs]
        if taken and first == where:
            yield f'its output {record.outputs[0]} is also that of {taken[0]}; give an "out" of its own'
        self.outputs |= dict.fromkeys(record.outputs, where)

    def overwriting(self, out: Path) -> None:
        """Finds outputs that are also a picture or a mask that is read."""
        folder = os.path.realpath(out)
        if not os.path.isdir(folder):
            return
        inputs = {os.path.realpath(path) for record in self.records for path in record.files}
        for where, record in zip(self.where, self.records, strict=True):
            for output in record.outputs:
                if os.path.realpath(os.path.join(folder, output)) in inputs:
                    self.found.append(f"{where}: {output} would overwrite an input; give another --out")


def _missing(record: Record) -> Iterator[str]:
    for path in record.files:
        if not path.is_file():
            yield f"{path} is {'a folder' if path.is_dir() else 'missing'}; give the path of a picture"
