"""From a name to an editor and its adapter, with a line of advice for every failure."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import torch

from adaptedit import tiny
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone
from adaptedit.backbones.diffusers.backbone import DiffusersBackbone, check_dtype
from adaptedit.backbones.diffusers.editors import editor_of, unknown_editor
from adaptedit.backbones.diffusers.memory import enough_memory
from adaptedit.editing.lora import add_loras, check_loras
from adaptedit.editing.options import Dtype, LoadOptions, Offload, Quantize
from adaptedit.editing.parts import check_complete, large_encoders, load_part, transformer_from_file
from adaptedit.editing.placement import DTYPES, Placement, cast_to_fp8, device_of, placement
from adaptedit.errors import AdaptEditError
from adaptedit.extras import needed
from adaptedit.hub import explained, folder_of, is_hub_id

# Of diffusers' arguments for loading: those that say where files are, and the rest.
_WHERE = ("token", "revision", "cache_dir", "local_files_only", "force_download", "proxies")
_HOW = (
    "custom_pipeline", "custom_revision", "trust_remote_code", "variant", "use_safetensors", "disable_mmap",
    "use_flashpack", "load_connected_pipeline", "device_map", "max_memory", "offload_folder",
    "offload_state_dict", "low_cpu_mem_usage", "quantization_config",
)  # fmt: skip
_FILES = (".safetensors", ".gguf", ".ckpt", ".sft", ".bin")

Loaded = tuple[Backbone, AdaptEditAdapter | None]
Adapter = str | Path | AdaptEditAdapter | None


@dataclass(frozen=True)
class Pipeline:
    """A diffusers pipeline that is not loaded yet. index: its model_index.json."""

    name: str
    index: dict[str, Any]
    where: dict[str, Any]

    @property
    def transformer(self) -> str:
        return str(self.index.get("transformer", [None, None])[1])

    @property
    def arguments(self) -> set[str]:
        """Of diffusers' `from_pretrained` for it: its own parts and settings may be given too."""
        import diffusers

        own = inspect.signature(getattr(diffusers, self.index["_class_name"]).__init__).parameters
        return {*_WHERE, *_HOW, *own} - {"self"}

    def config(self) -> dict[str, Any]:
        """Of the DiT."""
        import diffusers  # here, because it takes longer to import than torch, and tiny does not need it

        with explained(self.name):
            config: dict[str, Any] = getattr(diffusers, self.transformer).load_config(
                self.name, subfolder="transformer", **self.where
            )
        return config


def from_name(
    name: str | Path,
    adapter: Adapter,
    *,
    dtype: torch.dtype | None,
    subfolder: str | None = None,
    **arguments: Any,
) -> Loaded:
    """See `AdaptEditPipeline.from_pretrained`. Small files that may be refused are fetched first."""
    where = _where(name, arguments)
    if not subfolder and (folder := _own_layout(name)):
        _check_arguments(arguments, _WHERE, name)
        if dtype not in (None, torch.float32):
            raise AdaptEditError(f"{name} works in float32, not in {dtype}; leave the dtype out")
        return _tiny(folder, adapter, where)
    if subfolder:
        name = folder_of(name, ["*"], subfolder=subfolder, **where)
    dtype = torch.bfloat16 if dtype is None else dtype
    check_dtype(dtype)
    pipeline = _pipeline(str(name), where)
    _check_arguments(arguments, pipeline.arguments, name)
    loaded = _adapter(adapter, pipeline, dtype)
    return DiffusersBackbone(_load(pipeline, dtype, arguments)), loaded


