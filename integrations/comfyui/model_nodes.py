"""The adapter on a MODEL that ComfyUI has loaded, for ComfyUI's own samplers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .edit_nodes import CATEGORY

ADAPTER = "ADAPTEDIT_ADAPTER"


class LoadAdapter:
    """An adapter alone, under ComfyUI's memory management."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Loads an adapter that was trained for the model in ComfyUI."
    FUNCTION = "load"
    RETURN_TYPES = (ADAPTER,)
    RETURN_NAMES = ("adapter",)
    OUTPUT_TOOLTIPS = ("For Apply AdaptEdit.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {"default": "", "tooltip": "The adapter's folder: config.json and model.safetensors."},
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
    """The adapter's region for every sampler after it."""

    CATEGORY = CATEGORY
    DESCRIPTION = (
        "Tells Qwen-Image-Edit, FLUX.1 Kontext or Fill where to edit, at each of its blocks. What to edit is "
        "read from the conditioning. Needs an adapter that was trained for that model."
    )
    FUNCTION = "apply"
    RETURN_TYPES = ("MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = ("For the sampler; the input stays as it is.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("MODEL", {"tooltip": "A Qwen-Image-Edit or FLUX.1 model."}),
                "adapter": (ADAPTER, {"tooltip": "From Load Adapter."}),
                "mask": ("MASK", {"tooltip": "1 = edit; of the shape of the picture that is sampled."}),
                "strength": (
                    "FLOAT",
                    {
                        "default": 1.0, "min": -10.0, "max": 10.0, "step": 0.05,
                        "tooltip": "1 as trained; 0 leaves the model as it is.",
                    },
                ),
            }
        }  # fmt: skip

    def apply(self, model: Any, adapter: Any, mask: Tensor, strength: float) -> tuple[Any]:
        from .model_patch import patched

        return (patched(model, adapter, mask, strength),)
