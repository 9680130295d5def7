"""Attacks on a server, one kind after the other, and beside each a caller who only wants an edit.

Measured of that caller: the median and the longest time to an answer, also against the median without an
attack, and how often he was refused. Each of his answers is compared with the source outside the region. Of
the server: its resident memory after each attack, over several rounds of all of them, its highest, that of
the processes that decode, and its end by SIGTERM within an attack.
"""

from __future__ import annotations

import functools
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from attackers import LATE, REQUESTS, TAIL
from load import ROUTE, Ask, Checked, check
from PIL import Image
from server import LOG, Server

from adaptedit import AdaptEditPipeline
from adaptedit.region import Region

HERE = Path(__file__).parent
DESK = HERE.parents[1] / "examples" / "desk.png"
NONE = "none"
ROUNDS = 3  # of all attacks; the first warms up
MOST_LATER = 2.0  # seconds after the median without an attack
MOST_GROWTH = 0.05  # of the server's memory, from one round to the next
DRAIN, MOST_DRAIN = 2.0, 15.0  # given; with uvicorn's 10 seconds for answers on their way
SETTLE = 120.0  # seconds for all places to be free again

ANSWERS = {"200", "400", "422", LATE}
BUSY = {"503 busy", "503 timeout"}  # an answer to attackers
EXPECTED = defaultdict(
    lambda: ANSWERS,
    {
        "scan bombs": {"400"},
        "arithmetic scans": {"400"},
        "work that no count shows": {"400"},
        "answers that nobody reads": {"not read"},
        "half-open": {"408", "closed"},
        "callers who leave while it is decoded": {"left"},
        "odd hosts and charsets": {"400", "415"},
    },
)


class Ordinary(Ask):
    """`examples/desk.png` as it is; only the seed differs."""

    picture = functools.cached_property(lambda self: Image.open(DESK).convert("RGB"))
    prompt = "remove the apple"
    mask = None

    def files(self) -> dict[str, tuple[str, bytes]]:
        return {"image": ("desk.png", DESK.read_bytes())}

    def region(self, pipe: AdaptEditPipeline) -> Region:
        return _region(pipe)


@functools.lru_cache
def _region(pipe: AdaptEditPipeline) -> Region:
    return pipe.predict_region(Image.open(DESK).convert("RGB"), Ordinary.prompt)


@dataclass
class Seen:
    """Of one attack, in all rounds that are measured; memory in MB, one value a round."""

    came: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    memory: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    decoders: list[float] = field(default_factory=list)


def run(
    seconds: float, pipe: AdaptEditPipeline, names: Sequence[str] = tuple(REQUESTS)
) -> tuple[str, list[str]]:
    """All attacks, each of so many seconds and the rest of its answers. The report, and what was wrong."""
    server = Server("--drain", str(DRAIN))
    checked = Checked()
    asks = map(Ordinary, itertools.count())
    for _ in range(3):  # the first edits are slower
        _asked(server.url, next(asks))
    seen: dict[str, Seen] = {}
    for number in range(ROUNDS):
        if number < 2:
            seen = {name: Seen() for name in (NONE, *names)}  # the first round is forgotten
        for name, one in seen.items():
            _attacked(server, name, seconds, one, asks, pipe, checked)
            late = one.seconds[-1:] and max(one.seconds) - median(seen[NONE].seconds)
            print(f"round {number}: {name}: {told(one.came)}, {len(one.seconds)} edits, ", end="")
            print(f"+{late:.2f} s, {one.refused} refused, {one.memory[-1]:.0f} MB", flush=True)
    end = _drained(server, asks, pipe, checked)
    events = _check_log(checked)
    _judge(seen, checked)
    usual = median(seen[NONE].seconds)
    text = REPORT.format(
        rounds=ROUNDS - 1,
        seconds=seconds,
        tail=TAIL,
        rows="\n".join(_row(name, one, usual) for name, one in seen.items()),
        end=end,
        outside=checked.outside,
        whole=checked.whole,
        events=told(events),
        wrong=len(checked.wrong),
    )
    return text, checked.wrong


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(counts.items())) or "nothing"


def _attacked(
    server: Server,
    name: str,
    seconds: float,
    seen: Seen,
    asks: Iterator[Ordinary],
    pipe: AdaptEditPipeline,
    checked: Checked,
) -> None:
    """One attack, and the ordinary caller as long as it goes on. His answers are compared afterwards."""
    ends = time.monotonic() + seconds
    attackers = None if name == NONE else _attackers(server.url, name, seconds)
    server.forget_highest()
    answers: list[tuple[Ordinary, dict[str, Any]]] = []
    while time.monotonic() < ends if attackers is None else attackers.poll() is None:
        ask = next(asks)
        started = time.monotonic()
        outcome, body = _asked(server.url, ask)
        seen.seconds.append(time.monotonic() - started)
        if body is not None:
            answers.append((ask, body))
        else:
            seen.refused += 1
            checked.wrong.append(f"{name}: an ordinary edit was answered {outcome}")
    if attackers is not None:
        came = _came(attackers)
        seen.came += came
        for outcome in came.keys() - EXPECTED[name] - BUSY:
            checked.wrong.append(f"{name}: {came[outcome]} x {outcome}")
    if not server.settle(SETTLE):
        checked.wrong.append(f"{name}: not all places are free after {SETTLE:.0f} s")
    seen.highest.append(server.highest())
    seen.memory.append(server.resident())
    seen.decoders.append(sum(map(server.resident, server.children())))
    for ask, body in answers:
        check(ask, body, pipe, checked)


