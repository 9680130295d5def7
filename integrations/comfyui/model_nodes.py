"""Nodes that apply an adapter to a MODEL that ComfyUI has loaded, for ComfyUI's own samplers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .edit_nodes import CATEGORY

ADAPTER = "ADAPTEDIT_ADAPTER"


class LoadAdapter:
    """Loads an adapter alone; ComfyUI manages its memory."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Loads an adapter that was trained for the model in ComfyUI."
    FUNCTION = "load"
    RETURN_TYPES = (ADAPTER,)
    RETURN_NAMES = ("adapter",)
    OUTPUT_TOOLTIPS = ("The adapter. Connect it to Apply AdaptEdit.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "The folder with the adapter's config.json and model.safetensors.",
                    },
                )
            }
        }

    def load(self, folder: str) -> tuple[Any]:
        from comfy import model_management  # type: ignore[import-not-found]
        from comfy.model_patcher import ModelPatcher  # type: ignore[import-not-found]

        from adaptedit.adapter.model import AdaptEditAdapter

        adapter = AdaptEditAdapter.from_pretrained(folder.strip()).eval().requires_grad_(False)
        return (
            ModelPatcher(
                adapter,
                load_device=model_management.get_torch_device(),
                offload_device=model_management.unet_offload_device(),
            ),
        )


class ApplyAdaptEdit:
    """Applies an adapter and its region to a model, for every sampler that uses the model."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Tells Qwen-Image-Edit, FLUX.1 Kontext or FLUX.1 Fill where to edit. The conditioning says what to "
        "edit. Needs an adapter that was trained for the model."
    )
    FUNCTION = "apply"
    RETURN_TYPES = ("MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = ("The model with the adapter, for the sampler. The input model does not change.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "A Qwen-Image-Edit or FLUX.1 model."}),
                "adapter": (ADAPTER, {"tooltip": "From Load Adapter."}),
                "mask": (
                    "MASK",
                    {"tooltip": "Where to edit (1 = edit), in the proportions of the sampled picture."},
                ),
                "strength": (
                    "FLOAT",
                    {
                        "default": 1.0, "min": -10.0, "max": 10.0, "step": 0.05,
                        "tooltip": "1: as trained. 0: the adapter has no effect.",
                    },
                ),
            }
        }  # fmt: skip

    def apply(self, model: Any, adapter: Any, mask: Tensor, strength: float) -> tuple[Any]:
        from .model_patch import patched

        return (patched(model, adapter, mask, strength),)
