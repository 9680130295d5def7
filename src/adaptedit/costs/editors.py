"""Published editors: the DiT that each hub id holds, as its class and the config that makes it.

`config` has only what differs from the class's defaults in diffusers 0.42. Model hubs are not asked; each
number that is not a default says where it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adaptedit.errors import AdaptEditError

if TYPE_CHECKING:
    from torch import nn

TOKEN = 16  # pixels on a token's side: every model here has 8x latents in 2x2 patches, or 16x latents
LARGEST = 2048  # pixels on a side; these editors work at about a megapixel


@dataclass(frozen=True)
class EditShape:
    """side: of the target's token grid; sources: pictures of that size beside it; text: text tokens."""

    side: int
    sources: int
    text: int

    @property
    def target(self) -> int:
        return self.side**2


@dataclass(frozen=True)
class Published:
    """One editor's DiT and the edit that its costs are counted for.

    transformer: a class of diffusers; config: its constructor's arguments.
    pipeline: the class that edits with it, a row of `backbones.diffusers.editors.EDITORS`; None: an adapter
    can be attached and trained, but there is no pipeline of ours that edits.
    text: tokens of text states that enter its forward. sources: source pictures in the token stream, as large
    as the target; 0 where the source enters by the channels or, in img2img, only by the noise's start.
    """

    transformer: str
    text: int
    sources: int = 1
    config: Mapping[str, Any] = field(default_factory=dict)
    pipeline: str | None = None

    def shape(self, size: int) -> EditShape:
        """The edit of a square picture, `size` pixels wide. AdaptEditError unless 2x2 tokens fit evenly."""
        if size % (2 * TOKEN) or not 0 < size <= LARGEST:
            raise AdaptEditError(f"size {size} must be a multiple of {2 * TOKEN} up to {LARGEST}")
        return EditShape(size // TOKEN, self.sources, self.text)

    def build(self) -> nn.Module:
        """The DiT on `meta`: every shape, no memory."""
        import diffusers
        import torch

        with torch.device("meta"):
            model: nn.Module = getattr(diffusers, self.transformer)(**self.config)
        return model.eval()


# scripts/convert_sd3_to_diffusers.py, and the published transformer/config.json: text is 77 CLIP + 256 T5
_SD3 = {
    "num_layers": 24,
    "num_attention_heads": 24,
    "caption_projection_dim": 1536,
    "pos_embed_max_size": 192,
}
# scripts/convert_joyimage_edit_to_diffusers.py and convert_joyimage_edit_plus_to_diffusers.py
_JOY = {"hidden_size": 4096, "num_attention_heads": 32, "num_layers": 40, "theta": 10000}
# scripts/convert_flux2_to_diffusers.py, klein-4b
_KLEIN_4B = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}
# the same script, klein-9b
_KLEIN_9B = {
    "num_layers": 8,
    "num_single_layers": 24,
    "num_attention_heads": 32,
    "joint_attention_dim": 12288,
    "guidance_embeds": False,
}
# the config of Fibo-Edit's transformer, as its published 4-bit copy repeats it (Bria calls it an 8B model)
_FIBO = {"in_channels": 48, "num_layers": 8}
# HiDream-I1's conversion script: one Llama layer per block, the last one for the rest
_HIDREAM = {
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "caption_channels": [4096, 4096],
    "axes_dims_rope": (64, 32, 32),
    "llama_layers": [*range(32), *[31] * 16],
}

