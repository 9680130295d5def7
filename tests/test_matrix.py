"""Backbone x feature: the adapter beside everything else that people do to a DiT.

Each cell, with the feature switched on before attaching and after: a fresh adapter, `disabled()` and
`detach()` leave the bits of the backbone as the feature has made it; a trained one says what it says without
the feature, where that leaves the numbers alone; gradients reach adapter weights only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from diffusers import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

import two_processes_dit
import zoo
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.errors import AdaptEditError
from test_backbones import adapter_for, box, output
from two_processes_dit import Both
from zoo import Case, H, W

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Feature:
    """enable: switch it on in place. exact: the backbone's numbers stay the same, to rounding.

    trains: the backward pass goes through it. orders: what is done first, the feature or attaching.
    """

    enable: Callable[[Any], None]
    exact: bool = True
    trains: bool = True
    orders: tuple[str, ...] = ("adapter", "feature")


def _sequential_offload(model: Any) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerate.cpu_offload(model, CPU, offload_buffers=True)


def _model_offload(model: Any) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerate.cpu_offload_with_hook(model, CPU)


def _group_offload(model: Any, kind: str) -> None:
    groups = {"num_blocks_per_group": 1} if kind == "block_level" else {}
    model.enable_group_offload(onload_device=CPU, offload_type=kind, **groups)


def _nf4(model: Any) -> None:
    """bitsandbytes' own layers; diffusers' loader for them asks for a GPU."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    for path, linear in list(model.named_modules()):
        if type(linear) is nn.Linear and "embedder" not in path:  # some embedders ask their weights' dtype
            four_bit = bitsandbytes.nn.Linear4bit(
                linear.in_features,
                linear.out_features,
                linear.bias is not None,
                compute_dtype=torch.float32,
                quant_type="nf4",
            )
            four_bit.load_state_dict(linear.state_dict())
            model.set_submodule(path, four_bit.to(CPU))


def _torchao(model: Any, config: str) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    quantization.quantize_(model, getattr(quantization, config)())


def _lora(model: Any) -> None:
    peft = pytest.importorskip("peft")
    if not hasattr(model, "add_adapter"):
        pytest.skip("diffusers gives this class no LoRA")
    torch.manual_seed(5)
    targets = [k for k, v in model.named_modules() if isinstance(v, nn.Linear) and k.endswith("to_q")]
    targets = targets or [
        k for k, v in model.named_modules() if isinstance(v, nn.Linear) and "blocks." in k and "attn" in k
    ]
    model.add_adapter(peft.LoraConfig(r=4, target_modules=targets, init_lora_weights="gaussian"))
    for key, weight in model.named_parameters():
        if "lora_" in key:
            nn.init.normal_(weight, std=0.1)
            weight.requires_grad_(False)


def _regional_compile(model: Any) -> None:
    if not model._repeated_blocks:
        pytest.skip("diffusers names no repeated blocks of this class")
    model.compile_repeated_blocks(fullgraph=True, backend=_backend())


def _backend() -> str:
    """Inductor has a test of its own; the backward pass wants AOT's graphs, which take longest."""
    return "aot_eager" if torch.is_grad_enabled() else "eager"


FEATURES: dict[str, Feature] = {
    "regional compile": Feature(_regional_compile, orders=("adapter",)),
    "full compile": Feature(
        lambda model: model.compile(backend=_backend()), trains=False, orders=("feature",)
    ),
    "sequential offload": Feature(_sequential_offload, trains=False),
    "model offload": Feature(_model_offload),
    "group offload, blocks": Feature(lambda model: _group_offload(model, "block_level"), trains=False),
    "group offload, leaves": Feature(lambda model: _group_offload(model, "leaf_level"), trains=False),
    "fp8 storage": Feature(
        lambda model: model.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32), exact=False
    ),
    "nf4 (bitsandbytes)": Feature(_nf4, exact=False),
    "int8 (torchao)": Feature(lambda model: _torchao(model, "Int8WeightOnlyConfig"), exact=False),
    "fp8 (torchao)": Feature(lambda model: _torchao(model, "Float8WeightOnlyConfig"), exact=False),
    "LoRA": Feature(_lora, exact=False),
}


