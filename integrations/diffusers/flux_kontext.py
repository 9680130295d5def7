"""FLUX.1 Kontext, in a region only. Give this file as `custom_pipeline=`; see docs/diffusers.md."""

from diffusers import FluxKontextPipeline

from adaptedit.interfaces.diffusers import LocalEditing


class AdaptEditFluxKontextPipeline(LocalEditing, FluxKontextPipeline):
    """`LocalEditing` says how to call it."""
