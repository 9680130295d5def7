"""`adaptedit models` and the memory ladder: the paper's counts, from configs, with nothing allocated."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import pytest
import torch
from diffusers import QwenImageTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner, Result

import zoo
from adaptedit.adapter.config import PRESETS
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.patterns import PATTERNS, spec_of
from adaptedit.costs.counts import table
from adaptedit.costs.editors import PUBLISHED, EditShape, Published, published
from adaptedit.costs.flops import adapter_costs, adapter_flops, forward_flops
from adaptedit.costs.inputs import edit_arguments
from adaptedit.costs.memory import (
    HOST_RESERVE,
    RESERVE,
    Footprint,
    inference_ladder,
    peak_bytes,
    stored,
    training_ladder,
)
from adaptedit.costs.rungs import table as rungs
from adaptedit.interfaces.cli.main import app

DOCUMENT = Path(__file__).parents[1] / "docs" / "memory.md"
QWEN = "Qwen/Qwen-Image-Edit"
SMALL = {"num_attention_heads": 2, "attention_head_dim": 64}
ROPE = {"axes_dims_rope": (16, 24, 24)}
SHALLOW = {
    "qwen": Published("QwenImageTransformer2DModel", text=20, config={"num_layers": 3, **SMALL, **ROPE}),
    "kontext": Published(
        "FluxTransformer2DModel", text=20, config={"num_layers": 2, "num_single_layers": 3, **SMALL, **ROPE}
    ),
    # its last block has no text half: not every block of a stream costs the same
    "sd3": Published(
        "SD3Transformer2DModel",
        text=20,
        sources=0,
        config={"num_layers": 3, "caption_projection_dim": 128, **SMALL},
    ),
}


def models(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


def test_the_paper_preset_has_the_papers_counts() -> None:
    (cost,) = adapter_costs(QWEN, PUBLISHED[QWEN], ("paper",), 1024)
    assert cost.backbone_parameters == pytest.approx(20.43e9, rel=1e-3)
    assert cost.block_adapters == pytest.approx(4.67e9, rel=0.01)
    assert cost.condition_encoder == pytest.approx(351e6, rel=0.01)
    assert 7.4e6 <= cost.mask_predictor <= 7.9e6


def test_base_and_small_keep_their_promise() -> None:
    base, small = adapter_costs(QWEN, PUBLISHED[QWEN], ("base", "small"), 1024)
    assert base.parameters <= 0.01 * base.backbone_parameters
    assert small.parameters <= 0.003 * small.backbone_parameters


# billions; from the models' cards and from instances of the classes
SIZES = {
    "Qwen-Image-2.1": 7.1, "FLUX.1-Kontext-dev": 11.9, "FLUX.1-Fill-dev": 11.9, "FLUX.2-dev": 32.2,
    "FLUX.2-klein-4B": 3.9, "FLUX.2-klein-9B": 9.1, "LongCat-Image-Edit": 11.9, "Fibo-Edit": 8.3,
    "JoyAI-Image-Edit-Diffusers": 16.3, "JoyAI-Image-Edit-Plus-Diffusers": 16.3, "SD3_UltraEdit_w_mask": 2.0,
    "stable-diffusion-3-medium-diffusers": 2.0, "stable-diffusion-3.5-large": 8.1, "Chroma1-HD": 8.9,
    "Z-Image-Turbo": 6.2, "HiDream-I1-Full": 17.1, "Qwen-Image-Edit": 20.4, "Qwen-Image-Edit-2509": 20.4,
    "Qwen-Image-Edit-2511": 20.4,
}  # fmt: skip


def test_every_published_editor_is_counted_with_its_published_size_and_nothing_allocated() -> None:
    assert {name.split("/")[1] for name in PUBLISHED} == SIZES.keys()
    assert {one.transformer for one in PUBLISHED.values()} == PATTERNS.keys()
    before = getrusage(RUSAGE_SELF).ru_maxrss
    for name, editor in PUBLISHED.items():
        (cost,) = adapter_costs(name, editor, ("small",), 1024)
        assert cost in table()
        assert cost.backbone_parameters / 1e9 == pytest.approx(SIZES[name.split("/")[1]], abs=0.06), name
        assert 0 < cost.flops < 0.01 * cost.backbone_flops, name
        assert cost.backbone_flops > 2 * cost.target_tokens * 0.3 * cost.backbone_parameters, name
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB; the least of these models has 4 GiB


@pytest.mark.parametrize("name", SHALLOW)
def test_flops_are_those_of_a_whole_forward_with_and_without_a_region(name: str) -> None:
    editor = SHALLOW[name]
    shape = EditShape(side=8, sources=editor.sources, text=editor.text)
    frozen = editor.build()
    arguments = edit_arguments(frozen, shape)
    with torch.no_grad(), FlopCounterMode(display=False) as bare:
        frozen(**arguments)
    with torch.device("meta"):
        adapter = AdaptEditAdapter.for_backbone(frozen, "base", backbone_name="random")
    adapter.requires_grad_(False).attach(frozen)
    with torch.no_grad(), adapter.region(torch.ones(1, 8, 8)), FlopCounterMode(display=False) as adapted:
        frozen(**arguments)
    adapter.detach()
    text = spec_of(frozen).text(arguments)[0]
    extra = adapted.get_total_flops() - bare.get_total_flops()
    assert adapter_flops(adapter, text, shape) == extra > 0
    assert forward_flops(frozen, arguments) == bare.get_total_flops()


def test_json_says_what_the_table_says() -> None:
    result = models("klein-4b", "--preset", "small", "--json")
    assert result.exit_code == 0, result.output
    (entry,) = json.loads(result.stdout)
    (cost,) = adapter_costs(entry["editor"], PUBLISHED[entry["editor"]], ("small",), 1024)
    assert entry == cost.to_dict() | {"edits": True}
    assert entry["training_bytes"] == 8 * entry["inference_bytes"] == 16 * entry["parameters"]
    shown = models("klein-4b", "--preset", "small").stdout
    assert f"{entry['parameter_share']:.2%}" in shown and f"{entry['flops_share']:.2%}" in shown


def test_it_says_which_editors_edit_and_which_an_adapter_only_attaches_to() -> None:
    lines = models("--preset", "small").stdout.splitlines()
    (kontext,), (chroma,) = (
        [line.split()[1] for line in lines if name in line] for name in ("Kontext", "Chroma")
    )
    assert (kontext, chroma) == ("edits", "attaches")


def test_a_larger_picture_costs_more_and_its_parameters_do_not() -> None:
    half, full = (adapter_costs("klein", published("klein-4b").popitem()[1], PRESETS, s) for s in (512, 1024))
    for small, large in zip(half, full, strict=True):
        assert small.parameters == large.parameters
        assert 4 * small.target_tokens == large.target_tokens
        assert 3 * small.flops < large.flops and 3 * small.backbone_flops < large.backbone_flops


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonesuch"], "no published editor is called 'nonesuch'; known: Qwen/Qwen-Image-Edit, "),
        (["--preset", "huge"], "unknown preset 'huge'; choose one of paper, base, small"),
        (["klein-4b", "--size", "1000"], "size 1000 must be a multiple of 32"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    result = models(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1 and message in result.stderr
    assert result.stdout == ""


def test_peak_memory_is_what_lives_at_once() -> None:
    def run() -> None:
        a = torch.empty(1000, device="meta")  # 4000 bytes
        b = (a + 1).view(10, 100)[:5]  # and 4000: a view is not new
        del a
        b = b * 2  # and 2000, once a is gone
        b.mul_(2)  # in place
        b = b.repeat(2, 1).sum()  # and 4000, 4

    assert peak_bytes(run) == 8000


def test_peak_memory_of_attention_grows_with_tokens_not_with_their_square() -> None:
    def run(tokens: int) -> int:
        q = torch.empty(1, 1, tokens, 64, device="meta")
        return peak_bytes(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))

    assert run(20000) == 2 * run(10000)


def test_smaller_storage_is_smaller_by_what_it_says() -> None:
    model = SHALLOW["qwen"].build().to(torch.bfloat16)
    linear = sum(one.weight.numel() for one in model.modules() if isinstance(one, torch.nn.Linear))
    whole = stored(model, "bf16")
    assert whole == 2 * sum(parameter.numel() for parameter in model.parameters())
    assert whole - stored(model, "nf4") == linear * 2 - linear // 2 - linear // 16
    eight = stored(model, "fp8")
    assert whole / 2 <= eight < 0.6 * whole


@pytest.mark.parametrize(("use", "ladder"), [("inference", inference_ladder), ("training", training_ladder)])
def test_the_document_shows_the_computed_ladder(use: str, ladder: Callable[[str], list[Footprint]]) -> None:
    editor = "black-forest-labs/FLUX.1-Kontext-dev"
    shown = DOCUMENT.read_text().split(f"<!-- {use} of {editor} -->")[1].split("<!-- end")[0]
    computed = ladder(editor)
    if use == "inference":
        shipped = [(rung.name, rung.gpu, rung.host) for rung in rungs()[editor]]
        assert shipped == [
            (one.rung, round(one.peak + RESERVE, 1), round(one.host + HOST_RESERVE, 1)) for one in computed
        ]
    assert re.findall(r"\*\*([\d.]+)\*\*", shown) == [f"{one.peak:.1f}" for one in computed]
    assert shown.count("does not fit") == sum(not one.fits for one in computed)


def test_the_documents_training_loop_trains_the_adapter_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (loop,) = re.findall(
        r"```python\n((?:(?!```).)*?region_aware_loss.*?)```", DOCUMENT.read_text(), re.DOTALL
    )
    model = zoo.make("qwen-edit").model
    frozen = {name: one.clone() for name, one in model.state_dict().items()}
    monkeypatch.setattr(QwenImageTransformer2DModel, "from_pretrained", lambda *_, **__: model)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    latents, prompt = torch.randn(2, 2, zoo.N, 16), torch.randn(2, 5, zoo.TEXT_DIM)
    mask = torch.zeros(2, 8 * zoo.H, 8 * zoo.W)
    mask[:, 8:20, 16:40] = 1
    batch = (latents[0], latents[1], prompt, mask, (zoo.H, zoo.W))
    names: dict[str, Any] = {"cached": [batch] * 3}
    exec(loop.replace('"cuda"', '"cpu"'), names)
    assert all(torch.equal(one, frozen[name]) for name, one in model.state_dict().items())
    trained = AdaptEditAdapter.from_pretrained("my-adapter")
    assert all(block.ffn[-1].weight.any() for block in trained.blocks)  # zero in a fresh one
    assert names["loss"].isfinite()
