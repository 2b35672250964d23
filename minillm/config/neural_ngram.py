"""The architecture of the first neural language model."""

from __future__ import annotations

from dataclasses import dataclass

from minillm.config.checking import require_fraction, require_positive
from minillm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuralNgramConfig:
    """Architecture of a neural n-gram (Bengio et al. 2003): it reads ``order - 1`` tokens."""

    vocab_size: int
    order: int = 5  # n: the tokens read and the one that is predicted
    d_model: int = 64  # width of a token's vector
    d_ff: int = 256  # tanh units
    direct_connections: bool = False  # the paper's W: from the vectors straight to the scores
    dropout: float = 0.0  # probability of zeroing a tanh unit, in training only

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size", "d_model", "d_ff")
        require_fraction(self, "dropout")
        if self.order < 2:
            raise ConfigError(f"order must be 2 or more (1 token is read), got {self.order}")

    @property
    def n_read(self) -> int:
        """Number of tokens that a prediction is made from."""
        return self.order - 1
