"""One record edited: what every process of a batch does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError, GlobalEdit, NoLocalRegion, NotEnoughMemory, out_of_memory
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.claims import sha256
from adaptedit.interfaces.batch.fields import named
from adaptedit.interfaces.batch.outputs import CannotWrite, Outputs
from adaptedit.interfaces.batch.records import Record
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.jsonl import Row

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

Edit = Callable[[Record], Row]
Start = Callable[[int], Edit]  # from a process's number, in that process


@dataclass(frozen=True)
class Editor:
    """Loads the editor in the process that calls it. The process's number chooses its GPU.

    overwrite: see `Outputs`.
    """

    out: Path
    load: LoadOptions
    overwrite: bool = False

    def __call__(self, number: int) -> Edit:
        pipe = load_pipeline(self.load, number)
        import torch

        torch.set_num_threads(1)  # sums in one order, however many cores and processes there are
        manifest.note_bits(self.out, pipe.placement.quantize if pipe.placement else None)
        outputs = Outputs(self.out, self.overwrite)
        return lambda record: edit(pipe, outputs, record)


def edit(pipe: AdaptEditPipeline, outputs: Outputs, record: Record) -> Row:
    """The record's line. It also says what went wrong; only CannotWrite and NotEnoughMemory are raised: the
    next records would meet the same.

    Afterwards, pictures that the batch wrote exist if, and only if, the status is "done".
    """
    started = time.perf_counter()
    try:
        row = _edited(pipe, outputs, record)
    except CannotWrite:
        raise
    except NotEnoughMemory as error:
        raise _too_little(record, str(error)) from error
    except GlobalEdit as error:
        row = manifest.row(record, "global", str(error))
    except NoLocalRegion as error:
        row = manifest.row(record, "no_region", str(error))
    except AdaptEditError as error:
        row = manifest.row(record, "failed", str(error))
    except Exception as error:  # a model may raise anything; the batch goes on
        if out_of_memory(error):
            less = "there is not enough memory; use smaller pictures, or close other programs"
            raise _too_little(record, less) from error
        row = manifest.row(record, "failed", " ".join(f"{type(error).__name__}: {error}".split()))
    if row["status"] != "done":
        outputs.remove(record.outputs)
    return row | {"seconds": round(time.perf_counter() - started, 3)}


def _too_little(record: Record, what: str) -> NotEnoughMemory:
    return NotEnoughMemory(f"{named(record.id)}: {what}; the records that are done are kept")


def _edited(pipe: AdaptEditPipeline, outputs: Outputs, record: Record) -> Row:
    from adaptedit.pictures.save import check_format, encode

    job = record.job()
    suffix = PurePosixPath(record.outputs[0]).suffix
    check_format(suffix, job.image.mode, job.image.size, record.outputs[0])
    region = pipe.find(job)
    result = pipe.edit(job, region)
    pictures = zip(record.outputs, result.images, strict=True)
    files = {path: encode(image, suffix, path) for path, image in pictures}
    outputs.write(files)
    return manifest.row(record, "done") | {
        "outputs": list(files),
        "sha256": [sha256(data) for data in files.values()],
        "seed": result.seeds[0],
        "coverage": round(region.coverage(), 6),
        "confidence": round(region.confidence(), 6),
    }
