"""Architectures of encoders, which read in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.config.checking import require_choice, require_fraction, require_positive
from minillm.errors import ConfigError

MAX_SENTENCES = 7  # 7! = 5040 orders


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Architecture of BERT (Devlin et al. 2019, arXiv:1810.04805) and its relatives.

    Post-norm blocks, learned positions and segments, LayerNorm after the embeddings, GELU.
    """

    vocab_size: int
    context_length: int = 512  # the most tokens the model reads at once
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    d_ff: int | None = None  # None: 4 d_model
    n_segments: int = 2  # sentence A and sentence B
    norm_eps: float = 1e-12
    feed_forward: Literal["gelu", "gelu_tanh", "relu"] = "gelu"
    dropout: float = 0.0  # probability of zeroing an activation, in training only
    has_next_sentence_head: bool = False  # a pooler and two classes of sentence pairs
    max_sentences: int = 0  # that a pointer head puts in order; 0: no such head
    position_start: Literal["random", "sinusoids"] = "random"  # what learned positions begin as

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "context_length", "d_model", "n_layers", "n_heads")
        require_positive(self, "d_ff", "n_segments")
        require_fraction(self, "dropout")
        if self.d_model % self.n_heads:
            raise ConfigError(f"n_heads={self.n_heads} must divide d_model={self.d_model}")
        require_choice(self, "position_start", ("random", "sinusoids"))
        if self.position_start == "sinusoids" and self.d_model % 2:
            raise ConfigError(f"sinusoids need an even d_model, got {self.d_model}")
        if self.max_sentences < 0 or self.max_sentences == 1:
            raise ConfigError(
                f"max_sentences must be 0 (no such head) or at least 2, got {self.max_sentences}"
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def hidden_width(self) -> int:
        """Inner width of the feed-forward layer."""
        return 4 * self.d_model if self.d_ff is None else self.d_ff

    @property
    def kv_heads(self) -> int:
        """Number of key and value heads: as many as there are queries."""
        return self.n_heads

    @property
    def norm(self) -> Literal["layer_norm"]:
        """Kind of every norm."""
        return "layer_norm"

    @property
    def norm_position(self) -> Literal["post"]:
        """Where the norms of a block stand."""
        return "post"

    @property
    def use_bias(self) -> bool:
        """Whether linear layers have a bias."""
        return True

    @classmethod
    def bert(cls, *, vocab_size: int, **changes) -> EncoderConfig:
        """BERT; ``d_model=768, n_layers=12, n_heads=12`` makes it BERT base."""
        return cls(vocab_size=vocab_size, **changes)

    @classmethod
    def bert_of_pairs(cls, *, vocab_size: int, **changes) -> EncoderConfig:
        """BERT with the head that judges a pair of sentences."""
        return cls(vocab_size=vocab_size, has_next_sentence_head=True, **changes)

    @classmethod
    def bert_that_orders(cls, *, vocab_size: int, n_sentences: int = 4, **changes) -> EncoderConfig:
        """BERT with a head that puts up to ``n_sentences`` in order; each is a segment."""
        if not 2 <= n_sentences <= MAX_SENTENCES:
            raise ConfigError(
                f"n_sentences must be from 2 to {MAX_SENTENCES}, got {n_sentences}: the best of "
                "all orders is looked for, and there are n! of them"
            )
        heads = {"n_segments": n_sentences, "max_sentences": n_sentences}
        return cls(vocab_size=vocab_size, **heads, **changes)
