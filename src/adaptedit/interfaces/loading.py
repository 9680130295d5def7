"""The editor behind a door."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from adaptedit.editing.options import LoadOptions
from adaptedit.interfaces.cli.terminal import quiet, say

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline


def load_pipeline(options: LoadOptions, number: int = 0) -> AdaptEditPipeline:
    """On a GPU if there is one, but for tiny, which needs none. number: of this process, deals out the GPUs.

    Raises what `AdaptEditPipeline.load` does.
    """
    quiet()
    if options.backbone != "tiny" and not sys.stderr.isatty():
        _hide_progress()
    from adaptedit.editing.pipeline import AdaptEditPipeline

    pipe = AdaptEditPipeline.load(options, number=number, note=say)
    if (inner := getattr(pipe.backbone, "pipe", None)) is not None:
        inner.set_progress_bar_config(disable=True)  # each door shows its progress itself
    return pipe


def _hide_progress() -> None:
    """The libraries' own bars, which fill a log file."""
    import diffusers.utils.logging
    import transformers.utils.logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()
