"""Architectures of decoder-only Transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from minillm.config.checking import require_choice, require_fraction, require_positive
from minillm.errors import ConfigError

PositionKind = Literal["learned", "sinusoidal", "rotary"]
NormPosition = Literal["pre", "post"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Architecture of a decoder-only Transformer: GPT-2, Llama and what lies between.

    ``DecoderConfig.gpt`` and ``DecoderConfig.llama`` choose the family's parts; every part
    can also be chosen alone, which is how an ablation is written.
    """

    vocab_size: int
    context_length: int = 256  # the most tokens the model reads at once
    d_model: int = 128  # width of the residual stream
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int | None = None  # None: as many as n_heads
    d_ff: int | None = None  # None: 4 d_model, or 8/3 d_model for the gated swiglu
    norm: Literal["layer_norm", "rms_norm"] = "layer_norm"
    norm_eps: float = 1e-5
    norm_position: NormPosition = "pre"  # each branch's input, or the sum after it
    positions: PositionKind = "learned"
    rotary_base: float = 10_000.0
    feed_forward: Literal["gelu", "gelu_tanh", "relu", "relu_squared", "swiglu"] = "gelu"
    use_bias: bool = True  # in the linear layers
    tie_embeddings: bool = True  # one matrix reads tokens and predicts them
    dropout: float = 0.0  # probability of zeroing an activation, in training only

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "context_length", "d_model", "n_layers", "n_heads")
        require_positive(self, "n_kv_heads", "d_ff")
        require_fraction(self, "dropout")
        if self.d_model % self.n_heads:
            raise ConfigError(f"n_heads={self.n_heads} must divide d_model={self.d_model}")
        if self.n_heads % self.kv_heads:
            raise ConfigError(f"n_kv_heads={self.kv_heads} must divide n_heads={self.n_heads}")
        require_choice(self, "norm_position", get_args(NormPosition))
        require_choice(self, "positions", get_args(PositionKind))
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ConfigError(f"sinusoidal positions need an even d_model, got {self.d_model}")
        if self.positions == "rotary" and self.head_dim % 2:
            raise ConfigError(f"rotary positions need an even head_dim, got {self.head_dim}")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads, each shared by n_heads / kv_heads queries."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def hidden_width(self) -> int:
        """Inner width of the feed-forward layer (d_ff, or the family's usual width)."""
        if self.d_ff is not None:
            return self.d_ff
        if self.feed_forward == "swiglu":  # three matrices as large as the two of width 4 d_model
            return math.ceil(8 * self.d_model / 3 / 8) * 8
        return 4 * self.d_model

    @classmethod
    def gpt(cls, *, vocab_size: int, **changes) -> DecoderConfig:
        """GPT-2 (Radford et al. 2019): learned positions, LayerNorm, GELU, biases, tied."""
        return cls(vocab_size=vocab_size, **changes)

    @classmethod
    def llama(cls, *, vocab_size: int, **changes) -> DecoderConfig:
        """Llama (Touvron et al. 2023): rotary positions, RMSNorm, SwiGLU, no biases, untied."""
        family = {
            "norm": "rms_norm",
            "positions": "rotary",
            "feed_forward": "swiglu",
            "use_bias": False,
            "tie_embeddings": False,
        }
        return cls(vocab_size=vocab_size, **(family | changes))
