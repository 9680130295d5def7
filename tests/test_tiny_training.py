"""tiny's own training: its stages, what each loss reaches, and that a killed run goes on as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import drawn
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.errors import AdaptEditError
from adaptedit.tiny import backbone as tiny
from adaptedit.tiny.backbone import dit_config, load
from adaptedit.tiny.codec import BlockDCT
from adaptedit.tiny.dit import QwenImageTransformer2DModel
from adaptedit.tiny.text import TextEncoder
from adaptedit.tiny.training import adapter as adapter_stage
from adaptedit.tiny.training import encoder as encoder_stage
from adaptedit.tiny.training import run
from adaptedit.tiny.training.batches import batch
from adaptedit.tiny.training.configs import recipe
from adaptedit.tiny.training.cpu_attention import use_cpu_attention
from adaptedit.tiny.training.objects import Codes, save_codes
from adaptedit.tiny.training.run import STAGES, run_stage
from adaptedit.training.trainer import TrainConfig, Trainer

GOLDEN = Path(__file__).parent / "golden"
SHORT = TrainConfig(steps=4, batch=1, lr=1e-2, warmup=1, log_every=4, save_every=2, bf16=False, compile=False)


@dataclass(frozen=True)
class Runs:
    """The debug recipe, once through: folder/<stage> and folder/weights, from the pack in `assets`;
    left/<stage>: the weights as the stage left them."""

    assets: Path
    folder: Path
    left: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    text, pairs = TextEncoder(), SyntheticPairs("train", drawn.pack())
    assets, folder, left = (tmp_path_factory.mktemp(name) for name in ("assets", "run", "left"))
    made = Runs(drawn.save(assets), folder, left)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, whatever else the machine does
    with pytest.MonkeyPatch.context() as patch:  # what is slow to make is made once
        patch.setattr(tiny, "TextEncoder", lambda: text)
        patch.setattr(encoder_stage, "TextEncoder", lambda: text)
        patch.setattr(run, "SyntheticPairs", lambda *_, **__: pairs)
        for stage in STAGES:
            run_stage(stage, "debug", folder, assets_folder=made.assets)
            shutil.copytree(folder / "weights", left / stage)
        yield made
    torch.set_num_threads(threads)


# -- stages --------------------------------------------------------------------------------------------


def test_the_stages_leave_an_editor_that_loads(runs: Runs) -> None:
    weights = runs.folder / "weights"
    backbone = load(weights)
    adapter = AdaptEditAdapter.from_pretrained(weights / "adapter").float().attach(backbone)
    pixels = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    found = adapter.predict_region(backbone.encode_prompt(pixels, ["remove the apple"] * 2), pixels)
    assert found.shape == (2, 128, 128) and 0 <= found.min() < found.max() <= 1
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("stage", STAGES)
def test_what_ships_is_the_average_of_a_model_that_moved(runs: Runs, stage: str) -> None:
    state = load_file(runs.folder / stage / "state.safetensors")
    average = {key.removeprefix("ema/"): value for key, value in state.items() if key.startswith("ema/")}
    part = "transformer" if stage == "backbone" else stage
    shipped = load_file(runs.left / stage / part / "model.safetensors")
    prefix = "" if stage == "adapter" else f"{part}."
    assert shipped
    for name, tensor in shipped.items():
        assert torch.equal(tensor, average[prefix + name].to(tensor.dtype)), name
    assert any(not torch.equal(value, state[f"model/{name}"]) for name, value in average.items())


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_goes_on_bit_for_bit(
    runs: Runs, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again() -> None:
        torch.rand(7)  # whatever else drew random numbers must not matter
        run_stage(stage, "debug", tmp_path, assets_folder=runs.assets)

    if stage != STAGES[0]:
        shutil.copytree(runs.left / STAGES[STAGES.index(stage) - 1], tmp_path / "weights")
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", killed_after(Trainer.save, step=5))
        with pytest.raises(KeyboardInterrupt):
            again()
    halfway = load_file(tmp_path / stage / "state.safetensors")
    again()
    unbroken = load_file(runs.folder / stage / "state.safetensors")
    resumed = load_file(tmp_path / stage / "state.safetensors")
    assert unbroken.keys() == resumed.keys() and any(key.startswith("ema/") for key in unbroken)
    assert all(torch.equal(unbroken[key], resumed[key]) for key in unbroken)
    assert any(not torch.equal(halfway[key], resumed[key]) for key in halfway)


def killed_after(save: Callable[[Trainer], None], step: int) -> Callable[[Trainer], None]:
    def save_and_die(trainer: Trainer) -> None:
        save(trainer)
        if trainer.step == step:
            raise KeyboardInterrupt

    return save_and_die


def test_unknown_names_and_missing_parts_are_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="'huge'.*tiny, debug"):
        run_stage("encoder", "huge", tmp_path, assets_folder=runs.assets)
    with pytest.raises(AdaptEditError, match="'decoder'.*encoder, objects, backbone, adapter"):
        run_stage("decoder", "debug", tmp_path, assets_folder=runs.assets)
    with pytest.raises(AdaptEditError, match="no weights in"):
        run_stage("backbone", "debug", tmp_path, assets_folder=runs.assets)
    with pytest.raises(AdaptEditError, match="adaptedit data fetch"):
        run_stage("encoder", "debug", tmp_path, assets_folder=tmp_path)


def test_an_error_in_a_worker_process_stays_one_line(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="^no weights in"):
        run_stage("backbone", "debug", tmp_path, processes=2, assets_folder=runs.assets)


def test_a_stage_can_start_from_finished_weights(runs: Runs, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(runs.folder / "weights", start)
    tensors = load_file(start / "transformer" / "model.safetensors")
    tensors["proj_out.bias"] += 1
    save_file(tensors, start / "transformer" / "model.safetensors")
    shutil.copytree(start / "encoder", tmp_path / "weights" / "encoder")
    run_stage("backbone", "debug", tmp_path, start=start, assets_folder=runs.assets)
    trained = load_file(tmp_path / "weights" / "transformer" / "model.safetensors")
    assert (trained["proj_out.bias"] > 0.5).all()
    ours, theirs = (load_file(folder / "codes.safetensors") for folder in (tmp_path / "weights", start))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_last_stage_begins_with_the_first_ones_predictor(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        pass

    def begin(*arguments: Any) -> None:
        raise Begun(arguments[-1])

    monkeypatch.setattr(run, "train_adapter", begin)
    with pytest.raises(Begun) as caught:
        run_stage("adapter", "debug", runs.folder, assets_folder=runs.assets)
    begun = caught.value.args[0].mask_predictor.state_dict()
    trained = load_file(runs.folder / "weights" / "predictor.safetensors")
    assert begun.keys() == trained.keys() and all(torch.equal(begun[key], trained[key]) for key in begun)

    shutil.copytree(runs.folder / "weights", tmp_path / "weights")
    (tmp_path / "weights" / "predictor.safetensors").unlink()
    with pytest.raises(AdaptEditError, match=r"no predictor\.safetensors .* train the encoder first"):
        run_stage("adapter", "debug", tmp_path, assets_folder=runs.assets)
    (tmp_path / "weights" / "codes.safetensors").unlink()
    with pytest.raises(AdaptEditError, match=r"no codes\.safetensors .* train the objects first"):
        run_stage("backbone", "debug", tmp_path, assets_folder=runs.assets)
    save_codes(Codes(3, 48), tmp_path / "weights")
    with pytest.raises(AdaptEditError, match=r"codes\.safetensors names 3 things instead of \d+$"):
        run_stage("backbone", "debug", tmp_path, assets_folder=runs.assets)


@pytest.mark.parametrize("stage", STAGES)
def test_ten_steps_cost_what_they_did(stage: str, runs: Runs) -> None:
    """golden/ holds the losses of the debug recipe; a change of them is meant, or a mistake.

    Two percent, as sums round differently from one processor to the next.
    """
    golden = [json.loads(line) for line in (GOLDEN / f"{stage}.jsonl").read_text().splitlines()]
    found = [json.loads(line) for line in (runs.folder / stage / "log.jsonl").read_text().splitlines()]
    assert len(found) == len(golden) == 10
    for row, expected in zip(found, golden, strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=0.02, abs=1e-3)


# -- what a loss reaches -------------------------------------------------------------------------------


def gradients(runs: Runs, monkeypatch: pytest.MonkeyPatch, muted: str) -> dict[str, bool]:
    """Which of the adapter's parameters stage 3 moves when one of its two losses is muted."""
    reached: dict[str, bool] = {}

    class OneBackward:
        rank = 0

        def __init__(self, modules: nn.Module, loss: Any, config: TrainConfig, folder: Path) -> None:
            self.modules, self.loss = modules, loss

        def run(self) -> None:
            self.loss(0)[0].backward()
            for name, p in self.modules.named_parameters():
                reached[name] = p.grad is not None and bool((p.grad != 0).any())

        def use_ema(self) -> None:
            pass

    backbone, chosen = load(runs.folder / "weights"), recipe("debug")
    monkeypatch.setattr(adapter_stage, "Trainer", OneBackward)
    monkeypatch.setattr(adapter_stage, muted, lambda values, *_: 0 * values.sum())
    pairs = SyntheticPairs("train", drawn.pack())
    adapter = AdaptEditAdapter.for_backbone(backbone, chosen.preset, backbone_name=backbone.name)
    adapter_stage.train_adapter(chosen.adapter, Path(), pairs, backbone, adapter)
    assert all(p.grad is None for p in backbone.parameters())
    return reached


