"""`adaptedit serve` with `tiny`, in a process of its own, on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

LOG = Path(__file__).parents[2] / "out" / "reliability-server.log"


class Server:
    """Started and ready. Its log is `LOG`, written anew."""

    def __init__(self, *options: str) -> None:
        LOG.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "adaptedit.interfaces.cli", "serve", "--port", "0", *options]
        with LOG.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip().removesuffix("/docs")
        while not self._ready():
            if self.process.poll() is not None:
                raise SystemExit(LOG.read_text())
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def memory(self) -> float:
        """Resident, in MB, once nothing is in flight."""
        while "adaptedit_in_flight 0.0" not in httpx.get(f"{self.url}/metrics", timeout=60).text:
            time.sleep(0.1)
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
