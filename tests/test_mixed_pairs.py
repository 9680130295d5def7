"""Synthetic and rendered pairs in one stream: what becomes of a render when it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("mitsuba")
pytest.importorskip("scipy")

from adaptedit.data import phrases  # noqa: E402
from adaptedit.data.mixed import MixedPairs  # noqa: E402
from adaptedit.data.render.pairs import RenderedPairs  # noqa: E402
from adaptedit.data.schema import UNKNOWN, EditSample  # noqa: E402
from adaptedit.training.batches import collate  # noqa: E402
from test_rendered_pairs import turn, write  # noqa: E402


class Synthetic:
    """Stands in for SyntheticPairs: black pictures; two nouns, one of which the renders know too."""

    def __init__(self, shared: str) -> None:
        self.nouns = [type("Noun", (), {"name": name})() for name in ("unicorn", shared)]

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> EditSample:
        black = np.zeros((32, 32, 3), np.uint8)
        return EditSample(
            black, black, black[..., 0], "nothing", kind or "remove", np.zeros((16, 16), np.uint8)
        )


Mix = Callable[..., MixedPairs]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    def make(*turns: object, share: float = 1.0) -> MixedPairs:
        write(tmp_path, "train-000000-000000", *turns)  # type: ignore[arg-type]
        rendered = RenderedPairs(tmp_path, size=32)
        return MixedPairs(Synthetic(rendered.nouns[3]), rendered, share)  # type: ignore[arg-type]

    return make


def draws(pairs: MixedPairs, count: int = 60) -> list[EditSample]:
    return [pairs.draw(np.random.default_rng(seed)) for seed in range(count)]


def test_the_share_is_of_renders_and_a_kind_is_synthetic(mix: Mix) -> None:
    pairs = mix(turn(0, "remove"), share=0.5)
    rendered = sum(sample.source.any() for sample in draws(pairs, 200))
    assert 70 < rendered < 130
    assert not pairs.draw(np.random.default_rng(0), "idle").source.any()


def test_labels_count_the_nouns_of_both_once(mix: Mix) -> None:
    pairs = mix(turn(3, "remove"))
    assert len(pairs.nouns) == len(set(pairs.nouns))
    for sample in draws(pairs, 10):
        assert sample.nouns is not None
        assert pairs.nouns[sample.nouns.max() - 1] == pairs.nouns[1]  # the noun that both know


def test_an_addition_backwards_removes_what_came(mix: Mix) -> None:
    wanted = turn(0, "add")
    samples = draws(mix(wanted))
    backwards = [s for s in samples if s.kind == "remove"]
    assert 15 < len(backwards) < 45
    said = {
        t.format(x=f"the {wanted.noun}").replace("no more the", "no more") for t in phrases.TRAIN["remove"]
    }
    for sample in backwards:
        assert sample.instruction in said
        outside = sample.mask == 0
        assert (sample.source[outside] == sample.target[outside]).all()
        assert sample.nouns is not None
        edited = sample.mask.reshape(16, 2, 16, 2).max((1, 3)) > 0
        assert ((sample.nouns == UNKNOWN) == edited).all()


def test_sides_and_words_are_not_mirrored(mix: Mix) -> None:
    def mirrored(kind: str, instruction: str) -> bool:
        one = turn(0, kind)
        object.__setattr__(one, "instruction", instruction)
        return any(s.nouns is not None and s.nouns[5, 12] > 0 for s in draws(mix(one), 30))

    assert mirrored("remove", "remove the cup")
    assert not mirrored("remove", "remove the leftmost cup")
    assert not mirrored("remove", "remove the cup on the right")
    assert not mirrored("text", "make it say OPEN")


def test_unknown_cells_cost_nothing(mix: Mix) -> None:
    sample = next(s for s in draws(mix(turn(0, "add"))) if s.kind == "remove")
    labels = collate([sample], torch.Generator()).nouns
    logits = torch.zeros(1, 400, 16, 16, requires_grad=True)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, labels[0] == UNKNOWN].any() and logits.grad.any()
