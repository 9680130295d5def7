"""Several edits at once: each as if it were alone, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from adaptedit import AdaptEditPipeline, Region, RegionNotFound
from adaptedit.backbones.base import Edited
from adaptedit.editing.compose import exact_alpha
from adaptedit.editing.job import EditJob
from adaptedit.editing.options import EditOptions
from adaptedit.editing.output import EditOutput
from adaptedit.editing.pipeline import feather_of
from adaptedit.editing.scheduler import EditTask, run
from adaptedit.pictures.picture import Picture
from conftest import FakeAdapter, FakeBackbone
from serving import LONG, GatedBackbone, gated, leaving, noise, png, serving, until

__all__ = ["gated"]

PICTURE = png(noise())
DESK = Path(__file__).parents[1] / "examples" / "desk.png"


def pixels(image: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


# -- tiny ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny() -> AdaptEditPipeline:
    return AdaptEditPipeline.from_pretrained("tiny")


def job(picture: Image.Image, prompt: str, **options: Any) -> EditJob:
    return EditJob(Picture.open(picture), prompt, EditOptions(**options))


@pytest.mark.parametrize("preserve", ["exact", "latent", "soft"])
def test_what_is_beside_a_picture_moves_it_by_a_level_at_most(tiny: AdaptEditPipeline, preserve: Any) -> None:
    """Pictures of several sizes, sentences of several lengths, one or two crops and candidates."""
    sizes = [(128, 128), (200, 96), (300, 240), (64, 80)]
    prompts = ["remove it", "could you please paint the thing on the left side of it blue?", "add a cat", "x"]
    regions = [
        Region.from_box((10, 10, 60, 60), sizes[0]),
        Region.from_box((0, 0, 30, 30), sizes[1]) | Region.from_box((160, 60, 200, 96), sizes[1]),
        Region.from_box((100, 50, 250, 200), sizes[2]),
        Region.full(sizes[3]),
    ]

    def edits() -> Iterator[EditTask[EditOutput]]:
        for seed, (size, prompt, region) in enumerate(zip(sizes, prompts, regions, strict=True)):
            picture = noise(size, seed).resize((16, 16)).resize(size)
            count = 1 + seed % 2
            yield tiny.edit_task(
                job(picture, prompt, region=region, seed=seed, preserve=preserve, candidates=count)
            )

    calls: list[int] = []
    alone = [tiny.run_task(edit) for edit in edits()]
    together = run(edits(), tiny.scheduler(8, calls.append))
    assert max(calls) >= 6
    for number, (one, other) in enumerate(zip(alone, together, strict=True)):
        assert one.seeds == other.seeds
        for a, b in zip(one.images, other.images, strict=True):
            assert np.abs(pixels(a) - pixels(b)).max() <= 1
            if preserve == "exact":
                source = noise(sizes[number], number).resize((16, 16)).resize(sizes[number])
                alpha = exact_alpha(regions[number], feather_of(regions[number]))
                outside = alpha.mask == 0
                assert (pixels(b) == pixels(source))[outside].all()


def test_a_region_is_found_the_same_among_others(tiny: AdaptEditPipeline) -> None:
    with Image.open(DESK) as picture:
        looks = [
            (picture.convert("RGB").resize(size), prompt)
            for size in ((384, 288), (150, 200))
            for prompt in ("remove the apple", "turn the cup of coffee on the right of the desk blue, please")
        ]
    finds = [tiny.find_task(job(*look, threshold=0.01)) for look in looks]
    together = run(finds, tiny.scheduler(8))
    for look, found in zip(looks, together, strict=True):
        assert np.abs(tiny.predict_region(*look, threshold=0.01).mask - found.mask).max() < 1e-3


# -- what becomes of the others --------------------------------------------------------------------------


class Choosy(FakeBackbone):
    """Fails wherever the prompt "bad" is. calls: the prompts of each."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def edit(self, images: Sequence[Image.Image], prompts: Sequence[str], *a: Any, **o: Any) -> list[Edited]:
        self.calls.append(list(prompts))
        if "bad" in prompts:
            raise RuntimeError("no luck")
        return super().edit(images, prompts, *a, **o)


def started(pipe: AdaptEditPipeline, prompts: Sequence[str]) -> tuple[Any, list[Future[EditOutput]]]:
    together = pipe.scheduler(8)
    futures = [Future[EditOutput]() for _ in prompts]
    for prompt, future in zip(prompts, futures, strict=True):
        together.add(pipe.edit_task(job(noise(), prompt, seed=3)), future)
    return together, futures


def test_an_edit_that_fails_fails_alone() -> None:
    pipe = AdaptEditPipeline(Choosy(), FakeAdapter())  # type: ignore[arg-type]
    alone = pipe(noise(), "a", seed=3).images[0]
    together, (first, bad, last) = started(pipe, ["a", "bad", "b"])
    while len(together):
        together.run_batch()
    with pytest.raises(RuntimeError, match="no luck"):
        bad.result()
    for future in (first, last):
        assert (pixels(future.result().images[0]) == pixels(alone)).all()
    assert pipe.backbone.calls[1] == ["a", "bad", "b"]  # type: ignore[attr-defined]


def test_what_cannot_be_found_is_told_to_its_own_edit(pipe: AdaptEditPipeline) -> None:
    together = pipe.scheduler(8)
    futures = [Future[EditOutput]() for _ in range(3)]
    for threshold, future in zip((0.5, 0.999, 0.5), futures, strict=True):
        pipe.adapter.certainty = 0.99  # type: ignore[assignment]
        together.add(pipe.edit_task(job(noise(), "x", seed=1, threshold=threshold)), future)
    while len(together):
        together.run_batch()
    assert isinstance(futures[1].exception(), RegionNotFound)
    assert all(future.result().images for future in (futures[0], futures[2]))


