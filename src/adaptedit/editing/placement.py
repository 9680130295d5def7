"""Where an editor's weights lie and how they are kept: device, dtype, quantisation, offloading, rungs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from adaptedit.costs.rungs import choose, next_option, row_of
from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed

GIB = 2**30
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Placement:
    """device: where the computation runs; quantize, offload: as in `LoadOptions`."""

    device: torch.device
    quantize: str | None = None
    offload: str | None = None

    @property
    def advice(self) -> str:
        """What to do when the memory does not suffice."""
        option = next_option(self.quantize, self.offload) if self.device.type != "cpu" else None
        least = "take a smaller picture or a smaller editor, or close other programs"
        return f"try {option}" if option else least


def device_of(name: str | None, number: int = 0) -> torch.device:
    """The device that is named, else the best there is.

    number: of this process; it deals out the GPUs, unless one is named by its number.

    AdaptEditError if torch has no such device here.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda", number % torch.cuda.device_count())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise AdaptEditError(f"there is no device {name!r}; use cuda, cuda:1, mps or cpu") from None
    found = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
    }
    if not found.get(device.type, False):
        raise AdaptEditError(
            f"torch {torch.__version__} finds no device {name} on this machine; use another --device, or "
            "install the torch that fits the GPU"
        )
    if device.type != "cuda":
        return device
    return torch.device("cuda", number % torch.cuda.device_count() if device.index is None else device.index)


def placement(
    options: LoadOptions,
    device: torch.device,
    transformer: str,
    config: Callable[[], Mapping[str, Any]],
    note: Callable[[str], object],
) -> Placement:
    """What the options ask for; what they leave open is, on a GPU, that of the first rung that fits.

    A dtype with a device is taken at its word: nothing else is chosen.
    transformer, config: the DiT's class, and what reads its config. note: gets the line that says
    which rung was taken.
    AdaptEditError for what this machine cannot do, and where no rung fits.
    """
    asked = Placement(device, options.quantize, options.offload)
    gguf = (options.transformer or "").endswith(".gguf")
    if gguf and options.quantize == "fp8":
        raise AdaptEditError(f"{options.transformer} has few bits already; leave out --quantize fp8")
    if device.type == "cpu" and options.offload is not None:
        raise AdaptEditError(
            "offloading moves weights between a GPU and main memory, and there is no GPU here"
        )
    if options.quantize == "nf4" and not torch.cuda.is_available():
        raise AdaptEditError(
            "nf4 weights are made on an NVIDIA GPU, and torch finds none here; use --quantize int8"
        )
    exact = options.dtype == "float32" or (options.dtype and options.device and not options.quantize)
    if options.offload or device.type != "cuda" or exact:
        return asked
    sizes = config()
    row = row_of(options.backbone, transformer, sizes)
    if row is None:  # no published editor: it may be of any size
        return asked
    free, total = (size / GIB for size in torch.cuda.mem_get_info(device))
    host, installed = host_memory()
    rung = choose(row, free, host, options.quantize)
    if rung.offload or not options.quantize:  # else nothing was chosen
        name = options.backbone.rstrip("/").rpartition("/")[2]
        note(
            f"{name}: {rung.name}: {rung.gpu:.1f} of {total:.1f} GiB on the GPU, "
            f"{rung.host:.0f} of {installed:.0f} GiB in main memory"
        )
    saved = "quantization_config" in sizes and not options.transformer
    if saved or (gguf and rung.quantize == "fp8"):  # in few bits already
        return replace(asked, offload=rung.offload)
    return replace(asked, quantize=rung.quantize, offload=rung.offload)


def host_memory() -> tuple[float, float]:
    """GiB of main memory that programs may still take, and in all."""
    page = os.sysconf("SC_PAGE_SIZE") / GIB
    total = os.sysconf("SC_PHYS_PAGES") * page
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["MemAvailable"].split()[0]) * 1024 / GIB, total
    except (OSError, KeyError):  # not Linux: half of it is a guess
        return total / 2, total


def quantisation(quantize: str | None, part: str, dtype: torch.dtype) -> dict[str, Any]:
    """The argument for loading one part in fewer bits. part: "diffusers" or "transformers", who loads it.

    fp8 is not made at loading, but by `cast_to_fp8`.
    """
    if quantize == "nf4":
        library = needed(part, "--quantize nf4")
        needed("bitsandbytes", "--quantize nf4", "gpu")
        four_bits = library.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
        return {"quantization_config": four_bits}
    if quantize == "int8":
        weight_only = needed("torchao.quantization", "--quantize int8", "gpu").Int8WeightOnlyConfig
        return {"quantization_config": needed(part, "--quantize int8").TorchAoConfig(weight_only())}
    return {}


def cast_to_fp8(transformer: Any, dtype: torch.dtype) -> None:
    """The DiT's weights are kept in 8 bits and cast to `dtype`, layer by layer, when they are used."""
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)


def place(pipe: Any, where: Placement) -> None:
    """Moves the pipeline, or has its parts moved when they are needed. Attach the adapter before."""
    if where.offload == "model":
        pipe.enable_model_cpu_offload(device=where.device)
    elif where.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=where.device)
    elif where.offload == "group":
        _offload_groups(pipe, where.device)
    else:
        pipe.to(where.device)


def _offload_groups(pipe: Any, device: torch.device) -> None:
    """Blocks of the DiT and leaves of the rest; the next is fetched while one computes."""
    from diffusers.hooks.group_offloading import apply_group_offloading

    streams: dict[str, Any] = {}
    if device.type == "cuda":
        streams = {"use_stream": True, "low_cpu_mem_usage": True}  # else all weights are in memory twice
    for name, part in pipe.components.items():
        if name == "transformer":
            part.enable_group_offload(
                onload_device=device, offload_type="block_level", num_blocks_per_group=1, **streams
            )
        elif isinstance(part, torch.nn.Module):
            own = {} if name == "vae" else streams
            apply_group_offloading(part, onload_device=device, offload_type="leaf_level", **own)
