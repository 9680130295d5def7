"""The adapter on a ComfyUI MODEL: in a stand-in of ComfyUI's classes, in the real ones if $COMFYUI is set."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.errors import AdaptEditError
from test_comfyui import NODES, comfyui, mask, real


class QwenImageTransformer2DModel(torch.nn.Module):
    """By name and hooks ComfyUI's: blocks (txt, img) -> (txt, img) that may be replaced, the target first."""

    patch_size, inner_dim = 2, 64

    def __init__(self) -> None:
        super().__init__()
        self.txt_in = torch.nn.Linear(24, 64)
        self.transformer_blocks = torch.nn.ModuleList(torch.nn.Identity() for _ in range(2))

    def _forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, transformer_options: Any = None
    ) -> Tensor:
        tokens = torch.zeros(len(x), 2 * x.shape[-2] * x.shape[-1] // 4, 64)  # the target's and a source's
        replace = transformer_options.get("patches_replace", {}).get("dit", {})
        for number in range(2):
            args = {"img": tokens, "txt": context, "transformer_options": transformer_options}
            block = replace.get(("double_block", number), lambda args, extra: args)
            tokens = block(args, {"original_block": lambda args: {"img": args["img"] + 1, "txt": None}})[
                "img"
            ]
        return tokens


class Flux(torch.nn.Module):
    """By name and hooks ComfyUI's: after the double block text and picture are one, the text first."""

    patch_size, hidden_size, params = 2, 64, SimpleNamespace(context_in_dim=64)

    def __init__(self) -> None:
        super().__init__()
        self.double_blocks, self.single_blocks = ([torch.nn.Identity()] for _ in range(2))

    def _forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, transformer_options: Any = None
    ) -> Tensor:
        replace = transformer_options["patches_replace"]["dit"]
        args = {"img": torch.zeros(len(x), 2 * x.shape[-2] * x.shape[-1] // 4, 64)}
        args |= {"txt": context, "transformer_options": transformer_options}
        args |= replace["double_block", 0](args, {"original_block": lambda args: {"img": args["img"]}})
        args["img"] = torch.cat([context, args["img"]], dim=1)
        args |= replace["single_block", 0](args, {"original_block": lambda args: {"img": args["img"] * 1}})
        return args["img"]


class Model:
    """What `patched` uses of ComfyUI's ModelPatcher."""

    def __init__(self, dit: Any) -> None:
        self.dit, self.model_options, self.wrappers = dit, {"transformer_options": {}}, []  # type: ignore[var-annotated]

    def get_model_object(self, name: str) -> Any:
        assert name == "diffusion_model"
        return self.dit

    def clone(self) -> Model:
        other = Model(self.dit)
        other.model_options, other.wrappers = deepcopy(self.model_options), [*self.wrappers]
        return other

    def get_wrappers(self, kind: str, key: str) -> list[Any]:
        return [wrapper for *name, wrapper in self.wrappers if name == [kind, key]]

    def add_wrapper_with_key(self, kind: str, key: str, wrapper: Any) -> None:
        self.wrappers.append((kind, key, wrapper))

    def set_model_patch_replace(self, patch: Any, name: str, block: str, number: int) -> None:
        options = self.model_options["transformer_options"]
        options.setdefault("patches_replace", {}).setdefault(name, {})[block, number] = patch

    def __call__(self, x: Tensor, context: Tensor) -> Tensor:
        def run(*args: Any, **kwargs: Any) -> Tensor:
            return self.dit._forward(*args, **kwargs)  # type: ignore[no-any-return]

        run.class_obj = self.dit  # type: ignore[attr-defined]
        options = self.model_options["transformer_options"]
        ((_, _, wrapper),) = self.wrappers or [(0, 0, lambda run, *args: run(*args))]
        return wrapper(run, x, torch.ones(1), context, options)  # type: ignore[no-any-return]


def adapter(**other: Any) -> Any:
    sizes = {"backbone": "QwenImageTransformer2DModel", "backbone_name": "x", "dim": 64, "text_dim": 24}
    torch.manual_seed(0)
    made = AdaptEditAdapter(AdapterConfig.preset("small", **(sizes | {"num_blocks": 2} | other)))
    for block in made.blocks:
        torch.nn.init.normal_(block.ffn[-1].weight)
    return SimpleNamespace(model=made.eval())


def apply(model: Any, where: Tensor, strength: float = 1.0, **sizes: Any) -> Any:
    return NODES["AdaptEditApply"]().apply(model, adapter(**sizes), where, strength)[0]


LATENT, CONTEXT = (
    torch.zeros(2, 4, 1, 8, 12),
    torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(1)),
)
PLACE = mask((96, 64))  # 6 x 4 tokens


@torch.no_grad()
def test_the_adapter_adds_to_the_target_tokens_of_its_call_only() -> None:
    model = Model(QwenImageTransformer2DModel())
    plain, adapted = model(LATENT, CONTEXT), apply(model, PLACE)(LATENT, CONTEXT)
    assert not plain.any() and not model(LATENT, CONTEXT).any()
    assert (adapted[:, 24:] == 2).all()  # the source's tokens: as the blocks left them
    assert (adapted[:, :24] != 2).any(-1).all()
    half = apply(model, PLACE, 0.5)(LATENT, CONTEXT)
    assert not torch.allclose(half[:, :24], adapted[:, :24])


@torch.no_grad()
def test_text_that_comes_first_is_left_alone() -> None:
    context = torch.randn(2, 5, 64)
    where = {"backbone": "FluxTransformer2DModel", "text_dim": 64}
    result = apply(Model(Flux()), PLACE, **where)(LATENT[:, :, 0], context)
    assert torch.equal(result[:, :5], context)
    assert (result[:, 5:29] != 0).any(-1).all() and not result[:, 29:].any()


@torch.no_grad()
def test_what_another_node_put_in_a_blocks_place_is_kept() -> None:
    model = Model(QwenImageTransformer2DModel())
    model.set_model_patch_replace(lambda args, extra: {"img": args["img"] + 7}, "dit", "double_block", 1)
    assert (apply(model, PLACE)(LATENT, CONTEXT)[:, 24:] == 8).all()


@pytest.mark.parametrize(
    ("where", "sizes", "message"),
    [
        (PLACE, {"dim": 96}, "made for 'x' .*, not for this model"),
        (PLACE, {"backbone": "FluxTransformer2DModel"}, "made for 'x' .*, not for this model"),
        (torch.cat([PLACE, PLACE * 0]), {}, "the region is empty"),
        (PLACE * 255, {}, r"region tensor with values in \[0, 255\]"),
        (mask((96, 96)), {}, "the mask is 96x96 pixels and the latent 6x4 tokens"),
        (PLACE.expand(3, -1, -1), {}, "3 regions are active but the backbone got a batch of 2"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(where: Tensor, sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(AdaptEditError, match=message):
        apply(Model(QwenImageTransformer2DModel()), where, **sizes)(LATENT, CONTEXT)


def test_one_adapter_at_a_time_on_a_model_that_is_known() -> None:
    model = apply(Model(QwenImageTransformer2DModel()), PLACE)
    with pytest.raises(AdaptEditError, match="already has an AdaptEdit adapter"):
        apply(model, PLACE)
    with pytest.raises(AdaptEditError, match="Identity is not supported here"):
        apply(Model(torch.nn.Identity()), PLACE)


@real
def test_an_adapter_does_in_comfyuis_models_what_it_does_in_diffusers(tmp_path: Path) -> None:
    answer = comfyui("models", tmp_path)
    assert len(answer) == 3
    for name, difference in answer.items():
        assert difference["plain"] < 1e-4, name  # the same model at all
        assert difference["adapted"] < 1e-4 < 1e-2 < difference["effect"], name
        assert difference["input model"] == difference["strength 0"] == 0, name
        assert difference["other mask"] > 1e-2, name
