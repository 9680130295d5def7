"""Mitsuba as it is used here."""

from __future__ import annotations

from typing import Any

from adaptedit.extras import needed


def mitsuba() -> Any:
    """Mitsuba 3 in its scalar variant, the one that needs neither GPU nor LLVM."""
    module = needed("mitsuba", "rendering", "render")
    if module.variant() != "scalar_rgb":
        module.set_variant("scalar_rgb")
        module.set_log_level(module.LogLevel.Error)
    return module
