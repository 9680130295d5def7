"""The general parts of training: losses, masks, timesteps, the loop and its checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

import random_dit
import two_processes
from adaptedit.errors import AdaptEditError
from adaptedit.training.losses import iou, mask_loss, region_aware_loss, sample_timesteps
from adaptedit.training.masks import degrade
from adaptedit.training.trainer import TrainConfig, Trainer

SHORT = TrainConfig(steps=4, batch=1, lr=1e-2, warmup=1, log_every=4, save_every=2, bf16=False, compile=False)


# -- losses --------------------------------------------------------------------------------------------


def test_a_constant_error_costs_the_same_whatever_the_area() -> None:
    error = torch.full((3, 64, 8), 0.5)
    mask = (torch.arange(64)[None] < torch.tensor([[0], [3], [60]])).float()
    assert torch.allclose(region_aware_loss(error, mask, 4.0), torch.tensor(0.5))


def test_an_error_inside_the_region_costs_more() -> None:
    mask = (torch.arange(64)[None] < 16).float()
    inside, outside = (where[..., None].expand(-1, -1, 8).clone() for where in (mask, mask.flip(1)))
    costs = region_aware_loss(inside, mask, 4.0), region_aware_loss(outside, mask, 4.0)
    assert costs[0] / costs[1] == pytest.approx(5, rel=0.05)  # not exactly: the loss is smooth at zero
    assert region_aware_loss(inside, mask, 0.0) == pytest.approx(0.25, rel=0.05)


def test_the_mask_loss_prefers_the_truth() -> None:
    mask = torch.zeros(2, 32, 32)
    mask[:, 4:12, 6:20] = 1
    logits = 10 * (2 * mask - 1)
    right, shifted, wrong = (mask_loss(x, mask) for x in (logits, logits.roll(3, 1), -logits))
    assert right < 0.02 < shifted < wrong
    assert iou(logits.sigmoid(), mask).tolist() == [1, 1] and iou((-logits).sigmoid(), mask).tolist() == [
        0,
        0,
    ]


def test_timesteps_are_inside_0_and_1_and_lean_towards_noise() -> None:
    t = sample_timesteps(4000, torch.Generator().manual_seed(0), shift=6.0)
    assert t.min() >= 0 and t.max() < 1
    assert t.median() == pytest.approx(6 / 7, abs=0.02)  # of u = 1/2: 6 u / (1 + 5 u)


def test_degraded_masks_stay_masks_and_repeat_with_the_generator() -> None:
    mask = torch.zeros(64, 32, 32)
    mask[:, 8:20, 10:18] = 1
    predicted = torch.full_like(mask, 0.5)
    first, again = (degrade(mask, predicted, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again) and first.min() >= 0 and first.max() <= 1
    assert len({m.numpy().tobytes() for m in first}) > 5
    assert (first == mask).flatten(1).all(1).any() and (first == predicted).flatten(1).all(1).any()


# -- trainer -------------------------------------------------------------------------------------------


def test_training_an_adapter_lowers_its_loss_and_moves_nothing_else(tmp_path: Path) -> None:
    backbone = random_dit.make_backbone()
    frozen = {name: value.clone() for name, value in backbone.state_dict().items()}
    adapter = random_dit.make_adapter(backbone).attach(backbone)
    before = {name: p.detach().clone() for name, p in adapter.named_parameters()}
    inputs = random_dit.make_inputs()
    wanted = random_dit.run(backbone) + 1  # where the region is
    inside = F.avg_pool2d(random_dit.boxes(), 4).flatten(1)
    losses: list[float] = []

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        with adapter.region(random_dit.boxes()):
            error = (backbone(**inputs)[0] - wanted)[:, : random_dit.N]
        value = region_aware_loss(error, inside, 4.0)
        losses.append(value.item())
        return value, {}

    Trainer(adapter, loss, replace(SHORT, steps=8), tmp_path).run()
    assert losses[-1] < 0.95 * losses[0]
    moved = {name.split(".")[0] for name, p in adapter.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"condition", "blocks"}  # the MaskPredictor has a loss of its own
    assert all(torch.equal(value, frozen[name]) for name, value in backbone.state_dict().items())


def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    spawn(two_processes.work, (tmp_path,), nprocs=2)
    together = load_file(tmp_path / "state.safetensors")
    modules = two_processes.model()

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        return sum(two_processes.loss_of(modules, step, rank) for rank in (0, 1)) / torch.tensor(2.0), {}

    Trainer(modules, loss, two_processes.CONFIG, tmp_path / "alone").run()
    alone = load_file(tmp_path / "alone" / "state.safetensors")
    assert together.keys() == alone.keys()
    assert all(torch.allclose(together[key], alone[key], atol=1e-6) for key in alone)


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoint(tmp_path: Path) -> None:
    model = nn.Linear(3, 1)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        return model(torch.ones(1, 3)).sum() * (float("nan") if step == 3 else 1.0), {}

    with pytest.raises(AdaptEditError, match="loss is nan at step 4"):
        Trainer(model, loss, SHORT, tmp_path).run()
    state = load_file(tmp_path / "state.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values())


@pytest.mark.parametrize("other", [nn.Linear(3, 2), nn.Linear(3, 1, bias=False), nn.Conv1d(3, 1, 1)])
def test_the_state_of_another_model_is_refused(other: nn.Module, tmp_path: Path) -> None:
    model = nn.Linear(3, 1)
    Trainer(model, lambda step: (model(torch.ones(1, 3)).sum(), {}), SHORT, tmp_path).run()
    with pytest.raises(AdaptEditError, match="is of another model"):
        Trainer(other, lambda step: (torch.zeros(()), {}), SHORT, tmp_path)


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    model = nn.Linear(3, 1)
    Trainer(model, lambda step: (model(torch.ones(1, 3)).sum(), {}), SHORT, tmp_path).run()
    before = (tmp_path / "state.safetensors").read_bytes()
    Trainer(nn.Linear(3, 1), lambda step: pytest.fail("a step was taken"), SHORT, tmp_path).run()
    assert (tmp_path / "state.safetensors").read_bytes() == before
