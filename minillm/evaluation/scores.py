"""What every evaluation offers, so that a run knows none by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict


class Scores(ABC):
    """The numbers of one model on held-out text: a frozen dataclass with a ``loss`` in nats.

    ``loss`` is what training minimizes: checkpoints are compared by it.
    """

    __slots__ = ()
    loss: float

    def numbers(self) -> dict[str, float]:
        """Return every number by name."""
        return asdict(self)  # pyright: ignore[reportArgumentType]  (every kind is a dataclass)

    @abstractmethod
    def summary(self) -> str:
        """Say it in a line."""
