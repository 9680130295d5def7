"""The judge against a server of the test's own: what is sent, what is read, what is tried again."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.benchmarks import BENCHMARKS
from adaptedit.evaluation.judge import LONGEST, Judge, marks
from adaptedit.evaluation.published import TABLES, beside


class Server:
    """Answers with `replies` in turn, each a text, or a status with a message; remembers what it was sent."""

    def __init__(self) -> None:
        self.replies: list[Any] = []
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.headers: dict[str, str] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                server.keys.append(self.headers["Authorization"])
                server.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                reply = server.replies.pop(0)
                status, body = 200, {"choices": [{"message": {"role": "assistant", "content": reply}}]}
                if isinstance(reply, tuple):
                    status, body = reply
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**server.headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


SOURCE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
RESULT = Image.new("RGB", (60, 40), (9, 8, 7))
SAMPLE = EditSample("desk", "remove the {mug}", SOURCE)
GOOD = ['{"done": 9, "kept": 8}', '{"natural": 4.5, "clean": 7}']


def judge(server: Server, **options: Any) -> Judge:
    return Judge("a-judge", base_url=server.url + "/", **{"pause": 0.0, **options})


def pictures(message: dict[str, Any]) -> list[Image.Image]:
    urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(u.removeprefix("data:image/png;base64,")))) for u in urls]


def test_the_marks_become_three_columns(server: Server) -> None:
    server.replies = list(GOOD)
    scores = judge(server)(SAMPLE, RESULT, None)
    assert scores == {"judge SC": 8, "judge PQ": 4.5, "judge overall": 6}
    assert tuple(scores) == Judge.columns


def test_consistency_sees_both_pictures_and_quality_the_result_alone(server: Server) -> None:
    server.replies = list(GOOD)
    judge(server, api_key="secret")(SAMPLE, RESULT, None)
    consistency, quality = (body["messages"][0] for body in server.seen)
    source, result = pictures(consistency)
    assert source.tobytes() == SOURCE.tobytes()
    assert result.size == SOURCE.size and result.tobytes() == RESULT.resize(SOURCE.size).tobytes()
    assert [one.tobytes() for one in pictures(quality)] == [result.tobytes()]
    assert "<request>remove the {mug}</request>" in consistency["content"][0]["text"]
    assert "mug" not in quality["content"][0]["text"]
    assert server.keys == ["Bearer secret"] * 2
    assert all(body["model"] == "a-judge" and body["temperature"] == 0 for body in server.seen)


def test_large_pictures_are_sent_smaller_and_a_temperature_can_be_left_out(server: Server) -> None:
    server.replies = list(GOOD)
    large = EditSample("x", "y", SOURCE.resize((3 * LONGEST, LONGEST)))
    judge(server, temperature=None)(large, RESULT, None)
    assert {one.size for one in pictures(server.seen[0]["messages"][0])} == {(LONGEST, LONGEST // 3)}
    assert "temperature" not in server.seen[0] and server.keys == [None, None]


def test_an_answer_that_cannot_be_read_is_asked_for_again(server: Server) -> None:
    server.replies = ["Sure! 9 and 8.", GOOD[0], GOOD[1]]
    assert judge(server)(SAMPLE, RESULT, None)["judge SC"] == 8
    first, said, again = server.seen[1]["messages"]
    assert first == server.seen[0]["messages"][0]
    assert said == {"role": "assistant", "content": "Sure! 9 and 8."}
    assert "it is not one JSON object" in again["content"]


def test_a_judge_that_never_answers_as_asked_is_named(server: Server) -> None:
    server.replies = ["no\nnever", None, '{"done": 11, "kept": 3}']
    message = 'sample desk: the judge a-judge gave no marks in 3 tries: done is 11, .* \'{"done": 11'
    with pytest.raises(AdaptEditError, match=message) as caught:
        judge(server)(SAMPLE, RESULT, None)
    assert "\n" not in str(caught.value) and server.replies == []


def test_a_busy_server_is_tried_again(server: Server) -> None:
    server.headers = {"Retry-After": "0"}
    server.replies = [(429, {"error": {"message": "slow down"}}), (503, {}), *GOOD]
    assert judge(server)(SAMPLE, RESULT, None)["judge overall"] == 6
    server.replies = [(500, {"error": {"message": "out of memory"}})] * 3
    with pytest.raises(AdaptEditError, match="did not answer in 3 tries .HTTP 500: out of memory"):
        judge(server)(SAMPLE, RESULT, None)


@pytest.mark.parametrize(
    "reply, message",
    [
        ((401, {"error": {"message": "bad key"}}), "refuses the key .HTTP 401: bad key"),
        (
            (404, {"error": {"message": "no such\nmodel"}}),
            "refuses the request to a-judge .HTTP 404: no such mo",
        ),
        ((200, {"hello": 1}), "does not answer as chat completions do"),
    ],
)
def test_what_trying_again_cannot_mend_is_said_at_once(server: Server, reply: Any, message: str) -> None:
    server.replies = [reply]
    with pytest.raises(AdaptEditError, match=message):
        judge(server)(SAMPLE, RESULT, None)
    assert len(server.seen) == 1


def test_a_server_that_is_not_there(server: Server) -> None:
    nobody = Judge("a-judge", base_url="http://127.0.0.1:1/v1", pause=0.0, tries=2)
    with pytest.raises(AdaptEditError, match="did not answer in 2 tries .*refused"):
        nobody(SAMPLE, RESULT, None)


def test_endpoint_and_key_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AdaptEditError, match="set OPENAI_API_KEY, or OPENAI_BASE_URL"):
        Judge("a-judge")
    with pytest.raises(AdaptEditError, match="must start with http"):
        Judge("a-judge", base_url="localhost:8000")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    server.replies = list(GOOD)
    Judge("a-judge")(SAMPLE, RESULT, None)
    assert server.keys == ["Bearer from-env"] * 2


@pytest.mark.parametrize(
    "answer", ['{"a": 0, "b": 10}', ' ```json\n{"a": 0, "b": 10.0}\n``` ', '{"b":10,"a":0}']
)
def test_marks_that_can_be_read(answer: str) -> None:
    assert marks(answer, ("a", "b")) == [0.0, 10.0]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "9",
        "[1, 2]",
        '{"a": 1}',
        '{"a": 1, "b": 2, "c": 3}',
        '{"a": "1", "b": 2}',
        '{"a": true, "b": 2}',
        '{"a": -1, "b": 2}',
        '{"a": 10.1, "b": 2}',
        '{"a": NaN, "b": 2}',
        '{"a": null, "b": 2}',
        'Here: {"a": 1, "b": 2}',
    ],
)
def test_marks_that_cannot(answer: str) -> None:
    with pytest.raises(ValueError):
        marks(answer, ("a", "b"))


def test_the_published_families_are_never_in_one_table() -> None:
    for table in TABLES:
        assert table.source and all(len(row) == len(table.columns) for row in table.rows.values())
    authors, later = beside("magicbrush-test-inde")
    model = "InstructPix2Pix"
    assert authors.rows[model][authors.columns.index("L1")] != later.rows[model][later.columns.index("L1")]
    assert "Not comparable" in authors.caution and "Not comparable" in later.caution
    assert beside("synthetic") == []


def test_published_tables_stand_beside_benchmarks_that_exist() -> None:
    assert {name for table in TABLES for name in table.benchmarks} <= set(BENCHMARKS)