def from_options(
    options: LoadOptions, number: int, note: Callable[[str], object], **arguments: Any
) -> tuple[Backbone, AdaptEditAdapter | None, Placement]:
    """See `AdaptEditPipeline.load`. The weights are in the bits that were asked for, and not placed yet."""
    _check_choices(options)
    name = options.backbone
    where = _where(name, arguments | ({} if options.revision is None else {"revision": options.revision}))
    if folder := _own_layout(name):
        _refuse_for_tiny(options)
        _check_arguments(arguments, _WHERE, name)
        return *_tiny(folder, options.adapter, where), Placement(device_of(options.device or "cpu"))
    device = device_of(options.device, number)
    dtype = DTYPES[options.dtype or "bfloat16"]
    check_loras(options.loras)
    pipeline = _pipeline(name, where)
    _check_arguments(arguments, pipeline.arguments, name)
    to = placement(options, device, pipeline.transformer, pipeline.config, note)
    adapter = _adapter(options.adapter, pipeline, dtype)
    with enough_memory(to.advice):
        parts = _parts(pipeline, options, to, dtype)
        straight = to.offload is None and to.quantize is None and to.device == torch.device("cuda", 0)
        on_gpu = {"device_map": "cuda"} if straight and not parts else {}
        pipe = _load(pipeline, dtype, {**where, **on_gpu, **parts, **arguments})
        backbone = DiffusersBackbone(pipe)
        backbone.advice = to.advice
        add_loras(backbone, options.loras, **{key: where[key] for key in where if key != "revision"})
        if to.quantize == "fp8" and options.loras:
            cast_to_fp8(pipe.transformer, dtype)
    return backbone, adapter, to


def _parts(pipeline: Pipeline, options: LoadOptions, to: Placement, dtype: torch.dtype) -> dict[str, Any]:
    """What is loaded before the rest, one after the other: so never two of them are on the GPU if they wait
    outside it, nor the DiT's bfloat16 weights beside the text encoder's in main memory."""
    name, where = pipeline.name, pipeline.where
    parts: dict[str, Any] = {}
    if options.transformer is not None:
        parts["transformer"] = transformer_from_file(
            options.transformer, name, pipeline.transformer, to, dtype, where
        )
    names = [] if parts or to.quantize is None else ["transformer"]
    if to.quantize in ("nf4", "int8"):
        names += large_encoders(pipeline.index)
    for part in names:
        parts[part] = load_part(name, part, pipeline.index[part], to, dtype, where)
    if to.quantize == "fp8" and not options.loras:  # which are not to be cast, so they come before
        cast_to_fp8(parts["transformer"], dtype)
    return parts


