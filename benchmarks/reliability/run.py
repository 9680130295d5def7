"""A real server process with `tiny`, and everything that callers do to one. Rewrites results.md.

    pip install -e '.[serve]' httpx
    python benchmarks/reliability/run.py            # about half an hour on two cores
    python benchmarks/reliability/run.py --rounds 1 --seconds 3     # a look
    python benchmarks/reliability/run.py --only attacks --seconds 5 # the rest of results.md stays as it is

A round: 200 requests at once against 32 places; 40 callers that leave; 100 malformed uploads (twenty kinds).
Two rounds warm up, the others are measured. Then 200 callers that come again when told to, until each has its
answer; then SIGTERM with all places taken. Every answer is decoded and compared with its own source outside
the grown region, and of each fourth every pixel with the same edit made here. Exit status 1 if it is wrong.
Then `attacks`, against another server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

os.environ.setdefault("OMP_NUM_THREADS", "1")  # here and in the server: both work at once

from adaptedit.interfaces.cli.terminal import quiet  # noqa: E402

quiet()

import attacks  # noqa: E402
import torch  # noqa: E402
from attacks import told  # noqa: E402
from load import Ask, Checked, check, crowd, leavers, nonsense  # noqa: E402
from malformed import cases  # noqa: E402
from server import LOG, Server  # noqa: E402

from adaptedit import AdaptEditPipeline, __version__  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "results.md"
WARM_UP = 2
PLACES = 32


def verify(
    asks: list[Ask], answers: dict[int, list[dict]], pipe: AdaptEditPipeline, checked: Checked
) -> None:
    for ask in asks:
        given = answers.get(ask.number, [])
        if len(given) > 1:
            checked.wrong.append(f"{ask.number}: {len(given)} answers")
        for body in given:
            check(ask, body, pipe, checked)


def drained(server: Server, asks: list[Ask]) -> tuple[Counter[str], dict[int, list[dict]], int, float]:
    """SIGTERM while all places are taken; requests keep coming. Exit status, and seconds that it took."""

    async def both() -> tuple[Counter[str], dict[int, list[dict]]]:
        crowded = asyncio.create_task(crowd(server.url, asks[:64], patient=False))
        async with httpx.AsyncClient(base_url=server.url) as client:
            while f"adaptedit_in_flight {PLACES}.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        late, _ = await crowd(server.url, asks[64:], patient=False)
        status, answers = await crowded
        return status + Counter(
            {f"{name} (after the signal)": count for name, count in late.items()}
        ), answers

    started = time.monotonic()
    status, answers = asyncio.run(both())
    code = server.process.wait(60)
    return status, answers, code, time.monotonic() - started


def crowds(rounds: int, pipe: AdaptEditPipeline) -> tuple[str, list[str]]:
    """Many callers, those who leave, malformed uploads, patient ones. The report, and what was wrong."""
    rng = random.Random(0)
    numbers = iter(range(10**9))

    def asks(count: int) -> list[Ask]:
        return [Ask(next(numbers)) for _ in range(count)]

    kinds = cases(Ask(0).picture, rng)
    server = Server("--queue", str(PLACES), "--drain", "300")
    checked = Checked()
    beat = subprocess.Popen(
        [sys.executable, str(HERE / "pulse.py"), server.url], stdout=subprocess.PIPE, text=True
    )
    at_once, left, malformed = Counter[str](), Counter[str](), Counter[str]()
    memory: list[float] = []
    for number in range(WARM_UP + rounds):
        crowded = asks(200)
        status, answers = asyncio.run(crowd(server.url, crowded, patient=False))
        verify(crowded, answers, pipe, checked)
        gone = asyncio.run(leavers(server.url, asks(40), rng))
        server.memory()
        wrong, bad = asyncio.run(nonsense(server.url, kinds, 100))
        checked.wrong += bad
        memory.append(server.memory())
        print(f"round {number}: {dict(status)}, {dict(gone)}, {dict(wrong)}, {memory[-1]:.0f} MB", flush=True)
        if number >= WARM_UP:
            at_once, left, malformed = at_once + status, left + gone, malformed + wrong

    crowded = asks(200)
    patient, answers = asyncio.run(crowd(server.url, crowded, patient=True))
    verify(crowded, answers, pipe, checked)
    if len(answers) != 200:
        checked.wrong.append(f"{len(answers)} of 200 patient callers were answered")
    memory.append(server.memory())

    beat.terminate()
    pauses = sorted(map(float, beat.communicate()[0].split()))
    final = asks(80)
    at_end, answers, code, seconds = drained(server, final)
    verify(final, answers, pipe, checked)
    if code != 0 or at_end["200"] != PLACES:
        checked.wrong.append(f"drain: exit {code}, {at_end}")

    lines = [json.loads(line) for line in LOG.read_text().splitlines() if line.startswith("{")]
    unforeseen = sum(line["event"] == "unforeseen" for line in lines)
    measured = memory[WARM_UP:]
    spread = max(measured) / measured[0] - 1
    if spread > 0.05:
        checked.wrong.append(f"memory grew by {spread:.1%}")
    if unforeseen:
        checked.wrong.append(f"{unforeseen} exceptions that nobody foresaw")
    text = CROWDS.format(
        rounds=rounds,
        at_once=told(at_once),
        left=told(left),
        malformed=told(malformed),
        patient=told(patient),
        drain=told(at_end),
        code=code,
        seconds=seconds,
        outside=checked.outside,
        whole=checked.whole,
        wrong=len(checked.wrong),
        unforeseen=unforeseen,
        warm=", ".join(f"{value:.0f}" for value in memory[:WARM_UP]),
        memory=", ".join(f"{value:.0f}" for value in measured),
        spread=spread,
        pulse=", ".join(f"{pauses[int(len(pauses) * at)] * 1000:.0f}" for at in (0.5, 0.99, 1 - 1e-9)),
        asked=len(pauses),
    )
    return text, checked.wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="of crowds, after those to warm up")
    parser.add_argument("--seconds", type=float, default=20, help="of each attack")
    parser.add_argument("--only", choices=("crowds", "attacks"))
    given = parser.parse_args()

    pipe = AdaptEditPipeline.from_pretrained("tiny")
    machine = MACHINE.format(
        version=__version__,
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"torch {torch.__version__}",
    )
    parts = RESULTS.read_text().partition(UNDER_ATTACK)
    wrong: list[str] = []
    if given.only != "attacks":
        text, wrong = crowds(given.rounds, pipe)
        parts = (HEADING + machine + text, *parts[1:])
        print(text)
    if given.only != "crowds":
        text, bad = attacks.run(given.seconds, pipe)
        wrong = wrong + bad
        parts = (parts[0].rstrip("\n") + "\n\n", UNDER_ATTACK, machine + text)
        print(text)
    RESULTS.write_text("".join(parts))
    for line in wrong:
        print("WRONG", line)
    sys.exit(bool(wrong))


HEADING = "# Reliability of `adaptedit serve`\n"
UNDER_ATTACK = "## Under attack\n"
MACHINE = """
Written by `python benchmarks/reliability/run.py`: AdaptEdit {version}, `tiny`, one thread; {machine}.
"""

CROWDS = """
| what was done | what came back |
|---|---|
| {rounds} rounds of 200 requests at once against 32 places | {at_once} |
| {rounds} rounds of 40 callers who left | {left} |
| {rounds} rounds of 100 malformed uploads, twenty kinds | {malformed} |
| 200 callers at once who come again after 429 | {patient} |
| SIGTERM with all places taken, 64 callers, then 16 | {drain}; exit {code} after {seconds:.0f} s |

| what was checked | result |
|---|---|
| answers decoded, every pixel outside the grown region compared with the source | {outside} |
| of these within one level of the same edit made alone in another process, every pixel | {whole} |
| lost, duplicated, mixed up or leaking answers; malformed uploads with 5xx or no answer | {wrong} |
| exceptions that nobody foresaw, by the server's log | {unforeseen} |
| resident memory after the two rounds of warm-up, MB | {warm} |
| resident memory after each round since, and after the patient callers, MB | {memory} |
| its highest value over the first of them | {spread:+.1%} |
| /healthz, asked {asked} times: median, 99th percentile, longest, ms | {pulse} |
"""


if __name__ == "__main__":
    main()