def test_an_edit_that_nobody_wants_leaves_the_batch() -> None:
    pipe = AdaptEditPipeline(Choosy(), FakeAdapter())  # type: ignore[arg-type]
    together, (first, unwanted, last) = started(pipe, ["a", "left", "b"])
    together.run_batch()  # finds the regions
    unwanted.cancel()
    while len(together):
        together.run_batch()
    assert pipe.backbone.calls == [["a", "b"]]  # type: ignore[attr-defined]
    assert first.result().images and last.result().images


def test_what_a_step_raises_ends_its_own_edit(pipe: AdaptEditPipeline) -> None:
    together, told = pipe.scheduler(8), list[tuple[int, int]]()

    def stop(*_: int) -> None:
        raise InterruptedError

    futures = [Future[EditOutput]() for _ in range(2)]
    for future, on_step in zip(futures, (stop, lambda *step: told.append(step)), strict=True):
        edit = pipe.edit_task(job(noise(), "x", seed=1, steps=3, candidates=2), on_step=on_step)
        together.add(edit, future)
    while len(together):
        together.run_batch()
    assert isinstance(futures[0].exception(), InterruptedError)
    assert futures[1].result().seeds == [1, 2]
    assert told == [(step, 6) for step in range(1, 7)]


def test_drawn_seeds_do_not_depend_on_the_batch(pipe: AdaptEditPipeline) -> None:
    """Though a picture whose region is given comes to its edit before one whose region is looked for."""
    region = Region.from_box((10, 10, 60, 60), noise().size)

    def seeds(max_batch: int) -> list[int]:
        generator = torch.Generator().manual_seed(5)
        where = [None, region, None]
        return pipe([noise()] * 3, ["a", "b", "c"], where, generator=generator, max_batch=max_batch).seeds

    assert seeds(1) == seeds(8)


def test_edits_with_other_settings_are_not_mixed() -> None:
    pipe = AdaptEditPipeline(Choosy(), FakeAdapter())  # type: ignore[arg-type]
    edits = [pipe.edit_task(job(noise(), f"{steps}", steps=steps, seed=0)) for steps in (1, 2, 1, 2)]
    run(edits, pipe.scheduler(8))
    assert pipe.backbone.calls == [["1", "1"], ["2", "2"]]  # type: ignore[attr-defined]


def test_more_than_fits_is_taken_as_room_comes(pipe: AdaptEditPipeline) -> None:
    calls: list[int] = []
    tasks = (pipe.edit_task(job(noise(), "x", seed=n)) for n in range(7))
    outputs = run(tasks, pipe.scheduler(3, calls.append))
    assert [output.seeds for output in outputs] == [[n] for n in range(7)]
    assert max(calls) == 3


# -- the server ------------------------------------------------------------------------------------------


def test_the_server_edits_together_what_waits(gated: AdaptEditPipeline) -> None:
    backbone = gated.backbone
    assert isinstance(backbone, GatedBackbone)
    with serving(gated, max_batch=4) as served, ThreadPoolExecutor(8) as pool:

        def ask(number: int) -> Future[httpx.Response]:
            picture = png(noise(seed=number))
            return pool.submit(
                lambda: served.post(image=picture, prompt=f"{number}", seed="5", response_format="b64_json")
            )

        first = ask(0)
        until(lambda: backbone.calls == [["0"]])
        others = [ask(number) for number in range(1, 6)]
        until(lambda: served.worker.waiting == 5)
        backbone.go.set()
        answers = [future.result() for future in (first, *others)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert max(len(call) for call in backbone.calls) <= 4 and len(backbone.calls) < len(answers)
        assert "adaptedit_batch_size_bucket" in served.get("/metrics").text
    with serving(AdaptEditPipeline(FakeBackbone(), FakeAdapter())) as served:  # type: ignore[arg-type]
        for number, answer in enumerate(answers):
            alone = served.post(image=png(noise(seed=number)), prompt=f"{number}", seed="5")
            assert alone.json()["data"] == answer.json()["data"]


class Gates(Choosy):
    """A call waits for the gate of its first prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = {"first": threading.Event(), "gone": threading.Event()}

    def edit(self, images: Sequence[Image.Image], prompts: Sequence[str], *a: Any, **o: Any) -> list[Edited]:
        edited = super().edit(images, prompts, *a, **o)
        assert self.gates[prompts[0]].wait(LONG)
        return edited


def test_who_leaves_a_call_leaves_the_others_their_answers() -> None:
    backbone = Gates()
    pipe = AdaptEditPipeline(backbone, FakeAdapter())  # type: ignore[arg-type]
    with serving(pipe) as served, ThreadPoolExecutor(8) as pool:
        first = pool.submit(served.post, image=PICTURE, prompt="first")
        until(lambda: backbone.calls == [["first"]])
        gone = leaving(served, "gone", PICTURE)
        until(lambda: served.worker.waiting == 1)
        stays = pool.submit(served.post, image=PICTURE, prompt="stays")
        until(lambda: served.worker.waiting == 2)
        backbone.gates["first"].set()
        assert first.result().status_code == 200
        until(lambda: backbone.calls == [["first"], ["gone", "stays"]])
        gone.close()
        until(lambda: served.worker.taken == 1)
        backbone.gates["gone"].set()
        assert stays.result().status_code == 200
        assert 'route="/v1/images/edits",status="499"} 1.0' in served.get("/metrics").text
    assert backbone.calls == [["first"], ["gone", "stays"]]
