"""Contract: frozen means frozen, and a mask is obeyed. On a random, tiny model of the real DiT class."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FirstBlockCacheConfig
from torch import Tensor

from adaptedit.adapter.condition import CELLS, pool_region
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.errors import AdaptEditError, AdaptEditWarning
from adaptedit.region import Region
from random_dit import (
    BATCH,
    H,
    N,
    W,
    attached,
    backbone,
    boxes,
    make_adapter,
    make_backbone,
    make_inputs,
    run,
    wake,
)

__all__ = ["attached", "backbone"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frozen_paths_are_bit_identical(backbone: Any, dtype: torch.dtype) -> None:
    backbone.to(dtype)
    inputs = make_inputs(dtype=dtype)
    frozen = run(backbone, inputs)
    adapter = make_adapter(backbone).attach(backbone)
    with adapter.region(boxes()):
        assert torch.equal(run(backbone, inputs), frozen), "fresh"
        wake(adapter)
        assert not torch.equal(run(backbone, inputs)[:, :N], frozen[:, :N])
        adapter.scale = 0
        assert torch.equal(run(backbone, inputs), frozen), "scale 0"
        adapter.scale = 1
        with adapter.disabled():
            assert torch.equal(run(backbone, inputs), frozen), "disabled"
        assert not torch.equal(run(backbone, inputs), frozen), "enabled again"
    assert torch.equal(run(backbone, inputs), frozen), "no region"
    with adapter.region(boxes()):
        adapter.detach()
        assert torch.equal(run(backbone, inputs), frozen), "detached"
    adapter.detach()  # again, without effect


def test_untouched_call_returns_the_blocks_own_output(backbone: Any, attached: AdaptEditAdapter) -> None:
    hook = backbone.transformer_blocks[0]._diffusers_hook.get_hook("adaptedit")
    output = (torch.zeros(1), torch.zeros(1))
    run(backbone)
    assert hook.post_forward(backbone, output) is output


def test_only_target_tokens_inside_an_open_gate_change() -> None:
    """One block and a hard gate: afterwards nothing mixes the tokens, so the change is the region exactly."""
    backbone = make_backbone(layers=1)
    frozen = run(backbone)
    adapter = make_adapter(backbone, awake=True).attach(backbone)
    gate = adapter.blocks[0].gate
    torch.nn.init.constant_(gate.mask_strength, 1000.0)
    mask = boxes().unfold(1, 4, 4).unfold(2, 4, 4).amax((-1, -2))  # hard on the token grid
    with adapter.region(mask):
        changed = (run(backbone) != frozen).any(-1)
    assert torch.equal(changed[:, :N], mask.flatten(1).bool())
    assert not changed[:, N:].any(), "source tokens"


def test_backbone_owns_nothing_of_the_adapter(backbone: Any) -> None:
    keys = list(backbone.state_dict())
    adapter = make_adapter(backbone).attach(backbone)
    assert list(backbone.state_dict()) == keys
    assert not any("backbone" in name or "_injection" in name for name in adapter.state_dict())
    modules = set(backbone.modules())
    assert not any(module in modules for module in adapter.modules())


def train_step(backbone: Any, adapter: AdaptEditAdapter) -> None:
    with adapter.region(boxes()):
        backbone(**make_inputs())[0][:, :N].square().mean().backward()


def test_gradients_reach_every_adapter_weight_and_no_frozen_one(backbone: Any) -> None:
    adapter = make_adapter(backbone).attach(backbone)
    trained = [*adapter.condition.named_parameters(), *adapter.blocks.named_parameters()]
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-2)
    train_step(backbone, adapter)  # only the zero layers learn at first
    optimizer.step()
    optimizer.zero_grad()
    train_step(backbone, adapter)
    assert [name for name, p in trained if p.grad is None or not p.grad.any()] == []
    assert all(p.grad is None and not p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("enabled_before_attach", [False, True])
def test_checkpointing_gives_the_same_bits(enabled_before_attach: bool) -> None:
    """Two conditioned calls and a frozen one before one backward: each must be recomputed as it ran."""

    def gradients(checkpointing: bool) -> list[Tensor]:
        backbone = make_backbone()
        adapter = make_adapter(backbone, awake=True)
        if checkpointing and enabled_before_attach:
            backbone.enable_gradient_checkpointing()
        adapter.attach(backbone)
        if checkpointing and not enabled_before_attach:
            adapter.enable_gradient_checkpointing()
        inputs = make_inputs()
        with adapter.region(boxes()):
            first = backbone(**inputs)[0]
        with adapter.region(1 - boxes()):
            second = backbone(**inputs)[0]
        frozen = backbone(**inputs)[0]
        (first * second * frozen).mean().backward()
        adapter.detach()
        assert backbone.is_gradient_checkpointing == (checkpointing and enabled_before_attach)
        return [p.grad for p in adapter.parameters() if p.grad is not None]

    plain, recomputed = gradients(False), gradients(True)
    assert len(plain) > 50
    assert all(torch.equal(a, b) for a, b in zip(plain, recomputed, strict=True))


def test_rows_of_a_batch_are_independent(backbone: Any, attached: AdaptEditAdapter) -> None:
    inputs = make_inputs()
    with attached.region(boxes()):
        together = run(backbone, inputs)
    for i in range(BATCH):
        one = {k: v[i : i + 1] if isinstance(v, Tensor | list) else v for k, v in inputs.items()}
        with attached.region(boxes()[i : i + 1]):
            torch.testing.assert_close(run(backbone, one), together[i : i + 1], rtol=1e-4, atol=1e-5)


def test_padding_text_is_never_seen(backbone: Any, attached: AdaptEditAdapter) -> None:
    inputs = make_inputs()
    with attached.region(boxes()):
        expected = run(backbone, inputs)
        inputs["encoder_hidden_states"][0, -2:] = 100.0
        torch.testing.assert_close(run(backbone, inputs)[0], expected[0])


def test_a_region_is_the_same_in_every_form(backbone: Any, attached: AdaptEditAdapter) -> None:
    region = Region.from_box((4, 4, 20, 12), (24, 24))
    outputs = []
    for form in (region, [region] * BATCH, torch.from_numpy(region.mask.copy())[None]):
        with attached.region(form):
            outputs.append(run(backbone))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=0)
    torch.testing.assert_close(outputs[0], outputs[2])


@pytest.mark.parametrize(
    "region",
    [torch.zeros(H, W), torch.full((1, H, W), 1.5), torch.full((1, H, W), float("nan")), [], "all", None],
)
def test_a_bad_region_is_refused(attached: AdaptEditAdapter, region: Any) -> None:
    with pytest.raises(AdaptEditError, match="expected a Region"), attached.region(region):
        pass


def test_a_region_that_cannot_be_obeyed_is_refused(backbone: Any, attached: AdaptEditAdapter) -> None:
    with attached.region(boxes(3)), pytest.raises(AdaptEditError, match="3 regions .* batch of 2"):
        run(backbone)
    assert torch.isfinite(run(backbone)).all(), "usable after the error"
    attached.detach()
    with pytest.raises(AdaptEditError, match="attach"), attached.region(boxes()):
        pass


def test_an_error_inside_leaves_no_region_behind(backbone: Any, attached: AdaptEditAdapter) -> None:
    with attached.disabled():
        frozen = run(backbone)
    with pytest.raises(RuntimeError), attached.region(boxes()), attached.disabled():
        raise RuntimeError
    assert torch.equal(run(backbone), frozen)
    with attached.region(boxes()):
        assert not torch.equal(run(backbone), frozen)


def test_scale_is_the_strength() -> None:
    """One block, so that what enters the output norm is the frozen state plus scale times a constant."""
    backbone = make_backbone(layers=1)
    adapter = make_adapter(backbone, awake=True).attach(backbone)
    seen: list[Tensor] = []
    backbone.norm_out.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    for scale in (0.0, 1.0, 0.5, -2.0):
        adapter.scale = scale
        with adapter.region(boxes()):
            run(backbone)
    full = seen[1] - seen[0]
    torch.testing.assert_close(seen[2] - seen[0], 0.5 * full, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen[3] - seen[0], -2 * full, rtol=1e-4, atol=1e-5)
    with pytest.raises(AdaptEditError, match="finite"):
        adapter.scale = float("nan")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gates_are_recorded_per_call(backbone: Any, attached: AdaptEditAdapter, checkpointing: bool) -> None:
    if checkpointing:
        attached.enable_gradient_checkpointing()
    with attached.record_gates() as gates, attached.region(boxes()):
        output = backbone(**make_inputs())[0]
        with torch.no_grad(), attached.disabled():
            backbone(**make_inputs())
        if checkpointing:
            output.mean().backward()
        run(backbone, make_inputs())
    run_outside = len(gates)
    with attached.region(boxes()):
        run(backbone)
    assert len(gates) == run_outside == 2
    assert gates[0].shape == (3, BATCH, N) and torch.equal(gates[0], gates[1])
    inside = torch.nn.functional.avg_pool2d(boxes(), 4).flatten(1) == 1
    assert gates[0][:, inside].min() > 0.7 and gates[0][:, ~inside].min() < 0.3


def test_the_wrong_backbone_is_refused_with_both_names(backbone: Any) -> None:
    adapter = make_adapter(backbone)
    with pytest.raises(AdaptEditError, match=r"'random' .*64, 24, 3.*64, 24, 2"):
        adapter.attach(make_backbone(layers=2))
    with pytest.raises(AdaptEditError, match="Linear .*QwenImageTransformer2DModel"):
        adapter.attach(torch.nn.Linear(1, 1))
    assert all(p.requires_grad for p in backbone.parameters()), "a refused backbone is left alone"
    adapter.attach(SimpleNamespace(name="random", transformer=backbone))
    with pytest.raises(AdaptEditError, match="attached already"):
        adapter.attach(backbone)
    with pytest.raises(AdaptEditError, match="another adapter"):
        make_adapter(backbone).attach(backbone)


def test_another_name_is_a_warning_with_both_names(backbone: Any) -> None:
    adapter = make_adapter(backbone)
    with pytest.warns(AdaptEditWarning, match="'random'.*'other'"):
        adapter.attach(SimpleNamespace(name="other", transformer=backbone))
    assert adapter.attached


def test_a_cache_goes_on_after_the_adapter(backbone: Any) -> None:
    adapter = make_adapter(backbone, awake=True)
    cache = FirstBlockCacheConfig(threshold=100.0)  # a second call with the same input skips the other blocks
    backbone.enable_cache(cache)
    with pytest.raises(AdaptEditError, match="cache"):
        adapter.attach(backbone)
    backbone.disable_cache()
    adapter.attach(backbone)
    with adapter.region(boxes()):
        expected = run(backbone)
        backbone.enable_cache(cache)
        with backbone.cache_context("cond"):
            run(backbone)
            torch.testing.assert_close(run(backbone), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(60, 96), (61, 37), (5, 3), (9, 70)])
def test_a_region_and_its_tensor_pool_to_the_same_bits(size: tuple[int, int]) -> None:
    height, width = size
    masks = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    cells = pool_region(torch.from_numpy(masks), (3, 5), batch=4)
    assert torch.equal(cells, pool_region([Region.from_array(one) for one in masks], (3, 5), batch=4))
    rows, columns = 3 * CELLS, 5 * CELLS
    parts = masks.repeat(rows, 1).repeat(columns, 2).reshape(2, rows, height, columns, width)
    np.testing.assert_allclose(cells[:2].numpy(), parts.mean((2, 4)), atol=1e-6)


def test_pooling_keeps_its_precision_under_autocast() -> None:
    masks = torch.rand(2, 61, 37, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        cells = pool_region(masks, (3, 5), batch=2)
    assert torch.equal(cells, pool_region(masks, (3, 5), batch=2))
