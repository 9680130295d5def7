"""FLUX.1 Kontext, in a region only. Give this file as `custom_pipeline=`; see docs/diffusers.md."""

from diffusers import FluxKontextPipeline

from adaptedit.interfaces.custom_pipeline import LocalEditing


class AdaptEditFluxKontextPipeline(LocalEditing, FluxKontextPipeline):
    """`LocalEditing` says how to call it."""
