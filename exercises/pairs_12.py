"""What notebook 12 reads: sentences of two texts as word ids, pairs drawn from them, exact answers.

Dimension key: B pairs, T positions.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from minillm.batch import Batch
from minillm.data import ShuffledDocuments
from minillm.objectives.sentence_pairs import (
    IS_RANDOM,
    PairFrame,
    Sentence,
    frame_pairs,
    next_sentence_batch,
    sentence_order_batch,
)
from minillm.runtime import derive_generator
from minillm.text.corpora import load_corpus
from minillm.text.documents import corpus_sha256, split_documents
from minillm.text.sentences import split_sentences
from minillm.text.world import END_WORD, TinyWorld
from minillm.text.world.floors import (
    Estimate,
    mean,
    next_sentence_probability,
    sentence_order_probability,
)

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")  # ids 0, 1, 2, 3
_WORD = re.compile(r"\w+|[^\w\s]")
_MIN_COUNT = 3  # a word that was seen less often is [UNK]
_PAIRS_A_TURN = 8  # of a document, for which it comes once an epoch
_HELD_FRACTION = 0.2  # of the manuals: a tenth gives too few pairs to tell 0.60 from 0.63

Document = Sequence[Sentence]
MakeBatch = Callable[..., Batch]  # (documents, generator, *, frame)


class Corpus(NamedTuple):
    """Documents of at least two sentences, each a list of word ids without special ones."""

    vocabulary: list[str]  # id → word
    train: list[list[list[int]]]
    held: list[list[list[int]]]
    frame: PairFrame
    manifest: dict[str, str]  # which text it was made of

    def words(self, sentence: Iterable[int]) -> list[str]:
        """Return the words of ids."""
        return [self.vocabulary[token] for token in sentence]

    def describe(self, name: str) -> str:
        """Say how large the corpus is, and how its second held-out document begins."""
        n_pairs = [sum(len(d) - 1 for d in side) for side in (self.train, self.held)]
        sizes = "{:,} pairs of neighbors to learn from, {:,} held out".format(*n_pairs)
        lines = [f"    {self.show(sentence)[:90]}" for sentence in self.held[1][:3]]
        return "\n".join([f"{name}: {len(self.vocabulary):,} words, {sizes}", *lines])

    def show(self, sentence: Iterable[int]) -> str:
        """Return ids as text, words joined by spaces."""
        return " ".join(self.words(sentence))


def tell_world(n_train: int, n_held: int) -> Corpus:
    """Make documents of TinyWorld, its words as they are; held ones from the validation split.

    Example:
        >>> world = tell_world(50, 3)
        >>> world.show(world.held[1][0])
        'it was a sunny afternoon , and Sarah was in the forest .'
    """
    world = TinyWorld(seed=0)
    sides = [world.documents(n_train, split="train"), world.documents(n_held, split="validation")]
    told = [
        [[s for s in d.sentences_of_words if s != [END_WORD]] for d in documents]
        for documents in sides
    ]
    return _corpus(told[0], told[1], max_tokens=40, min_count=1, sha256="")


def read_manuals() -> Corpus:
    """Read the documentation of this Python, cut by sentencex; words in lower case.

    Example:
        ``read_manuals().show(…)``
    """
    documents = list(load_corpus(["stdlib"]))
    split = split_documents(documents, validation_fraction=_HELD_FRACTION)
    told = [
        [[_WORD.findall(s.lower()) for s in split_sentences(d.text)] for d in side]
        for side in (split.train, split.validation)
    ]
    digest = corpus_sha256(documents)
    return _corpus(told[0], told[1], max_tokens=64, min_count=_MIN_COUNT, sha256=digest)


def _corpus(
    train: list[list[list[str]]],
    held: list[list[list[str]]],
    *,
    max_tokens: int,
    min_count: int,
    sha256: str,
) -> Corpus:
    # TinyWorld's words are all known beforehand: its exact answers ask for them
    counted = [*train, *held] if min_count == 1 else train
    counts = Counter(word for document in counted for sentence in document for word in sentence)
    vocabulary = [*SPECIAL, *sorted(word for word, n in counts.items() if n >= min_count)]
    ids = {word: number for number, word in enumerate(vocabulary)}
    unknown = ids["[UNK]"]
    sides = [
        [[[ids.get(w, unknown) for w in s] for s in document if s] for document in side]
        for side in (train, held)
    ]
    kept = [[document for document in side if len(document) >= 2] for side in sides]
    frame = PairFrame(cls_id=1, sep_id=2, pad_id=0, max_tokens=max_tokens)
    return Corpus(vocabulary, kept[0], kept[1], frame, {"corpus_sha256": sha256})


def same_document_batch(
    documents: Sequence[Document], generator: torch.Generator, *, frame: PairFrame
) -> Batch:
    """Pair a sentence with the next one or with another one of its own document, half and half.

    The negative is neither the first sentence itself nor the true next one, nor equal to it. A
    document that has no such sentence gives no pair.
    """
    pairs, labels = [], []
    for document in documents:
        place = int(torch.randint(len(document) - 1, (), generator=generator))
        first, second = document[place], document[place + 1]
        label = int(torch.randint(2, (), generator=generator))
        others = _others(document, place)
        if not others:
            continue
        if label == IS_RANDOM:
            second = others[int(torch.randint(len(others), (), generator=generator))]
        pairs.append((first, second))
        labels.append(label)
    return frame_pairs(pairs, labels, frame=frame)


def _others(document: Document, place: int) -> list[Sentence]:
    """Return the sentences that are neither the one at ``place`` nor what follows it."""
    return [
        sentence
        for number, sentence in enumerate(document)
        if number not in (place, place + 1) and sentence != document[place + 1]
    ]


TASKS: dict[str, MakeBatch] = {
    "next": next_sentence_batch,
    "next, same document": same_document_batch,
    "order": sentence_order_batch,
}


def training_batches(
    corpus: Corpus, make_batch: MakeBatch, *, n_steps: int, batch_size: int, seed: int
) -> Iterator[Batch]:
    """Yield batches of pairs, in a new order and with new draws every epoch.

    An objective draws one pair of each document that it is given. So a long one comes more often,
    once for every eight of its pairs.
    """
    often = [d for d in corpus.train for _ in range(-(-(len(d) - 1) // _PAIRS_A_TURN))]
    batches = ShuffledDocuments(often, batch_size=batch_size, seed=seed)
    for step in range(n_steps):
        generator = derive_generator(seed, "pairs", step)
        yield make_batch(batches.batch_at(step), generator, frame=corpus.frame)


class Pairs(NamedTuple):
    """Pairs to be judged on, and what they are."""

    firsts: list[Sentence]
    seconds: list[Sentence]
    labels: list[int]

    def batch(self, frame: PairFrame) -> Batch:
        """Return them as one batch."""
        return frame_pairs(
            list(zip(self.firsts, self.seconds, strict=True)), self.labels, frame=frame
        )


def draw_pairs(documents: Sequence[Document], task: str, *, n_pairs: int, seed: int = 0) -> Pairs:
    """Draw pairs to be judged on, each adjacent pair of the documents equally likely.

    This is the draw whose best accuracy TinyWorld knows (``minillm.text.world.floors``): the
    negative of ``"next"`` is any sentence of another document, each equally likely, and may
    happen to read like the true next one.

    Args:
        documents: held-out ones.
        task: a name of ``TASKS``.
        n_pairs: how many; every second one is a negative.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    places = [(d, s) for d, document in enumerate(documents) for s in range(len(document) - 1)]
    everything = [(d, sentence) for d, document in enumerate(documents) for sentence in document]
    drawn = Pairs([], [], [])
    while len(drawn.labels) < n_pairs:
        home, place = places[_below(len(places), generator)]
        first, second = documents[home][place : place + 2]
        others = _others(documents[home], place)
        label = len(drawn.labels) % 2
        if task == "next, same document" and not others:
            continue
        if label and task == "order":
            first, second = second, first
        elif label and task == "next":
            second = _elsewhere(everything, home, generator)
        elif label:
            second = others[_below(len(others), generator)]
        drawn.firsts.append(first)
        drawn.seconds.append(second)
        drawn.labels.append(label)
    return drawn


