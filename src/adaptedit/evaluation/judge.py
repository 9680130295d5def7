"""A vision-language model as judge, at any endpoint that speaks OpenAI's chat completions.

Two questions per sample, each with two marks in 0..10: was the request done, and all else kept (it sees the
source and the result); is the picture natural, and free of flaws (it sees the result alone). Which questions
to ask, the lower mark of each two, and overall = sqrt(SC * PQ) are VIEScore's (Ku et al., 2024) and
GEdit-Bench's; the wording is ours, so these numbers do not compare with theirs.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

OPENAI = "https://api.openai.com/v1"
LONGEST = 1024  # pixels, longest side of what the judge sees
PATIENCE = 60.0  # seconds, the longest wait that a server may ask for

CONSISTENCY = """The first picture was edited; the second is the result. The request was:
<request>{instruction}</request>
Give two marks from 0 to 10, whole or with one decimal.
"done": 0 = nothing of the request was carried out, 10 = all of it, exactly as asked.
"kept": 0 = what the request does not mention became another picture, 10 = all of it is just as before.
A result that equals the first picture has done nothing, and kept everything.
Answer with one JSON object and no other text: {{"done": 0, "kept": 0}}"""
QUALITY = """Judge this picture as a picture; you need not know what it is for.
Give two marks from 0 to 10, whole or with one decimal.
"natural": 0 = light, shadows, perspective and proportions are impossible, 10 = nothing looks out of place.
"clean": 0 = full of seams, blur, noise, deformed bodies or broken text, 10 = no flaw can be found.
Answer with one JSON object and no other text: {"natural": 0, "clean": 0}"""

Message = dict[str, Any]


class Judge:
    """A metric: "judge SC", "judge PQ" and "judge overall", each in 0..10."""

    columns: tuple[str, ...] = ("judge SC", "judge PQ", "judge overall")

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = 0.0,
        tries: int = 3,
        pause: float = 2.0,
        timeout: float = 120.0,
    ) -> None:
        """base_url: such as http://localhost:8000/v1, by default $OPENAI_BASE_URL or OpenAI's own.
        api_key: by default $OPENAI_API_KEY; your own server often needs none.
        temperature: None for models that take none. tries: of each question, for answers that are not as
        asked and for servers that are busy. pause: seconds before the second try, doubled before each further
        one.
        timeout: seconds for one answer.

        AdaptEditError for OpenAI's own endpoint without a key, and for a base_url that is not http(s).
        """
        self.url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
        self.api_key = api_key or os.environ.get("OPENAI_API_KEY")
        if not self.url.startswith(("http://", "https://")):
            raise AdaptEditError(f"the judge's base_url {self.url!r} must start with http:// or https://")
        if self.url == OPENAI and not self.api_key:
            raise AdaptEditError(
                "the judge needs a key: set OPENAI_API_KEY, or OPENAI_BASE_URL to a server of your own"
            )
        self.model, self.temperature = model, temperature
        self.tries, self.pause, self.timeout = tries, pause, timeout

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        """The result is shown at the source's size. AdaptEditError, naming the sample, if the judge cannot be
        reached, refuses, or never answers as asked.
        """
        result = result.convert("RGB").resize(sample.source.size)
        question = CONSISTENCY.format(instruction=sample.instruction)
        try:
            consistency = self._marks(question, [sample.source, result], ("done", "kept"))
            quality = self._marks(QUALITY, [result], ("natural", "clean"))
        except AdaptEditError as error:
            raise AdaptEditError(f"sample {sample.id}: {error}") from None
        return dict(zip(self.columns, (consistency, quality, math.sqrt(consistency * quality)), strict=True))

    def _marks(self, question: str, pictures: list[Image.Image], keys: tuple[str, str]) -> float:
        content = [{"type": "text", "text": question}, *map(_as_content, pictures)]
        messages: list[Message] = [{"role": "user", "content": content}]
        problem = answer = ""
        for _ in range(self.tries):
            answer = self._answer(messages)
            try:
                return min(marks(answer, keys))
            except ValueError as error:
                problem = str(error)
            again = f"That cannot be read: {problem}. Answer with the JSON object alone."
            messages = [
                messages[0],
                {"role": "assistant", "content": answer},
                {"role": "user", "content": again},
            ]
        raise AdaptEditError(
            f"the judge {self.model} gave no marks in {self.tries} tries: {problem}; its last answer was "
            f"{' '.join(answer.split())[:120]!r}"
        )

    def _answer(self, messages: list[Message]) -> str:
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        request = urllib.request.Request(
            f"{self.url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        if self.api_key:
            request.add_unredirected_header("Authorization", f"Bearer {self.api_key}")
        reply = self._send(request)
        try:
            answer = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            raise AdaptEditError(f"{self.url} does not answer as chat completions do; check it") from None
        return answer if isinstance(answer, str) else ""

    def _send(self, request: urllib.request.Request) -> bytes:
        """Tried again if the server is busy or cannot be reached."""
        problem, pause = "", self.pause
        for attempt in range(self.tries):
            if attempt:
                time.sleep(pause)
                pause *= 2
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as reply:
                    data: bytes = reply.read()
                    return data
            except urllib.error.HTTPError as error:
                problem = f"HTTP {error.code}: {_said(error)}"
                if error.code in (401, 403):
                    raise AdaptEditError(f"the judge at {self.url} refuses the key ({problem})") from None
                if error.code not in (408, 409, 429) and error.code < 500:
                    raise AdaptEditError(
                        f"the judge at {self.url} refuses the request to {self.model} ({problem})"
                    ) from None
                asked = error.headers.get("Retry-After", "")
                pause = min(max(pause, float(asked)), PATIENCE) if asked.isdigit() else pause
            except (OSError, HTTPException) as error:  # URLError, timeouts, connections that break
                problem = str(getattr(error, "reason", error))
        raise AdaptEditError(
            f"the judge at {self.url} did not answer in {self.tries} tries ({problem}); run again to go on"
        )


def marks(answer: str, keys: tuple[str, ...]) -> list[float]:
    """The marks of an answer that is one JSON object with these keys, or such an object in a code fence.

    ValueError for any other text, key, or mark that is no number in 0..10.
    """
    text = answer.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json").strip()
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        raise ValueError("it is not one JSON object") from None
    if not isinstance(found, dict) or set(found) != set(keys):
        raise ValueError(f"it does not have the keys {', '.join(keys)} and no others")
    for key in keys:
        value = found[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
            raise ValueError(f"{key} is {value!r}, not a number from 0 to 10")
    return [float(found[key]) for key in keys]


def _as_content(picture: Image.Image) -> Message:
    small, buffer = picture.convert("RGB"), io.BytesIO()
    small.thumbnail((LONGEST, LONGEST))
    small.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _said(error: urllib.error.HTTPError) -> str:
    """What the server says is wrong, in one line."""
    text = error.read().decode("utf-8", "replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"]["message"])
    return " ".join(text.split())[:200] or str(error.reason)
