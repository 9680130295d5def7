"""How well a sentence's new noun can be read from the states that the DiT gets, by ridge regression.

    python benchmarks/training/probe.py

1,200 sentences to fit, 400 to test; the text encoder's own states and the VL encoder's text tokens, each
averaged over the sentence.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.tiny.backbone import load

FIT, TEST, BATCH = 1200, 400, 50


def accuracy(states: Tensor, nouns: Tensor) -> float:
    """The best over four strengths of the ridge."""
    states = (states - states.mean(0)) / states.std(0)
    states = torch.cat([states, torch.ones(len(states), 1)], 1)
    fit, wanted = states[:FIT], F.one_hot(nouns).float()[:FIT]
    scores = []
    for strength in (1, 10, 100, 1000):
        weights = torch.linalg.solve(fit.T @ fit + strength * torch.eye(fit.shape[1]), fit.T @ wanted)
        scores.append((states[FIT:] @ weights).argmax(1).eq(nouns[FIT:]).float().mean().item())
    return max(scores)


@torch.no_grad()
def main() -> None:
    backbone, pairs, rng = load(), SyntheticPairs("train"), np.random.default_rng(0)
    nouns = torch.from_numpy(rng.integers(len(pairs.nouns), size=FIT + TEST))
    own, joint = [], []
    for some in nouns.split(BATCH):
        pictures = torch.from_numpy(np.stack([np.asarray(pairs.draw(rng, "replace").source) for _ in some]))
        pixels = pictures.permute(0, 3, 1, 2).float() / 255
        text, mask = backbone.text([f"replace the thing with a {pairs.nouns[n].name}" for n in some])
        states, _ = backbone.encoder(pixels, text, mask)
        for found, tokens in ((own, text), (joint, states[:, -text.shape[1] :])):
            found.append((tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    for name, found in (("text encoder", own), ("VL encoder", joint)):
        print(f"{name} {accuracy(torch.cat(found), nouns):.1%}")


if __name__ == "__main__":
    main()
