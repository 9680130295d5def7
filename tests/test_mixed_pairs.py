"""Synthetic and rendered pairs in one stream: what becomes of a render when it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("mitsuba")
pytest.importorskip("scipy")

from adaptedit.data.cells import UNKNOWN, CellLabels, LabelledSample  # noqa: E402
from adaptedit.data.render.pairs import RenderedPairs  # noqa: E402
from adaptedit.data.sprites import phrases  # noqa: E402
from adaptedit.data.sprites.mixed import MixedPairs  # noqa: E402
from adaptedit.region import Region  # noqa: E402
from adaptedit.tiny.training.batches import collate  # noqa: E402
from arrays import arrays  # noqa: E402
from test_rendered_pairs import turn, write  # noqa: E402


class Synthetic:
    """Stands in for SyntheticPairs: black pictures; two nouns, one of which the renders know too."""

    def __init__(self, shared: str) -> None:
        self.labels = ["unicorn", shared]

    def draw(self, rng: np.random.Generator, kind: str | None = None) -> LabelledSample:
        black, nothing = Image.new("RGB", (32, 32)), np.zeros((16, 16), np.uint8)
        return LabelledSample(
            id="",
            instruction="nothing",
            source=black,
            target=black,
            region=Region.from_array(np.zeros((32, 32))),
            category=kind or "remove",
            labels=CellLabels(nothing, nothing),
        )


Mix = Callable[..., MixedPairs]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    def make(*turns: object, share: float = 1.0) -> MixedPairs:
        write(tmp_path, "train-000000-000000", *turns)  # type: ignore[arg-type]
        rendered = RenderedPairs(tmp_path, size=32)
        return MixedPairs(Synthetic(rendered.nouns[3]), rendered, share)  # type: ignore[arg-type]

    return make


def draws(pairs: MixedPairs, count: int = 60) -> list[LabelledSample]:
    return [pairs.draw(np.random.default_rng(seed)) for seed in range(count)]


def test_the_share_is_of_renders_and_a_kind_is_synthetic(mix: Mix) -> None:
    pairs = mix(turn(0, "remove"), share=0.5)
    rendered = sum(sample.source.getbbox() is not None for sample in draws(pairs, 200))
    assert 70 < rendered < 130
    assert not pairs.draw(np.random.default_rng(0), "idle").source.getbbox()


def test_labels_count_the_nouns_of_both_once(mix: Mix) -> None:
    pairs = mix(turn(3, "remove"))
    assert len(pairs.labels) == len(set(pairs.labels))
    for sample in draws(pairs, 10):
        assert pairs.labels[sample.labels.shown.max() - 1] == pairs.labels[1]  # the noun that both know


def test_what_stays_is_labelled_and_what_goes_leaves_the_unknown(mix: Mix) -> None:
    for sample in draws(mix(turn(0, "remove"), turn(1, "recolour"), turn(2, "replace")), 20):
        edited = arrays(sample)[2].reshape(16, 2, 16, 2).max((1, 3)) > 0
        shown, wanted = sample.labels.shown, sample.labels.wanted
        assert (wanted[~edited] == shown[~edited]).all()
        if sample.category == "remove":
            assert (wanted[edited] == UNKNOWN).all()
        elif sample.category == "recolour":
            assert (wanted == shown).all()
        else:
            assert len(set(wanted[edited])) == 1 and wanted[edited].min() > 0


def test_a_render_is_asked_for_in_many_words(mix: Mix) -> None:
    one = turn(0, "replace")
    object.__setattr__(one, "instruction", "turn the cup to the right of the bowl into a bowl of rice")
    said = {sample.instruction for sample in draws(mix(one), 100)}
    assert len(said) > 30
    assert all("the cup to the right of the bowl" in s and "a bowl of rice" in s for s in said)


def test_an_addition_backwards_removes_what_came(mix: Mix) -> None:
    wanted = turn(0, "add")
    pairs = mix(wanted)
    samples = draws(pairs)
    backwards = [s for s in samples if s.category == "remove"]
    assert 15 < len(backwards) < 45
    said = {phrases.fill(template, x=f"the {wanted.noun}") for template in phrases.TRAIN["remove"]}
    for sample in backwards:
        assert sample.instruction in said
        source, target, mask = arrays(sample)
        assert (source[mask == 0] == target[mask == 0]).all()
        edited = mask.reshape(16, 2, 16, 2).max((1, 3)) > 0
        before, after = sample.labels.shown, sample.labels.wanted
        assert {pairs.labels[label - 1] for label in before[edited]} == {wanted.noun}
        assert (after[~edited] == before[~edited]).all()
        assert not (after == before)[edited].any()


def test_sides_and_words_are_not_mirrored(mix: Mix) -> None:
    def mirrored(kind: str, instruction: str) -> bool:
        one = turn(0, kind)
        object.__setattr__(one, "instruction", instruction)
        return any(s.labels.shown[5, 12] > 0 for s in draws(mix(one), 30))

    assert mirrored("remove", "remove the cup")
    assert not mirrored("remove", "remove the leftmost cup")
    assert not mirrored("remove", "remove the cup on the right")
    assert not mirrored("text", "make it say OPEN")


def test_unknown_cells_cost_nothing(mix: Mix) -> None:
    labels = collate([mix(turn(0, "remove")).draw(np.random.default_rng(0))], torch.Generator()).wanted
    logits = torch.zeros(1, 400, 16, 16, requires_grad=True)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, labels[0] == UNKNOWN].any() and logits.grad.any()
