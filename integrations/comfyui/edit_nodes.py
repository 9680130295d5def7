"""An editor of its own beside ComfyUI's models: load it, see where it would edit, edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, stack

from . import host, tensors

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

CATEGORY = "AdaptEdit"
EDITOR = "ADAPTEDIT"
_INSTRUCTION = (
    "STRING",
    {"multiline": True, "default": "remove the apple", "tooltip": "What to do, and with what."},
)
_GROW = (
    "FLOAT",
    {
        "default": 0.0, "min": -4096.0, "max": 4096.0, "step": 1.0,
        "tooltip": "Pixels to grow the region by; negative: to shrink it.",
    },
)  # fmt: skip


class LoadAdaptEdit:
    """A diffusers editing pipeline with its adapter, or the embedded `tiny`."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Loads an editor and its region-aware adapter. 'tiny' is embedded and needs no GPU."
    FUNCTION = "load"
    RETURN_TYPES = (EDITOR,)
    RETURN_NAMES = ("editor",)
    OUTPUT_TOOLTIPS = ("For Predict Region and AdaptEdit.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "backbone": (
                    "STRING",
                    {
                        "default": "tiny",
                        "tooltip": "tiny, a folder, or a hub id of a diffusers editing pipeline.",
                    },
                ),
                "adapter": (
                    "STRING",
                    {"default": "", "tooltip": "Its adapter: a folder or a hub id. Empty: tiny's own."},
                ),
            },
            "optional": {
                "revision": ("STRING", {"default": "", "tooltip": "Branch, tag or commit on the hub."}),
                "device": ("STRING", {"default": "", "tooltip": "cuda, cuda:1, mps, cpu. Empty: ComfyUI's."}),
                "dtype": (["auto", "bfloat16", "float32"], {"tooltip": "Of the weights."}),
                "quantize": (
                    ["auto", "nf4", "int8", "fp8"],
                    {"tooltip": "Keep the frozen weights in fewer bits. auto: what fits the GPU."},
                ),
                "offload": (
                    ["auto", "model", "group", "sequential"],
                    {"tooltip": "Keep in main memory what the GPU does not need. auto: what fits."},
                ),
                "transformer": (
                    "STRING", {"default": "", "tooltip": "A .safetensors or .gguf file with another DiT."}
                ),
                "loras": (
                    "STRING",
                    {"default": "", "multiline": True, "tooltip": "One in each line: FILE or FILE=WEIGHT."},
                ),
            },
        }  # fmt: skip

    def load(
        self,
        backbone: str,
        adapter: str,
        revision: str = "",
        device: str = "",
        dtype: str = "auto",
        quantize: str = "auto",
        offload: str = "auto",
        transformer: str = "",
        loras: str = "",
    ) -> tuple[AdaptEditPipeline]:
        from adaptedit.editing.options import LoadOptions
        from adaptedit.editing.pipeline import AdaptEditPipeline

        def chosen(value: str) -> Any:
            return None if value.strip() in ("", "auto") else value.strip()

        name = backbone.strip()
        options = LoadOptions(
            backbone=name,
            adapter=chosen(adapter),
            revision=chosen(revision),
            device=chosen(device) or (None if name == "tiny" else str(host.device())),
            dtype=chosen(dtype),
            quantize=chosen(quantize),
            offload=chosen(offload),
            transformer=chosen(transformer),
            loras=tuple(line.strip() for line in loras.splitlines() if line.strip()),
        )
        return (AdaptEditPipeline.load(options),)


