"""The language model that only counts: nothing is trained, and nothing is forgotten.

Dimension key: B sequences, T positions, V vocabulary, G different n-grams of one order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.batch import IGNORE_INDEX, Batch
from minillm.config import NgramConfig
from minillm.data import Progress, no_progress
from minillm.models.base import CountedModel
from minillm.models.ngram_counts import BackoffTable, count_ngrams, smooth_counts


class Ngram(CountedModel):
    """Predict a token from the n - 1 before it, by how often it followed them.

    The tables are buffers, so that they are stored, moved and loaded as weights are, and
    ``model.config`` says their sizes. Before ``fit`` every token is equally likely: the
    loss is ln V.

    Args:
        config: order, smoothing, vocabulary.

    Example:
        >>> model = Ngram(NgramConfig(vocab_size=3, order=2, smoothing="add-k", k=1.0))
        >>> model = model.fit(np.array([2, 0, 1, 0, 1, 2, 0]), bos_id=2)
        >>> log_probs, _ = model.next_log_probs(torch.tensor([[2, 0]]))
        >>> log_probs.exp()  # after 0 came 1, twice
        tensor([[0.2000, 0.6000, 0.2000]])
    """

    context_length: int | None = None

    def __init__(self, config: NgramConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.table_sizes or (0,) * (config.order - 1)
        self.tables = nn.ModuleList(
            _Table(size, vocab_size=config.vocab_size, is_highest=m == config.order)
            for m, size in enumerate((config.vocab_size, *sizes), start=1)
        )
        unigrams = self._levels[0]
        unigrams.keys.copy_(torch.arange(config.vocab_size))
        unigrams.log_probs.fill_(-np.log(config.vocab_size))

    def fit(self, token_ids: np.ndarray, *, bos_id: int, progress: Progress | None = None) -> Self:
        """Count a text; what was counted before is replaced.

        ``config`` then knows the sizes of the tables, so that the model can be built again.

        Args:
            token_ids: (N,) integers, documents ``bos … eos`` one after the other.
            bos_id: opens every document; no context reaches across it.
            progress: wraps the loop over the orders, such as ``tqdm``.

        Returns:
            The model itself.

        Raises:
            DataError: if the ids are no stream of documents over this vocabulary; the model is
                as it was.

        Example:
            ``model = Ngram(NgramConfig(vocab_size=V)).fit(data.train, bos_id=256)``
        """
        counts = count_ngrams(
            token_ids,
            vocab_size=self.config.vocab_size,
            order=self.config.order,
            bos_id=bos_id,
            progress=progress or no_progress,
        )
        tables = smooth_counts(counts, self.config)
        sizes = tuple(len(table.keys) for table in tables[1:])
        self.config = replace(self.config, table_sizes=sizes)
        for level, table in zip(self._levels, tables, strict=True):
            level.fill(table)
        return self

    def loss_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Return the summed loss of ``batch.targets``, in nats, under the name ``"tokens"``."""
        return {"tokens": -self.log_probs(batch).sum()}

    @torch.no_grad()
    def log_probs(self, batch: Batch) -> Tensor:
        """Return log p of each target given its context, (B, T) in nats; 0 where not scored.

        The longest context that was ever counted decides: if the target was seen after it, by
        the stored probability; if not, by that of the next shorter one, times what the longer one
        has left to it (Katz 1987; the tables of an ARPA file are read so).

        A context begins at the last bos, at the last change of ``document_ids``, after padding, or
        with the row: a row should begin with bos, else its first tokens are predicted as if
        what stands before them were unknown.

        Raises:
            ValueError: if ``targets`` are missing, or an id is not in the vocabulary.
        """
        if batch.targets is None:
            raise ValueError("a language model needs batch.targets, got None")
        is_scored = batch.targets != IGNORE_INDEX
        targets = batch.targets.where(is_scored, 0)
        self._check_ids(batch.inputs, "inputs")
        self._check_ids(targets, "targets")
        levels = self._levels
        log_probs = levels[0].log_probs[targets]
        for m, contexts in enumerate(
            self._contexts(batch.inputs, batch.is_padding, batch.document_ids), start=1
        ):
            backed_off = log_probs + levels[m - 1].backoff_of(contexts)
            found = levels[m].find(contexts, targets)
            log_probs = levels[m].prob_of(found, otherwise=backed_off)
        return log_probs.where(is_scored, 0.0)

    @torch.no_grad()
    def next_log_probs(
        self, token_ids: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the distribution of the token that follows ``token_ids``.

        Args:
            token_ids: (B, T) int64, T >= 1: all tokens, or the new ones after ``state``.
            state: what the last call returned: the last n - 1 tokens of each row, or fewer.

        Returns:
            (B, V) log probabilities in nats, float32, and the state for the next call.

        Raises:
            ValueError: if there is no token, or an id is not in the vocabulary.
        """
        if token_ids.ndim != 2 or token_ids.shape[1] == 0:
            raise ValueError(
                f"token_ids must be (B, T) with at least one token, got {tuple(token_ids.shape)}"
            )
        self._check_ids(token_ids, "token_ids")
        n_kept = self.config.order - 1
        known = token_ids if state is None else torch.cat([state, token_ids], dim=1)
        state = known[:, max(known.shape[1] - n_kept, 0) :]
        levels = self._levels
        log_probs = levels[0].log_probs.repeat(len(token_ids), 1)
        for m, contexts in enumerate(self._contexts(state), start=1):
            last = contexts[:, -1]
            log_probs += levels[m - 1].backoff_of(last)[:, None]
            levels[m].overwrite(log_probs, last)
        return log_probs, state

    def n_parameters(self) -> int:
        """Count the stored numbers: log-probabilities and back-off weights."""
        return sum(t.log_probs.numel() + t.log_backoffs.numel() for t in self._levels)

    @property
    def _levels(self) -> list[_Table]:
        return [cast(_Table, table) for table in self.tables]

    def _contexts(
        self,
        inputs: Tensor,
        is_padding: Tensor | None = None,
        document_ids: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Yield, for m = 1 … n - 1, the number of the m-gram that ends at each position, (B, T).

        It is -1 where that m-gram was never counted. bos is never predicted, so that none goes on
        across a bos: the documents of a row keep apart by themselves.
        """
        numbers, goes_on = inputs, torch.ones_like(inputs[:, 1:], dtype=torch.bool)
        if is_padding is not None:
            numbers, goes_on = inputs.where(~is_padding, -1), ~is_padding[:, 1:]
        if document_ids is not None:
            goes_on = goes_on & (document_ids[:, 1:] == document_ids[:, :-1])
        for m, table in enumerate(self._levels[:-1], start=1):
            if m > 1:
                before = numbers[:, :-1].where(goes_on, -1)
                numbers = F.pad(table.find(before, inputs[:, 1:]), (1, 0), value=-1)
            yield numbers

    def _check_ids(self, token_ids: Tensor, name: str) -> None:
        """Refuse ids outside the vocabulary: they would be read as another n-gram's key."""
        if not token_ids.numel():
            return
        low, high = int(token_ids.min()), int(token_ids.max())
        if low < 0 or high >= self.config.vocab_size:
            raise ValueError(
                f"{name} must be from 0 to {self.config.vocab_size - 1}, got {low} to {high}"
            )


class _Table(nn.Module):
    """The n-grams of one order: sorted keys, log-probabilities, back-off weights in nats."""

    keys: Tensor  # (G,) int64: number of the n-gram's beginning * V + its last token
    log_probs: Tensor  # (G,) float32
    log_backoffs: Tensor  # (G,) float32; (0,) in the highest order, which is no context

    def __init__(self, size: int, *, vocab_size: int, is_highest: bool) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.register_buffer("keys", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("log_probs", torch.zeros(size))
        self.register_buffer("log_backoffs", torch.zeros(0 if is_highest else size))

    def fill(self, table: BackoffTable) -> None:
        """Take the numbers of a counted table."""
        for name in ("keys", "log_probs", "log_backoffs"):
            old = getattr(self, name)
            setattr(self, name, torch.from_numpy(getattr(table, name)).to(old))

    def find(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Return the numbers of the n-grams (parent, token); -1 where there is none."""
        if not len(self.keys):
            return torch.full_like(tokens, -1)
        wanted = parents * self.vocab_size + tokens
        places = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return places.where((self.keys[places] == wanted) & (parents >= 0), -1)

    def prob_of(self, numbers: Tensor, otherwise: Tensor) -> Tensor:
        """Return the log-probabilities of n-grams, ``otherwise`` where the number is -1."""
        return _looked_up(self.log_probs, numbers, otherwise)

    def backoff_of(self, numbers: Tensor) -> Tensor:
        """Return what n-grams leave to shorter ones; all of it, log 1, where there is none."""
        return _looked_up(self.log_backoffs, numbers, self.log_backoffs.new_zeros(()))

    def overwrite(self, log_probs: Tensor, parents: Tensor) -> None:
        """Set, in (B, V), the tokens that were seen after each row's parent (B,)."""
        ends = torch.stack([parents, parents + 1], dim=1) * self.vocab_size
        spans = torch.searchsorted(self.keys, ends)  # the keys of one parent stand together
        for row, (start, end) in enumerate(spans.tolist()):
            if start < end:  # a parent of -1 has none: all keys are 0 or more
                tokens = self.keys[start:end] % self.vocab_size
                log_probs[row, tokens] = self.log_probs[start:end]


def _looked_up(values: Tensor, numbers: Tensor, otherwise: Tensor) -> Tensor:
    """Index ``values``; ``otherwise`` where the number is -1."""
    if not len(values):
        return otherwise.expand(numbers.shape)
    return values[numbers.clamp(min=0)].where(numbers >= 0, otherwise)