def _where(name: str | Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that say where files are. AdaptEditError for a revision of what is on this disk."""
    where = {key: arguments[key] for key in _WHERE if arguments.get(key) is not None}
    if "revision" in where and (name == "tiny" or Path(name).exists()):
        raise AdaptEditError(
            f"{name} is on this machine and has no revision {where['revision']!r}; leave it out"
        )
    return where


def _check_arguments(arguments: dict[str, Any], known: Iterable[str], name: str | Path) -> None:
    """AdaptEditError for what diffusers would only log that it ignores."""
    unknown = sorted({key for key, value in arguments.items() if value is not None} - set(known))
    if not unknown:
        return
    ours = [field.name for field in fields(LoadOptions) if field.name in unknown]
    instead = ""
    if ours and name != "tiny":
        given = ", ".join(f"{field}={arguments[field]!r}" for field in ours)
        instead = f", or use AdaptEditPipeline.load(LoadOptions({given}, ...))"
    raise AdaptEditError(f"{name} is not loaded with {', '.join(unknown)}; leave it out{instead}")


def _own_layout(name: str | Path) -> Path | None:
    """The folder of `tiny`, or one laid out like it."""
    folder = tiny.WEIGHTS if name == "tiny" else Path(name)
    own = (folder / "adapter").is_dir() and not (folder / "model_index.json").exists()
    return folder if own else None


def _tiny(folder: Path, adapter: Adapter, where: dict[str, Any]) -> Loaded:
    if not isinstance(adapter, AdaptEditAdapter):
        adapter = AdaptEditAdapter.from_pretrained(
            folder / "adapter" if adapter is None else adapter, token=where.get("token")
        )
    return tiny.load(folder), adapter.float()


def _check_choices(options: LoadOptions) -> None:
    """Python callers may write anything."""
    for field, known in (("dtype", Dtype), ("quantize", Quantize), ("offload", Offload)):
        value = getattr(options, field)
        if value is not None and value not in get_args(known):
            raise AdaptEditError(f"{field}={value!r} is not known; use one of {', '.join(get_args(known))}")


def _refuse_for_tiny(options: LoadOptions) -> None:
    given = {
        "--quantize": options.quantize,
        "--offload": options.offload,
        "--lora": options.loras,
        "--transformer": options.transformer,
        "--dtype bfloat16": options.dtype == "bfloat16",
    }
    if unfit := [option for option, value in given.items() if value not in (None, False, ())]:
        raise AdaptEditError(
            f"{options.backbone} is small and works in float32: it needs none of {', '.join(unfit)}; "
            "leave it out, or give another --backbone"
        )


def _pipeline(name: str, where: dict[str, Any]) -> Pipeline:
    """AdaptEditError if it is no pipeline that edits."""
    if name.endswith(_FILES):
        raise AdaptEditError(
            f"{name} is one file, a DiT without text encoders and VAE; give the diffusers editor that it "
            f"belongs to as the backbone and the file as its transformer: --backbone ID --transformer {name}"
        )
    if not name.strip() or (not Path(name).is_dir() and not is_hub_id(name)):
        raise AdaptEditError(
            f"no editor is named {name!r}; use 'tiny', a folder with an editor and its adapter, or a "
            "diffusers pipeline as a folder or a hub id such as Qwen/Qwen-Image-Edit-2511"
        )
    import diffusers

    with explained(name):
        index = diffusers.DiffusionPipeline.load_config(name, **where)
    if not isinstance(index, dict):
        raise AdaptEditError(f"model_index.json of {name} is damaged (it is no object); get {name} again")
    wanted = index.get("_class_name")
    if not isinstance(wanted, str):
        raise AdaptEditError(f"{name} runs code of its own ({wanted}); " + unknown_editor("such a pipeline"))
    try:
        pipeline = getattr(diffusers, wanted)
    except (AttributeError, ImportError, RuntimeError):
        raise AdaptEditError(
            f"{name} needs {wanted}, which diffusers {diffusers.__version__} with torch {torch.__version__} "
            f"does not have; upgrade: pip install -U diffusers transformers torch"
        ) from None
    editor_of(pipeline)
    return Pipeline(name, index, where)


def _adapter(adapter: Adapter, pipeline: Pipeline, dtype: torch.dtype) -> AdaptEditAdapter | None:
    if adapter is None or isinstance(adapter, AdaptEditAdapter):
        return adapter
    loaded = AdaptEditAdapter.from_pretrained(adapter, token=pipeline.where.get("token"))
    if loaded.config.backbone != pipeline.transformer:
        raise AdaptEditError(
            f"the adapter was made for {loaded.config.backbone} {loaded.config.backbone_name!r}, "
            f"{pipeline.name} has a {pipeline.transformer}; use an adapter made for it"
        )
    return loaded.to(dtype)


def _load(pipeline: Pipeline, dtype: torch.dtype, arguments: dict[str, Any]) -> Any:
    needed("accelerate", "an editor of this size, which must not be in memory twice while it loads,", "gpu")
    import diffusers

    given = {key: value for key, value in arguments.items() if value is not None}
    with explained(pipeline.name), warnings.catch_warnings():
        # diffusers asks transformers in words that newer versions warn of
        warnings.filterwarnings("ignore", message=".*torch_dtype.*", category=FutureWarning)
        pipe = diffusers.DiffusionPipeline.from_pretrained(pipeline.name, dtype=dtype, **given)
    if "device_map" not in given:  # else weights may be on `meta` that accelerate fetches when needed
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                check_complete(part, pipeline.name)
    if given.get("device_map") == "cuda":
        pipe.hf_device_map = None  # all of it is on one device, as after .to("cuda"), which stays possible
    return pipe
