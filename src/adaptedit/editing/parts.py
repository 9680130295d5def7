"""Single parts of a pipeline, loaded before the rest: in fewer bits, or from one file."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from adaptedit.editing.placement import Placement, quantisation
from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.hub import explained

# Parts of tensor names in single files whose formats diffusers does not read, and whose they are.
_FOREIGN = {
    ".wscales": ("Nunchaku's own format", "a Nunchaku folder in diffusers' format"),
    ".qweight": ("Nunchaku's own format", "a Nunchaku folder in diffusers' format"),
    ".scale_weight": ("ComfyUI's scaled fp8", "a bfloat16 or .gguf file"),
    ".weight_scale": ("ComfyUI's scaled fp8", "a bfloat16 or .gguf file"),
    "bitsandbytes__nf4": ("ComfyUI's nf4", "a bfloat16 or .gguf file"),
}


def large_encoders(index: dict[str, Any]) -> list[str]:
    """Of a model_index.json: the text encoders that are worth fewer bits, so not CLIP."""
    return [
        name
        for name, entry in index.items()
        if name.startswith("text_encoder") and entry[1] and not entry[1].startswith("CLIP")
    ]


def load_part(
    name: str, part: str, entry: list[str], to: Placement, dtype: torch.dtype, where: dict[str, Any]
) -> Any:
    """One part of the pipeline `name`, in the bits of `to`; entry: its library and class."""
    library = needed(entry[0], name)
    fewer = quantisation(to.quantize, entry[0], dtype)
    on_gpu = torch.cuda.device(to.device) if to.device.type == "cuda" else nullcontext()
    with explained(name), on_gpu:
        model = getattr(library, entry[1]).from_pretrained(
            name, subfolder=part, dtype=dtype, **fewer, **where
        )
    return model.to("cpu") if to.offload else model


def transformer_from_file(
    file: str, base: str, transformer: str, dtype: torch.dtype, where: dict[str, Any]
) -> Any:
    """A DiT of the class `transformer` from one .safetensors or .gguf file, with the config of `base`.

    AdaptEditError if there is no such file, or diffusers does not read its format.
    """
    import diffusers
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    kind = getattr(diffusers, transformer)
    if not Path(file).is_file() or not file.endswith((".safetensors", ".gguf")):
        raise AdaptEditError(f"--transformer {file}: give a .safetensors or .gguf file on this machine")
    if transformer not in SINGLE_FILE_LOADABLE_CLASSES:
        raise AdaptEditError(
            f"diffusers loads no single file into {transformer}; convert {file} to a diffusers folder and "
            "give that as the backbone"
        )
    arguments: dict[str, Any] = {"config": base, "subfolder": "transformer", "dtype": dtype, **where}
    if file.endswith(".gguf"):
        if not _installed("gguf"):
            raise AdaptEditError(f"{file} needs the package gguf: pip install gguf and try again")
        arguments["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    else:
        _refuse_foreign(file)
    with explained(file):
        try:
            return kind.from_single_file(file, **arguments)
        except (
            KeyError,
            NotImplementedError,
            AttributeError,
        ) as error:  # weights that have no place, or lack
            raise AdaptEditError(f"{file} holds no {transformer} of the sizes that {base} has") from error


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _refuse_foreign(file: str) -> None:
    """By the names in the header: diffusers would load such weights as if they were plain ones, or fail."""
    try:
        with open(file, "rb") as opened:
            names: Any = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    except (ValueError, OverflowError, MemoryError):
        raise AdaptEditError(f"{file} is no safetensors file; download it again") from None
    for part, (format_, instead) in _FOREIGN.items():
        if any(part in one for one in names):
            raise AdaptEditError(f"{file} is in {format_}, which diffusers does not read; take {instead}")
