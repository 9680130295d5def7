"""Unmodified diffusers editing pipelines of tiny random models, made here: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import diffusers
import pytest
import torch
import transformers
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    LongCatImageTransformer2DModel,
    QwenImageTransformer2DModel,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers.utils import is_torchvision_available

from adaptedit.backbones.diffusers import editors
from zoo import wake

WIDTH = 32  # of every text encoder
AREA = 96 * 96  # pixels that an edit works on; the published models take a megapixel
_SPECIAL = [
    f"<|{word}|>"
    for word in ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
]
_VAE: dict[str, Any] = {
    "block_out_channels": (4, 4, 8, 8), "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4, "layers_per_block": 1, "norm_num_groups": 2,
    "sample_size": 64,
}  # fmt: skip
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _without_video(
    self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any
) -> None:
    self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
    self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
    self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
    transformers.ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


if not is_torchvision_available():  # its video half needs torchvision; no picture passes through that
    transformers.Qwen2VLProcessor.__init__ = _without_video


def _bytes(*special: str) -> Tokenizer:
    """Every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*alphabet, *special])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def _qwen_tokenizer() -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*alphabet, *_SPECIAL])}
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=_SPECIAL[1:], pad_token=_SPECIAL[0]
    )
    tokenizer.chat_template = _CHAT
    return tokenizer


def _qwen_vl(tokenizer: Any) -> tuple[Any, Any]:
    """Qwen2.5-VL and its processor."""
    token = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": 0,
        "rope_parameters": {"type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6},
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": WIDTH,
        "patch_size": 14, "spatial_merge_size": 2, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = transformers.Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    processor = transformers.Qwen2VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=112 * 112),
        tokenizer=tokenizer,
        chat_template=_CHAT,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config), processor


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)


def _kl(latents: int = 4) -> AutoencoderKL:
    return AutoencoderKL(
        **_VAE,
        latent_channels=latents,
        scaling_factor=0.36,
        shift_factor=0.11,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _qwen(pipeline: Any, **transformer: Any) -> Any:
    tokenizer = _qwen_tokenizer()
    text_encoder, processor = _qwen_vl(tokenizer)
    return pipeline(
        scheduler=_scheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=4, z_dim=4, dim_mult=[1, 1, 2, 2], num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.1, -0.2, 0.0, 0.3], latents_std=[1.1, 0.9, 1.0, 1.2],
        ),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        processor=processor,
        transformer=QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=3, joint_attention_dim=WIDTH,
            attention_head_dim=32, num_attention_heads=2, axes_dims_rope=(8, 12, 12), **transformer,
        ),
    )  # fmt: skip


def _flux(pipeline: Any, in_channels: int) -> Any:
    tokenizer = _bytes("<|startoftext|>", "<|endoftext|>")
    ends = [(word, tokenizer.token_to_id(word)) for word in ("<|startoftext|>", "<|endoftext|>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>", special_tokens=ends
    )
    clip_tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|startoftext|>", eos_token="<|endoftext|>",
        pad_token="<|endoftext|>", unk_token="<|endoftext|>", model_max_length=77,
    )  # fmt: skip
    t5_tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_bytes("<pad>", "</s>"), pad_token="<pad>", eos_token="</s>", unk_token="<pad>",
        model_max_length=512,
    )  # fmt: skip
    clip = transformers.CLIPTextConfig(
        vocab_size=len(clip_tokenizer), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, bos_token_id=ends[0][1], eos_token_id=ends[1][1], pad_token_id=ends[1][1],
    )  # fmt: skip
    t5 = transformers.T5Config(
        vocab_size=len(t5_tokenizer), d_model=WIDTH, d_kv=16, d_ff=32, num_layers=2, num_heads=2,
        feed_forward_proj="gated-gelu",
    )  # fmt: skip
    return pipeline(
        scheduler=_scheduler(),
        vae=_kl(),
        text_encoder=transformers.CLIPTextModel(clip),
        tokenizer=clip_tokenizer,
        text_encoder_2=transformers.T5EncoderModel(t5),
        tokenizer_2=t5_tokenizer,
        transformer=FluxTransformer2DModel(
            patch_size=1, in_channels=in_channels, out_channels=16, num_layers=1, num_single_layers=2,
            attention_head_dim=32, num_attention_heads=2, joint_attention_dim=WIDTH,
            pooled_projection_dim=WIDTH, guidance_embeds=True, axes_dims_rope=(8, 12, 12),
        ),
    )  # fmt: skip


def _klein() -> Any:
    tokenizer = _qwen_tokenizer()
    qwen3 = transformers.Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=27, head_dim=16,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    return diffusers.Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=AutoencoderKLFlux2(**_VAE, latent_channels=4),
        text_encoder=transformers.Qwen3ForCausalLM(qwen3),
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=32,
            num_attention_heads=2, joint_attention_dim=3 * WIDTH, timestep_guidance_channels=256,
            axes_dims_rope=(8, 8, 8, 8), guidance_embeds=False,
        ),
    )  # fmt: skip


def _longcat() -> Any:
    tokenizer = _qwen_tokenizer()
    text_encoder, processor = _qwen_vl(tokenizer)
    return diffusers.LongCatImageEditPipeline(
        scheduler=_scheduler(),
        vae=_kl(latents=16),  # the pipeline's own constant
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_processor=processor,
        transformer=LongCatImageTransformer2DModel(
            patch_size=1, in_channels=64, num_layers=1, num_single_layers=2, attention_head_dim=32,
            num_attention_heads=2, joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH,
            axes_dims_rope=[8, 12, 12],
        ),
    )  # fmt: skip


PIPELINES: dict[str, Callable[[], Any]] = {
    "qwen-edit": lambda: _qwen(diffusers.QwenImageEditPipeline),
    "qwen-edit-2511": lambda: _qwen(diffusers.QwenImageEditPlusPipeline, zero_cond_t=True),
    "kontext": lambda: _flux(diffusers.FluxKontextPipeline, 16),
    "flux-fill": lambda: _flux(diffusers.FluxFillPipeline, 16 + 16 + 4 * 64),
    "flux2": _klein,
    "longcat": _longcat,
}


def build(name: str) -> Any:
    """The same weights at every call."""
    torch.manual_seed(0)
    pipe = PIPELINES[name]()
    wake(pipe.transformer)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all pipelines work at `AREA` pixels, where they would take a megapixel."""
    monkeypatch.setattr(editors, "AREA", AREA)
    for name in ("qwenimage.pipeline_qwenimage_edit", "qwenimage.pipeline_qwenimage_edit_plus",
                 "longcat_image.pipeline_longcat_image_edit"):  # fmt: skip
        module = import_module(f"diffusers.pipelines.{name}")
        rule = module.calculate_dimensions
        monkeypatch.setattr(module, "calculate_dimensions", lambda area, ratio, rule=rule: rule(AREA, ratio))
    kontext = import_module("diffusers.pipelines.flux.pipeline_flux_kontext")
    monkeypatch.setattr(kontext, "PREFERRED_KONTEXT_RESOLUTIONS", [(64, 128), (96, 96), (128, 64)])
