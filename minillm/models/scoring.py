"""What neural language models share: vectors in, scored tokens out.

Dimension key: B sequences, T positions, C width, V vocabulary.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from minillm.batch import Batch
from minillm.linear import Linear
from minillm.loss import linear_token_loss_sum, token_log_probs
from minillm.models.base import LanguageModel

_SCORED_AT_ONCE = 256  # positions: the logits of a long document need not fit into memory


class HiddenLanguageModel(LanguageModel):
    """A language model that turns tokens into vectors and scores the vocabulary with a matrix.

    Attributes:
        unembedding: the (V, C) matrix.
        context_length: the most tokens it reads; ``None``: there is no limit.
    """

    context_length: int | None = None
    unembedding: Linear

    @abstractmethod
    def hidden(
        self,
        token_ids: Tensor,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Return the (B, T, C) vectors that the unembedding reads; arguments as ``forward``."""

    def forward(
        self,
        token_ids: Tensor,
        *,
        document_ids: Tensor | None = None,
        is_padding: Tensor | None = None,
    ) -> Tensor:
        """Score every token as the successor of every position.

        Args:
            token_ids: (B, T) int64, T >= 1.
            document_ids: (B, T) int64: a document does not read the one before it.
            is_padding: (B, T) bool: padding, on either side, is not read.

        Returns:
            (B, T, V) logits; row t predicts token t + 1.

        Raises:
            ValueError: if the shapes do not fit, or T exceeds ``context_length``.
        """
        return self.unembedding(self.hidden(token_ids, document_ids, is_padding))

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed loss of ``batch.targets``, in nats, under the name ``"tokens"``."""
        hidden, targets = self._hidden_and_targets(batch)
        return {"tokens": linear_token_loss_sum(hidden, self.unembedding.weight, targets)}

    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target given its context, (B, T) in nats; 0 where not scored."""
        hidden, targets = self._hidden_and_targets(batch)
        pieces = zip(
            hidden.split(_SCORED_AT_ONCE, dim=1),
            targets.split(_SCORED_AT_ONCE, dim=1),
            strict=True,
        )
        return torch.cat([token_log_probs(self.unembedding(h), t) for h, t in pieces], dim=1)

    def _hidden_and_targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.targets is None:
            raise ValueError("a language model needs batch.targets, got None")
        return self._hidden(batch), batch.targets

    def _hidden(self, batch: Batch) -> Tensor:
        """Return the vectors of a batch; only a model with attention can read a prefix."""
        if batch.prefix_lengths is not None:
            raise ValueError(
                f"{type(self).__name__} reads in one direction: it cannot take a prefix"
            )
        return self.hidden(batch.inputs, batch.document_ids, batch.is_padding)


def check_token_ids(token_ids: Tensor, **fields: Tensor | None) -> None:
    """Refuse what is no (B, T) with T >= 1, and fields of another shape.

    Raises:
        ValueError: naming the shapes.
    """
    if token_ids.ndim != 2:
        raise ValueError(f"token_ids must be (B, T), got shape {tuple(token_ids.shape)}")
    if token_ids.shape[1] == 0:
        raise ValueError("a language model needs at least one token, got none")
    for name, x in fields.items():
        if x is not None and x.shape != token_ids.shape:
            raise ValueError(
                f"{name} {tuple(x.shape)} must have the shape of token_ids {tuple(token_ids.shape)}"
            )
