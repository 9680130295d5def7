"""What is injected after each frozen transformer block: BlockAdapter x SpatialGate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptedit.adapter.condition import Condition
from adaptedit.adapter.config import AdapterConfig
from adaptedit.adapter.layers import CrossAttention, feed_forward, initial_parameter


class SpatialGate(nn.Module):
    """How much of the adapter's signal each image token takes: one scalar in (0, 1) per token.

    sigmoid(MLP(hidden state, spatial token) + a * (2 * mask - 1)) with a learned a, 2 at first: it starts
    open inside the region and nearly closed outside; training may change that. Our choice: the
    paper's formula is not public.
    """

    def __init__(self, dim: int, spatial_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.hidden_in = nn.Linear(dim, hidden_dim)
        self.spatial_in = nn.Linear(spatial_dim, hidden_dim, bias=False)
        self.out = nn.Linear(hidden_dim, 1)
        self.mask_strength = nn.Parameter(torch.full((1,), 2.0))
        self.out.weight = initial_parameter(1, hidden_dim, values=lambda: 0.02 * torch.randn(1, hidden_dim))
        nn.init.zeros_(self.out.bias)

    def forward(self, hidden_states: Tensor, condition: Condition) -> Tensor:
        """Normalised hidden states (B, N, D) -> (B, N, 1)."""
        hidden = self.hidden_in(hidden_states) + self.spatial_in(condition.spatial)
        logit = self.out(nn.functional.silu(hidden))
        return torch.sigmoid(logit + self.mask_strength * (2 * condition.mask - 1))


class BlockAdapter(nn.Module):
    """norm -> down -> FiLM by the spatial tokens -> cross-attention to the semantic tokens -> FFN, gated.

    The FFN's last layer is the way back to the backbone's width and the only layer initialised to zero, so a
    fresh adapter adds exactly nothing. With rank == dim there is no down-projection.
    """

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        dim, rank = config.dim, config.rank
        self.norm = nn.LayerNorm(dim)
        self.gate = SpatialGate(dim, config.spatial_dim, config.gate_dim)
        self.down = nn.Linear(dim, rank, bias=False) if rank < dim else nn.Identity()
        self.film = nn.Linear(config.spatial_dim, 2 * rank)
        self.attention_norm = nn.LayerNorm(rank)
        self.attention = CrossAttention(rank, config.cond_dim, config.head_dim)
        self.ffn_norm = nn.LayerNorm(rank)
        self.ffn = feed_forward(rank, config.block_ffn_ratio, dim)
        for parameter in self.ffn[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden_states: Tensor, condition: Condition) -> Tensor:
        """Hidden states (B, N, D) -> what to add to them (B, N, D), in their dtype."""
        h = self.norm(hidden_states.to(self.norm.weight.dtype))
        gate = self.gate(h, condition)
        scale, shift = self.film(condition.spatial).chunk(2, dim=-1)
        x = self.down(h) * (1 + scale) + shift
        x = x + self.attention(self.attention_norm(x), condition.semantic)
        delta: Tensor = gate * self.ffn(self.ffn_norm(x))
        return delta.to(hidden_states.dtype)
