"""Architectures of encoder–decoders, which read a source and write a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from minillm.config.checking import require_choice, require_fraction, require_positive
from minillm.config.decoder import NormPosition
from minillm.errors import ConfigError

SourcePositions = Literal["relative", "sinusoidal"]
EncoderDecoderFeedForward = Literal["relu", "gelu", "gelu_tanh", "geglu", "swiglu"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderDecoderConfig:
    """Architecture of an encoder–decoder: T5, the original Transformer and what lies between.

    The defaults are T5's first version (Raffel et al. 2020, arXiv:1910.10683); ``t5``, ``t5_1_1``
    and ``original`` choose a paper's parts, and every part can also be chosen alone.
    """

    vocab_size: int
    context_length: int = 512  # the most tokens of a source, and of a target
    d_model: int = 128
    n_layers: int = 4  # of the encoder
    n_decoder_layers: int | None = None  # None: as many
    n_heads: int = 4
    d_head: int | None = None  # width of a head; None: d_model / n_heads
    d_ff: int | None = None  # None: 4 d_model
    norm: Literal["layer_norm", "rms_norm"] = "rms_norm"
    norm_eps: float = 1e-6
    norm_position: NormPosition = "pre"
    positions: SourcePositions = "relative"
    n_buckets: int = 32  # of relative distances
    max_distance: int = 128  # from which on all distances share a bucket
    attention_scale: float | None = 1.0  # of the scores; None: 1 / sqrt(head_dim)
    feed_forward: EncoderDecoderFeedForward = "relu"
    use_bias: bool = False  # in the linear layers
    tie_embeddings: bool = True  # one matrix reads tokens and predicts them
    scale_output: bool = True  # multiply by d_model^-0.5 before the prediction
    dropout: float = 0.0  # probability of zeroing an activation, in training only

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "context_length", "d_model", "n_layers", "n_heads")
        require_positive(self, "n_decoder_layers", "d_head", "d_ff")
        require_fraction(self, "dropout")
        require_choice(self, "norm_position", get_args(NormPosition))
        require_choice(self, "positions", get_args(SourcePositions))
        require_choice(self, "feed_forward", get_args(EncoderDecoderFeedForward))
        if self.attention_scale is not None and self.attention_scale <= 0:
            raise ConfigError(f"attention_scale must be positive, got {self.attention_scale}")
        if self.d_head is None and self.d_model % self.n_heads:
            raise ConfigError(
                f"n_heads={self.n_heads} must divide d_model={self.d_model}, or give d_head"
            )
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ConfigError(f"sinusoidal positions need an even d_model, got {self.d_model}")
        if self.n_buckets < 4 or self.n_buckets % 2 or self.max_distance <= self.n_buckets // 2:
            raise ConfigError(
                "n_buckets must be even and at least 4, and max_distance more than half of it, "
                f"got {self.n_buckets} and {self.max_distance}"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads if self.d_head is None else self.d_head

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads: as many as there are queries."""
        return self.n_heads

    @property
    def hidden_width(self) -> int:
        """Inner width of the feed-forward layer."""
        return 4 * self.d_model if self.d_ff is None else self.d_ff

    @property
    def decoder_layers(self) -> int:
        """Number of the decoder's blocks."""
        return self.n_layers if self.n_decoder_layers is None else self.n_decoder_layers

    @classmethod
    def t5(cls, *, vocab_size: int, **changes) -> EncoderDecoderConfig:
        """T5 1.0: relative positions, scores not scaled, RMSNorm first, ReLU, no biases, tied."""
        return cls(vocab_size=vocab_size, **changes)

    @classmethod
    def t5_1_1(cls, *, vocab_size: int, **changes) -> EncoderDecoderConfig:
        """T5 1.1 (Shazeer 2020, arXiv:2002.05202): a gated GELU, an output matrix of its own."""
        family = {"feed_forward": "geglu", "tie_embeddings": False, "scale_output": False}
        return cls(vocab_size=vocab_size, **(family | changes))

    @classmethod
    def original(cls, *, vocab_size: int, **changes) -> EncoderDecoderConfig:
        """The Transformer of Vaswani et al. 2017 (arXiv:1706.03762).

        Norms after the sums, sinusoids, ReLU, biases, scores times 1 / sqrt(D), one matrix for
        both languages and the prediction (§3.4); ``d_model=512, n_layers=6, n_heads=8`` is the
        paper's base model.
        """
        family = {
            "norm": "layer_norm",
            "norm_position": "post",
            "positions": "sinusoidal",
            "attention_scale": None,
            "use_bias": True,
            "scale_output": False,
        }
        return cls(vocab_size=vocab_size, **(family | changes))
