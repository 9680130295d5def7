"""The server as its callers meet it, on a real socket and through the official `openai` client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image
from pytest import Subtests

from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import NotEnoughMemory
from adaptedit.region import Region
from conftest import FakeAdapter, FakeBackbone
from serving import SIZE, Served, alpha_mask, decoded, noise, png, serving

BOX = (20, 30, 60, 70)


@pytest.fixture
def served(pipe: AdaptEditPipeline) -> Iterator[Served]:
    with serving(pipe) as one:
        yield one


def client(served: Served, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    return (np.asarray(before) != np.asarray(after.convert("RGB"))).any(axis=2)


def test_openai_client_edits_inside_the_mask_and_nowhere_else(served: Served) -> None:
    source = noise()
    answer = client(served).images.edit(
        image=("desk.png", png(source)),
        mask=("mask.png", alpha_mask(BOX)),
        prompt="remove the apple",
        model="fake",
        n=2,
        size="auto",
        response_format="b64_json",
        output_format="png",
        quality="high",
        user="somebody",
        extra_body={"seed": 5, "steps": 2, "feather": 0},
    )
    marked = np.zeros((90, 120), bool)
    marked[30:70, 20:60] = True
    assert answer.data is not None and len(answer.data) == 2 and answer.created > 1_700_000_000
    for one in answer.data:
        edited = decoded(one.b64_json or "")
        assert (edited.mode, edited.size, edited.format) == ("RGB", SIZE, "PNG")
        assert not changed(source, edited)[~marked].any()
        assert changed(source, edited)[marked].mean() > 0.9
    assert [one.seed for one in answer.data] == [5, 6]  # type: ignore[attr-defined]
    assert answer.data[0].b64_json != answer.data[1].b64_json
    share = 40 * 40 / (120 * 90)
    assert answer.region == {"box": list(BOX), "coverage": pytest.approx(share), "confidence": 1.0}  # type: ignore


def test_without_a_mask_the_region_is_found_and_the_seed_is_told(served: Served) -> None:
    picture = png(noise())
    answer = client(served).images.edit(image=picture, prompt="remove the apple")
    again = client(served).images.edit(
        image=[picture],  # sent as image[]
        prompt="remove the apple",
        size="120x90",  # type: ignore[arg-type]
        extra_body={"seed": answer.data[0].seed},  # type: ignore
    )
    assert answer.region["box"] == pytest.approx([30, 22, 60, 45], abs=2)  # type: ignore[attr-defined]
    assert answer.data[0].b64_json == again.data[0].b64_json  # type: ignore[index]


def test_mistakes_are_the_clients_own_exceptions(served: Served, subtests: Subtests) -> None:
    good = {"image": png(noise()), "prompt": "x"}
    opaque = png(Image.new("RGB", SIZE))
    cases = {
        "mask without alpha": ({"mask": opaque}, openai.BadRequestError, "mask", "transparent where"),
        "mask as jpeg": ({"mask": b"\xff\xd8\xff"}, openai.BadRequestError, "mask", "give a PNG"),
        "small mask": ({"mask": alpha_mask(BOX, (90, 90))}, openai.BadRequestError, "mask", "90x90"),
        "nothing marked": ({"mask": alpha_mask((0, 0, 0, 0))}, openai.BadRequestError, None, "empty"),
        "another size": ({"size": "1024x1024"}, openai.BadRequestError, "size", "120x90"),
        "url": ({"response_format": "url"}, openai.BadRequestError, "response_format", "b64_json"),
        "many": ({"n": 11}, openai.BadRequestError, "n", "10"),
        "format": ({"output_format": "gif"}, openai.BadRequestError, "output_format", "png"),
        "no words": ({"prompt": " "}, openai.BadRequestError, None, "instruction is empty"),
        "not offered": ({"input_fidelity": "high"}, openai.BadRequestError, "input_fidelity", "not known"),
        "text as picture": ({"image": b"hello"}, openai.BadRequestError, "image", "PNG, JPEG or WebP"),
        "cut off": ({"image": good["image"][:900]}, openai.BadRequestError, "image", "truncated"),
        "nine pictures": ({"image": [good["image"]] * 9}, openai.BadRequestError, "image", "at most 8"),
        "nan": ({"extra_body": {"threshold": "nan"}}, openai.BadRequestError, "threshold", "threshold"),
        "no place": ({"extra_body": {"include": ["left"]}}, openai.BadRequestError, "include", "include"),
        "outside": ({"extra_body": {"include": ["130,5"]}}, openai.BadRequestError, None, "130,5"),
        "another model": ({"model": "gpt-image-1"}, openai.NotFoundError, "model", "give fake"),
    }
    for name, (fields, kind, param, message) in cases.items():
        with subtests.test(name):
            with pytest.raises(openai.APIStatusError) as caught:
                client(served).images.edit(**(good | fields))  # type: ignore[call-overload]
            assert type(caught.value) is kind
            assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")
            assert message in caught.value.message


@pytest.mark.parametrize(
    ("certainty", "everywhere", "code"), [(0.1, 0.0, "region_not_found"), (1.0, 0.97, "global_edit")]
)
def test_no_local_region_is_an_outcome_of_its_own(certainty: float, everywhere: float, code: str) -> None:
    adapter = FakeAdapter(certainty)
    found = adapter.predict_region
    adapter.predict_region = lambda *inputs: found(*inputs).clamp(min=everywhere)  # type: ignore[method-assign]
    with serving(AdaptEditPipeline(FakeBackbone(), adapter)) as served:  # type: ignore[arg-type]
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client(served).images.edit(image=png(noise()), prompt="make it winter")
        assert caught.value.code == code
        assert served.post("/v1/regions", image=png(noise()), prompt="x").json()["error"]["code"] == code


def test_too_little_memory_is_503_with_the_advice(
    pipe: AdaptEditPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: Any, **__: Any) -> Any:
        raise NotEnoughMemory("there is not enough memory for this editor; try --offload model")

    monkeypatch.setattr(pipe.backbone, "edit", exhausted)
    with serving(pipe) as served:
        answer = served.post(image=png(noise()), prompt="x", everywhere="true")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("out_of_memory", "server_error")
    assert error["message"].endswith("try --offload model")


def test_keys_open_and_nothing_else_does(pipe: AdaptEditPipeline) -> None:
    from adaptedit.interfaces.serve import keys

    with serving(pipe, keys=keys.read(None, "first, second")) as served:
        for key in ("first", "second"):
            assert client(served, key).images.edit(image=png(noise()), prompt="x").data
            assert [model.id for model in client(served, key).models.list()] == ["fake"]
        for key in ("third", "firs", "first,", "first, second"):
            with pytest.raises(openai.AuthenticationError) as caught:
                client(served, key).images.edit(image=png(noise()), prompt="x")
            assert caught.value.code == "invalid_api_key"
        refused = [served.post(), served.post("/v1/regions"), served.get("/v1/models")]
        assert [one.status_code for one in refused] == [401] * 3
        assert refused[0].headers["www-authenticate"] == "Bearer"
        assert served.get("/readyz").status_code == 200


def test_regions_answer_a_mask_that_edits_take(served: Served) -> None:
    picture = png(noise())
    white = served.post("/v1/regions", image=picture, prompt="x").json()
    mask = decoded(white["mask"])
    region = Region.from_white_is_edit(mask, SIZE)
    assert white["coverage"] == pytest.approx(region.coverage(), abs=0.002)
    assert white["confidence"] == pytest.approx(region.confidence(), abs=0.01)
    assert tuple(white["box"]) == region.bbox()

    alpha = served.post("/v1/regions", image=picture, prompt="x", polarity="alpha").json()["mask"]
    np.testing.assert_allclose(Region.from_alpha(decoded(alpha)).mask, region.mask, atol=1e-6)
    given = served.post(image=picture, mask=png(decoded(alpha)), prompt="x", seed=1).json()
    assert given["region"]["box"] == white["box"]


def test_the_region_can_be_changed_on_the_way(served: Served) -> None:
    """The fake finds the box (30, 22, 60, 45)."""
    picture, found = png(noise()), {}
    for name, fields in {
        "as found": {},
        "box too": {"include": ["90,60,110,80"]},
        "without a box": {"exclude[]": ["0,0,45,90", "0,0,1,1"]},
        "grown": {"grow": "6"},
    }.items():
        mask = served.post("/v1/regions", image=picture, prompt="x", **fields).json()["mask"]
        region = Region.from_white_is_edit(decoded(mask))
        found[name] = [bool(region.mask[y, x] > 0.5) for x, y in ((40, 35), (50, 35), (100, 70), (62, 35))]
    assert found == {
        "as found": [True, True, False, False],
        "box too": [True, True, True, False],
        "without a box": [False, True, False, False],
        "grown": [True, True, False, True],
    }


def test_output_formats(served: Served, pipe: AdaptEditPipeline) -> None:
    source = noise()
    fields = {"image": png(source), "prompt": "x", "seed": 3}
    files = {kind: served.post(**fields, output_format=kind).json() for kind in ("png", "webp", "jpeg")}
    pictures = {kind: decoded(answer["data"][0]["b64_json"]) for kind, answer in files.items()}
    assert [picture.format for picture in pictures.values()] == ["PNG", "WEBP", "JPEG"]
    assert {picture.size for picture in pictures.values()} == {SIZE}
    assert (np.asarray(pictures["png"]) == np.asarray(pictures["webp"].convert("RGB"))).all()
    sizes = [
        len(served.post(**fields, output_format="jpeg", quality=quality).json()["data"][0]["b64_json"])
        for quality in ("low", "medium", "high", "max")
    ]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 2

    glass = Image.new("RGBA", SIZE, (9, 99, 9, 128))
    refused = served.post(image=png(glass), prompt="x", output_format="jpeg").json()["error"]
    assert (refused["param"], "png" in refused["message"]) == ("output_format", True)
    kept = decoded(served.post(image=png(glass), prompt="x").json()["data"][0]["b64_json"])
    assert kept.mode == "RGBA" and (np.asarray(kept.getchannel("A")) == 128).all()


def test_no_path_and_no_url_is_ever_read(served: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("private") / "desk.png"
    noise().save(path)
    for text in (str(path), path.as_uri(), f"{served.url}/healthz", "data:image/png;base64,AAAA"):
        for fields in ({"image": text}, {"image": png(noise()), "mask": text}):
            answer = served.post(prompt="x", **fields)
            assert answer.status_code == 400
            assert "upload a file" in answer.json()["error"]["message"]
    assert "came as a file" in served.post(image=png(noise()), prompt=b"x").json()["error"]["message"]


def test_the_probes_and_the_docs(served: Served) -> None:
    assert served.get("/healthz").json() == {"status": "ok"}
    assert served.get("/readyz").json() == {"status": "ready"}
    assert "swagger" in served.get("/docs").text
    form = served.get("/openapi.json").json()["paths"]["/v1/images/edits"]["post"]["requestBody"]
    schema = form["content"]["multipart/form-data"]["schema"]
    assert set(schema["required"]) == {"image", "prompt"}
    assert {"mask", "seed", "preserve", "threshold", "include"} <= set(schema["properties"])
    for answer in (served.get("/nothing"), served.get("/v1/regions")):
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert [served.get(path).status_code for path in ("/nothing", "/v1/regions")] == [404, 405]
