"""One editor on one benchmark: edit and score sample by sample, in any number of processes, resumed at will.

A run is a folder. Every sample is a line of edits.jsonl and of scores.jsonl, with its pictures beside them;
during a run the lines are in shards/, one file per process. Nothing depends on which process did what.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.editing.weights import BITS, difference, label
from adaptedit.errors import AdaptEditError, NotEnoughMemory, out_of_memory
from adaptedit.evaluation.benchmarks.base import Benchmark
from adaptedit.evaluation.editors import Edit, Editor
from adaptedit.files import write_atomically
from adaptedit.jsonl import append, merged, read
from adaptedit.pictures.read import read_image
from adaptedit.region import Region

if TYPE_CHECKING:
    from adaptedit.evaluation.metrics import Scoring

THUMBNAIL = 256  # pixels, longest side of the sources and targets that a report shows
SAME = ("benchmark", "editor", "seed")  # of a run that is resumed, and its settings

Row = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """This process among those that share a run, as torchrun and accelerate number them."""

    rank: int = 0
    ranks: int = 1


@dataclass(frozen=True)
class Run:
    """out: the run's folder. settings: whatever must be the same when it is resumed; weights as
    `editing.weights` describes them, whose `note_bits` the caller calls.

    scoring: if it has changed, existing pictures are scored again.
    """

    out: Path
    benchmark: Benchmark
    editor_name: str
    seed: int
    settings: Row
    scoring: Scoring
    limit: int | None = None

    @property
    def sessions(self) -> list[list[str]]:
        """The first `limit` samples, in whole sessions."""
        chosen: list[list[str]] = []
        for session in self.benchmark.sessions:
            if self.limit is not None and sum(map(len, chosen)) >= self.limit:
                break
            chosen.append(session)
        return chosen

    def _left_out(self) -> dict[str, list[str]]:
        """Ids by reason, of a benchmark that leaves some out of its sessions."""
        known: dict[str, list[str]] = getattr(self.benchmark, "left_out", {})
        there = {one for session in self.benchmark.sessions for one in session}
        kept = {reason: [one for one in ids if one not in there] for reason, ids in known.items()}
        return {reason: ids for reason, ids in kept.items() if ids}

    def description(self) -> Row:
        return {
            "benchmark": self.benchmark.name,
            "editor": self.editor_name,
            "seed": self.seed,
            "settings": self.settings,
            "columns": [column for metric in self.scoring.metrics for column in metric.columns],
            "set_columns": [column for metric in self.scoring.set_metrics for column in metric.columns],
            "unavailable": self.scoring.unavailable,
            "scoring": self.scoring.options,
            "left_out": self._left_out(),
            "scored_as": self.scored_as,
            "samples": sum(map(len, self.sessions)),
        }

    @property
    def scored_as(self) -> str:
        """Equal for scores with the same columns of the same metrics."""
        columns = [metric.columns for metric in self.scoring.metrics]
        key = json.dumps([columns, self.scoring.unavailable, self.scoring.options])
        return f"{zlib.crc32(key.encode()):08x}"


def evaluate(
    run: Run,
    editor: Editor,
    *,
    shard: Shard = Shard(),
    on_sample: Callable[[int, int], None] | None = None,
) -> bool:
    """Does this shard's part; True if the run is complete, which is when its files are merged.

    A sample's seed follows from the run's seed and the sample's id alone. An editor's exception, like a
    reported failure, is recorded with its message; the sample then counts with its source unchanged. Lines of
    an earlier try are kept; pictures are scored again if the metrics differ. Raises AdaptEditError as
    `check`, and what the editor raises where memory runs out: a resumed run edits the sample again.
    """
    _describe(run)
    sessions = run.sessions
    ours = sessions[shard.rank :: shard.ranks]
    edited = _edits(run)
    scored = _scores(run).keys()
    total, done = sum(map(len, ours)), 0
    for session in ours:
        previous: Image.Image | None = None
        for sample_id in session:
            if run.benchmark.chained or sample_id not in edited or sample_id not in scored:
                sample = run.benchmark.load(sample_id)
                if run.benchmark.chained and previous is not None:
                    sample = _turn(sample, previous)
                if sample_id not in edited:
                    edited[sample_id] = _edit(run, editor, sample, shard)
                result = _result(run, sample_id)
                if sample_id not in scored:
                    row = _score(run, sample, result, edited[sample_id]["failure"])
                    append(run.out, "scores", shard.rank, row)
                previous = result
            done += 1
            if on_sample:
                on_sample(done, total)
    complete = finished(run)
    if complete:
        _finish(run, [sample_id for session in sessions for sample_id in session])
    return complete


def finished(run: Run) -> bool:
    """Every sample of every shard is edited and scored."""
    ready = _scores(run).keys() & _edits(run).keys()
    return all(sample_id in ready for session in run.sessions for sample_id in session)


def common_failure(run: Run) -> str | None:
    """The one message with which every sample failed; None if they differ. To find nothing is no failure."""
    edits = _edits(run)
    failures: set[str | None] = set()
    for sample_id in (one for session in run.sessions for one in session):
        looked = (run.out / "regions" / f"{sample_id}.png").exists()
        failures.add(None if looked or sample_id not in edits else edits[sample_id]["failure"])
    return failures.pop() if len(failures) == 1 else None


def check(run: Run) -> None:
    """Raises AdaptEditError if the folder holds a run of another benchmark, editor, seed or settings.

    For use before an editor is loaded: the bits that loading chooses are not looked at.
    """
    path = run.out / "run.json"
    if not path.exists():
        return
    before, now = _described(path), run.description()
    old, new = ({key: one[key] for key in SAME} | one["settings"] | {BITS: None} for one in (before, now))
    if key := difference(old, new):
        raise AdaptEditError(
            f"{run.out} holds a run with {key} {label(old.get(key))}, not {label(new.get(key))}; "
            "give another --out or remove it"
        )


def seed_of(seed: int, sample_id: str) -> int:
    return zlib.crc32(f"{seed}/{sample_id}".encode()) & 0x7FFFFFFF


def _describe(run: Run) -> None:
    """Writes run.json, or checks that it describes this run; removes what other scores made."""
    path, description = run.out / "run.json", run.description()
    check(run)
    if path.exists() and _described(path)["scored_as"] != run.scored_as:
        for name in ("scores.jsonl", "set.json"):
            (run.out / name).unlink(missing_ok=True)
    for folder in ("shards", "pictures", "regions", "gates", "sources", "targets", "truths"):
        (run.out / folder).mkdir(parents=True, exist_ok=True)
    write_atomically(path, f"{json.dumps(description, indent=1)}\n".encode())


def _described(path: Path) -> Row:
    """What an earlier try wrote. Raises AdaptEditError if it is damaged or something else."""
    try:
        described = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # ValueError: of JSON or of UTF-8
        described = None
    if (
        not isinstance(described, dict)
        or not {*SAME, "scored_as"} <= described.keys()
        or not isinstance(described.get("settings"), dict)
    ):
        raise AdaptEditError(
            f"{path}: is damaged, or not of adaptedit evaluate; give another --out, or remove {path.parent}"
        )
    return described


def _turn(sample: EditSample, previous: Image.Image) -> EditSample:
    """The sample with the editor's own last result as its source, at the source's size."""
    if previous.size != sample.source.size:
        previous = previous.resize(sample.source.size)
    return replace(sample, source=previous)


def _edit(run: Run, editor: Editor, sample: EditSample, shard: Shard) -> Row:
    seed, start = seed_of(run.seed, sample.id), time.perf_counter()
    try:
        edit = editor(sample, seed)
    except NotEnoughMemory:
        raise
    except AdaptEditError as error:
        edit = Edit(sample.source, failure=str(error))
    except Exception as error:  # an editor may raise anything; the run goes on and the failure is counted
        if out_of_memory(error):  # which is no fault of the editor's, and the next samples would meet it too
            raise
        edit = Edit(sample.source, failure=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - start
    failure = edit.failure or _all_black(sample.source, edit.image)
    for folder, picture in (("pictures", edit.image), ("gates", edit.gate)):
        if picture is not None:
            _save(picture, run.out / folder / f"{sample.id}.png", "PNG")
    for folder, region in (("regions", edit.region), ("truths", sample.region)):
        if region is not None:
            region.save(run.out / folder / f"{sample.id}.png")
    for folder, picture in (("sources", sample.source), ("targets", sample.target)):
        if picture is not None:
            small = picture.copy()
            small.thumbnail((THUMBNAIL, THUMBNAIL))
            _save(small, run.out / folder / f"{sample.id}.jpg", "JPEG")
    row = {
        "id": sample.id,
        "seed": seed,
        "seconds": round(seconds, 3),
        "failure": failure,
        "size_differs": edit.image.size != sample.source.size,
    }
    append(run.out, "edits", shard.rank, row)
    return row


def _score(run: Run, sample: EditSample, result: Image.Image, failure: str | None) -> Row:
    path = run.out / "regions" / f"{sample.id}.png"
    found = Region.from_white_is_edit(read_image(path)) if path.exists() else None
    row: Row = {
        "id": sample.id,
        "scored_as": run.scored_as,
        "category": sample.category,
        "instruction": sample.instruction,
        "failure": failure,
    }
    for metric in run.scoring.metrics:
        row |= metric(sample, result, found)
    return row


def _edits(run: Run) -> dict[str, Row]:
    """By sample. A line without our fields is ignored: the sample is edited again."""
    rows = read(run.out, "edits")
    return {row["id"]: row for row in rows if isinstance(row.get("id"), str) and "failure" in row}


def _scores(run: Run) -> dict[str, Row]:
    """By sample, those made by this run's metrics."""
    rows = [row for row in read(run.out, "scores") if row.get("scored_as") == run.scored_as]
    return {row["id"]: row for row in rows if isinstance(row.get("id"), str)}


def _finish(run: Run, ids: list[str]) -> None:
    """Merges the shards and computes the set metrics."""
    edits, scores = _edits(run), _scores(run)
    values: dict[str, float] = {}
    for metric in run.scoring.set_metrics:
        values |= metric((run.benchmark.load(one), _result(run, one)) for one in ids)
    write_atomically(run.out / "set.json", f"{json.dumps(values)}\n".encode())
    merged(run.out, "edits", [edits[one] for one in ids])
    merged(run.out, "scores", [scores[one] for one in ids])


def _result(run: Run, sample_id: str) -> Image.Image:
    return read_image(run.out / "pictures" / f"{sample_id}.png")


def _all_black(source: Image.Image, result: Image.Image) -> str | None:
    def brightest(image: Image.Image) -> int:
        return int(image.convert("L").getextrema()[1])  # type: ignore[arg-type]

    if brightest(result) == 0 < brightest(source):
        return "the result is all black (a safety checker, or NaN in half precision)"
    return None


def _save(picture: Image.Image, path: Path, kind: str) -> None:
    buffer = BytesIO()
    picture.save(buffer, kind)
    write_atomically(path, buffer.getvalue())
