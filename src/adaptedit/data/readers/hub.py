"""The files of a data set, from a folder or the Hugging Face hub, and clear errors where that fails."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download

from adaptedit.errors import AdaptEditError
from adaptedit.hub import explain


def dataset(name: str, path: str | Path | None, patterns: list[str], token: str | None) -> Path:
    """`path` if one is given, else the folder in the hub's cache with the files that match, downloaded once.

    name: the hub data set's id. token: by default the one of `hf auth login` or $HF_TOKEN.
    AdaptEditError, one line, if the path is missing, and for what the hub refuses.
    """
    if path is not None:
        if not Path(path).exists():
            raise AdaptEditError(f"{path}: no such folder; give a downloaded copy of {name}, or no path")
        return Path(path)
    try:
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=patterns, token=token))
    except OSError as error:
        missing = (
            f"there is no data set {name} on the hub for this token; "
            f"look at https://huggingface.co/datasets/{name}"
        )
        raise AdaptEditError(explain(name, error, kind="datasets/", missing=missing)) from error
