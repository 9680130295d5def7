"""One record edited: what every process of a batch does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adaptedit.errors import AdaptEditError, GlobalEdit, NoLocalRegion
from adaptedit.evaluation.lines import Row
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.records import Record
from adaptedit.interfaces.loading import load_pipeline

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

Edit = Callable[[Record], Row]
Start = Callable[[int], Edit]  # from a process's number, in that process


class CannotWrite(AdaptEditError):
    """No fault of the record: the batch stops, and goes on from it when it is run again."""


@dataclass(frozen=True)
class Editor:
    """Loads the editor in the process that calls it. GPUs are dealt out by the process's number."""

    out: Path
    backbone: str
    adapter: str | None

    def __call__(self, number: int) -> Edit:
        pipe = load_pipeline(self.backbone, self.adapter, number)
        import torch

        torch.set_num_threads(1)  # sums in one order, however many cores and processes there are
        return lambda record: edit(pipe, self.out, record)


def edit(pipe: AdaptEditPipeline, out: Path, record: Record) -> Row:
    """The record's line. Whatever goes wrong with it is in there; only CannotWrite is raised.

    Pictures are there afterwards if, and only if, the status is "done".
    """
    started = time.perf_counter()
    try:
        row = _edited(pipe, out, record)
    except CannotWrite:
        raise
    except GlobalEdit as error:
        row = manifest.row(record, "global", str(error))
    except NoLocalRegion as error:
        row = manifest.row(record, "no_region", str(error))
    except AdaptEditError as error:
        row = manifest.row(record, "failed", str(error))
    except Exception as error:  # a model may raise anything; the batch goes on
        row = manifest.row(record, "failed", " ".join(f"{type(error).__name__}: {error}".split()))
    if row["status"] != "done":
        for path in record.outputs:
            with suppress(NotADirectoryError):
                (out / path).unlink(missing_ok=True)
    return row | {"seconds": round(time.perf_counter() - started, 3)}


def _edited(pipe: AdaptEditPipeline, out: Path, record: Record) -> Row:
    from adaptedit.pictures.save import save

    job = record.job()
    region = job.find(pipe)
    result = job.run(pipe, region)
    paths = [out / path for path in record.outputs]
    for image, path in zip(result.images, paths, strict=True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(image, path)
        except (OSError, AdaptEditError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            if isinstance(cause, OSError) and cause.errno:  # of the disk, not of the picture's encoder
                raise CannotWrite(
                    f"{path}: cannot be written ({cause.strerror}); {manifest.AFTER_A_FAILED_WRITE}"
                ) from None
            raise
    return manifest.row(record, "done") | {
        "outputs": list(record.outputs),
        "sha256": [manifest.sha256(path) for path in paths],
        "seed": result.seeds[0],
        "coverage": round(region.coverage(), 6),
        "confidence": round(region.confidence(), 6),
    }