def _elsewhere(
    everything: Sequence[tuple[int, Sentence]], home: int, generator: torch.Generator
) -> Sentence:
    """Draw a sentence of another document, each equally likely."""
    while True:
        other, sentence = everything[_below(len(everything), generator)]
        if other != home:
            return sentence


def _below(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (), generator=generator))


def repeated_share(documents: Sequence[Document]) -> float:
    """Return how likely a sentence drawn anywhere reads like a given true next one.

    Example:
        >>> repeated_share([[[5], [6]], [[7], [6]]])  # of four sentences, one other is [6]
        0.25
    """
    nexts = [tuple(sentence) for document in documents for sentence in document[1:]]
    counts = Counter(tuple(sentence) for document in documents for sentence in document)
    return sum(counts[sentence] - 1 for sentence in nexts) / len(nexts) / counts.total()


def exact_probabilities(corpus: Corpus, pairs: Pairs, task: str) -> list[float]:
    """Return p(label 0 | the pair) of pairs of TinyWorld, for ``"next"`` or ``"order"``."""
    exact = TinyWorld(seed=0).exact
    probability = {"next": next_sentence_probability, "order": sentence_order_probability}[task]
    return [
        probability(exact, corpus.words(first), corpus.words(second))
        for first, second in zip(pairs.firsts, pairs.seconds, strict=True)
    ]


