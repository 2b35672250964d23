"""How well a model finds hidden words: the same words of the same texts for every model.

All hidden words are replaced by [MASK], whatever the training showed: of this task, and only of
this one, the best possible loss is known where the text's probabilities are.

Dimension key: B sequences, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch, row_padding, stack_rows
from minillm.errors import DataError, NumericalError
from minillm.evaluation.scores import Scores
from minillm.loss import token_log_probs
from minillm.models.base import evaluating
from minillm.models.encoder import Encoder
from minillm.objectives.masked import Masker
from minillm.runtime import derive_generator

Bar = Callable[[Sequence[Batch]], Iterable[Batch]]  # wraps batches, such as tqdm


@dataclass(frozen=True, kw_only=True, slots=True)
class HiddenWordScores(Scores):
    """One encoder on hidden words of whole documents."""

    loss: float  # nats per hidden token
    accuracy: float  # share of hidden tokens whose likeliest guess is right
    bits_per_hidden_word: float
    n_tokens: int  # hidden
    n_words: int  # hidden
    n_bytes: int  # of the documents' text

    def summary(self) -> str:
        """Say it in a line."""
        return (
            f"{self.loss:.3f} nats a hidden token, {self.bits_per_hidden_word:.3f} bits a hidden "
            f"word, {self.accuracy:.1%} guessed right"
        )


def choose_words(word_ids: Tensor, maskable: Tensor, *, rate: float, number: int) -> Tensor:
    """Choose which words of a document are hidden; the same ones whenever it is asked.

    Args:
        word_ids: (T,) int64: tokens of one word share a number.
        maskable: (T,) bool.
        rate: of the words; rounded, at least one.
        number: of the document: other documents, other draws.

    Returns:
        (T,) bool, True for every token of the chosen words.

    Example:
        >>> word_ids = torch.tensor([0, 1, 1, 2, 3])
        >>> chosen = choose_words(word_ids, word_ids > 0, rate=0.01, number=0)
        >>> len(set(word_ids[chosen].tolist()))
        1
    """
    words = torch.unique(word_ids[maskable])
    n_chosen = min(len(words), max(1, round(rate * len(words))))
    generator = derive_generator(0, "hidden words", number)
    drawn = words[torch.randperm(len(words), generator=generator)[:n_chosen]]
    return torch.isin(word_ids, drawn) & maskable


def evaluate_hidden_words(
    model: Encoder,
    documents: Sequence[np.ndarray],
    *,
    masker: Masker,
    n_bytes: int,
    batch_size: int = 32,
    progress: Bar | None = None,
) -> HiddenWordScores:
    """Hide a share of the words of each document and score the model's guesses.

    A document that is longer than the model's context is read in pieces.

    Args:
        model: put into evaluation mode, and back afterwards.
        documents: token ids, bos … eos.
        masker: of the documents' tokenizer; of its masking only the rate counts.
        n_bytes: of the documents' text.
        batch_size: pieces read at once.
        progress: wraps the list of batches.

    Raises:
        DataError: no document has a word to hide.
        NumericalError: the model predicts NaN.
    """
    pieces, n_words = [], 0
    for number, document in enumerate(documents):
        token_ids = torch.from_numpy(np.array(document, dtype=np.int64))
        word_ids = masker.words.ids(token_ids[None])[0]
        maskable = masker.maskable(token_ids)
        if not bool(maskable.any()):
            continue
        chosen = choose_words(word_ids, maskable, rate=masker.masking.rate, number=number)
        n_words += len(torch.unique(word_ids[chosen]))
        pieces += zip(
            token_ids.split(model.context_length), chosen.split(model.context_length), strict=True
        )
    if not pieces:
        raise DataError("there is nothing to hide: no document has a word")
    pieces.sort(key=lambda piece: len(piece[0]), reverse=True)
    batches = [
        _hidden_batch(pieces[start : start + batch_size], masker)
        for start in range(0, len(pieces), batch_size)
    ]
    loss_sum, n_right, n_tokens = score_hidden(model, batches, progress=progress)
    return HiddenWordScores(
        loss=loss_sum / n_tokens,
        accuracy=n_right / n_tokens,
        bits_per_hidden_word=loss_sum / math.log(2) / n_words,
        n_tokens=n_tokens,
        n_words=n_words,
        n_bytes=n_bytes,
    )


def score_hidden(
    model: Encoder, batches: Sequence[Batch], *, progress: Bar | None = None
) -> tuple[float, int, int]:
    """Return the summed nats, how many guesses are right, and how many tokens are hidden."""
    device = next(model.parameters()).device
    loss_sum, n_right, n_tokens = 0.0, 0, 0
    with evaluating(model):
        for batch in batches if progress is None else progress(batches):
            logits, truth = model.hidden_logits(batch.to(device))
            loss_sum -= token_log_probs(logits[None], truth[None]).double().sum().item()
            n_right += int((logits.argmax(dim=1) == truth).sum())
            n_tokens += len(truth)
    if math.isnan(loss_sum):
        raise NumericalError("the model predicts NaN for hidden words: it is damaged")
    return loss_sum, n_right, n_tokens


def _hidden_batch(pieces: Sequence[tuple[Tensor, Tensor]], masker: Masker) -> Batch:
    """Stack pieces, their chosen tokens all replaced by [MASK], padded on the right."""
    rows = [token_ids.masked_fill(chosen, masker.masking.mask_id) for token_ids, chosen in pieces]
    truths = [token_ids.masked_fill(~chosen, IGNORE_INDEX) for token_ids, chosen in pieces]
    return Batch(
        inputs=stack_rows(rows, fill=0),
        targets=stack_rows(truths, fill=IGNORE_INDEX),
        is_padding=row_padding(rows),
    )
