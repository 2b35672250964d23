"""How well a model judges pairs of sentences and puts shuffled ones in order.

Pairs are drawn as for the best possible accuracy on TinyWorld: uniformly from all neighboring
sentences, a foreign one uniformly from all sentences of other documents; always the same ones.

Dimension key: B pairs, T positions, K sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from minillm.batch import Batch
from minillm.errors import DataError
from minillm.evaluation.hidden_words import Bar, score_hidden
from minillm.evaluation.scores import Scores
from minillm.loss import token_loss_sum
from minillm.models.base import evaluating
from minillm.models.encoder import Encoder
from minillm.objectives.masked import Masker
from minillm.objectives.sentence_pairs import (
    IS_RANDOM,
    SWAPPED,
    PairFrame,
    frame_pairs,
    same_sentences,
)
from minillm.objectives.sentence_reconstruction import (
    best_order,
    exact_match,
    kendall_tau,
    sentence_reconstruction_batch,
)
from minillm.runtime import derive_generator

Documents = Sequence[Sequence[np.ndarray]]  # as lists of sentences of token ids
PairTask = Literal["next-sentence", "sentence-order"]
BATCH_SIZE = 64  # pairs or texts read at once
MAX_PAIRS = 2000  # then the standard error of an accuracy is about one percent


class SentencePair(NamedTuple):
    """Two sentences by their places, and what is true of them."""

    first: tuple[int, int]  # document, sentence
    second: tuple[int, int]
    label: int  # IS_NEXT or IS_RANDOM; IN_ORDER or SWAPPED


def draw_pairs(
    documents: Documents,
    task: PairTask,
    *,
    n_judged: int | None = None,
    n_pairs: int = MAX_PAIRS,
) -> list[SentencePair]:
    """Draw the pairs that every model is judged by.

    Args:
        documents: as lists of sentences.
        task: whether the second sentence is the next one, or whether both are in their order.
        n_judged: of the documents, the first ones: neighbors are taken from these only, and foreign
            sentences from all; ``None`` means all.
        n_pairs: at most; never more than there are neighboring sentences.

    Raises:
        DataError: there are no neighbors, or no other document to take a sentence from.
    """
    counts = [len(document) for document in documents[:n_judged]]
    neighbors = [(d, s) for d, count in enumerate(counts) for s in range(count - 1)]
    if not neighbors:
        raise DataError("there is no pair to judge: no document has two sentences")
    generator = derive_generator(0, "pairs", task)

    def below(n: int) -> int:
        return int(torch.randint(n, (), generator=generator))

    pairs = []
    for _ in range(min(n_pairs, len(neighbors))):
        first = neighbors[below(len(neighbors))]
        second, label = (first[0], first[1] + 1), below(2)
        if task == "sentence-order" and label == SWAPPED:
            first, second = second, first
        elif task == "next-sentence" and label == IS_RANDOM:
            second = _foreign(documents, first[0], below)
        pairs.append(SentencePair(first, second, label))
    return pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScores(Scores):
    """One encoder on pairs of sentences, whole for the pair, with hidden words for the rest."""

    loss: float  # nats: the sum of both losses
    masked_loss: float  # nats per hidden token
    masked_accuracy: float
    sentence_loss: float  # nats per pair
    sentence_accuracy: float
    n_pairs: int
    n_tokens: int  # hidden
    n_bytes: int  # of the documents' text

    def summary(self) -> str:
        """Say it in a line."""
        return (
            f"{self.sentence_accuracy:.1%} of {self.n_pairs:,} pairs judged right, "
            f"{self.masked_loss:.3f} nats a hidden token, {self.masked_accuracy:.1%} guessed right"
        )


def evaluate_pairs(
    model: Encoder,
    documents: Documents,
    task: PairTask,
    *,
    frame: PairFrame,
    masker: Masker,
    n_bytes: int,
    n_judged: int | None = None,
    progress: Bar | None = None,
) -> PairScores:
    """Judge pairs that are shown whole, then guess hidden tokens in the same pairs.

    Args:
        model: put into evaluation mode, and back afterwards.
        documents: as lists of sentences.
        task: what is asked of a pair.
        frame: how two sentences become a sequence.
        masker: hides tokens; all of them become [MASK] if its masking says so.
        n_bytes: of the documents' text.
        n_judged: as ``draw_pairs``.
        progress: wraps the list of batches.

    Raises:
        DataError: as ``draw_pairs``.
        NumericalError: the model predicts NaN.
    """
    pairs = draw_pairs(documents, task, n_judged=n_judged)
    texts = [(documents[a][i], documents[b][j]) for (a, i), (b, j), _ in pairs]
    batches = [
        frame_pairs(
            texts[i : i + BATCH_SIZE],
            [pair.label for pair in pairs[i : i + BATCH_SIZE]],
            frame=frame,
        )
        for i in range(0, len(pairs), BATCH_SIZE)
    ]
    loss_sum, n_right = _judge(model, batches, progress)
    generator = derive_generator(0, "hidden in pairs")
    masked_sum, n_guessed, n_tokens = score_hidden(
        model, [masker.also(batch, generator) for batch in batches]
    )
    masked_loss = masked_sum / max(n_tokens, 1)
    return PairScores(
        loss=masked_loss + loss_sum / len(pairs),
        masked_loss=masked_loss,
        masked_accuracy=n_guessed / max(n_tokens, 1),
        sentence_loss=loss_sum / len(pairs),
        sentence_accuracy=n_right / len(pairs),
        n_pairs=len(pairs),
        n_tokens=n_tokens,
        n_bytes=n_bytes,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderScores(Scores):
    """One encoder on shuffled sentences."""

    loss: float  # nats per place
    exact_match: float  # share of texts whose whole order is right
    kendall_tau: float  # from -1, reversed, to 1, right
    n_texts: int
    n_tokens: int  # places scored: what ``loss`` is a mean over
    n_bytes: int  # of the documents' text

    def summary(self) -> str:
        """Say it in a line."""
        return (
            f"{self.exact_match:.1%} of {self.n_texts:,} texts put in order, "
            f"Kendall's tau {self.kendall_tau:.3f}, {self.loss:.3f} nats a place"
        )


def evaluate_orders(
    model: Encoder,
    documents: Documents,
    *,
    frame: PairFrame,
    n_sentences: int,
    n_bytes: int,
    progress: Bar | None = None,
) -> OrderScores:
    """Shuffle some sentences of each document once, and let the model put them in order.

    Args:
        model: put into evaluation mode, and back afterwards.
        documents: as lists of sentences.
        frame: how sentences become a sequence.
        n_sentences: K, at most.
        n_bytes: of the documents' text.
        progress: wraps the list of batches.

    Raises:
        DataError: no document has two sentences.
    """
    if not len(documents):
        raise DataError("there is nothing to put in order: no document has two sentences")
    generator = derive_generator(0, "shuffled sentences")
    batches = [
        sentence_reconstruction_batch(
            documents[i : i + BATCH_SIZE],
            generator,
            frame=frame,
            n_sentences=n_sentences,
        )
        for i in range(0, len(documents), BATCH_SIZE)
    ]
    loss_sum, orders = 0.0, []
    for scores, labels in _label_logits(model, batches, progress):
        loss_sum += token_loss_sum(scores, labels).item()
        orders.append(best_order(scores, labels))
    labels = torch.cat([batch.labels for batch in batches if batch.labels is not None])
    predicted, n_places = torch.cat(orders), sum(batch.n_scored()["labels"] for batch in batches)
    return OrderScores(
        loss=loss_sum / n_places,
        exact_match=exact_match(predicted, labels),
        kendall_tau=kendall_tau(predicted, labels),
        n_texts=len(labels),
        n_tokens=n_places,
        n_bytes=n_bytes,
    )


def _judge(model: Encoder, batches: Sequence[Batch], progress: Bar | None) -> tuple[float, int]:
    """Return the summed nats of the labels and how many are guessed right."""
    loss_sum, n_right = 0.0, 0
    for logits, labels in _label_logits(model, batches, progress):
        loss_sum += token_loss_sum(logits, labels).item()
        n_right += int((logits.argmax(dim=1) == labels).sum())
    return loss_sum, n_right


def _label_logits(
    model: Encoder, batches: Sequence[Batch], progress: Bar | None
) -> list[tuple[Tensor, Tensor]]:
    """Return the scores and the labels of each batch, on the CPU."""
    device, found = next(model.parameters()).device, []
    with evaluating(model):
        for batch in batches if progress is None else progress(batches):
            assert batch.labels is not None
            found.append((model.label_logits(batch.to(device)).cpu(), batch.labels))
    return found


def _foreign(documents: Documents, home: int, below: Callable[[int], int]) -> tuple[int, int]:
    """Draw a sentence uniformly from all sentences of documents that say something else."""
    longest = max(len(document) for document in documents)
    for _ in range(100 * len(documents) * longest):  # by rejection, so that each counts alike
        other, place = below(len(documents)), below(longest)
        if place < len(documents[other]) and not same_sentences(documents[other], documents[home]):
            return other, place
    raise DataError(
        "next-sentence prediction needs a sentence of another document, and there is none: give "
        "more documents, or use --objective masked+sentence-order"
    )
