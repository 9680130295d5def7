"""Folders and hub ids: what is where, and what the Hugging Face hub's exceptions mean in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adaptedit.errors import AdaptEditError, out_of_memory

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str | Path) -> bool:
    """Whether it may be the id of a repository: "owner/name", and no folder of that name is here."""
    return not Path(name).exists() and _HUB_ID.fullmatch(str(name)) is not None


def folder_of(name: str | Path, patterns: list[str], *, subfolder: str | None = None, **where: Any) -> Path:
    """The folder itself, or the one in the hub's cache with the files that match, downloaded once.

    patterns: of files, below `subfolder`. where: revision, token, cache_dir, local_files_only of the hub.
    AdaptEditError, one line, for what the hub refuses.
    """
    inside = subfolder or ""
    if not is_hub_id(name):
        return Path(name) / inside
    wanted = [f"{inside}/{pattern}" if inside else pattern for pattern in patterns]
    from huggingface_hub import snapshot_download  # here, because tiny does not need it

    with explained(str(name)):
        return Path(snapshot_download(str(name), allow_patterns=wanted, **where)) / inside


@contextmanager
def explained(name: str) -> Iterator[None]:
    """What the exceptions of the hub and of the libraries on it mean: AdaptEditError, one line."""
    try:
        yield
    except AdaptEditError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise AdaptEditError(explain(name, error)) from error


def explain(name: str, error: BaseException, *, kind: str = "", missing: str | None = None) -> str:
    """One line for a person. kind: "datasets/" where `name` is a data set; missing: if there is none such."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{kind}{name}"
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:  # diffusers wraps what the hub says
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    if among(errors.GatedRepoError):
        return f"{name} is gated: accept its terms at {page}, then run 'hf auth login' or give token="
    if among(errors.RevisionNotFoundError):
        return f"{name} has no such revision; leave it out or look at {page}"
    if among(errors.RepositoryNotFoundError):
        nowhere = f"{name} is neither a folder nor on the Hugging Face hub; if it is private, give token="
        return missing or nowhere
    no_net = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)
    if among(*no_net) or any("Connect" in type(one).__name__ for one in chain):
        return (
            f"{name} is not on this machine and the Hugging Face hub cannot be reached; "
            "go online once, or give the path of a downloaded copy"
        )
    if among(ImportError):
        needed = next(one for one in chain if isinstance(one, ImportError))
        return (
            f"{name} cannot be loaded: {first_line(needed)}; "
            "pip install what is missing: most of it comes with 'adaptedit[gpu]'"
        )
    if said := _damage(name, str(error)):
        return said
    if among(errors.EntryNotFoundError):
        return f"{name} holds no diffusers pipeline (model_index.json is missing); give one that does"
    return f"{name} cannot be {'downloaded' if kind else 'loaded'}: {first_line(error)}"


def _damage(name: str, message: str) -> str | None:
    """What diffusers and transformers say of a copy that is damaged or not whole, for a person."""
    if broken := re.search(r"config file at '(.+?)' is not a valid JSON file", message):
        return f"{broken[1]} is damaged (it is no JSON); get {name} again"
    if "no file named model_index.json" in message:
        return f"{name} holds no diffusers pipeline (model_index.json is missing); give one that does"
    if lost := re.search(r"no file named ([\w.]+?),? .*found in directory (.+?)\.?$", message, re.MULTILINE):
        file, part = re.sub(r"\.bin$", ".safetensors", lost[1]), lost[2].rpartition(f"{name}/")[2]
        place = "one of its parts" if part == name else part
        return f"{name} is damaged: {file} of {place} is missing; get it again"
    if "meta tensor" in message:
        return f"{name} lacks weights of one of its classes; it is damaged or mixed, so get it again"
    if "backend tokenizer" in message:
        return f"{name} lacks files of a tokenizer; get it again, or pip install sentencepiece"
    return None


def first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
