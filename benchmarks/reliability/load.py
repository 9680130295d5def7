"""Callers: many at once, patient ones, ones that leave, ones that send nonsense. All answers are checked."""

from __future__ import annotations

import asyncio
import base64
import io
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from malformed import Case
from PIL import Image

from adaptedit import AdaptEditPipeline
from adaptedit.editing.pipeline import feather_of
from adaptedit.region import Region

EXAMPLES = Path(__file__).parents[2] / "examples"
SCENES = (("desk.png", "remove the apple"), ("desk.png", "remove the cup of coffee"))
WIDTH, HEIGHT = 192, 144
ROUTE = "/v1/images/edits"


@dataclass
class Checked:
    """wrong: answers that changed something outside, or were not the ones to their own requests."""

    outside: int = 0
    whole: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ask:
    """One request that no other is like: its own noise in the picture, its own seed, half with a mask."""

    number: int

    @property
    def picture(self) -> Image.Image:
        scene = Image.open(EXAMPLES / SCENES[self.number % 2][0]).convert("RGB").resize((WIDTH, HEIGHT))
        noise = np.random.default_rng(self.number).integers(-2, 3, (HEIGHT, WIDTH, 3))
        return Image.fromarray((np.asarray(scene).astype(int) + noise).clip(0, 255).astype(np.uint8))

    @property
    def prompt(self) -> str:
        return SCENES[self.number % 2][1]

    @property
    def mask(self) -> Image.Image | None:
        if self.number % 4 < 2:
            return None
        rng = random.Random(self.number)
        left, top = rng.randrange(WIDTH - 60), rng.randrange(HEIGHT - 60)
        mask = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), (left, top, left + rng.randint(20, 60), top + rng.randint(20, 60)))
        return mask

    def files(self) -> dict[str, tuple[str, bytes]]:
        files = {"image": ("a.png", _png(self.picture))}
        if self.mask is not None:
            files["mask"] = ("m.png", _png(self.mask))
        return files

    def data(self) -> dict[str, str]:
        return {"prompt": self.prompt, "seed": str(self.number)}

    def region(self, pipe: AdaptEditPipeline) -> Region:
        if self.mask is not None:
            return Region.from_alpha(self.mask)
        return pipe.predict_region(self.picture, self.prompt)


def check(ask: Ask, body: dict[str, object], pipe: AdaptEditPipeline, checked: Checked) -> None:
    """Size, seed, every pixel outside the grown region; of every fourth answer, every pixel."""
    (one,) = body["data"]  # type: ignore[misc]
    edited = Image.open(io.BytesIO(base64.b64decode(one["b64_json"])))
    if edited.size != ask.picture.size or one["seed"] != ask.number:
        checked.wrong.append(f"{ask.number}: size {edited.size}, seed {one['seed']}")
        return
    region = ask.region(pipe)
    hard = Region.from_array(region.mask > min(0.5, float(region.mask.max()) / 2))
    grown = hard.dilate(2 * feather_of(region) + 3).mask > 0
    outside = (np.asarray(edited) != np.asarray(ask.picture)).any(axis=2) & ~grown
    if outside.any() or grown.all():
        checked.wrong.append(f"{ask.number}: {outside.sum()} pixels changed outside")
    checked.outside += 1
    if ask.number % 8 in (0, 3):
        here = pipe(ask.picture, ask.prompt, region, seed=ask.number).images[0]
        differences = np.asarray(here).astype(int) - np.asarray(edited)
        if np.abs(differences).max() > 1:  # sums round differently beside other pictures
            checked.wrong.append(f"{ask.number}: not the picture that this edit gives here")
        checked.whole += 1


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


async def crowd(url: str, asks: list[Ask], *, patient: bool) -> tuple[Counter[str], dict[int, list[dict]]]:
    """All at once. patient: those that get 429 come again when they are told to.

    Returns how often each status came, and the answers by the number of their request.
    """
    status: Counter[str] = Counter()
    answers: dict[int, list[dict]] = {}
    limits = httpx.Limits(max_connections=len(asks))

    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def one(ask: Ask) -> None:
            files, data = ask.files(), ask.data()
            while True:
                try:
                    answer = await client.post(ROUTE, files=files, data=data)
                except httpx.TransportError as error:
                    status[f"connection: {type(error).__name__}"] += 1
                    return
                status[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    answers.setdefault(ask.number, []).append(answer.json())
                if answer.status_code != 429 or not patient:
                    return
                await asyncio.sleep(float(answer.headers["retry-after"]) * random.uniform(0.5, 1.5))

        await asyncio.gather(*map(one, asks))
    return status, answers


async def leavers(url: str, asks: list[Ask], rng: random.Random) -> Counter[str]:
    """Each closes its connection: within its upload, or some time after it."""
    host, port = url.removeprefix("http://").split(":")
    how: Counter[str] = Counter()

    async def one(ask: Ask) -> None:
        request = httpx.Request("POST", url + ROUTE, files=ask.files(), data=ask.data())
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        whole = f"POST {ROUTE} HTTP/1.1\r\n{head}\r\n".encode() + request.read()
        _, writer = await asyncio.open_connection(host, int(port))
        within = rng.random() < 0.3
        writer.write(whole[: rng.randrange(len(whole))] if within else whole)
        how["within the upload" if within else "after it"] += 1
        await asyncio.sleep(rng.uniform(0, 2))
        writer.transport.abort() if rng.random() < 0.5 else writer.close()

    await asyncio.gather(*map(one, asks))
    return how


async def nonsense(url: str, kinds: list, count: int) -> tuple[Counter[str], list[str]]:
    """Eight at a time. Returns the statuses, and the kinds that were answered with 5xx or not at all."""
    status: Counter[str] = Counter()
    bad: list[str] = []
    door = asyncio.Semaphore(8)

    async with httpx.AsyncClient(base_url=url, timeout=120) as client:

        async def one(number: int) -> None:
            make = kinds[number % len(kinds)]
            async with door:
                case: Case = make()
                headers = {"content-type": case[0]} if case[0] else {}
                for _ in range(20):
                    try:
                        answer = await client.post(ROUTE, content=case[1], headers=headers)
                    except httpx.TransportError as error:
                        status[f"connection: {type(error).__name__}"] += 1
                        bad.append(f"{make.__name__}: {error!r}")
                        return
                    if answer.status_code != 429:
                        break
                    await asyncio.sleep(0.5)
                status[str(answer.status_code)] += 1
                if answer.status_code >= 500 or answer.status_code == 429:
                    bad.append(f"{make.__name__}: {answer.status_code} {answer.text[:200]}")

        await asyncio.gather(*map(one, range(count)))
    return status, bad
