"""`adaptedit edit` and `adaptedit region`: a thin layer over `editing/`.

Whatever can be refused is refused before a model is loaded, and files are written only after everything else
has succeeded.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from adaptedit.errors import AdaptEditError, quoted
from adaptedit.interfaces.cli.terminal import stages
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.region import Box, Polarity, Region, load_region

if TYPE_CHECKING:
    from PIL import Image

    from adaptedit.editing.controls import Point
    from adaptedit.editing.job import EditJob
    from adaptedit.pictures.image16 import Image16

Preserve = Literal["exact", "latent", "soft"]

ImagePath = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="The picture: PNG, JPEG, WebP, BMP or TIFF.")
]
Instruction = Annotated[
    str, typer.Argument(metavar="INSTRUCTION", help="What to do, such as: remove the apple.")
]
BackboneName = Annotated[
    str, typer.Option("--backbone", help="The editor: tiny, a folder, or a hub id of a diffusers pipeline.")
]
AdapterName = Annotated[
    str | None,
    typer.Option("--adapter", help="The editor's adapter: a folder or a hub id.", show_default="tiny's own"),
]

MOST_STEPS = 1000  # as many as there are levels of noise in training
WHERE = "Where to edit"
Threshold = Annotated[
    float,
    typer.Option(
        min=0.01,
        max=0.99,
        help="Lowest probability of a pixel in the region found; lower finds more.",
        rich_help_panel=WHERE,
    ),
]
MaskPolarity = Annotated[
    Polarity,
    typer.Option(
        help="What a mask marks as the place to edit; alpha: what is transparent.", rich_help_panel=WHERE
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PLACE",
        help="X,Y: keep only the part there. LEFT,TOP,RIGHT,BOTTOM: add this box. Pixels; may be repeated.",
        rich_help_panel=WHERE,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PLACE",
        help="X,Y: drop the part there. LEFT,TOP,RIGHT,BOTTOM: cut this box out. Pixels; may be repeated.",
        rich_help_panel=WHERE,
    ),
]
Within = Annotated[
    Path | None, typer.Option(help="A mask: nothing outside it is edited.", rich_help_panel=WHERE)
]
Invert = Annotated[
    bool, typer.Option("--invert", help="Edit everything but the region.", rich_help_panel=WHERE)
]
Grow = Annotated[
    float, typer.Option(help="Pixels to grow the region by; negative: to shrink it.", rich_help_panel=WHERE)
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace output files that exist already, even IMAGE itself.")
]


def edit(
    image: ImagePath,
    instruction: Instruction,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The edited picture.", show_default="IMAGE-edited.png")
    ] = None,
    preserve: Annotated[
        Preserve, typer.Option(help="Outside the region: keep the pixels, keep the latents, or neither.")
    ] = "exact",
    steps: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_STEPS, help="Denoising steps.", show_default="the editor's own"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**63 - 1, help="The same seed gives the same result.", show_default="drawn"),
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
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
) -> None:
    """Edit IMAGE as INSTRUCTION says. Exit code 3: there is no region to edit, or it would be everything."""
    from adaptedit.pictures.save import check_format

    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        job = _job(
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
            seed=seed,
            candidates=candidates,
            feather=feather,
            context=context,
        )
        outs = _numbered(out or image.with_name(f"{image.stem}-edited.png"), candidates)
        sheets = _numbered(sheet, candidates) if sheet else []
        _check_outputs([*outs, *sheets], [save_region], overwrite)
        for path in outs:
            check_format(path.suffix, job.image.mode, job.image.size, str(path))

        stage(f"loading {backbone}")
        pipe = load_pipeline(backbone, adapter)
        from adaptedit.interfaces.sheet import sheet as draw_sheet

        stage("finding the region")
        chosen = job.find(pipe)
        result = job.run(pipe, chosen, on_step=stage("editing", steps))
        untouched = job.image.restore(job.image.rgb)
        drawn = [draw_sheet(untouched, chosen, edited) for edited in result.images] if sheets else []

        pictures = dict(zip([*outs, *sheets], [*result.images, *drawn], strict=True))
        if save_region:
            pictures[save_region] = _grey(chosen)
        _write(pictures, overwrite)
    facts = [f"seed {result.seeds[0]}", *_about(chosen)]
    _report([*outs, save_region, *sheets], ", ".join(facts), started)


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
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
) -> None:
    """Show where INSTRUCTION would edit IMAGE; the mask can be changed and given to `edit --region`."""
    from adaptedit.pictures.save import check_format

    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        job = _job(
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
        _check_outputs([overlay], [out], overwrite)
        if overlay:
            check_format(overlay.suffix, "RGB", job.image.size, str(overlay))

        stage(f"loading {backbone}")
        pipe = load_pipeline(backbone, adapter)

        stage("finding the region")
        found = job.find(pipe)
        pictures: dict[Path, Image.Image | Image16] = {out: _grey(found)}
        if overlay:
            pictures[overlay] = found.overlay(job.image.rgb)
        _write(pictures, overwrite)
    _report([out, overlay], ", ".join(_about(found)), started)


def _job(
    image: Path,
    instruction: str,
    mask: Path | None,
    within: Path | None,
    polarity: Polarity,
    include: list[str] | None,
    exclude: list[str] | None,
    **options: Any,
) -> EditJob:
    """The job that the options describe, with its files read."""
    if not instruction.strip():
        raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
    from adaptedit.editing.job import EditJob
    from adaptedit.pictures.picture import Picture

    picture = Picture.open(image)
    with suppress(
        UnicodeError
    ):  # UTF-8 where the locale says something else; refused by EditJob if it is not UTF-8
        instruction = os.fsencode(instruction).decode("utf-8")
    return EditJob(
        image=picture,
        instruction=instruction,
        region=load_region(mask, polarity, picture.size) if mask else None,
        within=load_region(within, polarity, picture.size) if within else None,
        include=[_place(text) for text in include or []],
        exclude=[_place(text) for text in exclude or []],
        **options,
    )


def _place(text: str) -> Box | Point:
    try:
        return tuple(int(number) for number in text.split(","))  # type: ignore[return-value]
    except ValueError:
        raise AdaptEditError(
            f"{quoted(text)} is not a place; give X,Y or LEFT,TOP,RIGHT,BOTTOM in pixels"
        ) from None


def _numbered(path: Path, count: int) -> list[Path]:
    if count == 1:
        return [path]
    try:
        return [path.with_stem(f"{path.stem}-{n}") for n in range(1, count + 1)]
    except ValueError:  # such as the folder "."
        raise AdaptEditError(f"{path}: is not a name for a file; give one that ends in .png") from None


def _about(region: Region) -> list[str]:
    return [f"region {region.coverage():.1%} of the picture", f"{region.confidence():.0%} sure"]


def _check_outputs(pictures: list[Path | None], masks: list[Path | None], overwrite: bool) -> None:
    """Checks now, not after minutes of work, that the outputs can be written and replace no other file."""
    from adaptedit.files import check_writable
    from adaptedit.pictures.formats import WRITABLE

    paths = [path for path in (*pictures, *masks) if path]
    for path in paths:
        suffixes = [".png"] if path in masks else list(WRITABLE)
        if path.suffix.lower() not in suffixes:
            raise AdaptEditError(f"{path}: cannot write '{path.suffix}' here; use {', '.join(suffixes)}")
        check_writable(path)
        _check_free(path, overwrite)
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise AdaptEditError("two outputs have the same name; give each its own")


def _check_free(path: Path, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise AdaptEditError(f"{path}: exists already; give another name, or --overwrite to replace it")


def _grey(region: Region) -> Image.Image:
    from PIL import Image

    return Image.fromarray((region.mask * 255 + 0.5).astype("uint8"))


def _write(pictures: dict[Path, Image.Image | Image16], overwrite: bool) -> None:
    """Writes all or none: every file is complete beside its place before the first is renamed.

    Looks again whether a place is free: an edit takes a while.
    """
    from adaptedit.files import replacing, write_atomically
    from adaptedit.pictures.save import encode

    files = {path: encode(picture, path.suffix, str(path)) for path, picture in pictures.items()}
    streams = [path for path in files if path.exists() and not path.is_file()]  # pipes and devices
    for path in files:
        _check_free(path, overwrite)
    with ExitStack() as stack:
        for path in files.keys() - streams:
            stack.enter_context(replacing(path)).write_bytes(files[path])
        for path in streams:
            write_atomically(path, files[path])


def _report(paths: list[Path | None], facts: str, started: float) -> None:
    for path in paths:
        if path:
            typer.echo(path)
    typer.echo(f"{facts}, {time.perf_counter() - started:.1f} s")
