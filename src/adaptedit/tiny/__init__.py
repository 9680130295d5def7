"""The built-in backbone `tiny`: a small model with the parts of Qwen-Image-Edit, trained by this project."""

from adaptedit.tiny.backbone import WEIGHTS, TinyBackbone, load

__all__ = ["WEIGHTS", "TinyBackbone", "load"]
