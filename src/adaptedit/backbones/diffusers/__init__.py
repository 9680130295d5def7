"""The `Backbone` around an unmodified diffusers editing pipeline."""

from adaptedit.backbones.diffusers.backbone import DiffusersBackbone

__all__ = ["DiffusersBackbone"]
