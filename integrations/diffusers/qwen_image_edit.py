"""Qwen-Image-Edit, in a region only. Give this file as `custom_pipeline=`; see docs/diffusers.md."""

from diffusers import QwenImageEditPipeline

from adaptedit.interfaces.diffusers import LocalEditing


class AdaptEditQwenImageEditPipeline(LocalEditing, QwenImageEditPipeline):
    """`LocalEditing` says how to call it."""
