"""An adapter on disk: model.safetensors and config.json. Nothing is unpickled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from adaptedit.adapter.card import CARD_FILE, model_card
from adaptedit.adapter.config import AdapterConfig
from adaptedit.errors import AdaptEditError
from adaptedit.files import replacing, write_atomically
from adaptedit.hub import explained, folder_of

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
    if not (directory / CARD_FILE).exists():
        count = sum(weight.numel() for weight in weights.values())
        write_atomically(directory / CARD_FILE, model_card(config, count).encode())


def push_checkpoint(
    save: Callable[[Path, torch.dtype | None], None],
    repo_id: str,
    *,
    dtype: torch.dtype | None,
    private: bool | None,
    token: str | None,
    message: str,
) -> str:
    """See `AdaptEditAdapter.push_to_hub`. A model card that the repository has already stays."""
    from huggingface_hub import HfApi  # here, because tiny does not need it

    hub = HfApi(token=token)
    with TemporaryDirectory() as folder, explained(repo_id):
        save(Path(folder), dtype)
        address = hub.create_repo(repo_id, private=private, exist_ok=True)
        kept = [CARD_FILE] if hub.file_exists(repo_id, CARD_FILE) else []
        hub.upload_folder(repo_id=repo_id, folder_path=folder, ignore_patterns=kept, commit_message=message)
    return str(address)


def fetch_checkpoint(name: str | Path, *, subfolder: str | None, **where: str | None) -> Path:
    """The folder with the files: `name` itself, or of a hub id's files the two that an adapter is."""
    return folder_of(name, [CONFIG_FILE, WEIGHTS_FILE], subfolder=subfolder, **where)


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