class PredictRegion:
    """Where an instruction would edit."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Finds the region that the instruction means. Change the mask as you like, then edit."
    FUNCTION = "predict"
    RETURN_TYPES = ("MASK",)
    RETURN_NAMES = ("mask",)
    OUTPUT_TOOLTIPS = ("Soft, of the picture's size: 1 = edit, above 0.5 what is meant.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "editor": (EDITOR, {"tooltip": "From Load AdaptEdit."}),
                "image": ("IMAGE", {"tooltip": "The picture, or a batch of them."}),
                "instruction": _INSTRUCTION,
                "threshold": (
                    "FLOAT",
                    {
                        "default": 0.5, "min": 0.01, "max": 0.99, "step": 0.01,
                        "tooltip": "How sure a pixel must be; lower finds more.",
                    },
                ),
                "grow": _GROW,
            }
        }  # fmt: skip

    def predict(
        self, editor: AdaptEditPipeline, image: Tensor, instruction: str, threshold: float, grow: float
    ) -> tuple[Tensor]:
        from adaptedit.editing.job import EditJob
        from adaptedit.editing.options import EditOptions

        options = EditOptions(threshold=threshold, grow=grow)
        jobs = [EditJob(picture, instruction, options) for picture in tensors.pictures(image)]
        return (tensors.masks([editor.find(job) for job in jobs]),)


class AdaptEdit:
    """The edit itself."""

    CATEGORY = CATEGORY
    DESCRIPTION = "Does what the instruction says, in the mask or where it finds the place; the rest stays."
    FUNCTION = "edit"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("image", "mask")
    OUTPUT_TOOLTIPS = (
        "Of the input's size. Exact: every value outside the region has its bits.",
        "Where it was edited, 1 = edit.",
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "editor": (EDITOR, {"tooltip": "From Load AdaptEdit."}),
                "image": ("IMAGE", {"tooltip": "The picture, or a batch of them."}),
                "instruction": _INSTRUCTION,
                "seed": (
                    "INT",
                    {
                        "default": 0, "min": 0, "max": 0x7FFFFFFFFFFFFFFF, "control_after_generate": True,
                        "tooltip": "Of the noise, the same for every picture of a batch.",
                    },
                ),
                "steps": (
                    "INT",
                    {
                        "default": 0, "min": 0, "max": 1000,
                        "tooltip": "Denoising steps; 0: the editor's own number.",
                    },
                ),
                "preserve": (
                    ["exact", "latent", "soft"],
                    {"tooltip": "Outside the region: keep the pixels, keep the latents, or neither."},
                ),
                "grow": _GROW,
                "feather": (
                    "FLOAT",
                    {
                        "default": -1.0, "min": -1.0, "max": 4096.0, "step": 1.0,
                        "tooltip": "Pixels of the region's soft edge; -1: a twentieth of the region.",
                    },
                ),
                "context": (
                    "FLOAT",
                    {
                        "default": 2.0, "min": 1.0, "max": 64.0, "step": 0.1,
                        "tooltip": "Side of what the editor sees over that of what may change.",
                    },
                ),
            },
            "optional": {
                "mask": ("MASK", {"tooltip": "1 = edit; of the picture's size. Not connected: found."}),
                "references": (
                    "IMAGE", {"tooltip": "More pictures that the instruction speaks of, for some editors."}
                ),
                "guidance": (
                    "FLOAT",
                    {
                        "default": -1.0, "min": -1.0, "max": 100.0, "step": 0.1,
                        "tooltip": "Strength of the guidance; -1: the editor's own.",
                    },
                ),
                "negative_prompt": (
                    "STRING", {"default": "", "tooltip": "What the result should not show; for some editors."}
                ),
                "adapter_scale": (
                    "FLOAT",
                    {
                        "default": 1.0, "min": -100.0, "max": 100.0, "step": 0.05,
                        "tooltip": "Strength of the adapter: 1 as trained, 0 none.",
                    },
                ),
                "everywhere": ("BOOLEAN", {"default": False, "tooltip": "Edit the whole picture."}),
            },
        }  # fmt: skip

    def edit(
        self,
        editor: AdaptEditPipeline,
        image: Tensor,
        instruction: str,
        seed: int,
        steps: int,
        preserve: Any,
        grow: float,
        feather: float,
        context: float,
        mask: Tensor | None = None,
        references: Tensor | None = None,
        guidance: float = -1.0,
        negative_prompt: str = "",
        adapter_scale: float = 1.0,
        everywhere: bool = False,
    ) -> tuple[Tensor, Tensor]:
        from adaptedit.editing.job import EditJob
        from adaptedit.editing.options import EditOptions
        from adaptedit.pictures.image16 import as_8bit

        pictures = tensors.pictures(image)
        given = [None] * len(pictures) if mask is None else tensors.regions(mask, len(pictures))
        options = EditOptions(
            grow=grow,
            preserve=preserve,
            steps=steps or None,
            guidance=None if guidance < 0 else guidance,
            negative_prompt=negative_prompt.strip() or None,
            references=[] if references is None else tensors.pictures(references),
            adapter_scale=None if adapter_scale == 1 else adapter_scale,
            everywhere=everywhere,
            seed=seed,
            feather=None if feather < 0 else feather,
            context=context,
        )
        jobs = [
            EditJob(picture, instruction, replace(options, region=region))
            for picture, region in zip(pictures, given, strict=True)
        ]
        edited, regions = [], []
        for index, (job, one) in enumerate(zip(jobs, image, strict=True)):
            out = editor.edit(job, on_step=host.progress(index, len(jobs)))
            after = as_8bit(out.images[0]).convert("RGB")
            edited.append(tensors.moved(one, job.image.rgb, after))
            regions.append(out.regions[0])
        return stack(edited), tensors.masks(regions)
