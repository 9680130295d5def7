"""`adaptedit edit`: a thin layer over `editing/`.

Whatever can be refused is refused before a model is loaded, and files are written only after everything else
has succeeded.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from adaptedit.editing.limits import LARGEST_SEED
from adaptedit.editing.options import LoadOptions, Preserve
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.options import (
    WHERE,
    AdapterScale,
    Exclude,
    Grow,
    Guidance,
    ImagePath,
    Include,
    Instruction,
    Invert,
    MaskPolarity,
    NegativePrompt,
    Overwrite,
    Steps,
    Threshold,
    Within,
    check_region,
    read_job,
)
from adaptedit.interfaces.cli.outputs import check_outputs, describe, numbered, report, write
from adaptedit.interfaces.cli.terminal import stages
from adaptedit.interfaces.loading import load_pipeline


@loads_editor
def edit(
    image: ImagePath,
    instruction: Instruction,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The edited picture.", show_default="IMAGE-edited.png")
    ] = None,
    preserve: Annotated[
        Preserve, typer.Option(help="Outside the region: keep the pixels, keep the latents, or neither.")
    ] = "exact",
    steps: Steps = None,
    guidance: Guidance = None,
    negative_prompt: NegativePrompt = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PICTURE",
            help="One more picture that INSTRUCTION speaks of, if the editor sees several; may be repeated.",
        ),
    ] = None,
    adapter_scale: AdapterScale = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=LARGEST_SEED, help="The same seed gives the same result.", show_default="drawn"
        ),
    ] = None,
    candidates: Annotated[
        int, typer.Option("--candidates", "-n", min=1, max=64, help="How many results: OUT-1 to OUT-n.")
    ] = 1,
    save_region: Annotated[
        Path | None, typer.Option(help="Also write the region: a PNG, white = edit.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write source, region and result side by side.")
    ] = None,
    feather: Annotated[
        float | None,
        typer.Option(
            min=0, help="Width of the soft edge in pixels.", show_default="a twentieth of the region"
        ),
    ] = None,
    context: Annotated[
        float,
        typer.Option(
            min=1, help="Side of the crop that the editor sees, relative to the part that may change."
        ),
    ] = 2.0,
    region: Annotated[
        Path | None,
        typer.Option(help="A mask of IMAGE's size.", show_default="found", rich_help_panel=WHERE),
    ] = None,
    polarity: MaskPolarity = "white",
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Edit the whole picture.", rich_help_panel=WHERE)
    ] = False,
    threshold: Threshold = 0.5,
    include: Include = None,
    exclude: Exclude = None,
    within: Within = None,
    invert: Invert = False,
    grow: Grow = 0.0,
    overwrite: Overwrite = False,
    *,
    load: LoadOptions,
) -> None:
    """Edit IMAGE as INSTRUCTION says. Exit code 3: there is no region to edit, or it would be everything."""
    from adaptedit.pictures.save import check_format

    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        job = read_job(
            image,
            instruction,
            region,
            within,
            polarity,
            include,
            exclude,
            everywhere=everywhere,
            threshold=threshold,
            invert=invert,
            grow=grow,
            preserve=preserve,
            steps=steps,
            guidance=guidance,
            negative_prompt=negative_prompt,
            references=reference,
            adapter_scale=adapter_scale,
            seed=seed,
            candidates=candidates,
            feather=feather,
            context=context,
        )
        outs = numbered(out or image.with_name(f"{image.stem}-edited.png"), candidates)
        sheets = numbered(sheet, candidates) if sheet else []
        check_outputs([*outs, *sheets], [save_region], overwrite)
        for path in outs:
            check_format(path.suffix, job.image.mode, job.image.size, str(path))

        check_region(job.options, load, "give --region MASK or --everywhere")
        stage(f"loading {load.backbone}", shows_itself=load.backbone != "tiny")
        pipe = load_pipeline(load)
        from adaptedit.interfaces.sheet import sheet as draw_sheet

        stage("finding the region")
        chosen = pipe.find(job)
        result = pipe.edit(job, chosen, on_step=stage("editing", steps))
        untouched = job.image.restore(job.image.rgb)
        drawn = [draw_sheet(untouched, chosen, edited) for edited in result.images] if sheets else []

        pictures = dict(zip([*outs, *sheets], [*result.images, *drawn], strict=True))
        if save_region:
            pictures[save_region] = chosen.to_image()
        write(pictures, overwrite)
    facts = [f"seed {result.seeds[0]}", *describe(chosen)]
    report([*outs, save_region, *sheets], ", ".join(facts), started)
