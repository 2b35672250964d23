"""Architectures of recurrent language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

from minillm.config.checking import require_choice, require_fraction, require_positive

CellKind = Literal["rnn", "lstm"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentConfig:
    """Architecture of a recurrent language model, which has no limit on the context it reads."""

    vocab_size: int
    cell: CellKind = "lstm"
    d_model: int = 128  # width of the embeddings and of every layer's state
    n_layers: int = 1
    dropout: float = 0.0  # probability of zeroing what goes up a layer, never what goes on in time
    tie_embeddings: bool = True  # one matrix reads tokens and predicts them

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "d_model", "n_layers")
        require_fraction(self, "dropout")
        require_choice(self, "cell", get_args(CellKind))

    @classmethod
    def rnn(cls, *, vocab_size: int, **changes) -> Self:
        """Elman 1990, as a language model Mikolov et al. 2010: one tanh, no gates."""
        return cls(vocab_size=vocab_size, cell="rnn", **changes)

    @classmethod
    def lstm(cls, *, vocab_size: int, **changes) -> Self:
        """Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000."""
        return cls(vocab_size=vocab_size, cell="lstm", **changes)
