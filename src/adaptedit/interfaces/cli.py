"""The command line: a thin door over `editing/`.

Heavy imports live inside the commands, so that `--help` answers at once; whatever can be refused is refused
before a model is loaded, and files are written only after everything else has succeeded.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adaptedit import __version__
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces import data_cli, evaluate_cli, models_cli, report_cli, train_cli
from adaptedit.interfaces.terminal import OneLineErrors, quiet, stages

if TYPE_CHECKING:
    from adaptedit.editing.images import Picture
    from adaptedit.editing.pipeline import AdaptEditPipeline
    from adaptedit.region import Region

Polarity = Literal["white", "black", "alpha"]
Preserve = Literal["exact", "latent", "soft"]

ImagePath = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="The picture: PNG, JPEG, WebP, BMP or TIFF.")
]
BackboneName = Annotated[
    str, typer.Option("--backbone", help="The editor: tiny, a folder, or a hub id of a diffusers pipeline.")
]
AdapterName = Annotated[
    str | None,
    typer.Option("--adapter", help="Its adapter: a folder or a hub id.", show_default="tiny's own"),
]
Instruction = Annotated[str, typer.Argument(metavar="INSTRUCTION", help="What to do: remove the apple.")]

app = typer.Typer(
    cls=OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for name, commands in (("data", data_cli.app), ("train", train_cli.app)):
    app.add_typer(commands, name=name)
for command in (evaluate_cli.evaluate, report_cli.report, models_cli.models):
    app.command()(command)


def main() -> None:
    """The `adaptedit` command."""
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adaptedit {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Edit a picture where you mean, and nowhere else."""


@app.command()
def edit(
    image: ImagePath,
    instruction: Instruction,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The edited picture.", show_default="IMAGE-edited.png")
    ] = None,
    region: Annotated[
        Path | None, typer.Option(help="Where to edit: a mask of IMAGE's size.", show_default="found")
    ] = None,
    polarity: Annotated[
        Polarity, typer.Option(help="What the mask marks as the place to edit; alpha: what is transparent.")
    ] = "white",
    preserve: Annotated[
        Preserve, typer.Option(help="Outside the region: keep the pixels, keep the latents, or neither.")
    ] = "exact",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps.", show_default="the editor's own")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**63 - 1, help="Gives the same result again.", show_default="drawn"),
    ] = None,
    save_region: Annotated[
        Path | None, typer.Option(help="Also write the region: a PNG, white = edit.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write source, region and result side by side.")
    ] = None,
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
) -> None:
    """Edit IMAGE as INSTRUCTION says."""
    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        picture = _open(image, instruction)
        out = out or image.with_name(f"{image.stem}-edited.png")
        _check_outputs([out, sheet], masks=[save_region])
        given = _load_region(region, polarity, picture.size) if region else None

        stage(f"loading {backbone}")
        pipe = _load_pipeline(backbone, adapter)
        from adaptedit.editing.images import save
        from adaptedit.editing.sheet import sheet as draw_sheet

        if given is None:
            stage("finding the region")
        where = given or pipe.predict_region(picture, instruction)
        on_step = stage("editing", steps)
        result = pipe(
            picture,
            instruction,
            where,
            preserve=preserve,
            num_inference_steps=steps,
            seed=seed,
            on_step=on_step,
        )
        edited = result.images[0]
        drawn = draw_sheet(picture.restore(picture.rgb), where, edited)

        save(edited, out)
        if save_region:
            where.save(save_region)
        if sheet:
            save(drawn, sheet)
    _report([out, save_region, sheet], f"seed {result.seeds[0]}", started)


@app.command()
def region(
    image: ImagePath,
    instruction: Instruction,
    out: Annotated[Path, typer.Option("--out", "-o", help="The mask: a PNG of IMAGE's size, white = edit.")],
    overlay: Annotated[
        Path | None, typer.Option(help="Also write IMAGE with the region drawn on it.")
    ] = None,
    backbone: BackboneName = "tiny",
    adapter: AdapterName = None,
) -> None:
    """Show where INSTRUCTION would edit IMAGE; the mask can be changed and given to `edit --region`."""
    started = time.perf_counter()
    with stages() as stage:
        stage("reading")
        picture = _open(image, instruction)
        _check_outputs([overlay], masks=[out])

        stage(f"loading {backbone}")
        pipe = _load_pipeline(backbone, adapter)
        from adaptedit.editing.images import save

        stage("finding the region")
        found = pipe.predict_region(picture, instruction)
        found.save(out)
        if overlay:
            save(found.overlay(picture.rgb), overlay)
    _report([out, overlay], f"{found.coverage():.1%} of the picture", started)


def _open(image: Path, instruction: str) -> Picture:
    if not instruction.strip():
        raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
    from adaptedit.editing.images import Picture

    return Picture.open(image)


def _load_region(path: Path, polarity: Polarity, size: tuple[int, int]) -> Region:
    from adaptedit.files import read_image
    from adaptedit.region import Region

    mask = read_image(path)
    readers = {
        "white": Region.from_white_is_edit,
        "black": Region.from_black_is_edit,
        "alpha": Region.from_alpha,
    }
    try:
        return readers[polarity](mask, size)
    except AdaptEditError as error:
        raise AdaptEditError(f"{path}: {error}") from None


def _check_outputs(pictures: list[Path | None], masks: list[Path | None]) -> None:
    """Refuses now what could not be written after minutes of work."""
    from adaptedit.editing.images import FORMATS

    paths = [path for path in (*pictures, *masks) if path]
    for path in paths:
        suffixes = [".png"] if path in masks else list(FORMATS)
        if path.suffix.lower() not in suffixes:
            raise AdaptEditError(f"{path}: cannot write '{path.suffix}' here; use {', '.join(suffixes)}")
        if not path.parent.is_dir():
            raise AdaptEditError(f"{path}: the folder {path.parent} does not exist; create it first")
    if len({path.resolve() for path in paths}) < len(paths):
        raise AdaptEditError("two outputs have the same name; give each its own")


def _load_pipeline(backbone: str, adapter: str | None) -> AdaptEditPipeline:
    """On the GPU if there is one, but for tiny, which needs none."""
    quiet()
    import torch

    from adaptedit.editing.pipeline import AdaptEditPipeline

    pipe = AdaptEditPipeline.from_pretrained(backbone, adapter)
    return pipe.to("cuda") if backbone != "tiny" and torch.cuda.is_available() else pipe


def _report(paths: list[Path | None], facts: str, started: float) -> None:
    for path in paths:
        if path:
            typer.echo(path)
    typer.echo(f"{facts}, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