def test_the_mask_loss_reaches_the_mask_predictor_only(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = gradients(runs, monkeypatch, muted="region_aware_loss")
    assert {name.split(".")[0] for name, moved in reached.items() if moved} == {"mask_predictor"}
    assert all(moved for name, moved in reached.items() if name.startswith("mask_predictor.head."))


def test_the_editing_loss_never_reaches_the_mask_predictor(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = gradients(runs, monkeypatch, muted="mask_loss")
    moved = {name for name, moves in reached.items() if moves}
    assert moved and not any(name.startswith("mask_predictor.") for name in moved)


def test_pixels_of_a_removal_send_gradient_to_every_block(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss weighs these pixels most. If holes were filled in training, they would have no gradient."""
    monkeypatch.setattr(tiny.patches, "fill_holes", lambda source, drawn, *_: drawn.detach())
    reached = gradients(runs, monkeypatch, muted="mask_loss")
    blocks = {name.split(".")[1] for name, moved in reached.items() if name.startswith("blocks.") and moved}
    assert blocks == {str(number) for number in range(len(blocks))} and len(blocks) > 1


# -- attention -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 5])
def test_cpu_attention_is_torchs_attention(padding: int) -> None:
    torch.manual_seed(0)
    transformer = QwenImageTransformer2DModel(
        dit_config(64, 2, text_dim=32, codec=BlockDCT(), features=4, code=5)
    ).eval()
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[0, 20 - padding :] = False
    inputs = {
        "hidden_states": torch.randn(2, 128, transformer.config.in_channels, generator=generator),
        "encoder_hidden_states": torch.randn(2, 20, 32, generator=generator),
        "encoder_hidden_states_mask": mask if padding else None,
        "timestep": torch.tensor([0.3, 0.9]),
        "img_shapes": [[(1, 8, 8), (1, 8, 8)]] * 2,
    }
    with torch.no_grad():
        (before,) = transformer(**inputs)
        use_cpu_attention(transformer)
        (after,) = transformer(**inputs)
    assert before.abs().max() > 1e-2
    assert torch.allclose(before, after, atol=1e-5)


def test_cpu_attention_does_not_rename_parameters() -> None:
    sizes = dit_config(64, 1, text_dim=32, codec=BlockDCT(), features=4, code=5)
    transformer = QwenImageTransformer2DModel(sizes)
    before = transformer.state_dict().keys()
    use_cpu_attention(transformer)
    assert transformer.state_dict().keys() == before


def test_a_batch_depends_on_seed_step_and_rank_alone() -> None:
    pairs = SyntheticPairs("train", drawn.pack())
    first, again, *others = (
        batch(pairs, 2, seed=seed, step=step, rank=rank)
        for seed, step, rank in [(0, 5, 1), (0, 5, 1), (1, 5, 1), (0, 6, 1), (0, 5, 0)]
    )
    assert torch.equal(first.source, again.source) and first.instructions == again.instructions
    assert torch.rand(1, generator=first.generator) == torch.rand(1, generator=again.generator)
    assert all(not torch.equal(first.source, other.source) for other in others)