CACHES: dict[str, Any] = {
    "FirstBlockCache": FirstBlockCacheConfig(threshold=100.0),
    "MagCache": MagCacheConfig(mag_ratios=[1.0, 1.0], num_inference_steps=2, retention_ratio=0.0),
    "PyramidAttentionBroadcast": PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        spatial_attention_timestep_skip_range=(-1, 1001),
        current_timestep_callback=lambda: 500,
    ),
    "TaylorSeer": TaylorSeerCacheConfig(
        cache_interval=2, disable_cache_before_step=1, max_order=0, taylor_factors_dtype=torch.float32
    ),
}

CONTEXT_PARALLEL = ["qwen-edit", "qwen-edit-2511", "kontext", "flux-fill", "flux2"]

each_backbone = pytest.mark.parametrize("name", zoo.ZOO)


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch._dynamo.reset()


def adapted(case: Case, adapter: AdaptEditAdapter) -> Tensor:
    with adapter.region(box(case.batch)):
        return output(case)


@each_backbone
@pytest.mark.parametrize(
    "feature, first", [(name, first) for name, feature in FEATURES.items() for first in feature.orders]
)
@torch.no_grad()
def test_inference(name: str, feature: str, first: str) -> None:
    on = FEATURES[feature]
    plain = zoo.make(name)
    on.enable(plain.model)
    frozen = output(plain)

    case = zoo.make(name)
    if first == "feature":
        on.enable(case.model)
    adapter = adapter_for(case, awake=False).attach(case.model)
    if first == "adapter":
        on.enable(case.model)
    assert torch.equal(adapted(case, adapter), frozen), "fresh"
    trained = adapter_for(case)
    adapter.load_state_dict(trained.state_dict())
    awake = adapted(case, adapter)
    assert not torch.equal(awake, frozen), "awake"
    with adapter.disabled():
        assert torch.equal(adapted(case, adapter), frozen), "disabled"
    adapter.detach()
    assert torch.equal(output(case), frozen), "detached"

    reference = zoo.make(name) if on.exact else plain
    expected = adapted(reference, trained.attach(reference.model))
    torch.testing.assert_close(awake, expected, rtol=1e-4, atol=1e-4)


def gradients(case: Case, adapter: AdaptEditAdapter) -> dict[str, Tensor]:
    adapter.zero_grad()
    adapted(case, adapter).square().mean().backward()
    assert all(weight.grad is None for weight in case.model.parameters())
    return {key: weight.grad.clone() for key, weight in adapter.named_parameters() if weight.grad is not None}


@each_backbone
@pytest.mark.parametrize("feature", [name for name, feature in FEATURES.items() if feature.trains])
def test_training(name: str, feature: str) -> None:
    on, case = FEATURES[feature], zoo.make(name)
    on.enable(case.model)
    adapter = adapter_for(case).attach(case.model)
    grads = gradients(case, adapter)
    expected = {key for key, _ in adapter.named_parameters() if not key.startswith("mask_predictor.")}
    assert grads.keys() == expected and all(grad.isfinite().all() for grad in grads.values())
    if on.exact:
        bare = zoo.make(name)
        for key, grad in gradients(bare, adapter_for(bare).attach(bare.model)).items():
            torch.testing.assert_close(grads[key], grad, rtol=1e-3, atol=1e-5)
    else:
        case.model.train()
        adapter.enable_gradient_checkpointing()
        again = gradients(case, adapter)
        assert all(torch.equal(again[key], grads[key]) for key in grads), "checkpointed"


