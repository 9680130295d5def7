"""`adaptedit serve` with `tiny`, in a process of its own, on a free port."""

from __future__ import annotations

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
        command = [sys.executable, "-m", "adaptedit.interfaces.cli.main", "serve", "--port", "0", *options]
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
        return self.resident()

    def settle(self, seconds: float) -> bool:
        """Whether nothing is in flight within so many seconds, and for the two after that."""
        end = time.monotonic() + seconds
        while "adaptedit_in_flight 0.0" not in httpx.get(f"{self.url}/metrics", timeout=60).text:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        time.sleep(2)  # decodings that nobody wants end within one
        return True

    def resident(self, pid: int | None = None) -> float:
        """MB, of the server or of another process; 0 where there is none."""
        return self._status("VmRSS", pid)

    def highest(self) -> float:
        """Resident MB of the server at its highest since `forget_highest`."""
        return self._status("VmHWM", None)

    def forget_highest(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def children(self) -> list[int]:
        """The processes that decode."""
        files = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in files for pid in file.read_text().split()]

    def _status(self, what: str, pid: int | None) -> float:
        try:
            lines = Path(f"/proc/{pid or self.process.pid}/status").read_text().splitlines()
        except OSError:
            return 0.0
        found = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
        return int(found[0]) * 1024 / 1e6 if found else 0.0
