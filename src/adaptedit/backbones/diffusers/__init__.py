"""The `Backbone` around an unmodified diffusers editing pipeline."""

from .backbone import DiffusersBackbone

__all__ = ["DiffusersBackbone"]
