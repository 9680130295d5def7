"""BERT with the weights and the results of transformers' own, whose import takes longer than an edit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Bert(nn.Module):
    """Token ids (B, L) and their mask (B, L) bool, True = real token -> the last layer's states (B, L, D)."""

    def __init__(
        self,
        *,
        vocab_size: int,
        hidden_size: int,
        intermediate_size: int,
        num_hidden_layers: int,
        num_attention_heads: int,
        max_position_embeddings: int,
        type_vocab_size: int,
        layer_norm_eps: float,
    ) -> None:
        """The numbers of the checkpoint's config.json."""
        super().__init__()
        self.embeddings = _Embeddings(
            vocab_size, max_position_embeddings, type_vocab_size, hidden_size, layer_norm_eps
        )
        layers = [
            _Layer(hidden_size, intermediate_size, num_attention_heads, layer_norm_eps)
            for _ in range(num_hidden_layers)
        ]
        self.encoder = _Encoder(layers)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        padded = None if bool(mask.all()) else mask[:, None, None].expand(-1, -1, ids.shape[1], -1)
        return self.encoder(self.embeddings(ids), padded)  # type: ignore[no-any-return]


class _Embeddings(nn.Module):
    def __init__(self, words: int, positions: int, types: int, width: int, eps: float) -> None:
        super().__init__()
        self.word_embeddings = _embedding(words, width)
        self.position_embeddings = _embedding(positions, width)
        self.token_type_embeddings = _embedding(types, width)
        self.LayerNorm = nn.LayerNorm(width, eps)

    def forward(self, ids: Tensor) -> Tensor:
        first_type = self.token_type_embeddings.weight[0]  # a single sentence
        positions = self.position_embeddings.weight[: ids.shape[1]]
        return self.LayerNorm(self.word_embeddings(ids) + first_type + positions)  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, layers: list[_Layer]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(layers)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layer:
            states = layer(states, mask)
        return states


class _Layer(nn.Module):
    def __init__(self, width: int, inner: int, heads: int, eps: float) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": _Attention(width, heads), "output": _output(width, width, eps)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _output(inner, width, eps)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        attended = self.attention["self"](states, mask)
        states = _add(self.attention["output"], attended, states)  # type: ignore[arg-type]
        return _add(self.output, F.gelu(self.intermediate["dense"](states)), states)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            projection(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return attended.transpose(1, 2).flatten(2)


def _output(inner: int, width: int, eps: float) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inner, width), "LayerNorm": nn.LayerNorm(width, eps)})


def _add(output: nn.ModuleDict, change: Tensor, states: Tensor) -> Tensor:
    added: Tensor = output["LayerNorm"](output["dense"](change) + states)
    return added


def _embedding(count: int, width: int) -> nn.Embedding:
    """Without random numbers: on the meta device, drawing them imports torch's compiler."""
    return nn.Embedding(count, width, _weight=torch.empty(count, width))
