"""`adaptedit evaluate …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adaptedit.files import write_atomically
from adaptedit.interfaces.terminal import quiet, stages

app = typer.Typer(no_args_is_help=True, help="Measure an editor on held-out edits.")


@app.callback()
def about() -> None:
    """Measure an editor on held-out edits."""


@app.command()
def synthetic(
    out: Annotated[Path, typer.Option(help="Folder for samples.jsonl, results.md and pictures; resumed.")],
    count: Annotated[int, typer.Option(min=1, help="Samples.")] = 512,
    split: Annotated[
        str, typer.Option(help="What is held out: phrasings, backgrounds, nouns or all.")
    ] = "phrasings",
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Decides the samples.")] = 0,
    weights: Annotated[str, typer.Option(help="An editor: tiny, or a folder of weights.")] = "tiny",
) -> None:
    """The frozen backbone against AdaptEdit on synthetic pairs; needs `adaptedit data fetch`."""
    with stages() as stage:
        stage(f"loading {weights}")
        quiet()
        from adaptedit.data.synthetic import SyntheticPairs
        from adaptedit.editing.pipeline import AdaptEditPipeline
        from adaptedit.evaluation.synthetic import evaluate, table

        pairs = SyntheticPairs(split)
        pipe = AdaptEditPipeline.from_pretrained(weights)
        on_sample = stage("scoring", count)
        rows = evaluate(
            pipe, pairs, out, count=count, seed=seed, steps=steps, weights=weights, on_sample=on_sample
        )
    results = table(rows)
    header = f"# {weights} on held-out {split}: {count} pairs, {steps} steps, seed {seed}\n\n"
    write_atomically(out / "results.md", (header + results).encode())
    typer.echo(results)
    typer.echo(f"{out / 'results.md'}\n{out / 'samples.jsonl'}")
