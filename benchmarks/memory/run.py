"""The memory ladder of docs/memory.md, computed: which editor fits which card, and by which means.

    python benchmarks/memory/run.py

Builds everything on `meta` (no GPU, no downloads). Rewrites the tables in docs/memory.md, the rungs that the
loader chooses from (costs/rungs.json), and what `adaptedit models` prints (costs/counts.json).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adaptedit.interfaces.cli.terminal import quiet

quiet()  # before diffusers comes in

from adaptedit.adapter.config import PRESETS  # noqa: E402
from adaptedit.costs.counts import SIZE  # noqa: E402
from adaptedit.costs.editors import PUBLISHED  # noqa: E402
from adaptedit.costs.flops import adapter_costs  # noqa: E402
from adaptedit.costs.memory import (  # noqa: E402
    HOST_RESERVE,
    RESERVE,
    TRAINED,
    Footprint,
    inference_ladder,
    training_ladder,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "memory.md"
COSTS = ROOT / "src" / "adaptedit" / "costs"
COLUMNS = (
    "rung | card | DiT | text encoders | VAE | adapter | gradients, Adam | activations | peak | measured"
)


def table(ladder: list[Footprint]) -> str:
    lines = [f"| {COLUMNS} |", "|---" * len(COLUMNS.split("|")) + "|"]
    for one in ladder:
        parts = (one.dit, one.text_encoders, one.vae, one.adapter, one.optimiser, one.activations)
        cells = [f"{part:.1f}" if part else "–" for part in parts]
        rung = (
            one.rung
            if (one.preset, one.size) == ("base", 1024)
            else f"{one.rung}, {one.preset}, {one.size} px"
        )
        verdict = "" if one.fits else " (does not fit)"
        lines.append(f"| {rung} | {one.card} | {' | '.join(cells)} | **{one.peak:.1f}**{verdict} | |")
    return "\n".join(lines)


def put(document: str, key: str, text: str) -> str:
    """`document` with `text` between the two comments that carry `key`."""
    start, end = f"<!-- {key} -->\n", f"\n<!-- end of {key} -->"
    before, rest = document.split(start)
    return before + start + text + end + rest.split(end)[1]


def overview(ladders: dict[str, list[Footprint]]) -> str:
    """What each rung of each editor needs free: GiB on the GPU / in main memory."""
    names = [one.rung for one in next(iter(ladders.values()))]
    lines = [f"| editor | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for editor, ladder in ladders.items():
        cells = [f"{one.peak + RESERVE:.1f} / {one.host + HOST_RESERVE:.1f}" for one in ladder]
        lines.append(f"| {editor} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rung(one: Footprint) -> dict[str, Any]:
    needs = {"gpu": round(one.peak + RESERVE, 1), "host": round(one.host + HOST_RESERVE, 1)}
    return {"name": one.rung, "quantize": one.quantize, "offload": one.offload} | needs


def write_json(name: str, value: Any) -> None:
    (COSTS / name).write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    document = DOCUMENT.read_text()
    ladders = {name: inference_ladder(name) for name, one in PUBLISHED.items() if one.pipeline}
    tables = {"all editors": overview(ladders)}
    for editor in TRAINED:
        tables[f"inference of {editor}"] = table(ladders[editor])
        tables[f"training of {editor}"] = table(training_ladder(editor))
    for key, rows in tables.items():
        print(f"{key}\n{rows}\n")
        document = put(document, key, rows)
    DOCUMENT.write_text(document)
    write_json("rungs.json", {name: [rung(one) for one in ladder] for name, ladder in ladders.items()})
    costs = [
        cost for name, one in PUBLISHED.items() for cost in adapter_costs(name, one, tuple(PRESETS), SIZE)
    ]
    write_json("counts.json", [asdict(cost) for cost in costs])


if __name__ == "__main__":
    main()
