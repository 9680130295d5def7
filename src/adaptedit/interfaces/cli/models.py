"""`adaptedit models`: a thin layer over `costs/counts.py` and, for other sizes, `costs/flops.py`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from adaptedit.adapter.config import PRESETS
from adaptedit.costs.counts import SIZE, AdapterCost, table
from adaptedit.costs.editors import PUBLISHED, Published, published
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.cli.terminal import quiet, stages


def models(
    name: Annotated[
        str | None, typer.Argument(help="Part of a hub id, such as kontext.", show_default="all")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(PRESETS)}.", show_default="all")
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Side of the picture in pixels.")] = SIZE,
    as_json: Annotated[bool, typer.Option("--json", help="Print every count as JSON.")] = False,
) -> None:
    """Published editors: which of them edit here, and what an adapter costs on each. Downloads nothing."""
    if preset is not None and preset not in PRESETS:
        raise AdaptEditError(f"unknown preset {preset!r}; choose one of {', '.join(PRESETS)}")
    editors = published(name)
    for editor in editors.values():
        editor.shape(size)  # refused before diffusers is loaded
    presets = (preset,) if preset else PRESETS
    if size == SIZE:
        costs = [cost for cost in table() if cost.editor in editors and cost.preset in presets]
    else:
        costs = _count(editors, presets, size)
    if as_json:
        typer.echo(json.dumps([cost.to_dict() | {"edits": _edits(cost)} for cost in costs], indent=1))
    else:
        wide = None if sys.stdout.isatty() else 124  # a file or a pipe has no width of its own
        Console(width=wide).print(_table(costs))


def _count(editors: dict[str, Published], presets: Sequence[str], size: int) -> list[AdapterCost]:
    with stages() as stage:
        stage("loading diffusers")
        quiet()
        from adaptedit.costs.flops import adapter_costs

        on_editor = stage("counting", len(editors))
        costs: list[AdapterCost] = []
        for done, (one, editor) in enumerate(editors.items(), start=1):
            costs += adapter_costs(one, editor, tuple(presets), size)
            on_editor(done, len(editors))
    return costs


def _edits(cost: AdapterCost) -> bool:
    return PUBLISHED[cost.editor].pipeline is not None


def _table(costs: list[AdapterCost]) -> Table:
    """A line for each frozen DiT, then one for each preset on it."""
    shown = Table(
        box=box.SIMPLE,
        caption="use: edits pictures, or an adapter only attaches and trains. training: fp32 weights, "
        "gradients and Adam's moments",
    )
    shown.add_column("editor, preset", overflow="fold")
    shown.add_column("use", no_wrap=True)
    for column in ("parameters", "share", "FLOPs a step", "share", "bf16", "training"):
        shown.add_column(column, justify="right", no_wrap=True)
    editor = None
    for cost in costs:
        if cost.editor != editor:
            editor = cost.editor
            use = "edits" if _edits(cost) else "attaches"
            frozen, flops = cost.backbone_parameters, cost.backbone_flops
            shown.add_row(editor, use, _scaled(frozen), "", _scaled(flops), "", _gib(2 * frozen))
        shown.add_row(
            f"  {cost.preset}",
            "",
            f"+ {_scaled(cost.parameters)}",
            f"{cost.parameters / cost.backbone_parameters:.2%}",
            f"+ {_scaled(cost.flops)}",
            f"{cost.flops / cost.backbone_flops:.2%}",
            _gib(cost.inference_bytes),
            _gib(cost.training_bytes),
        )
    return shown


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def _scaled(value: int) -> str:
    """Three digits and a unit: 203 M, 20.4 B, 1.41 T."""
    for unit, scale in (("T", 10**12), ("B", 10**9)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 10**6:.3g} M"
