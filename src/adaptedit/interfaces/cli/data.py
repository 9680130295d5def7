"""`adaptedit data …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptedit.interfaces.cli.share import share
from adaptedit.interfaces.cli.terminal import stages

app = typer.Typer(no_args_is_help=True, help="Synthetic and rendered pairs, and others' results.")

Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same pixels.")]
RenderSplit = Annotated[str, typer.Option(help="train, or a held-out split: nouns, scenes, phrasings.")]
Size = Annotated[int, typer.Option(min=16, help="Side of a picture in pixels.")]
Samples = Annotated[int, typer.Option("--spp", min=1, help="Light paths per pixel; 16 gives little noise.")]


@app.command()
def fetch(
    rendered: Annotated[
        bool, typer.Option("--render", help="Download what `render` needs: models, lights, textures.")
    ] = False,
) -> None:
    """Download objects and textures by package name (npm and pip; --render: apt-get too) and pack them."""
    if rendered:
        from adaptedit.data.render.fetch import fetch as fetch_models

        typer.echo(fetch_models())
        return
    from adaptedit.data.sprites import assets

    typer.echo(assets.fetch())


@app.command()
def preview(
    out: Annotated[Path, typer.Option("--out", "-o", help="A contact sheet: source, mask, target.")],
    split: Annotated[str, typer.Option(help="train, phrasings, backgrounds, nouns or all.")] = "train",
    count: Annotated[int, typer.Option(min=1, max=1000, help="Samples.")] = 16,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw samples to look at."""
    from itertools import islice

    from adaptedit.data.sprites.preview import contact_sheet
    from adaptedit.data.sprites.synthetic import SyntheticPairs
    from adaptedit.pictures.save import save

    _check_sheet(out)
    save(contact_sheet(list(islice(SyntheticPairs(split).stream(seed), count))), out)
    typer.echo(out)


@app.command()
def render(
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder; run again to resume.")],
    count: Annotated[int, typer.Option(min=1, help="Sessions of 1-3 edits, in files of 32.")] = 1024,
    size: Size = 128,
    spp: Samples = 16,
    seed: Seed = 0,
    split: RenderSplit = "train",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Render only share I of N equal shares: 1/4 to 4/4.")
    ] = "1/1",
) -> None:
    """Render pairs of physically based scenes, as parquet files in MagicBrush's schema."""
    from adaptedit.data.render.sessions import Sessions
    from adaptedit.data.render.shards import Job, write

    number, of = share(shard)
    sessions = Sessions(split, size, spp)
    files = write(sessions, Job(split, seed, size, spp), out, count, (number - 1, of), progress=typer.echo)
    typer.echo(f"{out}: {len(files)} files")


@app.command()
def render_preview(
    out: Annotated[Path, typer.Option("--out", "-o", help="A contact sheet: source, mask, target.")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="Sessions.")] = 8,
    size: Size = 128,
    spp: Samples = 16,
    seed: Seed = 0,
    split: RenderSplit = "train",
) -> None:
    """Render sessions to look at."""
    from adaptedit.data.render.sessions import Sessions
    from adaptedit.data.sprites.preview import contact_sheet
    from adaptedit.pictures.save import save

    _check_sheet(out)
    sessions = Sessions(split, size, spp)
    samples = [turn.sample() for index in range(count) for turn in sessions.session(seed, index)]
    save(contact_sheet(samples, columns=4), out)
    typer.echo(out)


@app.command()
def emu_edit_results(
    out: Annotated[Path, typer.Option("--out", "-o", help="Output folder; run again to resume.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the data set's files on this machine.", show_default="the hub"),
    ] = None,
) -> None:
    """Save the results that Emu Edit's authors published, as an --editor of `adaptedit evaluate`."""
    from adaptedit.data.readers.emu_edit import save_generations

    with stages() as stage:
        count = save_generations(out, path=data, on_picture=stage("saving the results"))
    typer.echo(f"{out}: {count} pictures")


def _check_sheet(out: Path) -> None:
    """Checks before the work that the sheet can be written."""
    from adaptedit.files import check_writable
    from adaptedit.pictures.save import check_format

    check_format(out.suffix, "RGB", (1, 1), str(out))
    check_writable(out)
