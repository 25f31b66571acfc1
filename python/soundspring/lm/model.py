# SPDX-License-Identifier: GPL-3.0-or-later
"""One network, two jobs: a bidirectional Transformer over frames with a small head per RVQ layer.

The trunk sees, for every frame of a window, the codebook vectors of the visible tokens and which layers they
are; the head of layer k adds the known lower layers of its own frame (depth-wise conditioning). The coder reads
the heads' logits as PMFs; the concealer reads them as the distribution of what was lost. After SoundSpring
(arXiv 2501.12696), with inputs and heads tied to the codebooks.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class LmConfig:
    """Sizes. `learned` is the number of free features per codebook entry beside its vector and energy."""

    layers: int = 24
    entries: int = 1024
    latent: int = 192
    dim: int = 256
    blocks: int = 4
    heads: int = 4
    hidden: int = 1024
    head_hidden: int = 512
    learned: int = 31
    base_layers: int = 3
    span: int = 64


def coarse(x: torch.Tensor) -> torch.Tensor:
    """x to ten binary digits: what sums and logarithms leave in the last bits differs between machines."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp((mantissa * 1024).round() / 1024, exponent)


class Attention(nn.Module):
    """Multi-head self-attention with a learned bias per head and distance (clipped at +-span)."""

    def __init__(self, dim: int, heads: int, span: int):
        super().__init__()
        self.heads, self.span = heads, span
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * span + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        at = torch.arange(t, device=x.device)
        distance = (at[None, :] - at[:, None]).clamp(-self.span, self.span) + self.span
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5 + self.bias[:, distance]
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, c: LmConfig):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(c.dim), nn.LayerNorm(c.dim)
        self.attention = Attention(c.dim, c.heads, c.span)
        self.up, self.down = nn.Linear(c.dim, c.hidden), nn.Linear(c.hidden, c.dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class MaskedLm(nn.Module):
    """`codebooks` float [layers, entries, latent] are those of the codec; they are not trained here."""

    def __init__(self, config: LmConfig, codebooks: torch.Tensor):
        super().__init__()
        self.config = c = config
        if tuple(codebooks.shape) != (c.layers, c.entries, c.latent):
            raise ValueError(f"codebooks: shape {tuple(codebooks.shape)}, expected {(c.layers, c.entries, c.latent)}")
        self.register_buffer("codebooks", codebooks, persistent=False)
        scale = coarse(codebooks.pow(2).mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6))
        self.register_buffer("vectors", codebooks / scale[0], persistent=False)
        energy = coarse((codebooks / scale).pow(2).mean(-1, keepdim=True))
        # Likelihoods under a covariance are quadratic in the entry: squares let a head say which dimensions are loud.
        squares = (codebooks / scale).pow(2)
        spread = coarse(squares.std(1, keepdim=True).clamp(min=1e-3))
        squares = (squares - coarse(squares.mean(1, keepdim=True))) / spread
        squares = 0.5 * squares.clamp(max=3.0)  # they have long tails
        self.register_buffer("squares", squares, persistent=False)
        self.register_buffer("features", torch.cat([codebooks / scale, energy, squares], -1), persistent=False)
        # A sum of vectors cannot tell how strong each of them was, so every token also brings traits of its own.
        log_energy = energy.clamp(min=1e-6).log()
        spread = log_energy.std(1, keepdim=True).clamp(min=1e-3)
        standard = (log_energy - log_energy.mean(1, keepdim=True)) / spread
        self.register_buffer("energy", coarse(standard), persistent=False)
        self.traits_in = nn.Parameter(torch.randn(c.layers, c.learned + 1, c.dim) * 0.05)
        self.traits_depth = nn.Parameter(torch.randn(c.layers, c.learned + 1, c.dim) * 0.05)
        self.inputs = nn.Linear(2 * c.latent, c.dim)
        self.base = nn.Parameter(torch.randn(c.base_layers, c.entries, c.dim) * 0.02)
        self.seen = nn.Parameter(torch.randn(c.layers, c.dim) * 0.02)
        self.start = nn.Parameter(torch.randn(c.dim) * 0.02)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.blocks))
        self.norm = nn.LayerNorm(c.dim)
        self.depth = nn.Linear(3 * c.latent, c.dim)
        self.depth_seen = nn.Parameter(torch.randn(c.layers, c.dim) * 0.02)
        self.layer = nn.Parameter(torch.randn(c.layers, c.dim) * 0.02)
        self.head_norm = nn.LayerNorm(c.dim)
        self.head_up, self.head_down = nn.Linear(c.dim, c.head_hidden), nn.Linear(c.head_hidden, c.dim)
        width = 2 * c.latent + 1 + c.learned
        self.project = nn.Parameter(torch.randn(c.layers, c.dim, width) * (0.3 * c.dim**-0.5 * c.latent**-0.5))
        self.learned = nn.Parameter(torch.randn(c.layers, c.entries, c.learned) * 0.5)
        self.bias = nn.Parameter(torch.zeros(c.layers, c.entries))

    def vector(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens int64 [..., K] -> their scaled codebook vectors [..., K, latent]."""
        return self.vectors[torch.arange(tokens.shape[-1], device=tokens.device), tokens]

    def square(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens int64 [..., K] -> the squares of their vectors, normalised in each layer, [..., K, latent]."""
        return self.squares[torch.arange(tokens.shape[-1], device=tokens.device), tokens]

    def traits(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens int64 [..., K] -> log-energy and learned features of each [..., K, learned + 1]."""
        layer = torch.arange(tokens.shape[-1], device=tokens.device)
        return torch.cat([self.energy[layer, tokens], self.learned[layer, tokens]], -1)

    def trunk(self, tokens: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """tokens int64 [B, T, K], visible bool [B, T, K] -> [B, T, dim]; tokens that are not visible do not matter."""
        k = tokens.shape[-1]
        tokens = tokens * visible
        mask = visible[..., None].to(self.inputs.weight.dtype)
        sums = [(f(tokens) * mask).sum(-2) for f in (self.vector, self.square)]
        x = self.inputs(torch.cat(sums, -1)) + self.start
        x = x + visible.to(x.dtype) @ self.seen[:k]
        x = x + torch.einsum("btke,ked->btd", self.traits(tokens) * mask, self.traits_in[:k])
        for j in range(min(k, self.config.base_layers)):
            x = x + self.base[j][tokens[..., j]] * mask[..., j, :]
        return self.body(x)

    def body(self, x: torch.Tensor) -> torch.Tensor:
        """The Transformer itself, on embedded frames [B, T, dim]."""
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def hidden(self, h: torch.Tensor, lower: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
        """Head input: trunk h; of the known lower layers the sums of vectors and squares and the last vector in `lower`
        [..., 3 * latent], their traits and flags in `below` [..., dim]."""
        return self.neck(h + self.depth(lower) + below)

    def neck(self, z: torch.Tensor) -> torch.Tensor:
        """The small network that all heads share, [..., dim] -> [..., dim]."""
        return z + self.head_down(F.gelu(self.head_up(self.head_norm(z))))

    def outputs(self, layers: slice) -> torch.Tensor:
        """The product of each head's two last matrices, [len(layers), dim, entries]."""
        entries = torch.cat([self.features[layers], self.learned[layers]], -1)
        return torch.bmm(self.project[layers], entries.transpose(1, 2))

    def heads(self, h: torch.Tensor, tokens: torch.Tensor, known: torch.Tensor, layers: slice) -> torch.Tensor:
        """Logits [N, len(layers), entries] of several layers at once.

        h [N, dim]; tokens int64 [N, K] and known bool [N, K] are the frame's own tokens: layer k conditions on
        the known ones below k.
        """
        layers = slice(*layers.indices(tokens.shape[-1]))
        entries = torch.cat([self.features[layers], self.learned[layers]], -1)
        z = torch.bmm(self.head_states(h, tokens, known, layers), self.project[layers])
        return (torch.bmm(z, entries.transpose(1, 2)) + self.bias[layers, None]).transpose(0, 1)

    def head_states(self, h: torch.Tensor, tokens: torch.Tensor, known: torch.Tensor, layers: slice) -> torch.Tensor:
        """What `heads` multiplies with `outputs`, [len(layers), N, dim]; same arguments."""
        k = tokens.shape[-1]
        mask = known.to(h.dtype)
        vectors = self.vector(tokens * known) * mask[..., None]
        total = vectors.cumsum(1) - vectors
        own = self.features[torch.arange(k, device=h.device), tokens * known, : self.config.latent] * mask[..., None]
        last = F.pad(own[:, :-1], (0, 0, 1, 0))
        squares = self.square(tokens * known) * mask[..., None]
        lower = torch.cat([total, squares.cumsum(1) - squares, last], -1)
        traits = torch.einsum("nke,ked->nkd", self.traits(tokens * known) * mask[..., None], self.traits_depth[:k])
        below = traits + mask[..., None] * self.depth_seen[:k]
        below = below.cumsum(1) - below + self.layer[:k]
        return self.hidden(h[:, None], lower[:, layers], below[:, layers]).transpose(0, 1)

    def exact(self) -> "MaskedLm":
        """The same network in float64, for the coder."""
        twin = MaskedLm(self.config, self.codebooks.double()).double()
        twin.load_state_dict({k: v.double() for k, v in self.state_dict().items()})
        return twin.eval().requires_grad_(False)

    def to_dict(self) -> dict:
        return asdict(self.config)
