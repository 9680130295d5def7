"""The memory ladder of docs/memory.md, computed: which editor fits which card, and by which means.

    python benchmarks/memory/run.py

Builds everything on `meta` (no GPU, no downloads) and rewrites the tables in docs/memory.md.
"""

from __future__ import annotations

from pathlib import Path

from adaptedit.interfaces.cli.terminal import quiet

quiet()  # before diffusers comes in

from adaptedit.costs.memory import EDITORS, Footprint, inference_ladder, training_ladder  # noqa: E402

DOCUMENT = Path(__file__).parents[2] / "docs" / "memory.md"
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


def main() -> None:
    document = DOCUMENT.read_text()
    for editor in EDITORS:
        for use, ladder in (("inference", inference_ladder), ("training", training_ladder)):
            rows = table(ladder(editor))
            print(f"{editor}, {use}\n{rows}\n")
            document = put(document, f"{use} of {editor}", rows)
    DOCUMENT.write_text(document)


if __name__ == "__main__":
    main()
