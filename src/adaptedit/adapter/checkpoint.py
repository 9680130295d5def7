"""An adapter on disk: model.safetensors and config.json. Nothing is unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from adaptedit.adapter.config import AdapterConfig
from adaptedit.errors import AdaptEditError
from adaptedit.files import replacing, write_atomically

FORMAT = 1
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"


def save_checkpoint(
    directory: Path, weights: dict[str, Tensor], config: AdapterConfig, dtype: torch.dtype | None
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().to(dtype=dtype).contiguous() for name, weight in weights.items()}
    with replacing(directory / WEIGHTS_FILE) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    text = json.dumps({"format": FORMAT, **config.to_dict()}, indent=2)
    write_atomically(directory / CONFIG_FILE, f"{text}\n".encode())


def load_checkpoint(directory: Path) -> tuple[AdapterConfig, dict[str, Tensor]]:
    """AdaptEditError if a file is missing, damaged or of another format."""
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (directory / name).is_file():
            raise AdaptEditError(f"{directory}: {name} is missing; give a folder that holds an adapter")
    try:
        values: Any = json.loads((directory / CONFIG_FILE).read_text("utf-8"))
        weights = load_file(directory / WEIGHTS_FILE)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AdaptEditError(f"{directory / CONFIG_FILE}: is damaged ({error})") from None
    except SafetensorError as error:
        raise AdaptEditError(f"{directory / WEIGHTS_FILE}: is damaged ({error})") from None
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise AdaptEditError(f"{directory / CONFIG_FILE}: is not an adapter config of format {FORMAT}")
    return AdapterConfig.from_dict(values), weights
