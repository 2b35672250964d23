"""The bidirectional language model: two causal models that read a text from its two ends.

Dimension key: B sequences, T positions, C d_model, V vocabulary, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import BidirectionalConfig
from minillm.models.base import LanguageModel
from minillm.models.cells import CellState, RecurrentBackend
from minillm.models.recurrent import Recurrent
from minillm.models.scoring import check_token_ids
from minillm.objectives.bidirectional import backward_batch, reversed_order


class Bidirectional(LanguageModel):
    """Predict each token twice: from what comes before it, and from what comes after it.

    Two recurrent models that share the embedding and the output layer, and nothing else: ELMo
    (Peters et al. 2018, arXiv:1802.05365, section 3.1) with words for its characters. A single
    bidirectional network would not do: its state at t has read x_t, and copies it. Each half is a
    language model under the chain rule, so each sum of its log-probabilities is a code length of
    the text; together they are two opinions, not one distribution over x_t given both sides.

    We train on the mean of the two losses, where the paper takes the sum, so that the loss can be
    compared with a causal model's.

    Args:
        config: the architecture of each half.
        generator: draws the weights; ``None`` means torch's fixed default seed.
        backend: ``"fused"`` or the readable ``"reference"`` (see ``minillm.models.cells``).

    Attributes:
        forward_half: reads from left to right.
        backward_half: reads from right to left.

    Example:
        >>> model = Bidirectional(BidirectionalConfig.lstm(vocab_size=11, d_model=8))
        >>> model.representations(torch.tensor([[1, 2, 3]])).shape
        torch.Size([2, 1, 3, 16])
    """

    context_length = None

    def __init__(
        self,
        config: BidirectionalConfig,
        *,
        generator: torch.Generator | None = None,
        backend: RecurrentBackend = "fused",
    ) -> None:
        super().__init__()
        self.config = config
        generator = torch.Generator() if generator is None else generator
        self.forward_half = Recurrent(config, generator=generator, backend=backend)
        self.backward_half = Recurrent(config, generator=generator, backend=backend)
        self.backward_half.token_embedding = self.forward_half.token_embedding
        self.backward_half.unembedding = self.forward_half.unembedding

    def direction_loss_sums(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summed loss of each half, forward first, in nats.

        Args:
            batch: as ``minillm.objectives.bidirectional.bidirectional_batch`` makes it. Both
                halves are scored on as many tokens.
        """
        forward = self.forward_half.loss_sums(batch)["tokens"]
        return forward, self.backward_half.loss_sums(backward_batch(batch))["tokens"]

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean of the two halves' summed losses, in nats, under the name "tokens"."""
        forward, backward = self.direction_loss_sums(batch)
        return {"tokens": (forward + backward) / 2}

    def direction_log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log p of each target from its left and from its right, two (B, T) in nats.

        The two entries at one place are about the same token, but for the end: where the forward
        half has the last target of a document (eos), the backward half has its first token (bos),
        which is where *its* reading ends. So each row of a whole document sums to minus its code
        length in that direction, n + 1 symbols for n tokens. 0 where not scored.
        """
        forward = self.forward_half.log_probs(batch)
        turned = backward_batch(batch)
        return forward, _beside_targets(self.backward_half.log_probs(turned), batch, turned)

    def log_probs(self, batch: Batch) -> Tensor:
        """Return the mean of both directions' log p of each target, (B, T) in nats.

        Summed over a document it is the mean of two code lengths, which no distribution need
        have, but which has the same least possible value as each of them: the entropy of the
        source. It is no log p(x_t | all other tokens). 0 where not scored.
        """
        forward, backward = self.direction_log_probs(batch)
        return (forward + backward) / 2

    def direction_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what scores each target from its left and from its right, two (B, T, V).

        Places as in ``direction_log_probs``; rows that are not scored have no meaning.
        """
        turned = backward_batch(batch)
        halves = [(self.forward_half, batch), (self.backward_half, turned)]
        forward, backward = (
            half(each.inputs, document_ids=each.document_ids, is_padding=each.is_padding)
            for half, each in halves
        )
        return forward, _beside_targets(backward, batch, turned)

    def representations(self, token_ids: Tensor, is_padding: Tensor | None = None) -> Tensor:
        """Return what all layers know about each token, for a task to mix (``ScalarMix``).

        Layer 0 is the embedding, twice; layer l holds the forward half's state after it has read
        the token, and the backward half's. A representation may see its own token: only what
        *predicts* a token must not.

        Args:
            token_ids: (B, T) int64.
            is_padding: (B, T) bool, only on the right.

        Returns:
            (L + 1, B, T, 2 C); padded positions have no meaning.

        Raises:
            ValueError: if padding stands before a token, or shapes do not fit.
        """
        check_token_ids(token_ids, is_padding=is_padding)
        if is_padding is None:
            is_padding = torch.zeros_like(token_ids, dtype=torch.bool)
        if bool((is_padding[:, :-1] & ~is_padding[:, 1:]).any()):
            raise ValueError("representations need padding on the right only: turn the rows around")
        embedded = self.forward_half.token_embedding(token_ids)
        order = reversed_order(is_padding)[..., None].expand_as(embedded)
        forward, _ = self.forward_half.layers(embedded)
        backward, _ = self.backward_half.layers(embedded.gather(1, order))
        layers = [torch.cat([embedded, embedded], dim=-1)]
        for ahead, back in zip(forward, backward, strict=True):
            layers.append(torch.cat([ahead, back.gather(1, order)], dim=-1))
        return torch.stack(layers)

    @torch.no_grad()
    def next_log_probs(
        self, token_ids: Tensor, state: list[CellState] | None = None
    ) -> tuple[Tensor, list[CellState]]:
        """Return the forward half's distribution of the token that follows ``token_ids``.

        Writing needs one order, and the backward half would need the text's end first.

        Args:
            token_ids: (B, T) int64, T >= 1: all tokens, or the new ones after ``state``.
            state: what the last call returned.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if there is no token.
        """
        return self.forward_half.next_log_probs(token_ids, state)


def _beside_targets(turned_values: Tensor, batch: Batch, turned: Batch) -> Tensor:
    """Put what the backward half says of a token beside the target that is that token.

    Turned back, column t speaks of input t, which is target t − 1. So all move one place to the
    left, and the first of a document, bos, takes the place that becomes free at its end.
    """
    assert batch.targets is not None
    is_padding = turned.is_padding
    if is_padding is None:
        is_padding = torch.zeros_like(batch.inputs, dtype=torch.bool)
    is_scored = batch.targets != IGNORE_INDEX
    columns = torch.arange(is_scored.shape[1], device=is_scored.device).expand(is_scored.shape)
    follows = torch.zeros_like(is_scored)  # whether the column belongs to what stands before it
    follows[:, 1:] = is_scored[:, 1:] & is_scored[:, :-1]
    if batch.document_ids is not None:
        follows[:, 1:] &= batch.document_ids[:, 1:] == batch.document_ids[:, :-1]
    first = torch.where(is_scored & ~follows, columns, 0).cummax(dim=1).values
    source = torch.where(follows.roll(-1, dims=1), columns + 1, first)
    source = torch.where(is_scored, source, columns)
    source = reversed_order(is_padding).gather(1, source)
    if turned_values.ndim == 3:
        source = source[..., None].expand_as(turned_values)
    return turned_values.gather(1, source)
