"""Contract 1 on every supported DiT class: frozen means frozen, and a region lands on its tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.patterns import PATTERNS
from adaptedit.errors import AdaptEditError
from zoo import Case, H, W


def adapter_for(case: Case, *, awake: bool = True) -> AdaptEditAdapter:
    torch.manual_seed(2)
    adapter = AdaptEditAdapter.for_backbone(case.model, "small", backbone_name="random")
    if awake:
        for block in adapter.blocks:
            torch.nn.init.normal_(block.ffn[-1].weight, std=0.5)
    return adapter


def box(batch: int) -> Tensor:
    """(B, H, W): the third row's last columns, more of them from sample to sample."""
    mask = torch.zeros(batch, H, W)
    for i in range(batch):
        mask[i, 2, 4 - i :] = 1
    return mask


def output(case: Case) -> Tensor:
    return case.on_grid(case.model(**case.inputs)[0])


def cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, list) and isinstance(value[0], Tensor):
        return [cast(one, dtype) for one in value]
    return (
        value.to(dtype)
        if isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1
        else value
    )


@pytest.fixture(params=zoo.ZOO)
def case(request: pytest.FixtureRequest) -> Case:
    return zoo.make(request.param)


def test_every_class_is_in_the_zoo() -> None:
    assert {type(zoo.make(name).model).__name__ for name in zoo.ZOO} == PATTERNS.keys()


@pytest.mark.feature("off: same bits (float32, bfloat16)")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_frozen_paths_are_bit_identical(case: Case, dtype: torch.dtype) -> None:
    case.model.to(dtype)
    case = Case(case.model, {k: cast(v, dtype) for k, v in case.inputs.items()}, case.batch, case.on_grid)
    frozen = output(case)
    adapter = adapter_for(case, awake=False).attach(case.model)
    with adapter.region(box(case.batch)):
        assert torch.equal(output(case), frozen), "fresh"
        adapter.load_state_dict(adapter_for(case).state_dict())
        assert not torch.equal(output(case), frozen), "awake"
        adapter.scale = 0
        assert torch.equal(output(case), frozen), "scale 0"
        adapter.scale = 1
        with adapter.disabled():
            assert torch.equal(output(case), frozen), "disabled"
    assert torch.equal(output(case), frozen), "no region"
    adapter.detach()
    assert torch.equal(output(case), frozen), "detached"


@pytest.mark.feature("region on its tokens")
@torch.no_grad()
def test_the_region_lands_on_its_tokens(case: Case) -> None:
    """Only the last block speaks, and only inside: no attention follows that could carry it elsewhere."""
    frozen = output(case)
    adapter = adapter_for(case, awake=False).attach(case.model)
    torch.nn.init.normal_(adapter.blocks[-1].ffn[-1].weight, std=0.5)
    gate = adapter.blocks[-1].gate
    torch.nn.init.zeros_(gate.out.weight)
    gate.mask_strength.fill_(1000)
    mask = box(case.batch)
    with adapter.region(mask):
        changed = (output(case) != frozen).any(-1)
    assert torch.equal(changed, mask.bool())


@pytest.mark.feature("gradient checkpointing")
def test_gradients_reach_the_adapter_only(case: Case) -> None:
    adapter = adapter_for(case).attach(case.model)

    def gradients() -> dict[str, Tensor]:
        adapter.zero_grad()
        with adapter.region(box(case.batch)):
            output(case).float().square().mean().backward()
        return {k: p.grad.clone() for k, p in adapter.named_parameters() if p.grad is not None}

    plain = gradients()
    assert not any(k.startswith("mask_predictor.") for k in plain)
    expected = {k for k, _ in adapter.named_parameters() if not k.startswith("mask_predictor.")}
    assert plain.keys() == expected
    assert all(g.isfinite().all() for g in plain.values()) and sum(bool(g.any()) for g in plain.values()) > 20
    assert all(p.grad is None and not p.requires_grad for p in case.model.parameters())
    case.model.train()  # the classes checkpoint in training mode or whenever gradients are on
    adapter.enable_gradient_checkpointing()
    again = gradients()
    assert all(torch.equal(again[k], plain[k]) for k in plain)


@pytest.mark.feature("batch, a region each")
@torch.no_grad()
def test_samples_with_their_own_regions_do_not_mix(case: Case) -> None:
    if case.batch == 1:
        pytest.skip("this class takes one sample a call")
    adapter = adapter_for(case).attach(case.model)
    regions = box(2)
    with adapter.region(regions):
        together = output(case)
    for i in range(2):
        with adapter.region(regions[i : i + 1]):
            torch.testing.assert_close(output(case)[i], together[i], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_one_region_serves_a_batch_doubled_by_guidance() -> None:
    case = zoo.make("fibo")
    adapter = adapter_for(case).attach(case.model)
    one = box(2)[1:]
    with adapter.region(one):
        doubled = output(case)
    with adapter.region(one.expand(2, -1, -1)):
        assert torch.equal(doubled, output(case))
    with adapter.region(torch.zeros(3, H, W)), pytest.raises(AdaptEditError, match="3 regions .* batch of 2"):
        output(case)


def test_z_images_omni_mode_is_refused() -> None:
    case = zoo.make("z-image")
    adapter = adapter_for(case).attach(case.model)
    nested = [[one] for one in case.inputs["x"]]
    with adapter.region(box(2)), pytest.raises(AdaptEditError, match="omni"):
        case.model(**case.inputs | {"x": nested})


def test_an_adapter_of_another_class_is_refused() -> None:
    adapter = adapter_for(zoo.make("kontext"))
    with pytest.raises(AdaptEditError, match="made for FluxTransformer2DModel.*not for LongCat"):
        adapter.attach(zoo.make("longcat").model)
