"""What every model offers, so that training and evaluation know no model by name.

Dimension key: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from minillm.attention import AttentionBackend, check_backend
from minillm.batch import Batch
from minillm.blocks import SelfAttention
from minillm.data import Progress


class Model(nn.Module, ABC):
    """A module that can say how badly it predicted a batch.

    Attributes:
        config: the architecture, a frozen dataclass from which the model can be built again.
        has_attention: whether ``set_backend`` chooses between ways to compute something.
    """

    config: Any
    has_attention = False

    def set_backend(self, name: AttentionBackend) -> None:
        """Compute attention with the backend ``name`` from now on, wherever there is any."""
        check_backend(name)
        for module in self.modules():
            if isinstance(module, SelfAttention):
                module.backend = name

    def n_parameters(self) -> int:
        """Count the trained numbers; a tied matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @abstractmethod
    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed loss of each head, in nats, under the names of ``n_scored``."""

    @abstractmethod
    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target given its context, (B, T) in nats; 0 where not scored."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, without gradients, and back afterwards.

    Example:
        >>> layer = nn.Dropout(0.5)
        >>> with evaluating(layer):
        ...     layer.training, torch.is_grad_enabled()
        (False, False)
        >>> layer.training
        True
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


class LanguageModel(Model):
    """A model of the next token, which can therefore write.

    Attributes:
        context_length: the most tokens that it reads at once; ``None`` means no limit.
    """

    context_length: int | None

    @abstractmethod
    def next_log_probs(self, token_ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the distribution of the token that follows ``token_ids``.

        Args:
            token_ids: (B, T) int64, T >= 1: the whole text so far without a state, only what
                is new since then with the state that the last call returned.
            state: opaque memory of what was read (an n-gram context, an LSTM state, a
                key/value cache); hand it on to the next call and do not use it twice.

        Returns:
            (B, V) log probabilities in nats, float32, and the state after ``token_ids``.
        """


class CountedModel(LanguageModel):
    """A language model without gradients: it reads the training text once and counts."""

    @abstractmethod
    def fit(self, token_ids: np.ndarray, *, bos_id: int, progress: Progress | None = None) -> Self:
        """Count a stream of documents, each ``bos … eos``.

        Args:
            token_ids: (N,) integers; may be a memory map.
            bos_id: begins every document and occurs nowhere else.
            progress: wraps the orders that are counted, such as ``tqdm``.

        Returns:
            The model itself, so that it can be made and counted in one line.
        """
