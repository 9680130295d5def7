"""schemathesis against /openapi.json of a real server: nothing that fits the schema, or nearly, gives 5xx.

    pip install -e '.[serve]' httpx schemathesis
    python benchmarks/reliability/schema.py

Exit status: schemathesis's own, or 1 if the server's log has an exception that nobody foresaw.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from server import LOG, Server  # noqa: E402

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "missing_required_header,unsupported_method,allow_header_conformance"
)


def main() -> None:
    command = shutil.which("schemathesis")
    if command is None:
        raise SystemExit("schemathesis is not installed: pip install schemathesis")
    server = Server()
    options = ["--checks", CHECKS, "--max-examples", "150", "--seed", "1", "--workers", "4"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "schema_hooks"}
    run = subprocess.run(
        [command, "run", f"{server.url}/openapi.json", *options, "--continue-on-failure"],
        env=environment | {"PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"},
        cwd=LOG.parent,
    )
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(60)
    unforeseen = LOG.read_text().count('"event": "unforeseen"')
    print(f"unforeseen exceptions: {unforeseen}; the server's exit status: {code}")
    sys.exit(run.returncode or unforeseen > 0 or code != 0)


if __name__ == "__main__":
    main()
