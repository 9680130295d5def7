"""`adaptedit region`: where an edit would be, to look at and to change."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adaptedit.editing.options import LoadOptions
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.options import (
    Exclude,
    Grow,
    ImagePath,
    Include,
    Instruction,
    Invert,
    MaskPolarity,
    Overwrite,
    Threshold,
    Within,
    check_region,
    read_job,
)
from adaptedit.interfaces.cli.outputs import check_outputs, describe, report, write
from adaptedit.interfaces.cli.terminal import stages
from adaptedit.interfaces.loading import load_pipeline

if TYPE_CHECKING:
    from PIL import Image

    from adaptedit.pictures.image16 import Image16


@loads_editor
def region(
    image: ImagePath,
    instruction: Instruction,
    out: Annotated[Path, typer.Option("--out", "-o", help="The mask: a PNG of IMAGE's size, white = edit.")],
    overlay: Annotated[
        Path | None, typer.Option(help="Also write IMAGE with the region drawn on it.")
    ] = None,
    threshold: Threshold = 0.5,
    include: Include = None,
    exclude: Exclude = None,
    within: Within = None,
    polarity: MaskPolarity = "white",
    invert: Invert = False,
    grow: Grow = 0.0,
    overwrite: Overwrite = False,
    *,
    load: LoadOptions,
) -> None:
    """Show where INSTRUCTION would edit IMAGE; the mask can be changed and given to `edit --region`."""
    from adaptedit.pictures.save import check_format

    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        job = read_job(
            image,
            instruction,
            None,
            within,
            polarity,
            include,
            exclude,
            threshold=threshold,
            invert=invert,
            grow=grow,
        )
        check_outputs([overlay], [out], overwrite)
        if overlay:
            check_format(overlay.suffix, "RGB", job.image.size, str(overlay))

        check_region(job.options, load, "give --adapter, or draw the mask yourself")
        stage(f"loading {load.backbone}", shows_itself=load.backbone != "tiny")
        pipe = load_pipeline(load)

        stage("finding the region")
        found = pipe.find(job)
        pictures: dict[Path, Image.Image | Image16] = {out: found.to_image()}
        if overlay:
            pictures[overlay] = found.overlay(job.image.rgb)
        write(pictures, overwrite)
    report([out, overlay], ", ".join(describe(found)), started)
