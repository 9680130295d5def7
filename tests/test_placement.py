"""Loading by `LoadOptions`: devices, fewer bits, offloading; with the adapter, fresh and trained, on top."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from adaptedit.backbones.diffusers.backbone import DiffusersBackbone
from adaptedit.editing import load, placement
from adaptedit.editing.options import LoadOptions
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.editing.placement import Placement, place
from adaptedit.errors import AdaptEditError, NotEnoughMemory
from adaptedit.interfaces.cli.main import app
from adaptedit.region import Region
from test_diffusers_pipelines import adapter_for, save_with_fresh_adapter, small

__all__ = ["small"]

CPU = torch.device("cpu")
QWEN = "Qwen/Qwen-Image-Edit-2511"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("editors")
    for name in ("kontext", "qwen-edit-2511", "flux2"):
        pipe = save_with_fresh_adapter(root, name)
        adapter_for(pipe).save_pretrained(root / f"{name}-awake")
    return root


def loaded(folder: Path, adapter: str | None, quantize: Any = None, offload: Any = None) -> AdaptEditPipeline:
    options = LoadOptions(
        backbone=str(folder), adapter=adapter, device="cpu", dtype="float32", quantize=quantize
    )
    pipe = AdaptEditPipeline.load(options)
    assert isinstance(pipe.backbone, DiffusersBackbone)
    if offload is not None:
        place(pipe.backbone.pipe, Placement(CPU, quantize, offload))
    return pipe


def edited(pipe: AdaptEditPipeline) -> np.ndarray[Any, Any]:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    region = Region.from_box((20, 20, 90, 60), picture.size)
    return np.asarray(pipe(picture, "make it red", region, seed=1, steps=2).images[0])


@pytest.mark.parametrize(
    ("name", "quantize", "offload"),
    [
        ("kontext", None, "model"),
        ("kontext", None, "group"),
        ("kontext", "int8", None),
        ("kontext", "fp8", "model"),
        ("qwen-edit-2511", "int8", "model"),
        ("qwen-edit-2511", None, "group"),
        ("flux2", "fp8", None),
        ("flux2", "int8", "group"),
    ],
)
def test_a_fresh_adapter_changes_no_bit_and_a_trained_one_acts(
    folders: Path, name: str, quantize: str | None, offload: str | None
) -> None:
    adapters = (None, str(folders / f"{name}-fresh"), str(folders / f"{name}-awake"))
    bare, fresh, awake = (edited(loaded(folders / name, one, quantize, offload)) for one in adapters)
    assert np.array_equal(bare, fresh)
    assert not np.array_equal(bare, awake)
    if quantize is None:
        assert np.array_equal(bare, edited(loaded(folders / name, None)))


def test_fewer_bits_are_fewer_and_the_adapter_keeps_its_own(folders: Path) -> None:
    for quantize, kept in (("int8", torch.int8), ("fp8", torch.float8_e4m3fn)):
        pipe = loaded(folders / "kontext", str(folders / "kontext-awake"), quantize)
        layer: Any = pipe.backbone.transformer.transformer_blocks[0].attn.to_q.weight  # type: ignore[index,union-attr]
        inside = getattr(layer, "qdata", layer)
        assert inside.dtype == kept, quantize
        assert pipe.adapter is not None and {one.dtype for one in pipe.adapter.parameters()} == {
            torch.float32
        }
    encoder: Any = loaded(folders / "kontext", None, "int8").backbone
    assert type(encoder.pipe.text_encoder_2.encoder.block[0].layer[0].SelfAttention.q.weight) is not (
        torch.nn.Parameter
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, "finds no device cuda"),
        ({"quantize": "nf5"}, "quantize='nf5' is not known; use one of nf4, int8, fp8"),
        ({"device": "cpu", "quantize": "fp8", "transformer": "x.gguf"}, "x.gguf has few bits already"),
        ({"device": "toaster"}, "no device 'toaster'; use cuda"),
        ({"device": "cpu", "offload": "model"}, "there is no GPU here"),
        ({"device": "cpu", "quantize": "nf4"}, "use --quantize int8"),
        ({"backbone": "tiny", "quantize": "nf4"}, "tiny is small .* none of --quantize"),
        ({"backbone": "tiny", "offload": "model", "loras": ("x",)}, "none of --offload, --lora"),
        ({"backbone": "tiny", "dtype": "bfloat16"}, "works in float32"),
        ({"backbone": "tiny", "revision": "x"}, "tiny is on this machine and has no revision 'x'"),
        ({"revision": "x"}, "kontext is on this machine and has no revision 'x'"),
        ({"backbone": ""}, "no editor is named ''"),
        ({"transformer": ""}, "give a .safetensors or .gguf file"),
        ({"loras": ("",)}, "--lora is empty"),
        ({"backbone": "flux1-kontext-dev.gguf"}, "--backbone ID --transformer flux1-kontext-dev.gguf"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(folders: Path, options: Any, message: str) -> None:
    with pytest.raises(AdaptEditError, match=message) as caught:
        AdaptEditPipeline.load(LoadOptions(**{"backbone": str(folders / "kontext")} | options))
    assert "\n" not in str(caught.value)


def test_tiny_takes_a_device_and_its_own_dtype() -> None:
    pipe = AdaptEditPipeline.load(LoadOptions(device="cpu", dtype="float32"))
    assert pipe.adapter is not None and pipe.backbone.device == CPU


@pytest.mark.parametrize("missing", ["accelerate", "torchao"])
def test_a_missing_package_is_named_with_its_extra(
    folders: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(AdaptEditError, match=rf"needs {missing} .*pip install 'adaptedit\[gpu\]'"):
        loaded(folders / "kontext", None, "int8" if missing == "torchao" else None)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with so many GiB free on its GPU and in main memory."""

    def fake(gpu: float, host: float) -> None:
        free = int(gpu * 2**30)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (free, free))
        monkeypatch.setattr(placement, "host_memory", lambda: (host, host))

    return fake