@each_backbone
@pytest.mark.parametrize("feature", CACHES)
@torch.no_grad()
def test_step_cache(name: str, feature: str) -> None:
    """Two calls with the same input: the second comes from the cache."""

    def twice(case: Case) -> Tensor:
        case.model.enable_cache(CACHES[feature])
        with case.model.cache_context("cond"):
            output(case)
            return output(case)

    plain = zoo.make(name)
    if not hasattr(plain.model, "enable_cache"):
        pytest.skip("diffusers gives this class no caches")
    uncached = output(plain)
    try:
        frozen = twice(plain)
    except Exception as error:
        pytest.skip(f"fails without an adapter too: {type(error).__name__}: {error}".splitlines()[0])
    torch.testing.assert_close(frozen, uncached, rtol=1e-4, atol=1e-4)

    case = zoo.make(name)
    adapter = adapter_for(case, awake=False).attach(case.model)
    with adapter.region(box(case.batch)):
        assert torch.equal(twice(case), frozen), "fresh"
    case.model.disable_cache()
    adapter.load_state_dict(adapter_for(case).state_dict())
    expected = adapted(case, adapter)
    with adapter.region(box(case.batch)):
        torch.testing.assert_close(twice(case), expected, rtol=1e-4, atol=1e-4)
    adapter.detach()
    case.model.disable_cache()
    assert torch.equal(output(case), uncached), "detached before the cache went"


@torch.no_grad()
def test_a_cache_that_is_on_already_is_refused() -> None:
    case = zoo.make("kontext")
    case.model.enable_cache(CACHES["FirstBlockCache"])
    with pytest.raises(AdaptEditError, match="disable the cache and attach first"):
        adapter_for(case).attach(case.model)


@pytest.mark.parametrize("name", ["qwen-edit", "kontext"])
@torch.no_grad()
def test_another_region_compiles_nothing_anew(name: str) -> None:
    case = zoo.make(name)
    adapter = adapter_for(case).attach(case.model)
    _regional_compile(case.model)
    adapted(case, adapter)
    with torch._dynamo.config.patch(error_on_recompile=True), adapter.region(torch.ones(2, H, W)):
        output(case)


@torch.no_grad()
def test_inductor() -> None:
    case = zoo.make("qwen-edit")
    adapter = adapter_for(case).attach(case.model)
    expected = adapted(case, adapter)
    case.model.compile_repeated_blocks(fullgraph=True)
    torch.testing.assert_close(adapted(case, adapter), expected, rtol=1e-4, atol=1e-4)


# -- two processes


@pytest.fixture(scope="module")
def fsdp_gradients(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fsdp")
    spawn(two_processes_dit.fsdp, (folder, list(zoo.ZOO)), nprocs=2)
    return torch.load(folder / "gradients.pt")


@each_backbone
@pytest.mark.parametrize("feature", ["FSDP2"])
@pytest.mark.parametrize("first", ["adapter", "feature"])
def test_two_processes_shard_backbone_and_adapter(
    name: str, feature: str, first: str, fsdp_gradients: Any
) -> None:
    case = zoo.make(name)
    both = Both(case)
    both.adapter.attach(case.model)
    two_processes_dit.loss(both, case).backward()
    expected = two_processes_dit.gradients(both)
    grads = fsdp_gradients[name, first]
    assert grads.keys() == expected.keys()
    for key, grad in grads.items():
        torch.testing.assert_close(grad, expected[key], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def context_parallel_outputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("context_parallel")
    spawn(two_processes_dit.context_parallel, (folder, CONTEXT_PARALLEL), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@each_backbone
@pytest.mark.parametrize("feature", ["context parallel"])
@torch.no_grad()
def test_two_processes_share_the_tokens(name: str, feature: str, context_parallel_outputs: Any) -> None:
    case = zoo.make(name)
    if name not in CONTEXT_PARALLEL:
        assert not getattr(case.model, "_cp_plan", None)
        pytest.skip("diffusers has no context-parallel plan for this class")
    both = Both(case)
    both.adapter.attach(case.model)
    expected = both(case.inputs, two_processes_dit.region(case.batch))
    for one in context_parallel_outputs:
        torch.testing.assert_close(one[name], expected, rtol=1e-4, atol=1e-5)
