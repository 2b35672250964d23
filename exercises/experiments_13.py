"""What notebook 13 runs several times: training, rivals of a translator, baselines of a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.batch import Batch
from minillm.models.base import Model
from minillm.optim import make_optimizer, warmup_cosine
from minillm.training import train

Pairs = Sequence[tuple[str, str]]


def fit(
    model: Model, batch_at: Callable[[int], Batch], *, n_steps: int, peak: float
) -> list[float]:
    """Train with AdamW along a cosine; return the loss of each step in nats a token."""
    optimizer = make_optimizer(model, name="adamw", learning_rate=peak)
    steps = ([batch_at(index)] for index in range(n_steps))

    def rate(step: int) -> float:
        return peak * warmup_cosine(step, n_steps=n_steps, n_warmup=n_steps // 10)

    return [result.loss for result in train(model, optimizer, steps, learning_rate=rate)]


@torch.no_grad()
def mean_loss(model: Model, batch: Batch) -> float:
    """Return the loss of a batch in nats a token."""
    return model.loss_sums(batch)["tokens"].item() / batch.n_scored()["tokens"]


def span_lengths(masks: Tensor) -> Tensor:
    """Return the lengths of the runs of True in the rows of (B, N) masks, from left to right.

    Example:
        >>> span_lengths(torch.tensor([[False, True, True, False, True]])).tolist()
        [2, 1]
    """
    edges = torch.nn.functional.pad(masks.int(), (1, 1)).diff(dim=1)
    return (edges == -1).nonzero()[:, 1] - (edges == 1).nonzero()[:, 1]


def translation_memory(sources: Sequence[str], pairs: Pairs) -> list[str]:
    """Return for each source the translation of the known one that shares most words with it.

    Shared words are counted by Jaccard: those of both, divided by those of either.

    Example:
        >>> translation_memory(["a red cat"], [("a red dog", "x"), ("the sea", "y")])
        ['x']
    """
    memory = [(_words(source), target) for source, target in pairs]
    found = []
    for source in sources:
        new = _words(source)
        _, target = max(memory, key=lambda old: len(new & old[0]) / len(new | old[0]))
        found.append(target)
    return found


def character_f1(guesses: Sequence[str], truths: Sequence[str]) -> float:
    """Return the mean F1 of the characters: 2 · shared / (both lengths), repeats counted.

    Example:
        >>> character_f1(["abb", "x"], ["bba", "y"])
        0.5
    """
    scores = [
        2 * (Counter(guess) & Counter(truth)).total() / (len(guess) + len(truth))
        for guess, truth in zip(guesses, truths, strict=True)
    ]
    return sum(scores) / len(scores)


def token_log_frequencies(targets: Sequence[Tensor], n_ids: int) -> Tensor:
    """Return log p of each of ``n_ids`` tokens by counting targets, plus one each; −100 is none."""
    counts = torch.ones(n_ids, dtype=torch.float64)
    for row in targets:
        counts += torch.bincount(row[row >= 0], minlength=n_ids)
    return (counts / counts.sum()).log()


def _words(sentence: str) -> frozenset[str]:
    return frozenset(sentence.lower().replace(".", " ").replace(",", " ").split())
