"""The embedded backbone `tiny`: a miniature of Qwen-Image-Edit, part for part, trained by us and shipped."""

from adaptedit.tiny.backbone import WEIGHTS, TinyBackbone, load

__all__ = ["WEIGHTS", "TinyBackbone", "load"]
