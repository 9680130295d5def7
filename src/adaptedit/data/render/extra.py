"""Packages of the `render` extra, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from adaptedit.errors import AdaptEditError


def needed(module: str) -> Any:
    """The module; AdaptEditError if its package is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise AdaptEditError(
            f"rendering needs {package} ({error}): pip install 'adaptedit[render]' and try again"
        ) from None


def mitsuba() -> Any:
    """Mitsuba 3 in its scalar variant, the one that needs neither GPU nor LLVM."""
    module = needed("mitsuba")
    if module.variant() != "scalar_rgb":
        module.set_variant("scalar_rgb")
        module.set_log_level(module.LogLevel.Error)
    return module
