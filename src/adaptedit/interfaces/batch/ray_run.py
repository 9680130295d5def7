"""Records over Ray Data's actors, on this machine or on a cluster. See docs/batch.md."""

from __future__ import annotations

import importlib
import json
import logging
import os
import pickle
from collections import Counter
from collections.abc import Generator
from typing import Any

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.batch import manifest
from adaptedit.interfaces.batch.editor import Edit, Start
from adaptedit.interfaces.batch.records import Record
from adaptedit.jsonl import Row

BLOCK = 8  # records that a worker takes at once; those that a killed driver had not received are done again
TRIES = 2  # of a record that kills its worker; Ray itself would retry without end
LOADING = ""  # in place of a record's id
SWITCHES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}


def in_ray(records: list[Record], start: Start, workers: int | None = None) -> Generator[Row]:
    """Lines in the order they are done, one per record. workers: by default one per GPU, or else per core.

    Uses the cluster of RAY_ADDRESS, or starts Ray here. The batch's folder and the pictures must have the
    same paths on all machines. A worker that dies is replaced and its block done again, with the same bytes;
    a record that killed two is failed.

    Raises AdaptEditError if Ray is not installed, as `start` and the edits do, and if workers die loading.
    """
    for switch, value in SWITCHES.items():
        os.environ.setdefault(switch, value)
    ray, ray_data = _module("ray"), _module("ray.data")
    if not records:
        return
    ours = not ray.is_initialized()
    if ours:
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
    try:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        count = min(workers or gpus or int(resources["CPU"]), len(records))
        ray_data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Tries).remote()
        block = min(BLOCK, -(-len(records) // count))
        edited = ray_data.from_items(
            [{"record": pickle.dumps(record)} for record in records],
            override_num_blocks=-(-len(records) // block),
        ).map(
            _Worker,
            fn_constructor_args=(start, tries, count),
            compute=ray_data.ActorPoolStrategy(size=count),
            num_gpus=1 if gpus else 0,
        )
        for item in edited.iter_rows():
            row = json.loads(item["row"])
            if "stopped" in row:
                raise AdaptEditError(row["stopped"])
            yield row
    except ray.exceptions.RayError as error:
        raise AdaptEditError(f"Ray stopped ({type(error).__name__}); run again to go on") from error
    finally:
        if ours:
            ray.shutdown()


class _Worker:
    """An actor. An error that ends the batch is returned as a row, without Ray's traceback."""

    def __init__(self, start: Start, tries: Any, workers: int) -> None:
        self.start, self.tries, self.workers = start, tries, workers
        self.edit: Edit | None = None

    def __call__(self, item: dict[str, Any]) -> dict[str, str]:
        record: Record = pickle.loads(item["record"])
        try:
            if self.edit is None:
                self.edit = self._load()
            row = self._edit(self.edit, record)
        except AdaptEditError as error:
            row = {"stopped": str(error)}
        except Exception as error:  # of the loading: `edit` has its own in its row
            row = {"stopped": f"{type(error).__name__}: {error}"}
        return {"row": json.dumps(row)}

    def _load(self) -> Edit:
        if self._begin(LOADING) > TRIES * self.workers:
            raise AdaptEditError("workers died while they loaded the editor; give fewer --workers")
        edit = self.start(0)  # Ray shows an actor no GPU but its own
        self.tries.end.remote(LOADING)
        return edit

    def _edit(self, edit: Edit, record: Record) -> Row:
        if self._begin(record.id) > TRIES:
            why = f"{TRIES} workers died while they edited it; out of memory, perhaps"
            return manifest.row(record, "failed", why)
        row = edit(record)
        self.tries.end.remote(record.id)
        return row

    def _begin(self, name: str) -> int:
        tries: int = _module("ray").get(self.tries.begin.remote(name))
        return tries


class _Tries:
    """An actor that counts records begun and not ended, which a worker that dies cannot do."""

    def __init__(self) -> None:
        self.begun = Counter[str]()

    def begin(self, name: str) -> int:
        self.begun[name] += 1
        return self.begun[name]

    def end(self, name: str) -> None:
        self.begun.pop(name, None)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise AdaptEditError(
            f"--ray needs Ray Data ({error}): pip install 'adaptedit[ray]' and try again"
        ) from None