def _asked(url: str, ask: Ordinary) -> tuple[str, dict[str, Any] | None]:
    """The status or what became of the connection; the answer's body where it is an edit."""
    try:
        answer = httpx.post(url + ROUTE, files=ask.files(), data=ask.data(), timeout=120)
    except httpx.TransportError as error:
        return f"connection: {type(error).__name__}", None
    if answer.status_code == 200:
        return "200", answer.json()
    return f"{answer.status_code} {answer.json()['error']['code']}", None


def _attackers(url: str, name: str, seconds: float) -> subprocess.Popen[str]:
    """They have begun."""
    command = [sys.executable, str(HERE / "attackers.py"), url, name, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _came(attackers: subprocess.Popen[str]) -> Counter[str]:
    assert attackers.stdout is not None
    return Counter(json.loads(attackers.stdout.read()))


def _drained(server: Server, asks: Iterator[Ordinary], pipe: AdaptEditPipeline, checked: Checked) -> str:
    """SIGTERM while bombs and half-open uploads come; three ordinary edits are inside, three come later."""
    attacks = [_attackers(server.url, name, 10) for name in ("as many scans as pass", "half-open")]
    time.sleep(2)
    children = server.children()
    with ThreadPoolExecutor(6) as threads:
        before = [(ask, threads.submit(_asked, server.url, ask)) for ask in itertools.islice(asks, 3)]
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        time.sleep(0.3)
        after = [(ask, threads.submit(_asked, server.url, ask)) for ask in itertools.islice(asks, 3)]
        try:
            code: int | None = server.process.wait(60)
        except subprocess.TimeoutExpired:
            server.process.kill()
            code = None
    seconds = time.monotonic() - started
    for process in attacks:
        process.kill()
    left = [child for child in children if server.resident(child)]
    if code != 0 or seconds > MOST_DRAIN or left:
        checked.wrong.append(f"SIGTERM: exit {code} after {seconds:.1f} s, decoders left: {left}")
    for ask, future in [*before, *after]:
        if (body := future.result()[1]) is not None:
            check(ask, body, pipe, checked)
    told_before, told_after = (told(Counter(f.result()[0] for _, f in some)) for some in (before, after))
    return f"exit {code} after {seconds:.1f} s; inside: {told_before}; later: {told_after}"


def _check_log(checked: Checked) -> Counter[str]:
    """Errors, by their event. Each line has to be JSON."""
    errors: Counter[str] = Counter()
    for line in LOG.read_text().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            checked.wrong.append(f"the log has a line that is no JSON: {line[:200]}")
            continue
        if entry["event"] == "unforeseen" or entry["level"] in ("error", "critical"):
            errors[entry["event"]] += 1
            checked.wrong.append(f"the log has: {line[:500]}")
    return errors


def _judge(seen: dict[str, Seen], checked: Checked) -> None:
    usual = median(seen[NONE].seconds)
    for name, one in seen.items():
        later = max(one.seconds) - usual
        if later > MOST_LATER:
            checked.wrong.append(f"{name}: an ordinary edit came {later:.1f} s later than without an attack")
        growth = max(one.memory) / one.memory[0] - 1
        if growth > MOST_GROWTH:
            checked.wrong.append(f"{name}: the server's memory grew by {growth:.1%} from round to round")


def _row(name: str, one: Seen, usual: float) -> str:
    memory, decoders = (", ".join(f"{mb:.0f}" for mb in some) for some in (one.memory, one.decoders))
    cells = (
        name,
        told(one.came),
        len(one.seconds),
        f"{median(one.seconds):.2f}",
        f"{max(one.seconds):.2f}",
        f"{max(one.seconds) - usual:+.2f}",
        one.refused,
        memory,
        f"{max(one.highest):.0f}",
        decoders,
    )
    return f"| {' | '.join(map(str, cells))} |"


REPORT = """
Four senders, one request after the other, from a process of their own; half-open: 64 uploads that stop, and
64 heads. {rounds} rounds after one to warm up; each attack lasts {seconds:g} s and until its answers are in,
at most {tail:g} s. Beside them one caller, edit after edit: `examples/desk.png`, "remove the apple". Later:
his longest, over the median without an attack. Memory: resident, MB, after each round; highest: of the
server, within the attack.

| attack | what came back | edits | median s | longest s | later s | refused | server | highest | decoders |
|---|---|---|---|---|---|---|---|---|---|
{rows}

| what was checked | result |
|---|---|
| SIGTERM with `--drain 2` under the worst scans and half-open uploads | {end} |
| ordinary answers, every pixel outside the grown region compared with the source | {outside} |
| of these within one level of the same edit made alone in another process, every pixel | {whole} |
| errors in the server's log, of which every line is JSON | {events} |
| wrong | {wrong} |
"""
