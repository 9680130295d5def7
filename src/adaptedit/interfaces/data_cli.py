"""`adaptedit data …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptedit.errors import AdaptEditError

app = typer.Typer(no_args_is_help=True, help="The pictures that synthetic pairs are made of.")


@app.command()
def fetch() -> None:
    """Download objects and textures by package name (npm and pip) and pack them."""
    from adaptedit.data import assets

    typer.echo(assets.fetch())


@app.command()
def preview(
    out: Annotated[Path, typer.Option("--out", "-o", help="A contact sheet: source, mask, target.")],
    split: Annotated[str, typer.Option(help="train, phrasings, backgrounds, nouns or all.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Samples.")] = 16,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw samples to look at."""
    from itertools import islice

    from adaptedit.data.preview import contact_sheet
    from adaptedit.data.synthetic import SyntheticPairs
    from adaptedit.editing.images import save

    if not out.parent.is_dir():
        raise AdaptEditError(f"{out}: the folder {out.parent} does not exist; create it first")
    save(contact_sheet(list(islice(SyntheticPairs(split).stream(seed), count))), out)
    typer.echo(out)
