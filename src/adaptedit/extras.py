"""Packages of the extras, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from adaptedit.errors import AdaptEditError


def needed(module: str, what: str, extra: str = "eval") -> Any:
    """The module; AdaptEditError if its package is not installed. `what` starts the message."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise AdaptEditError(
            f"{what} needs {package} ({error}): pip install 'adaptedit[{extra}]' and try again"
        ) from None