# Text tokens: what the pipeline pads to (FLUX, Chroma, LongCat 512; SD3 77 + 256; HiDream 128 for each of two
# encoders), else an instruction of about 30 words and the picture's tokens in the vision-language encoder
# (Qwen2.5-VL: one for 28x28 pixels; Qwen3-VL: one for 32x32), at the area at which the pipeline shows it.
PUBLISHED: dict[str, Published] = {
    "Qwen/Qwen-Image-Edit": Published(
        "QwenImageTransformer2DModel", text=37 * 37 + 30, pipeline="QwenImageEditPipeline"
    ),
    "Qwen/Qwen-Image-Edit-2509": Published(
        "QwenImageTransformer2DModel", text=14 * 14 + 74, pipeline="QwenImageEditPlusPipeline"
    ),
    "Qwen/Qwen-Image-Edit-2511": Published(
        "QwenImageTransformer2DModel",
        text=14 * 14 + 74,
        config={"zero_cond_t": True},
        pipeline="QwenImageEditPlusPipeline",
    ),
    # its stream has the source's latents in the place of the encoder's picture tokens
    "Qwen/Qwen-Image-2.1": Published("QwenImage21Transformer2DModel", text=74),
    "black-forest-labs/FLUX.1-Kontext-dev": Published(
        "FluxTransformer2DModel", text=512, config={"guidance_embeds": True}, pipeline="FluxKontextPipeline"
    ),
    # 384 channels: noisy and masked latents and the mask, as FluxFillPipeline concatenates them
    "black-forest-labs/FLUX.1-Fill-dev": Published(
        "FluxTransformer2DModel",
        text=512,
        sources=0,
        config={"guidance_embeds": True, "in_channels": 384, "out_channels": 64},
        pipeline="FluxFillPipeline",
    ),
    "black-forest-labs/FLUX.2-dev": Published("Flux2Transformer2DModel", text=512, pipeline="Flux2Pipeline"),
    "black-forest-labs/FLUX.2-klein-4B": Published(
        "Flux2Transformer2DModel", text=512, config=_KLEIN_4B, pipeline="Flux2KleinPipeline"
    ),
    "black-forest-labs/FLUX.2-klein-9B": Published(
        "Flux2Transformer2DModel", text=512, config=_KLEIN_9B, pipeline="Flux2KleinPipeline"
    ),
    # the prompt's 512 tokens and a picture half as wide, 18 x 18 tokens
    "meituan-longcat/LongCat-Image-Edit": Published(
        "LongCatImageTransformer2DModel", text=512 + 18 * 18, pipeline="LongCatImageEditPipeline"
    ),
    # a structured prompt: JSON of about a thousand tokens
    "briaai/Fibo-Edit": Published("BriaFiboTransformer2DModel", text=1000, config=_FIBO),
    "jdopensource/JoyAI-Image-Edit-Diffusers": Published(
        "JoyImageEditTransformer3DModel", text=32 * 32 + 74, config=_JOY
    ),
    "jdopensource/JoyAI-Image-Edit-Plus-Diffusers": Published(
        "JoyImageEditPlusTransformer3DModel", text=32 * 32 + 74, config=_JOY
    ),
    # 48 channels: noisy, source and mask latents, as its training script makes them (config not seen)
    "BleachNick/SD3_UltraEdit_w_mask": Published(
        "SD3Transformer2DModel", text=77 + 256, sources=0, config=_SD3 | {"in_channels": 48}
    ),
    # the rest edit by img2img or inpainting only
    "stabilityai/stable-diffusion-3-medium-diffusers": Published(
        "SD3Transformer2DModel", text=77 + 256, sources=0, config=_SD3
    ),
    "stabilityai/stable-diffusion-3.5-large": Published(
        "SD3Transformer2DModel",
        text=77 + 256,
        sources=0,
        config=_SD3
        | {
            "num_layers": 38,
            "num_attention_heads": 38,
            "caption_projection_dim": 2432,
            "qk_norm": "rms_norm",
        },
    ),
    "lodestones/Chroma1-HD": Published("ChromaTransformer2DModel", text=512, sources=0),
    "Tongyi-MAI/Z-Image-Turbo": Published("ZImageTransformer2DModel", text=74, sources=0),
    "HiDream-ai/HiDream-I1-Full": Published(
        "HiDreamImageTransformer2DModel", text=128, sources=0, config=_HIDREAM
    ),
}


def published(part: str | None = None) -> dict[str, Published]:
    """The editors whose name contains `part`, in any case; all editors without it. AdaptEditError if none."""
    found = {name: one for name, one in PUBLISHED.items() if not part or part.lower() in name.lower()}
    if not found:
        raise AdaptEditError(f"no published editor is called {part!r}; known: {', '.join(PUBLISHED)}")
    return found