def chosen(options: LoadOptions, config: dict[str, Any]) -> tuple[Placement, list[str]]:
    notes: list[str] = []
    device = placement.device_of(options.device)
    kind = "QwenImageTransformer2DModel"
    return placement.placement(options, device, kind, lambda: config, notes.append), notes


def test_without_options_the_first_rung_that_fits_is_taken_and_said(card: Any) -> None:
    card(15.6, 30.0)
    where, (line,) = chosen(LoadOptions(backbone=QWEN), {})
    assert (where.quantize, where.offload, where.device.type) == ("nf4", "model", "cuda")
    assert line.startswith("Qwen-Image-Edit-2511: nf4 weights, model offload: ")
    assert " of 15.6 GiB on the GPU, " in line and line.endswith(" of 30 GiB in main memory")
    asked, notes = chosen(LoadOptions(backbone=QWEN, offload="group"), {})
    assert (asked.quantize, asked.offload, notes) == (None, "group", [])
    saved_in_4_bits, _ = chosen(LoadOptions(backbone=QWEN), {"quantization_config": {}})
    assert (saved_in_4_bits.quantize, saved_in_4_bits.offload) == (None, "model")
    unknown, notes = chosen(LoadOptions(backbone="my/own"), {"num_layers": 3})
    assert (unknown.quantize, unknown.offload, notes) == (None, None, [])


def test_a_quantisation_alone_still_gets_the_offload_that_fits(card: Any) -> None:
    card(23.2, 59.5)
    for quantize in ("fp8", "int8", "nf4"):
        where, (line,) = chosen(LoadOptions(backbone=QWEN, quantize=quantize), {})
        assert (where.quantize, where.offload) == (quantize, "model")
        assert line.startswith(f"Qwen-Image-Edit-2511: {quantize} weights, model offload: ")
    card(79, 59.5)
    whole, notes = chosen(LoadOptions(backbone=QWEN, quantize="nf4"), {})
    assert (whole.quantize, whole.offload, notes) == ("nf4", None, [])
    card(12, 59.5)
    with pytest.raises(
        AdaptEditError, match="fp8 weights, model offload, needs .* or insist with --offload$"
    ):
        chosen(LoadOptions(backbone=QWEN, quantize="fp8"), {})


