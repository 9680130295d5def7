"""The options that several commands share, and the `EditJob` that those of `edit` and `region` make."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptedit.editing.limits import MOST_GUIDANCE, MOST_SCALE, MOST_STEPS
from adaptedit.errors import AdaptEditError, NoAdapter, quoted
from adaptedit.region import Box, Polarity, load_region

if TYPE_CHECKING:
    from adaptedit.editing.controls import Point
    from adaptedit.editing.job import EditJob
    from adaptedit.editing.options import EditOptions, LoadOptions

ImagePath = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="The picture: PNG, JPEG, WebP, BMP or TIFF.")
]
Instruction = Annotated[
    str, typer.Argument(metavar="INSTRUCTION", help="What to do, such as: remove the apple.")
]

Steps = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_STEPS, help="Denoising steps.", show_default="the editor's own"),
]
Guidance = Annotated[
    float | None,
    typer.Option(min=0, max=MOST_GUIDANCE, help="Strength of the guidance.", show_default="the editor's own"),
]
NegativePrompt = Annotated[
    str | None, typer.Option(help="What the result should not show, for editors that take it.")
]
AdapterScale = Annotated[
    float | None,
    typer.Option(min=-MOST_SCALE, max=MOST_SCALE, help="Strength of the adapter; 0: none.", show_default="1"),
]

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


def read_job(
    image: Path,
    instruction: str,
    mask: Path | None,
    within: Path | None,
    polarity: Polarity,
    include: list[str] | None,
    exclude: list[str] | None,
    references: list[Path] | None = None,
    **options: Any,
) -> EditJob:
    """The job that the options describe, with its files read."""
    if not instruction.strip():
        raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
    from adaptedit.editing.job import EditJob
    from adaptedit.editing.options import EditOptions
    from adaptedit.pictures.picture import Picture

    picture = Picture.open(image)
    with suppress(UnicodeError):  # UTF-8 where the locale says something else; EditJob refuses what is not
        instruction = os.fsencode(instruction).decode("utf-8")
    chosen = EditOptions(
        region=load_region(mask, polarity, picture.size) if mask else None,
        within=load_region(within, polarity, picture.size) if within else None,
        include=[_place(text) for text in include or []],
        exclude=[_place(text) for text in exclude or []],
        references=[Picture.open(path) for path in references or []],
        **options,
    )
    return EditJob(picture, instruction, chosen)


def check_region(options: EditOptions, load: LoadOptions, advice: str) -> None:
    """Raises NoAdapter with this advice, before minutes of loading, if nothing would find the region."""
    if options.region is None and not options.everywhere and not load.has_adapter:
        raise NoAdapter(advice)


def _place(text: str) -> Box | Point:
    try:
        return tuple(int(number) for number in text.split(","))  # type: ignore[return-value]
    except ValueError:
        raise AdaptEditError(
            f"{quoted(text)} is not a place; give X,Y or LEFT,TOP,RIGHT,BOTTOM in pixels"
        ) from None
