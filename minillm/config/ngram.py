"""Settings of the counted language models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from minillm.config.checking import require_choice, require_positive
from minillm.errors import ConfigError

Smoothing = Literal["kneser-ney", "interpolated", "add-k"]

MAX_ORDER = 16  # longer n-grams are nearly all unique: more memory, nothing learned


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramConfig:
    """An n-gram model: how far it looks back, and what it gives to what it never saw.

    ``table_sizes`` is filled by ``Ngram.fit``: with it a model of the right shape can be built
    before stored tables are loaded into it.
    """

    vocab_size: int
    order: int = 5  # n: a token is predicted from the n - 1 before it
    smoothing: Smoothing = "kneser-ney"
    k: float = 0.1  # added to each count, for add-k only; 0 is the plain estimate
    discount: float | None = None  # for kneser-ney only; None: three per order, from the counts
    table_sizes: tuple[int, ...] = ()  # different n-grams of order 2, 3, …, n; (): not counted yet

    def __post_init__(self) -> None:
        require_positive(self, "vocab_size")
        if not 1 <= self.order <= MAX_ORDER:
            raise ConfigError(f"order must be from 1 to {MAX_ORDER}, got {self.order}")
        require_choice(self, "smoothing", get_args(Smoothing))
        if not (math.isfinite(self.k) and self.k >= 0):
            raise ConfigError(f"k must be 0 or a positive finite number, got {self.k}")
        if self.discount is not None and not 0 <= self.discount <= 1:
            raise ConfigError(
                f"discount must be from 0 to 1 (None: estimated), got {self.discount}"
            )
        object.__setattr__(self, "table_sizes", tuple(self.table_sizes))  # JSON knows only lists
        if self.table_sizes and len(self.table_sizes) != self.order - 1:
            raise ConfigError(
                f"table_sizes must hold {self.order - 1} sizes, of the orders 2 to {self.order}, "
                f"or none, got {list(self.table_sizes)}"
            )
        if any(size < 0 for size in self.table_sizes):
            raise ConfigError(f"table_sizes must not be negative, got {list(self.table_sizes)}")
