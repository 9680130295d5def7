"""Qwen-Image-Edit-2509 and -2511, in a region only. Give as `custom_pipeline=`; see docs/diffusers.md."""

from diffusers import QwenImageEditPlusPipeline

from adaptedit.interfaces.diffusers import LocalEditing


class AdaptEditQwenImageEditPlusPipeline(LocalEditing, QwenImageEditPlusPipeline):
    """`LocalEditing` says how to call it."""
