"""The files of a data set, from a folder or the Hugging Face hub, and clear errors where that fails."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import errors, snapshot_download

from adaptedit.errors import AdaptEditError

_OFFLINE = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError)


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
        raise AdaptEditError(_explain(name, error)) from error


def _explain(name: str, error: OSError) -> str:
    page = f"https://huggingface.co/datasets/{name}"
    if isinstance(error, errors.GatedRepoError):
        return f"{name} is gated: accept its terms at {page}, then run 'hf auth login' or give token="
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no data set {name} on the hub for this token; look at {page}"
    if isinstance(error, _OFFLINE):
        return (
            f"{name} is not on this machine and the Hugging Face hub cannot be reached; "
            "go online once, or give the path of a downloaded copy"
        )
    return f"{name} cannot be downloaded: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
