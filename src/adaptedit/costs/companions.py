"""What stands beside the DiT of an editor that edits: its text encoders and its VAE, on `meta`.

The sizes are those of the published config.json files, as far as they are not the class's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Companions:
    """bfloat16 on `meta`. code: encodes a 1024 x 1024 picture with the VAE and decodes it."""

    encoders: list[nn.Module]
    vae: nn.Module
    code: Callable[[], Any]


def companions(editor: str) -> Companions:
    """Of a published editor that has a pipeline."""
    make_encoders, make_vae = _OF[editor]
    with torch.device("meta"):
        encoders = make_encoders()
        vae: Any = make_vae()
    video = hasattr(vae.config, "temperal_downsample")  # diffusers' spelling
    shape = (1, 3, 1, 1024, 1024) if video else (1, 3, 1024, 1024)
    picture = torch.empty(shape, dtype=torch.bfloat16, device="meta")
    vae = vae.to(torch.bfloat16).eval()

    @torch.no_grad()
    def code() -> None:
        vae.decode(vae.encode(picture).latent_dist.mode())

    return Companions([one.to(torch.bfloat16) for one in encoders], vae, code)


def _qwen25_vl_7b() -> list[nn.Module]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    }
    vision = {"hidden_size": 1280, "out_hidden_size": 3584}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    return [Qwen2_5_VLForConditionalGeneration(config)]


def _t5_clip() -> list[nn.Module]:
    """T5 v1.1 XXL and CLIP ViT-L/14."""
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    t5 = T5Config(d_model=4096, d_ff=10240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu")
    clip = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
    return [T5EncoderModel(t5), CLIPTextModel(clip)]


def _mistral_24b() -> list[nn.Module]:
    """Mistral Small 3.2 24B."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    text = {
        "model_type": "mistral",
        "hidden_size": 5120,
        "intermediate_size": 32768,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 131072,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "head_dim": 64,
        "image_size": 1540,
        "patch_size": 14,
    }
    return [Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=vision))]


def _qwen3(hidden: int, inside: int, tied: bool) -> list[nn.Module]:
    """Qwen3 4B and 8B."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        hidden_size=hidden,
        intermediate_size=inside,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=151936,
        tie_word_embeddings=tied,
    )
    return [Qwen3ForCausalLM(config)]


def _vae_qwen() -> nn.Module:
    from diffusers import AutoencoderKLQwenImage

    return AutoencoderKLQwenImage()  # type: ignore[no-any-return]


def _vae_flux() -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(  # type: ignore[no-any-return]
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=16,
        layers_per_block=2,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _vae_flux2() -> nn.Module:
    from diffusers import AutoencoderKLFlux2

    return AutoencoderKLFlux2()  # type: ignore[no-any-return]


_QWEN = (_qwen25_vl_7b, _vae_qwen)
_FLUX = (_t5_clip, _vae_flux)
_OF: dict[str, tuple[Callable[[], list[nn.Module]], Callable[[], nn.Module]]] = {
    "Qwen/Qwen-Image-Edit": _QWEN,
    "Qwen/Qwen-Image-Edit-2509": _QWEN,
    "Qwen/Qwen-Image-Edit-2511": _QWEN,
    "black-forest-labs/FLUX.1-Kontext-dev": _FLUX,
    "black-forest-labs/FLUX.1-Fill-dev": _FLUX,
    "black-forest-labs/FLUX.2-dev": (_mistral_24b, _vae_flux2),
    "black-forest-labs/FLUX.2-klein-4B": (lambda: _qwen3(2560, 9728, True), _vae_flux2),
    "black-forest-labs/FLUX.2-klein-9B": (lambda: _qwen3(4096, 12288, False), _vae_flux2),
    "meituan-longcat/LongCat-Image-Edit": (_qwen25_vl_7b, _vae_flux),
}
