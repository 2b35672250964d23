"""What notebook 12 does with shuffled sentences: windows of k, the best order, who finds it.

Dimension key: B texts, K sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from exercises.pairs_12 import Corpus, Document
from minillm.batch import IGNORE_INDEX, Batch
from minillm.data import ShuffledDocuments
from minillm.models.encoder import Encoder
from minillm.objectives.sentence_pairs import PairFrame
from minillm.objectives.sentence_reconstruction import (
    best_order,
    exact_match,
    kendall_tau,
    sentence_reconstruction_batch,
)
from minillm.runtime import derive_generator
from minillm.text.world.windows import Weights, Windows, total

MAX_SENTENCES = 5
TOKENS = 96  # five sentences of TinyWorld, the longest of which has 18 words


def draw_windows(
    documents: Sequence[Document], generator: torch.Generator, *, k: int
) -> list[Document]:
    """Cut k adjacent sentences out of each document that has as many."""
    found = []
    for document in documents:
        if len(document) >= k:
            start = int(torch.randint(len(document) - k + 1, (), generator=generator))
            found.append(document[start : start + k])
    return found


def shuffled_batch(
    documents: Sequence[Document], generator: torch.Generator, *, frame: PairFrame
) -> Batch:
    """Shuffle each document's sentences; labels are (B, MAX_SENTENCES)."""
    wide = replace(frame, max_tokens=TOKENS)
    return sentence_reconstruction_batch(
        documents, generator, frame=wide, n_sentences=MAX_SENTENCES
    )


def shuffled_batches(
    corpus: Corpus, *, n_steps: int, batch_size: int, seed: int
) -> Iterator[Batch]:
    """Yield batches of k shuffled sentences, k drawn anew for each batch from 2 to 5."""
    batches = ShuffledDocuments(corpus.train, batch_size=batch_size, seed=seed)
    for step in range(n_steps):
        generator = derive_generator(seed, "orders", step)
        k = int(torch.randint(2, MAX_SENTENCES + 1, (), generator=generator))
        windows = draw_windows(batches.batch_at(step), generator, k=k)
        yield shuffled_batch(windows, generator, frame=corpus.frame)


@torch.no_grad()
def found_order(encoder: Encoder, batch: Batch) -> tuple[float, float]:
    """Return the exact match and Kendall's τ of an encoder with a pointer head."""
    assert batch.labels is not None
    encoder.eval()
    guesses = best_order(encoder.label_logits(batch), batch.labels)
    return exact_match(guesses, batch.labels), kendall_tau(guesses, batch.labels)


def order_probabilities(
    windows: Windows, shown: Sequence[Sequence[str]]
) -> dict[tuple[int, ...], float]:
    """Return p(order | the sentences as shown) of all orders that TinyWorld can tell.

    An order is a tuple: the number of the shown sentence that stood at place 0, 1, …. Every
    permutation was equally likely to be drawn, so p(order | shown) is proportional to how often
    the sentences stand in this order in documents.

    Example:
        >>> from minillm.text.world import TinyWorld
        >>> world = TinyWorld(seed=0)
        >>> first, second, third = world.document(0).sentences_of_words[:3]
        >>> found = order_probabilities(world.exact.windows, [second, first])
        >>> max(found, key=found.__getitem__)
        (1, 0)
    """
    found: dict[tuple[int, ...], float] = {}

    def walk(order: tuple[int, ...], weights: Weights) -> None:
        if len(order) == len(shown):
            found[order] = total(weights)
        for number in set(range(len(shown))) - set(order):
            if after := windows.advance(weights, shown[number]):
                walk((*order, number), after)

    walk((), windows.begin(windows.visits))
    together = sum(found.values())
    return {order: weight / together for order, weight in found.items()}


def best_possible_order(
    windows: Windows, corpus: Corpus, batch: Batch
) -> tuple[list[float], Tensor]:
    """Find the likeliest order of each row of a batch, and how likely it is.

    Returns:
        p of the likeliest order of each row, and the orders, (B, K).
    """
    assert batch.labels is not None
    assert batch.segment_ids is not None
    sure, guesses = [], torch.full_like(batch.labels, IGNORE_INDEX)
    for row, (ids, segments) in enumerate(zip(batch.inputs, batch.segment_ids, strict=True)):
        n_own = int((batch.labels[row] != IGNORE_INDEX).sum())
        shown = [corpus.words(ids[(segments == s) & (ids > 2)].tolist()) for s in range(n_own)]
        found = order_probabilities(windows, shown)
        likeliest = max(found, key=found.__getitem__)
        sure.append(found[likeliest])
        guesses[row, :n_own] = torch.tensor(likeliest)
    return sure, guesses
