"""Numbers that others have published, each with its source. Nothing here was measured by us.

A table's numbers compare with one another only. MagicBrush alone has two families, which give the same model
other numbers on the same pictures: a report prints each under its own title and never in one table.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """benchmarks: names (see `evaluation.benchmarks`) beside whose results the table may be printed.

    title: with the protocol. columns: as our metrics name them. rows: by method, one number per column.
    source: who reports them. caution: what a reader must know before comparing, "" for nothing.
    """

    title: str
    benchmarks: tuple[str, ...]
    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    source: str
    caution: str = ""


MAGICBRUSH_OFFICIAL = Published(
    title="MagicBrush test, single-turn: the authors' own numbers",
    benchmarks=("magicbrush-test-inde",),
    columns=("L1", "L2", "CLIP-I", "DINO", "CLIP-T"),
    rows={
        "InstructPix2Pix": (0.1122, 0.0371, 0.8524, 0.7428, 0.2764),
        "InstructPix2Pix + MagicBrush": (0.0625, 0.0203, 0.9332, 0.8987, 0.2781),
    },
    source="Zhang et al., MagicBrush, NeurIPS 2023, arXiv:2306.10012, single-turn setting without a mask",
    caution="Not comparable with the re-evaluations, which give the same two models other numbers.",
)
MAGICBRUSH_REEVALUATED = Published(
    title="MagicBrush test, single-turn: re-evaluations by later papers",
    benchmarks=("magicbrush-test-inde",),
    columns=("L1", "CLIP-I", "DINO"),
    rows={
        "InstructPix2Pix": (0.114, 0.851, 0.744),
        "MagicBrush": (0.074, 0.908, 0.847),
        "UltraEdit": (0.066, 0.904, 0.852),
        "ICEdit": (0.060, 0.928, 0.853),
        "OmniGen": (0.116, 0.863, 0.821),
        "UniReal": (0.081, 0.903, 0.837),
        "BAGEL": (0.074, 0.914, 0.827),
        "STAR-7B": (0.060, 0.931, 0.853),
        "FLUX.1 Fill": (0.192, 0.795, 0.669),
    },
    source="ICEdit, 2025, arXiv:2504.20690, Table 2; OmniGen, UniReal, BAGEL, STAR-7B: later papers",
    caution="Not comparable with the authors' own numbers; which turns are scored is not always said.",
)
EMU_EDIT_AUTHORS = Published(
    title="Emu-Edit Test: the authors' own numbers",
    benchmarks=("emu-edit-test",),
    columns=("CLIP-dir", "CLIP-im", "CLIP-out", "L1-source", "DINO-source"),
    rows={"Emu Edit": (0.109, 0.859, 0.231, 0.094, 0.819)},
    source="Sheynin et al., Emu Edit, CVPR 2024, arXiv:2311.10089",
    caution="L1, CLIP-im and DINO are to the source, so doing nothing is best at them: see CLIP-out too.",
)
EMU_EDIT_REEVALUATED = Published(
    title="Emu-Edit Test: ICEdit's re-evaluation",
    benchmarks=("emu-edit-test-filtered",),
    columns=("CLIP-im", "CLIP-out", "DINO-source"),
    rows={
        "InstructPix2Pix": (0.856, 0.292, 0.773),
        "MagicBrush": (0.877, 0.298, 0.807),
        "Emu Edit": (0.877, 0.306, 0.844),
        "UltraEdit": (0.880, 0.304, 0.847),
        "ICEdit": (0.907, 0.305, 0.866),
    },
    source="ICEdit, 2025, arXiv:2504.20690, Table 1; samples with bad captions are left out",
    caution="Not comparable with the authors' own numbers.",
)
MASKFLOW = Published(
    title="Region preservation: MaskFlow's table",
    benchmarks=(),
    columns=("CLIP", "DINO", "FID", "PSNR", "SSIM", "background MSE", "background LPIPS"),
    rows={
        "MaskFlow, pixel blend on": (0.9782, 0.9532, 19.90, 22.60, 0.7846, 0.0, 0.0),
        "RegionE": (0.9672, 0.9313, 25.83, 21.03, 0.7399, 0.0031, 0.0751),
        "Qwen-Image-Edit-2511": (0.9492, 0.9107, 29.85, 19.11, 0.6412, 0.0088, 0.1269),
        "FLUX.2-dev": (0.9555, 0.9138, 29.99, 19.48, 0.6644, 0.0063, 0.0781),
    },
    source="MaskFlow, arXiv:2608.06929",
    caution="On MaskFlow's own set and with the user's mask; pasting back makes its background errors 0.",
)
TABLES = (
    MAGICBRUSH_OFFICIAL,
    MAGICBRUSH_REEVALUATED,
    EMU_EDIT_AUTHORS,
    EMU_EDIT_REEVALUATED,
    MASKFLOW,
)


def beside(benchmark: str) -> list[Published]:
    """The tables that may be printed beside results on this benchmark, each apart from the others."""
    return [table for table in TABLES if benchmark in table.benchmarks]
