"""How much memory an edit, or a training step of the adapter, needs on a published editor: computed.

Real classes on `meta`, run once: every tensor that a forward (and a backward) makes is added up, freed ones
subtracted, with attention as the flash kernels do it (nothing of size tokens x tokens). Not included: CUDA's
context, workspaces of kernels and fragmentation, for which `RESERVE` is set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock
from weakref import finalize

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.patterns import blocks_of
from adaptedit.costs.companions import companions
from adaptedit.costs.counts import INFERENCE_BYTES, TRAINING_BYTES
from adaptedit.costs.editors import PUBLISHED
from adaptedit.costs.flops import count
from adaptedit.costs.inputs import edit_arguments

RESERVE = 1.5  # GiB, a guess until it is measured on a GPU
HOST_RESERVE = 2.0  # GiB, a guess too: Python, its libraries, and what CUDA holds in main memory
TRAINED = ("Qwen/Qwen-Image-Edit", "black-forest-labs/FLUX.1-Kontext-dev")  # whose training is counted
STORAGES = ("bf16", "fp8", "nf4")
_NF4_BLOCK = 64  # weights that share a float32 scale (bitsandbytes' default, not quantised a second time)


@dataclass(frozen=True)
class Footprint:
    """GiB on a GPU of `card` GiB. rung: a way to save memory; what it keeps off the GPU counts as 0.

    quantize, offload: the rung as `LoadOptions` name it.

    dit, text_encoders, vae: weights at the worst moment. adapter: weights. optimiser:
    gradients and Adam's moments. activations: all that the worst moment adds, copies of weights in the dtype
    of computation included. peak: of the worst stage. host: the most that waits in main memory, while
    loading too.
    """

    editor: str
    rung: str
    card: int
    preset: str
    size: int
    dit: float
    text_encoders: float
    vae: float
    adapter: float
    optimiser: float
    activations: float
    peak: float
    quantize: str | None = None
    offload: str | None = None
    host: float = 0.0

    @property
    def fits(self) -> bool:
        return self.peak + RESERVE <= self.card


def inference_ladder(editor: str) -> list[Footprint]:
    """Editing at 1024 x 1024 with the `base` adapter in bfloat16, one rung after the other."""
    dit, arguments, adapter = _attached(editor, "base", 1024)
    with torch.no_grad(), adapter.region(torch.ones(1, 64, 64)):
        denoising = _gib(peak_bytes(lambda: dit(**arguments)))
    beside = companions(editor)
    coding = _gib(peak_bytes(beside.code))
    weights = _gib(INFERENCE_BYTES * count(adapter))
    codec = _gib(stored(beside.vae, "bf16"))

    def rung(
        name: str,
        card: int,
        model: float,
        text: float,
        offload: str | None,
        host: float,
        quantize: str | None = None,
        copies: float = 0.0,
    ) -> Footprint:
        steps = denoising + copies
        stages = [(text, 0.0), (model, steps), (codec, coding)]
        if offload is None:
            stages = [(model + text + codec, max(steps, coding))]
        worst, activations = max(stages, key=sum)
        return Footprint(
            editor,
            name,
            card,
            "base",
            1024,
            dit=model,
            text_encoders=text,
            vae=codec,
            adapter=weights,
            optimiser=0.0,
            activations=activations,
            peak=worst + activations + weights,
            quantize=quantize,
            offload=offload,
            host=host,
        )

    size = {storage: _gib(stored(dit, storage)) for storage in STORAGES}
    encoders = beside.encoders
    text = {storage: _gib(sum(stored(one, storage) for one in encoders)) for storage in ("bf16", "nf4")}
    largest = _gib(INFERENCE_BYTES * max(layer.weight.numel() for layer in _linears(dit)))
    blocks = [_gib(INFERENCE_BYTES * count(block)) for _, block in blocks_of(dit)]
    leaves = [_gib(INFERENCE_BYTES * layer.weight.numel()) for one in encoders for layer in _leaves(one)]
    whole = size["bf16"] + text["bf16"] + codec
    cast = max(size["bf16"], size["fp8"] + text["bf16"] + codec)  # the DiT comes first, and in bf16
    four_bits = size["nf4"] + text["nf4"] + codec
    return [
        rung("bf16", 80, size["bf16"], text["bf16"], None, host=0.0),
        rung("bf16, model offload", 48, size["bf16"], text["bf16"], "model", host=whole),
        rung("fp8 weights, model offload", 40, size["fp8"], text["bf16"], "model", cast, "fp8", largest),
        rung("nf4 weights, model offload", 24, size["nf4"], text["nf4"], "model", four_bits, "nf4", largest),
        # of the DiT: all outside the blocks, a block and the next; of a text encoder: a layer and the next
        rung(
            "bf16, group offload",
            12,
            size["bf16"] - sum(blocks) + 2 * max(blocks),
            2 * max(leaves),
            "group",
            host=whole,
        ),
    ]


def training_ladder(editor: str) -> list[Footprint]:
    """A training step on one picture: float32 adapter and Adam, checkpointed DiT; prompts and latents cached,
    so neither text encoder nor VAE is on the GPU."""
    rungs = (
        ("bf16", 80, "base", 1024),
        ("fp8", 40, "base", 1024),
        ("nf4", 24, "base", 1024),
        ("nf4", 12, "small", 512),
    )
    saved: dict[tuple[str, int], float] = {}
    ladder = []
    for storage, card, preset, size in rungs:
        dit, arguments, adapter = _attached(editor, preset, size)
        if (preset, size) not in saved:
            saved[preset, size] = _training_activations(dit, arguments, adapter)
        # while a block is recomputed, autograd holds its weights as they are multiplied
        block = INFERENCE_BYTES * max(count(block) for _, block in blocks_of(dit))
        layer = INFERENCE_BYTES * max(layer.weight.numel() for layer in _linears(dit))
        copies = _gib({"bf16": 0, "fp8": block, "nf4": layer}[storage])
        weights = _gib(stored(dit, storage))
        parameters = 4 * count(adapter)
        optimiser = _gib(TRAINING_BYTES * count(adapter) - parameters)
        activations = saved[preset, size] + copies
        ladder.append(
            Footprint(
                editor,
                f"{storage}, checkpointed",
                card,
                preset,
                size,
                weights,
                0.0,
                0.0,
                _gib(parameters),
                optimiser,
                activations,
                weights + _gib(parameters) + optimiser + activations,
            )
        )
    return ladder


def stored(model: nn.Module, storage: str) -> int:
    """Bytes of a bfloat16 model's weights in this storage.

    "fp8": as diffusers' layerwise casting leaves them (layers named a norm stay), which changes the model;
    "nf4": linear layers in 4 bits.
    """
    if storage == "nf4":
        inside = sum(layer.weight.numel() for layer in _linears(model))
        return INFERENCE_BYTES * (count(model) - inside) + inside // 2 + 4 * inside // _NF4_BLOCK
    if storage == "fp8":
        model.enable_layerwise_casting(  # type: ignore[operator]
            storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16
        )
    return sum(parameter.nbytes for parameter in model.parameters())


def peak_bytes(run: Callable[[], Any]) -> int:
    """The most that tensors made during `run` on `meta` hold at once."""
    attention = mock.patch.object(F, "scaled_dot_product_attention", _attention)
    with torch.autograd.set_multithreading_enabled(False), attention, _Allocated() as allocated:
        run()
    peak: int = allocated.peak
    return peak


def _training_activations(dit: Any, arguments: Any, adapter: AdaptEditAdapter) -> float:
    adapter.float().enable_gradient_checkpointing()
    for parameter in adapter.parameters():
        parameter.grad = torch.empty_like(parameter)  # counted with the optimiser

    def step() -> None:
        velocity = dit(**arguments)[0]
        torch.autograd.backward(velocity.float().square().mean())

    with adapter.region(torch.ones(1, 64, 64)):
        return _gib(peak_bytes(step))


def _attached(editor: str, preset: str, size: int) -> tuple[Any, dict[str, Any], AdaptEditAdapter]:
    dit: Any = PUBLISHED[editor].build().to(torch.bfloat16)
    with torch.device("meta"):
        adapter = AdaptEditAdapter.for_backbone(dit, preset, backbone_name=editor).to(torch.bfloat16)
    return dit, edit_arguments(dit, PUBLISHED[editor].shape(size)), adapter.attach(dit)


def _linears(model: nn.Module) -> list[nn.Linear]:
    """Those that bitsandbytes' loaders quantise: not a language model's output, nor T5's `wo`."""
    kept = {"lm_head", *(getattr(model, "_keep_in_fp32_modules", None) or ())}
    return [
        one
        for name, one in model.named_modules()
        if isinstance(one, nn.Linear) and kept.isdisjoint(name.split("."))
    ]


def _leaves(model: nn.Module) -> list[Any]:
    return [one for one in model.modules() if isinstance(one, (nn.Linear, nn.Embedding))]


def _gib(size: int) -> float:
    return size / 2**30


class _Flash(torch.autograd.Function):
    """Attention's memory: it keeps its inputs and its output, and makes no more than gradients."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    return _Flash.apply(query, key, value)  # type: ignore[no-any-return, no-untyped-call]


class _Allocated(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations make, until they are freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {id(storage) for storage in _storages((args, kwargs))}
        output = func(*args, **(kwargs or {}))
        for storage in _storages(output):
            if id(storage) not in self._known | given:  # else a view, or written in place
                self._known.add(id(storage))
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                finalize(storage, self._free, id(storage), storage.nbytes())
        return output

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [one.untyped_storage() for one in tree_leaves(tree) if isinstance(one, Tensor) and one.is_meta]
