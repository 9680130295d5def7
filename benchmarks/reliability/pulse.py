"""How long /healthz takes, ten times a second: `pulse.py URL` prints seconds until it is ended.

A process of its own: the callers' one has pauses too.
"""

import sys
import time
import urllib.request

while True:
    start = time.monotonic()
    with urllib.request.urlopen(f"{sys.argv[1]}/healthz", timeout=60) as answer:
        answer.read()
    print(time.monotonic() - start, flush=True)
    time.sleep(0.1)
