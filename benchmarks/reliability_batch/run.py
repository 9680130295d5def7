"""What a batch survives, and what it costs: real batches of the embedded editor, broken on purpose.

    python benchmarks/reliability_batch/run.py           # everything; Ray's part if Ray is installed
    python benchmarks/reliability_batch/run.py disk rss  # parts: kill, processes, ray, disk, rss, cost, check

The raw figures go to results.json and from there into results.md, both beside this file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

HERE = Path(__file__).parent
DESK = HERE.parents[1] / "examples" / "desk.png"
COMMAND = [sys.executable, "-c", "from adaptedit.interfaces.cli.main import main; main()", "batch"]
SEED = 0  # of the moments at which processes are killed
Facts = dict[str, Any]


# -- batches


def jobs(folder: Path, count: int, size: tuple[int, int] = (256, 192)) -> Path:
    """Crops of one picture, none like another, that all show its apple."""
    folder.mkdir(parents=True)
    desk = Image.open(DESK).convert("RGB")
    lines = []
    for n in range(count):
        crop = desk.crop((n % 16, n // 16 % 16, desk.width, desk.height)).resize(size)
        crop.save(folder / f"{n:04}.png")
        lines.append(json.dumps({"image": f"{n:04}.png", "instruction": "remove the apple"}) + "\n")
    path = folder / "jobs.jsonl"
    path.write_text("".join(lines))
    return path


def start(path: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [*COMMAND, str(path), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(path: Path, out: Path, *options: str) -> str:
    """Runs to the end; the last line it says."""
    process = start(path, out, *options)
    said, wrong = process.communicate()
    assert process.returncode == 0, wrong
    return said.splitlines()[-1]


def noted(out: Path) -> int:
    """Whole lines so far."""
    return sum(file.read_bytes().count(b"\n") for file in (out / "shards").glob("manifest.*.jsonl"))


def when(process: subprocess.Popen[str], out: Path, lines: int, then: float = 0.0) -> None:
    """Returns so many seconds after so many lines are there."""
    while noted(out) < lines and process.poll() is None:
        time.sleep(0.005)
    time.sleep(then)


def hashes(out: Path, count: int) -> list[str]:
    """Of the files that the manifest names, which has one line a record and tells the truth."""
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) == count, "a record is lost or there twice"
    found = [hashlib.sha256((out / row["outputs"][0]).read_bytes()).hexdigest() for row in rows]
    assert found == [row["sha256"][0] for row in rows]
    return found


def unfinished(out: Path) -> int:
    """Pictures that are not whole: a PNG ends in this chunk."""
    return sum(not path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in out.glob("*.png"))


# -- parts: each takes an empty folder


def kill(work: Path) -> Facts:
    """One batch, killed at eight random moments, against one that nobody touched."""
    count, moments = 48, random.Random(SEED)
    path = jobs(work / "in", count)
    finish(path, work / "whole")
    struck = []
    for number in range(8):
        before = noted(work / "out") if (work / "out").exists() else 0
        process = start(path, work / "out")
        if number == 0:
            time.sleep(moments.uniform(0, 3))  # while it loads
        else:
            when(process, work / "out", before + moments.randint(1, 5), moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        struck.append(noted(work / "out") if (work / "out").exists() else 0)
        assert unfinished(work / "out") == 0
    last = finish(path, work / "out")
    same = hashes(work / "out", count) == hashes(work / "whole", count)
    return {"records": count, "lines when killed": struck, "last run": last, "same hashes": same}


def processes(work: Path) -> Facts:
    """--processes 2: two workers killed in one run; then, in another, the command itself."""
    count, moments = 32, random.Random(SEED)
    path = jobs(work / "in", count)
    finish(path, work / "whole")
    process = start(path, work / "out", "--processes", "2")
    for lines in (4, 12):
        when(process, work / "out", lines, moments.uniform(0, 0.3))
        moments.choice(_children(process, "spawn_main")).kill()
    said, _ = process.communicate()
    process = start(path, work / "killed", "--processes", "2")
    when(process, work / "killed", 8, moments.uniform(0, 0.3))
    orphans = _children(process, "spawn_main")
    process.kill()
    process.communicate()
    struck = noted(work / "killed")
    gone, alive = psutil.wait_procs(orphans, timeout=60)
    last = finish(path, work / "killed", "--processes", "2")
    whole = hashes(work / "whole", count)
    return {
        "records": count,
        "run with two workers killed": said.splitlines()[-1],
        "same hashes": hashes(work / "out", count) == whole,
        "lines when the command was killed": struck,
        "workers still alive a minute later": len(alive),
        "last run": last,
        "same hashes after that": hashes(work / "killed", count) == whole,
    }


def ray(work: Path) -> Facts:
    """--ray --workers 2: two workers killed in one run; then, in another, the driver."""
    if importlib.util.find_spec("ray") is None:
        return {"not run": "Ray is not installed"}
    count, moments = 48, random.Random(SEED)
    path = jobs(work / "in", count)
    finish(path, work / "whole")
    options = ("--ray", "--workers", "2")
    process = start(path, work / "out", *options)
    for lines in (1, 20):
        when(process, work / "out", lines, moments.uniform(0, 0.3))
        moments.choice(_children(process, "ray::MapWorker")).kill()
    said, _ = process.communicate()
    process = start(path, work / "killed", *options)
    when(process, work / "killed", 8, moments.uniform(0, 0.3))
    process.kill()
    process.communicate()
    struck = noted(work / "killed")
    last = finish(path, work / "killed", *options)
    whole = hashes(work / "whole", count)
    return {
        "records": count,
        "run with two workers killed": said.splitlines()[-1],
        "same hashes": hashes(work / "out", count) == whole,
        "lines when the driver was killed": struck,
        "last run": last,
        "same hashes after that": hashes(work / "killed", count) == whole,
    }


def disk(work: Path) -> Facts:
    """A small tmpfs that fills up and is then enlarged; where mounting is not permitted, RLIMIT_FSIZE."""
    count, out = 24, work / "out"
    path = jobs(work / "in", count)
    finish(path, work / "whole")
    out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(out)], capture_output=True
    )
    try:
        if mounted.returncode == 0:
            how = "tmpfs of 1 MiB, enlarged to 64 MiB"
            process = start(path, out)
        else:
            how = "RLIMIT_FSIZE of 60 KB, then none"
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
            process = start(path, out)  # which inherits it
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        _, said = process.communicate()
        said = next(line for line in said.splitlines() if line.startswith("error: "))
        facts = {
            "how": how,
            "records": count,
            "exit code": process.returncode,
            "said": said.replace(f"{work}/", ""),
            "pictures by then": len(list(out.glob("*.png"))),
            "half-written pictures": unfinished(out),
            "temporary files": len(list(out.glob(".*.tmp"))),
        }
        if mounted.returncode == 0:
            subprocess.run(["mount", "-o", "remount,size=64m", str(out)], check=True)
        last = finish(path, out)
        return facts | {
            "last run": last,
            "same hashes": hashes(out, count) == hashes(work / "whole", count),
        }
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(out)], check=True)


def rss(work: Path) -> Facts:
    """Resident memory of a plain run, at every line of its manifest, pictures of three sizes in turn."""
    sizes, count = ((512, 384), (640, 480), (384, 512)), 400
    path = jobs(work / "in", 0)
    lines = []
    for n in range(3):
        jobs(work / "in" / f"{n}", 48, sizes[n])
    for n in range(count):
        picture = f"{n % 3}/{n // 3 % 48:04}.png"
        lines.append(json.dumps({"image": picture, "id": f"{n}", "instruction": "remove the apple"}) + "\n")
    path.write_text("".join(lines))
    process = start(path, work / "out")
    seen: list[float] = []
    while process.poll() is None:
        if noted(work / "out") > len(seen):
            seen.append(psutil.Process(process.pid).memory_info().rss / 2**20)
        time.sleep(0.01)
    assert process.returncode == 0, process.communicate()[1]
    hashes(work / "out", count)
    warm = seen[50:]
    first, last = statistics.median(warm[:50]), statistics.median(warm[-50:])
    return {
        "records": count,
        "MiB after 50 records": round(seen[50]),
        "median of records 51 to 100": round(first),
        "median of the last 50": round(last),
        "change": f"{last / first - 1:+.1%}",
        "lowest and highest after 50": [round(min(warm)), round(max(warm))],
    }


def cost(work: Path) -> Facts:
    """CPU seconds a picture on one core: reading, finding the region, editing, writing a PNG."""
    import cv2

    from adaptedit.interfaces.batch.editor import Editor
    from adaptedit.interfaces.batch.reading import load

    cv2.setNumThreads(1)
    begun = time.process_time()
    edit = Editor(work / "out", "tiny", None)(0)
    facts: Facts = {"CPU s to start": round(time.process_time() - begun, 1)}
    for name, size, count in (("512x512", (512, 512), 20), ("4000x3000", (4000, 3000), 8)):
        path = jobs(work / name, count, size)
        seconds = []
        for record in load(path, work / "out"):
            begun = time.process_time()
            row = edit(record)
            seconds.append(time.process_time() - begun)
            assert row["status"] == "done", row
        written = [file.stat().st_size for file in (work / "out").glob("*.png")]
        shutil.rmtree(work / "out")
        facts[name] = {
            "pictures": count,
            "median CPU s": round(statistics.median(seconds), 3),
            "highest": round(max(seconds), 3),
            "MB a PNG": round(statistics.mean(written) / 1e6, 2),
        }
    return facts


def check(work: Path) -> Facts:
    """Many records: reading and checking them, then finding out that their lines are all there."""
    from adaptedit.interfaces.batch import manifest
    from adaptedit.interfaces.batch.reading import load
    from adaptedit.interfaces.batch.run import left

    count, path, out = 200_000, jobs(work / "in", 1), work / "out"
    record = {"image": "0000.png", "instruction": "remove the apple"}
    path.write_text("".join(json.dumps(record | {"id": f"{n // 1000}/{n}"}) + "\n" for n in range(count)))
    before, begun = psutil.Process().memory_info().rss, time.process_time()
    records = load(path, out)
    loaded = time.process_time()
    held = psutil.Process().memory_info().rss - before
    manifest.describe(out, "tiny", None)
    with (out / "shards" / "manifest.0.jsonl").open("w") as file:
        file.writelines(json.dumps(manifest.row(one, "failed", "no")) + "\n" for one in records)
    resumed = time.process_time()
    assert left(out, records) == []
    found = time.process_time()
    manifest.merge(out, records)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return {
        "records": count,
        "CPU s a million to check": round((loaded - begun) / count * 1e6),
        "CPU s a million to find what is left, pictures' hashes aside": round(
            (found - resumed) / count * 1e6
        ),
        "GB a million held": round(held / count / 1e3, 2),
        "GB a million at the highest, when manifest.jsonl is written": round(peak / count / 1e3, 2),
    }


def _children(process: subprocess.Popen[str], name: str) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if name in " ".join(child.cmdline())]


PARTS: dict[str, Callable[[Path], Facts]] = {
    part.__name__: part for part in (kill, processes, ray, disk, rss, cost, check)
}


def table(results: dict[str, Facts]) -> str:
    text = "# What a batch survives, and what it costs\n\n"
    text += "Written by `python benchmarks/reliability_batch/run.py`.\n"
    for name in filter(results.__contains__, PARTS):
        text += f"\n## {name}\n\n{PARTS[name].__doc__}\n\n| | |\n|---|---|\n"
        for key, value in results[name].items():
            if isinstance(value, dict):
                value = ", ".join(f"{what} {number}" for what, number in value.items())
            shown = {True: "yes", False: "NO"}[value] if isinstance(value, bool) else value
            text += f"| {key} | {shown} |\n"
    return text


def main() -> None:
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as work:
            results[name] = PARTS[name](Path(work))
        print(name, json.dumps(results[name], indent=1), flush=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
        (HERE / "results.md").write_text(table(results))


if __name__ == "__main__":
    main()