def best_accuracy(corpus: Corpus, pairs: Pairs, task: str) -> Estimate:
    """Return the best possible accuracy on pairs of TinyWorld: the mean of max(p, 1 − p)."""
    return mean([max(p, 1 - p) for p in exact_probabilities(corpus, pairs, task)])


class Calibration(NamedTuple):
    """Of the pairs of which something between two values was said, what came."""

    low: float
    high: float
    n: int
    said: float  # the mean p of label 0
    came: float  # the share of label 0
    allowed: float  # distance: four standard errors, and a little where p is 0 or 1


def calibration(
    probabilities: Sequence[float], labels: Sequence[int], edges: Sequence[float]
) -> list[Calibration]:
    """Compare p(label 0) with what came, between every two edges; empty parts are left out.

    Example:
        >>> calibration([0.25, 0.25, 0.75], [1, 0, 0], (0, 0.5, 1))[0][:5]
        (0, 0.5, 2, 0.25, 0.5)
    """
    rows = []
    for low, high in itertools.pairwise(edges):
        is_last = high == edges[-1]
        some = [
            (p, label == 0)
            for p, label in zip(probabilities, labels, strict=True)
            if low <= p < high or (is_last and p == high)
        ]
        if some:
            said, came = (sum(column) / len(some) for column in zip(*some, strict=True))
            allowed = 4 * math.sqrt(max(said * (1 - said), 0.01) / len(some)) + 0.01
            rows.append(Calibration(low, high, len(some), said, came, allowed))
    return rows


def betraying_pairs(documents: Sequence[Document], way: str, *, frame: PairFrame) -> Batch:
    """Make a batch of "next" pairs whose negatives may betray themselves.

    Args:
        documents: at least two; four pairs are drawn for each.
        way: ``"first"``: negatives open another document; ``"cut"``: they lose all but eight
            words; ``""``: neither.
        frame: special tokens and length.
    """
    drawn = draw_pairs(documents, "next", n_pairs=4 * len(documents))
    generator = torch.Generator().manual_seed(1)
    for number, label in enumerate(drawn.labels):
        if label and way == "first":
            drawn.seconds[number] = documents[_below(len(documents), generator)][0]
        elif label and way == "cut":
            drawn.seconds[number] = drawn.seconds[number][:8]
    return drawn.batch(frame)
