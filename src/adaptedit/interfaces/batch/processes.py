"""Records over processes of this machine. One that dies is replaced and its record tried once more."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.editor import Start
from adaptedit.interfaces.batch.records import Record
from adaptedit.jsonl import Row

TRIES = 2  # of a record, or of a process before its first record, that ends the process


@dataclass
class _Worker:
    """record: the one it edits; None while it loads the editor."""

    process: SpawnProcess
    number: int
    record: Record | None = None


def in_processes(records: list[Record], start: Start, count: int) -> Generator[Row]:
    """Lines in the order they are done. A record that ended two processes is failed.

    Raises AdaptEditError as `start` and the edits do, and if processes die while they load.
    """
    waiting, died = deque(records), Counter[str]()
    workers: dict[Connection[Any, Any], _Worker] = {}

    def launch(number: int) -> None:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(theirs, start, number), daemon=True
        )
        process.start()
        theirs.close()
        workers[ours] = _Worker(process, number)

    def hand_out(connection: Connection[Any, Any]) -> None:
        if waiting:
            workers[connection].record = waiting.popleft()
            with suppress(BrokenPipeError):  # it died: its end of the pipe says so next
                connection.send(workers[connection].record)
        else:
            connection.close()
            workers.pop(connection).process.join()

    try:
        for number in range(min(count, len(records))):
            launch(number)
        while workers:
            for connection in wait(list(workers)):
                assert isinstance(connection, Connection)
                try:
                    said = connection.recv()
                except (EOFError, ConnectionResetError):
                    worker = workers.pop(connection)
                    worker.process.join()
                    how = _how(worker.process.exitcode)
                    name = worker.record.id if worker.record else ""
                    died[name] += 1
                    if worker.record is None and died[name] == TRIES:
                        raise AdaptEditError(
                            f"processes ended while they loaded the editor ({how}); give fewer --processes"
                        ) from None
                    if worker.record and died[name] == TRIES:
                        why = f"{TRIES} processes ended while they edited it ({how}); out of memory, perhaps"
                        yield manifest.row(worker.record, "failed", why)
                    elif worker.record:
                        waiting.appendleft(worker.record)
                    if waiting:
                        launch(worker.number)
                    continue
                if isinstance(said, str):
                    raise AdaptEditError(said)
                if said is not None:
                    yield said
                hand_out(connection)
    finally:
        for worker in workers.values():
            worker.process.terminate()


def _work(connection: Connection[Any, Any], start: Start, number: int) -> None:
    """Sends None when the editor is loaded, then a row for each record; a text ends the batch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which then ends this process
    with suppress(EOFError, BrokenPipeError):  # no more records, or no parent
        try:
            edit = start(number)
            connection.send(None)
            while True:
                connection.send(edit(connection.recv()))
        except AdaptEditError as error:
            connection.send(str(error))


def _how(code: int | None) -> str:
    return f"signal {-code}" if code and code < 0 else f"exit code {code}"
