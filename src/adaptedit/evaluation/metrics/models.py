"""Models that metrics use, from the hub or a folder, and the cosine of their embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import model_info
from torch import Tensor

from adaptedit.errors import AdaptEditError


def load(kind: str, name: str, device: str, **options: Any) -> Any:
    """A class of transformers, by its name, in float32 and evaluation mode. name: hub id or folder.

    Raises AdaptEditError if it cannot be loaded.
    """
    import transformers

    loader = getattr(transformers, kind)
    return _explained(loader, name, dtype=torch.float32, **options).to(device).eval()


def load_tokenizer(name: str) -> Any:
    """CLIP's tokenizer, from the model's own folder or hub id. Raises AdaptEditError as `load` does."""
    import transformers

    return _explained(transformers.CLIPTokenizer, name)


def cosine(a: Tensor, b: Tensor) -> float:
    """The cosine of two vectors (D,), in [-1, 1]; 0 if one of them is zero."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0).clamp(-1.0, 1.0))


def _explained(loader: Any, name: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, local_files_only=True, **options)
    except (OSError, ValueError, ImportError) as error:
        missing = error
    try:
        model_info(name, timeout=10)  # fails at once where from_pretrained would retry for a minute
        return loader.from_pretrained(name, **options)
    except Exception as error:  # the hub client's own errors have no public base class
        reason = error if not Path(name).is_dir() else missing
        why = (str(reason).strip() or type(reason).__name__).splitlines()[0]
        raise AdaptEditError(
            f"{name} cannot be loaded ({why}); go online once, or give the folder of a downloaded copy"
        ) from reason
