"""The rungs of the shipped table: which one a card and a host get, and by what an editor is known."""

from __future__ import annotations

import pytest

from adaptedit.backbones.diffusers.editors import EDITORS
from adaptedit.costs.editors import PUBLISHED
from adaptedit.costs.rungs import choose, next_option, row_of, table
from adaptedit.errors import AdaptEditError

QWEN = "Qwen/Qwen-Image-Edit-2511"
KONTEXT = "black-forest-labs/FLUX.1-Kontext-dev"
KLEIN = "black-forest-labs/FLUX.2-klein-4B"

# What a driver and a desktop leave of a card, and a system of its main memory.
CARDS = {24: 23.2, 16: 15.3, 12: 11.3}
HOSTS = {32: 28.5, 64: 59.5}
FP8, NF4, GROUP = ("fp8", "model"), ("nf4", "model"), (None, "group")


@pytest.mark.parametrize(
    ("editor", "card", "host", "expected"),
    [
        (QWEN, 24, 64, FP8),
        (QWEN, 24, 32, NF4),
        (QWEN, 16, 64, NF4),
        (QWEN, 16, 32, NF4),
        (QWEN, 12, 64, GROUP),
        (QWEN, 12, 32, None),
        (KONTEXT, 24, 64, FP8),
        (KONTEXT, 24, 32, FP8),
        (KONTEXT, 16, 64, NF4),
        (KONTEXT, 16, 32, NF4),
        (KONTEXT, 12, 64, NF4),
        (KONTEXT, 12, 32, NF4),
        (KLEIN, 24, 64, (None, None)),
        (KLEIN, 24, 32, (None, None)),
        (KLEIN, 16, 64, (None, "model")),
        (KLEIN, 16, 32, (None, "model")),
        (KLEIN, 12, 64, (None, "model")),
        (KLEIN, 12, 32, (None, "model")),
    ],
)
def test_what_a_card_and_a_host_get(
    editor: str, card: int, host: int, expected: tuple[str | None, str | None] | None
) -> None:
    if expected is None:
        with pytest.raises(AdaptEditError, match=f"{editor} does not fit: the nearest way, nf4"):
            choose(editor, CARDS[card], HOSTS[host])
    else:
        rung = choose(editor, CARDS[card], HOSTS[host])
        assert (rung.quantize, rung.offload) == expected
        assert rung.gpu <= card and rung.host <= host


def test_every_published_editor_with_a_pipeline_has_rungs_and_no_other() -> None:
    assert set(table()) == {name for name, one in PUBLISHED.items() if one.pipeline}
    assert {one.pipeline for one in PUBLISHED.values() if one.pipeline} == EDITORS.keys()


@pytest.mark.parametrize("row", table())
def test_a_folder_is_known_by_the_sizes_of_its_dit(row: str) -> None:
    one = PUBLISHED[row]
    config = dict(one.config) | {"_class_name": one.transformer, "_diffusers_version": "0.42.1"}
    found = row_of("/models/mine", one.transformer, config)
    assert found is not None
    for ours, theirs in zip(table()[row], table()[found], strict=True):
        assert (ours.gpu, ours.host) == pytest.approx((theirs.gpu, theirs.host), abs=0.2)
    assert row_of("/models/mine", one.transformer, config | {"num_layers": 3}) is None
    assert row_of(row, "unknown", {}) == row


def test_each_option_leads_to_one_that_needs_less_until_there_is_none() -> None:
    steps, current = 0, next_option(None, None)
    while current is not None:
        words = current.split()
        given = dict(zip(words[::2], words[1::2], strict=True))
        current = next_option(given.get("--quantize"), given["--offload"])
        steps += 1
    assert steps == 5
    assert next_option("int8", None) == "--quantize int8 --offload model"
