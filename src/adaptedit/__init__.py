"""AdaptEdit: region-aware adapters that make a frozen diffusion transformer edit where you mean."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .adapter.config import AdapterConfig
    from .adapter.model import AdaptEditAdapter
    from .editing.output import EditOutput
    from .editing.pipeline import AdaptEditPipeline
    from .errors import AdaptEditError, GlobalEdit, NoLocalRegion, RegionNotFound
    from .pictures.image16 import Image16
    from .pictures.save import save
    from .region import Region

__all__ = [
    "AdaptEditAdapter",
    "AdaptEditError",
    "AdaptEditPipeline",
    "AdapterConfig",
    "EditOutput",
    "GlobalEdit",
    "Image16",
    "NoLocalRegion",
    "Region",
    "RegionNotFound",
    "__version__",
    "save",
]

_HOME = {
    "AdaptEditAdapter": ".adapter.model",
    "AdaptEditError": ".errors",
    "AdaptEditPipeline": ".editing.pipeline",
    "AdapterConfig": ".adapter.config",
    "EditOutput": ".editing.output",
    "GlobalEdit": ".errors",
    "Image16": ".pictures.image16",
    "NoLocalRegion": ".errors",
    "Region": ".region",
    "RegionNotFound": ".errors",
    "save": ".pictures.save",
}


def __getattr__(name: str) -> object:
    """Import on first use, so that `adaptedit --help` does not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
