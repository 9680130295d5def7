"""Results of other weights, or of weights in other bits, never join in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from adaptedit.editing.options import LoadOptions
from adaptedit.editing.weights import check_bits, difference, label, note_bits, weights_of
from adaptedit.errors import AdaptEditError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("kontext/transformer/a.safetensors", "style.safetensors", "dit.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_a_file_that_is_trained_anew_is_another(home: Path) -> None:
    load = LoadOptions(
        backbone="kontext", transformer="dit.safetensors", loras=("style.safetensors=0.5", "a/hub-id")
    )
    before = weights_of(load)
    assert difference(before, weights_of(load)) is None
    for part, path in {
        "backbone": "kontext/transformer/a.safetensors",
        "transformer": "dit.safetensors",
        "loras": "style.safetensors",
    }.items():
        old = (home / path).read_bytes()
        (home / path).write_bytes(b"new")
        assert difference(before, weights_of(load)) == part
        (home / path).write_bytes(old)


def test_a_name_is_only_a_spelling_where_there_is_a_hash(home: Path) -> None:
    def of(**options: object) -> dict[str, object]:
        return weights_of(LoadOptions(**options))  # type: ignore[arg-type]

    (home / "copy.safetensors").write_bytes(b"style.safetensors")
    assert difference(of(backbone="kontext"), of(backbone="./kontext")) is None
    assert difference(of(backbone="kontext"), of(backbone=str(home / "kontext"))) is None
    same = of(loras=("style.safetensors=0.5",)), of(loras=("copy.safetensors=0.5",))
    assert difference(*same) is None
    assert difference(of(loras=("style.safetensors=0.5",)), of(loras=("style.safetensors=0.6",))) == "loras"
    assert difference(of(loras=("style.safetensors",)), of(loras=("style.safetensors=1",))) is None
    few = home / "FLUX.1-Turbo-Alpha.safetensors"  # whose name brings 8 steps
    few.write_bytes(b"style.safetensors")
    assert difference(of(loras=("style.safetensors",)), of(loras=(few.name,))) == "loras"
    assert difference(of(backbone="me/one"), of(backbone="me/two")) == "backbone"
    assert difference(of(), of(adapter="me/one")) == "adapter"
    assert difference(of(), of(revision="v2")) == "revision"
    assert difference(of(dtype="float32"), of()) == "dtype"
    assert difference(of(dtype="bfloat16"), of()) is None


def test_people_read_no_python(home: Path) -> None:
    row = weights_of(LoadOptions(backbone="me/one", loras=("style.safetensors=0.5", "me/style")))
    told = label(row)
    assert told.startswith("backbone me/one, adapter none, loras style.safetensors=0.5 (sha256 ")
    assert told.endswith("...), me/style=1") and not set(told) & set("{}[]'\"")


@pytest.mark.parametrize(
    ("before", "now", "advice"),
    [
        (None, "fp8", "leave out --quantize and give --dtype bfloat16 with a --device"),
        ("nf4", None, "give --quantize nf4"),
        ("nf4", "fp8", "give --quantize nf4"),
    ],
)
def test_bits_do_not_mix(tmp_path: Path, before: str | None, now: str | None, advice: str) -> None:
    note_bits(tmp_path, before)
    note_bits(tmp_path, before)
    for _ in range(2):  # what was refused leaves no trace
        with pytest.raises(AdaptEditError, match=f"holds results of weights .*; {advice}, or give another"):
            note_bits(tmp_path, now)
    check_bits(tmp_path, before)
    with pytest.raises(AdaptEditError, match=advice):
        check_bits(tmp_path, now)
