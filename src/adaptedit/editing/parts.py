"""Single parts of a pipeline, loaded before the rest: in fewer bits, or from one file."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
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

# What diffusers raises where the weights have no place, or lack.
_UNFIT = (KeyError, IndexError, AttributeError, TypeError, ValueError, NotImplementedError)


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
    check_complete(model, name)
    return model.to("cpu") if to.offload else model


def check_complete(model: torch.nn.Module, name: str) -> None:
    """AdaptEditError if weights are missing: libraries leave them on `meta`, and only log it."""
    if any(one.is_meta for one in model.parameters()):
        raise AdaptEditError(
            f"{name} lacks weights of its {type(model).__name__}; it is damaged or mixed, so get it again"
        )


def transformer_from_file(
    file: str, base: str, transformer: str, to: Placement, dtype: torch.dtype, where: dict[str, Any]
) -> Any:
    """A DiT of the class `transformer` from one .safetensors or .gguf file, with the config of `base`, in the
    bits of `to`; those of a .gguf file stay as they are.

    AdaptEditError if there is no such file, diffusers does not read its format, or it holds another model.
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
    arguments["config_revision"] = arguments.pop("revision", None)
    quantised: Any = nullcontext()
    if file.endswith(".gguf"):
        if not _installed("gguf"):
            raise AdaptEditError(f"{file} needs the package gguf: pip install gguf and try again")
        arguments["quantization_config"] = diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    else:
        _refuse_foreign(file)
        if fewer := quantisation(to.quantize, "diffusers", dtype):
            arguments |= fewer
            quantised = _quantised_here()
        if to.quantize == "nf4":
            arguments["device"] = to.device
    with explained(base):
        kind.load_config(base, subfolder="transformer", **where)
    with explained(file):
        try:
            with quantised:
                model = kind.from_single_file(file, **arguments)
        except _UNFIT as error:
            raise AdaptEditError(f"{file} holds no {transformer} of the sizes that {base} has") from error
    check_complete(model, file)
    return model.to("cpu") if to.offload and "device" in arguments else model


def _quantised_here() -> Any:
    """diffusers' `from_single_file` takes a file for quantised already if it is given a quantisation: it
    refuses nf4 and leaves out int8 in silence. Here its quantiser is told otherwise."""
    from unittest import mock

    from diffusers.quantizers.auto import DiffusersAutoQuantizer

    made = partial(DiffusersAutoQuantizer.from_config, pre_quantized=False)
    return mock.patch.object(DiffusersAutoQuantizer, "from_config", made)


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
    if any(".lora_" in one for one in names):
        raise AdaptEditError(f"{file} is a LoRA, no DiT; put it on the editor with --lora {file}")
    for part, (format_, instead) in _FOREIGN.items():
        if any(part in one for one in names):
            raise AdaptEditError(f"{file} is in {format_}, which diffusers does not read; take {instead}")
