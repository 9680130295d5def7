"""From a name to an editor and its adapter, with a line of advice for every failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
from huggingface_hub import errors, snapshot_download

from adaptedit import tiny
from adaptedit.adapter.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.base import Backbone
from adaptedit.backbones.diffusers.backbone import DiffusersBackbone, check_dtype
from adaptedit.backbones.diffusers.editors import editor_of, unknown_editor
from adaptedit.errors import AdaptEditError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_TROUBLE_WITH_THE_NET = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)


def editor(
    name: str | Path,
    adapter: str | Path | None,
    *,
    torch_dtype: torch.dtype | None,
    token: str | None,
    revision: str | None,
) -> tuple[Backbone, AdaptEditAdapter | None]:
    """See `AdaptEditPipeline.from_pretrained`. Small files that may be refused are fetched first."""
    folder = tiny.WEIGHTS if name == "tiny" else Path(name)
    if (folder / "adapter").is_dir() and not (folder / "model_index.json").exists():
        own = _adapter(folder / "adapter" if adapter is None else adapter, token)
        return tiny.load(folder), own.float()
    if not folder.is_dir() and not _HUB_ID.fullmatch(str(name)):
        raise AdaptEditError(
            f"no editor is named {str(name)!r}; use 'tiny', a folder with an editor and its adapter, or a "
            "diffusers pipeline as a folder or a hub id such as Qwen/Qwen-Image-Edit-2511"
        )
    dtype = torch.bfloat16 if torch_dtype is None else torch_dtype
    check_dtype(dtype)
    with _explained(str(name)):
        index = diffusers.DiffusionPipeline.load_config(name, token=token, revision=revision)
    _check_pipeline(str(name), index)
    loaded = None if adapter is None else _adapter(adapter, token).to(dtype)
    found = index.get("transformer", [None, None])[1]
    if loaded is not None and loaded.config.backbone != found:
        raise AdaptEditError(
            f"the adapter was made for {loaded.config.backbone} {loaded.config.backbone_name!r}, "
            f"{name} has a {found}; use an adapter made for it"
        )
    with _explained(str(name)):
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            name, torch_dtype=dtype, token=token, revision=revision
        )
    return DiffusersBackbone(pipe), loaded


def _check_pipeline(name: str, index: dict[str, Any]) -> None:
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


def _adapter(name: str | Path, token: str | None) -> AdaptEditAdapter:
    if not Path(name).is_dir() and _HUB_ID.fullmatch(str(name)):
        with _explained(str(name)):
            name = snapshot_download(str(name), allow_patterns=[CONFIG_FILE, WEIGHTS_FILE], token=token)
    return AdaptEditAdapter.from_pretrained(name)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the hub's and diffusers' exceptions mean to a user, in one line."""
    try:
        yield
    except (OSError, ValueError, ImportError, errors.EntryNotFoundError) as error:
        raise AdaptEditError(_explain(name, error)) from error


def _explain(name: str, error: BaseException) -> str:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:  # diffusers wraps what the hub says
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    if among(errors.GatedRepoError):
        return (
            f"{name} is gated: accept its terms at https://huggingface.co/{name}, "
            "then run 'hf auth login' or give token="
        )
    if among(errors.RevisionNotFoundError):
        return f"{name} has no such revision; leave revision= out or look at https://huggingface.co/{name}"
    if among(errors.RepositoryNotFoundError):
        return f"{name} is neither a folder nor on the Hugging Face hub; if it is private, give token="
    if among(*_TROUBLE_WITH_THE_NET) or any("Connect" in type(one).__name__ for one in chain):
        return (
            f"{name} is not on this machine and the Hugging Face hub cannot be reached; "
            "go online once, or give the path of a downloaded copy"
        )
    if among(ImportError):
        missing = next(one for one in chain if isinstance(one, ImportError))
        return f"{name} cannot be loaded: {_first_line(missing)}; pip install what is missing"
    if among(errors.EntryNotFoundError) or "model_index.json" in str(error):
        return f"{name} holds no diffusers pipeline (model_index.json is missing); give one that does"
    return f"{name} cannot be loaded: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
