"""The editor behind a door, on the best device that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptedit.editing.options import LoadOptions
from adaptedit.interfaces.cli.terminal import quiet

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline


def load_pipeline(options: LoadOptions, number: int = 0) -> AdaptEditPipeline:
    """On a GPU if there is one, but for tiny, which needs none. number: of this process, deals out the GPUs.

    Raises what `AdaptEditPipeline.from_pretrained` does.
    """
    quiet()
    import torch

    from adaptedit.editing.pipeline import AdaptEditPipeline

    pipe = AdaptEditPipeline.from_pretrained(options.backbone, options.adapter)
    if options.backbone != "tiny" and torch.cuda.is_available():
        pipe.to(f"cuda:{number % torch.cuda.device_count()}")
    return pipe
