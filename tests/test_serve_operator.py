"""The server as its operator meets it: the log, keys, a port that is taken, an editor that does not load."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adaptedit.editing.job import EditJob
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.cli import serve as serve_cli
from adaptedit.interfaces.cli.main import app as cli
from adaptedit.interfaces.hosts import listen
from adaptedit.interfaces.serve import keys
from adaptedit.interfaces.serve.problems import Problem
from conftest import FakeAdapter, FakeBackbone
from serving import log, noise, png, serving, until

__all__ = ["log"]

PICTURE = png(noise())


@pytest.mark.parametrize("told", [False, True])
def test_the_log_has_lengths_and_no_words(told: bool, log: io.StringIO) -> None:
    nothing = AdaptEditPipeline(FakeBackbone(), FakeAdapter(0.1))  # type: ignore[arg-type]
    with serving(nothing, log_prompts=told) as served:
        served.post(image=PICTURE, prompt="my secret wish")
        served.get("/readyz")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["prompt_length"] == 14 and line["size"] == [120, 90] and line["status"] == 422
    assert line["code"] == "region_not_found" and line["image_bytes"] == len(PICTURE)
    assert ("secret" in log.getvalue()) == told


def test_what_nobody_foresaw_is_500_told_apart_and_survived(
    pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    finding = pipe.find_task

    def broken(job: EditJob) -> object:
        if "bad" in job.instruction:
            raise RuntimeError(f"no luck with {job.instruction}")
        return finding(job)

    monkeypatch.setattr(pipe, "find_task", broken)
    with serving(pipe) as served:
        answer = served.post(image=PICTURE, prompt="bad secret")
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
        assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
        assert answer.headers["x-request-id"] in log.getvalue()
        assert served.post(image=PICTURE, prompt="good").status_code == 200
        until(lambda: served.worker.taken == 0)  # freed just after the answer has left
    assert "RuntimeError" in log.getvalue() and "broken" in log.getvalue()
    assert "secret" not in log.getvalue() + answer.text


def test_keys_files(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("# ours\n\n  one  \ntwo\n")
    found = keys.read(file, "three")
    for key in ("one", "two", "three"):
        keys.check(found, f"Bearer {key}")
    for header_value in (None, "", "Bearer", "Bearer # ours", "Basic one", "one", "Bearer ONE", "Bearer é"):
        with pytest.raises(Problem):
            keys.check(found, header_value)
    file.write_text("# none\n")
    for arguments in ((file, None), (None, " , "), (tmp_path / "missing.txt", None), (None, "")):
        with pytest.raises(AdaptEditError):
            keys.read(*arguments)
    keys.check(keys.read(None, None), None)


def test_an_editor_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    """Through the real server: it starts, cannot load, and ends."""
    arguments = ["serve", "--port", "0", "--backbone", str(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and tmp_path.name in errors[0]


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adaptedit.interfaces.serve.server", None)
    with pytest.raises(AdaptEditError, match=r"adaptedit\[serve\]"):
        serve_cli.serve()


def test_a_port_that_is_taken_is_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AdaptEditError, match=f"port {port} .* give another"):
            listen("127.0.0.1", port)