def test_a_dtype_with_a_device_is_taken_at_its_word(card: Any) -> None:
    card(23.2, 59.5)
    plain, notes = chosen(LoadOptions(backbone=QWEN, device="cuda", dtype="bfloat16"), {})
    assert (plain.quantize, plain.offload, notes) == (None, None, [])
    assert chosen(LoadOptions(backbone=QWEN, dtype="bfloat16"), {})[0].quantize == "fp8"


def test_a_gguf_file_keeps_its_bits_while_the_text_encoders_follow_the_rung(card: Any) -> None:
    for free, quantize in ((15.6, "nf4"), (23.2, None)):
        card(free, 59.5)
        where, _ = chosen(LoadOptions(backbone=QWEN, transformer="dit.gguf"), {})
        assert (where.quantize, where.offload) == (quantize, "model")


def test_where_no_rung_fits_the_nearest_is_named(card: Any) -> None:
    card(6.0, 12.0)
    with pytest.raises(AdaptEditError, match="nearest way, nf4 weights, model offload, needs .* on the GPU"):
        chosen(LoadOptions(backbone=QWEN), {})


def test_main_memory_is_read_from_the_system() -> None:
    available, total = placement.host_memory()
    assert 0 < available <= total < 2**20


@pytest.mark.parametrize("quantize", ["int8", "nf4", "fp8"])
def test_a_dit_from_a_file_is_quantised_like_the_pipelines_own(
    folders: Path, quantize: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quantize == "nf4":
        pytest.importorskip("bitsandbytes")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # which diffusers asks for
    folder = folders / "kontext"
    pipeline = load._pipeline(str(folder), {})
    (file,) = (folder / "transformer").glob("*.safetensors")
    options = LoadOptions(backbone=str(folder), transformer=str(file))
    monkeypatch.setattr(load, "large_encoders", lambda index: [])
    parts = load._parts(pipeline, options, Placement(CPU, quantize), torch.bfloat16)
    weight = parts["transformer"].transformer_blocks[0].attn.to_q.weight
    kept = {"int8": torch.int8, "nf4": torch.uint8, "fp8": torch.float8_e4m3fn}
    assert getattr(weight, "qdata", weight).dtype == kept[quantize]


def exhausted(*_: Any, **__: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore lines")


def test_out_of_memory_names_the_next_rung_while_loading_and_while_editing(
    folders: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = loaded(folders / "kontext", None)
    assert isinstance(pipe.backbone, DiffusersBackbone)
    pipe.backbone.advice = Placement(torch.device("cuda"), "fp8", "model").advice
    monkeypatch.setattr(pipe.backbone.pipe.vae, "encode", exhausted)
    with pytest.raises(NotEnoughMemory, match=r"not enough memory .*; try --quantize nf4 --offload model$"):
        edited(pipe)

    monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", exhausted)
    monkeypatch.setattr(load, "device_of", lambda *_: torch.device("cuda", 0))
    picture = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(picture)
    arguments = ["edit", str(picture), "make it red", "--everywhere", "--backbone", str(folders / "kontext")]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "b.png")])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: there is not enough memory for this editor; ")
    assert result.stderr.endswith("try --offload model\n") and result.stderr.count("\n") == 1


def test_processes_share_the_gpus_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, indices in ((None, [0, 1, 0]), ("cuda", [0, 1, 0]), ("cuda:1", [1, 1, 1])):
        assert [placement.device_of(name, number).index for number in range(3)] == indices
