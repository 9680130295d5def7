"""What an attached adapter costs: paired CPU timings of a mid-size Qwen-Image DiT with and without one.

    python benchmarks/overhead/run.py

Bare and adapted forwards alternate (A B B A) on one thread; the figure is the median of the pairs' ratios of
process CPU time, with a bootstrap interval. Writes results.json and results.md beside this file.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import QwenImageTransformer2DModel

from adaptedit.adapter.model import AdaptEditAdapter

HERE = Path(__file__).parent
WIDTH, LAYERS, TEXT_DIM, TEXT, GRID = 1024, 4, 1024, 256, (16, 32)
PAIRS = 24


def forward(model: QwenImageTransformer2DModel, inputs: dict[str, object]) -> float:
    start = time.process_time()
    model(**inputs)
    return time.process_time() - start


@torch.inference_mode()
def measure(preset: str) -> dict[str, object]:
    torch.manual_seed(0)
    model = QwenImageTransformer2DModel(
        num_layers=LAYERS,
        attention_head_dim=128,
        num_attention_heads=WIDTH // 128,
        joint_attention_dim=TEXT_DIM,
    ).eval()
    tokens = GRID[0] * GRID[1]
    inputs = {
        "hidden_states": torch.randn(1, 2 * tokens, 64),
        "encoder_hidden_states": torch.randn(1, TEXT, TEXT_DIM),
        "timestep": torch.full((1,), 0.7),
        "img_shapes": [[(1, *GRID)] * 2],
        "return_dict": False,
    }
    adapter = AdaptEditAdapter.for_backbone(model, preset, backbone_name="random").eval().attach(model)
    region = torch.zeros(1, *GRID)
    region[:, 4:12, 8:20] = 1
    parameters = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in adapter.parameters())

    def bare() -> float:
        return forward(model, inputs)

    def adapted() -> float:
        with adapter.region(region):
            return forward(model, inputs)

    bare(), adapted()
    ratios, seconds = [], []
    for pair in range(PAIRS):
        if pair % 2:
            after, before = adapted(), bare()
        else:
            before, after = bare(), adapted()
        ratios.append(after / before)
        seconds.append((before, after))
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (2000, PAIRS)), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return {
        "preset": preset,
        "parameters": trained,
        "share": trained / parameters,
        "overhead": float(np.median(ratios)) - 1,
        "interval": [float(low) - 1, float(high) - 1],
        "seconds": seconds,
    }


def main() -> None:
    torch.set_num_threads(1)
    results = [measure(preset) for preset in ("small", "base", "paper")]
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    lines = [
        f"# Overhead of the adapter: Qwen-Image DiT, width {WIDTH}, {LAYERS} blocks, "
        f"{GRID[0] * GRID[1]} target + as many source + {TEXT} text tokens, float32, one thread",
        "",
        "| preset | parameters, predictor included | of the backbone | overhead a step | 95 % interval |",
        "|---|---|---|---|---|",
    ]
    for r in results:
        low, high = r["interval"]  # type: ignore[misc]
        lines.append(
            f"| {r['preset']} | {r['parameters'] / 1e6:.1f} M | {r['share']:.1%} "  # type: ignore[operator]
            f"| {r['overhead']:.1%} | {low:.1%} to {high:.1%} |"
        )
    text = "\n".join(lines) + "\n"
    (HERE / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
