"""The one training loop: any stage, one or more processes, EMA, progress, checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from adaptedit.errors import AdaptEditError
from adaptedit.files import replacing, write_atomically

Loss = Callable[[int], tuple[Tensor, dict[str, float]]]  # step -> loss, numbers to show


@dataclass(frozen=True)
class TrainConfig:
    """Numbers of one stage. `batch` is per process; `lr` is that of Muon's matrices (update RMS matched to
    AdamW's) and of AdamW's other parameters alike."""

    steps: int
    batch: int
    lr: float
    warmup: int = 100
    decay: float = 0.3  # share of the steps, at the end, over which the rate falls to zero
    weight_decay: float = 0.01
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    log_every: int = 20
    save_every: int = 250
    bf16: bool = True
    compile: bool = True


class Trainer:
    """Trains `modules` together on `loss`; weights of `ema` are what ships.

    folder: holds state.safetensors (what resumes it), state.json (for people) and log.jsonl. With
    torch.distributed initialised, gradients are averaged over the processes and rank 0 writes.
    """

    def __init__(self, modules: nn.Module, loss: Loss, config: TrainConfig, folder: Path) -> None:
        self.modules, self.loss, self.config, self.folder = modules, loss, config, folder
        self.parameters = {k: p for k, p in modules.named_parameters() if p.requires_grad}
        self.ema = {k: p.detach().clone() for k, p in self.parameters.items()}
        self.optimizers = _optimizers(self.parameters, config)
        self.step = 0
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if (folder / "state.safetensors").exists():
            self._load()

    def run(self, until: int | None = None) -> dict[str, float]:
        """Train to step `until` (default: the config's last); returns the last numbers shown.

        Raises AdaptEditError when the loss or its gradient stops being finite; the checkpoint stays good.
        """
        until = min(until or self.config.steps, self.config.steps)
        shown: dict[str, float] = {}
        sums: dict[str, float] = {}
        count = 0
        start, start_step = time.perf_counter(), self.step
        while self.step < until:
            for name, value in self._step().items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            count += 1
            if self.step % self.config.log_every == 0 or self.step == until:
                rate = (self.step - start_step) / (time.perf_counter() - start)
                shown = {name: value / count for name, value in sums.items()}
                sums, count = {}, 0
                if self.rank == 0:
                    self._log(shown, rate)
            if self.step % self.config.save_every == 0 or self.step == until:
                self.save()
        return shown

    def _step(self) -> dict[str, float]:
        rate = self.config.lr * _schedule(self.step, self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16):
            loss, numbers = self.loss(self.step)
        torch.autograd.backward(loss)
        if self.world > 1:
            self._average_gradients()
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):  # before it spoils the weights
            raise AdaptEditError(f"loss is {loss.item()} at step {self.step + 1}: lower the learning rate")
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.ema.values()), list(self.parameters.values()), 1 - decay)
        return {"loss": loss.item(), **numbers, "grad": norm.item()}

    def _average_gradients(self) -> None:
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        means = torch.split(flat / self.world, [g.numel() for g in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _log(self, numbers: dict[str, float], steps_per_second: float) -> None:
        samples = self.config.batch * self.world
        left = (self.config.steps - self.step) / steps_per_second
        text = "  ".join(f"{k} {v:.4f}" for k, v in numbers.items())
        eta = f"{int(left // 3600)}:{int(left // 60 % 60):02d}:{int(left % 60):02d}"
        rate = f"{steps_per_second * samples:.1f} samples/s"
        print(f"step {self.step}/{self.config.steps}  {text}  {rate}  ETA {eta}", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a") as log:
            row = {
                "step": self.step,
                "samples": self.step * samples,
                **{k: round(v, 5) for k, v in numbers.items()},
            }
            log.write(json.dumps(row) + "\n")

    # -- checkpoints

    def save(self) -> None:
        """Write what resumes the run; a kill leaves the former checkpoint whole."""
        if self.rank != 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model/{k}": p.detach() for k, p in self.parameters.items()}
        tensors |= {f"ema/{k}": v for k, v in self.ema.items()} | dict(self._optimizer_tensors())
        with replacing(self.folder / "state.safetensors") as temporary:
            save_file(
                {k: v.contiguous() for k, v in tensors.items()}, temporary, metadata={"step": str(self.step)}
            )
        described = json.dumps({"step": self.step, **asdict(self.config)}, indent=1)
        write_atomically(self.folder / "state.json", described.encode())

    def _load(self) -> None:
        path = self.folder / "state.safetensors"
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
        tensors = load_file(path)
        expected = {(f"model/{k}", p.shape) for k, p in self.parameters.items()}
        found = {(k, v.shape) for k, v in tensors.items() if k.startswith("model/")}
        if differing := sorted(name for name, _ in expected ^ found):
            raise AdaptEditError(
                f"{path} is of another model: {differing[0]} differs or is missing; give another folder"
            )
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"model/{name}"])
                self.ema[name].copy_(tensors[f"ema/{name}"])
        names: dict[Tensor, str] = {p: k for k, p in self.parameters.items()}
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    prefix = f"optimizer/{names[parameter]}/"
                    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
                    if state:
                        optimizer.state[parameter] = state

    def _optimizer_tensors(self) -> Iterator[tuple[str, Tensor]]:
        names: dict[Tensor, str] = {p: k for k, p in self.parameters.items()}
        for optimizer in self.optimizers:
            for parameter, state in optimizer.state.items():
                for key, value in state.items():
                    yield f"optimizer/{names[parameter]}/{key}", torch.as_tensor(value)

    def use_ema(self) -> None:
        """Put the averaged weights into the modules (for shipping or measuring)."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.ema[name])


def _optimizers(parameters: dict[str, nn.Parameter], config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest (embeddings, heads, norms, biases)."""
    inner = ("blocks.", "layers.")
    matrices = [p for k, p in parameters.items() if p.ndim == 2 and any(part in k for part in inner)]
    rest = [p for k, p in parameters.items() if not any(p is m for m in matrices)]
    optimizers: list[torch.optim.Optimizer] = []
    if matrices:
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=config.lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    if rest:
        optimizers.append(torch.optim.AdamW(rest, lr=config.lr, weight_decay=0.0, betas=(0.9, 0.98)))
    return optimizers


def _schedule(step: int, config: TrainConfig) -> float:
    """Warm-up, constant, then linear to zero; in [0, 1]."""
    rising = min(1.0, (step + 1) / config.warmup)
    falling = (config.steps - step) / max(1.0, config.decay * config.steps)
    return min(rising, falling, 1.0)
