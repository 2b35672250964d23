"""The probability of adjacent sentences whose place in a document is not known.

Let v(q) be how often a document comes through state q of the script (its expected visits).
Sentences s1 … sk stand next to each other, on average,

    w(s1 … sk) = Σ over states q of v(q) · p(s1 … sk | q)

times in a document, and a window chosen uniformly among all windows of k sentences of a large
corpus is this one with probability w / N_k, where N_k is the mean number of such windows in a
document. Facts start from their prior, whatever was told before the window: the script does not
look at facts, so the place of a window says nothing about them. This makes the sum exact.

One tree holds the texts of all events; a hypothesis is what is believed about the facts, and its
weight is a vector over the states of the script, which every sentence moves by its event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minillm.errors import DataError
from minillm.text.world.beliefs import Domains
from minillm.text.world.forward import run, unspeakable
from minillm.text.world.grammar import END, END_WORD
from minillm.text.world.knowledge import Telling
from minillm.text.world.tries import Path, Tries, event_texts

Sentence = Sequence[str]
Weights = dict[Domains, np.ndarray]  # what is believed → weight of every state of the script


class _Moves(NamedTuple):
    """The arcs of one event: from states, to states, with their probabilities."""

    before: np.ndarray
    after: np.ndarray
    probability: np.ndarray


class Windows:
    """Weights of windows of sentences.

    Attributes:
        visits: expected visits of each state: where a window of unknown position may start.
        start: where a document starts.
    """

    def __init__(self, tries: Tries, telling: Telling) -> None:
        self.tries, self.telling = tries, telling
        self._n_states = len(telling.order) + 1  # the last one: after the end
        number = {state: place for place, state in enumerate(telling.order)}
        self.visits = np.array([*(telling.visits[state] for state in telling.order), 0.0])
        self.start = np.eye(self._n_states)[number[tries.story.start]]
        arcs: dict[str, list[tuple[int, int, float]]] = {}
        for state in telling.order:
            out = tries.story.script[state]
            total = sum(arc.weight for arc in out)
            for arc in out:
                after = self._n_states - 1 if arc.event == END else number[arc.state]
                arcs.setdefault(arc.event, []).append((number[state], after, arc.weight / total))
        self._moves = {
            event: _Moves(*(np.array(column) for column in zip(*rows, strict=True)))
            for event, rows in arcs.items()
        }
        # after 0, 1, … sentences: the states, and how many windows that is
        self._after, self._n_windows = [self.visits], [float(self.visits.sum())]
        leaves = {event: tries.leaf() for event in arcs}
        self._event = {leaf: event for event, leaf in leaves.items()}
        self._root = tries.plant(
            [
                Path(share, elements, leaf)
                for event, leaf in leaves.items()
                for share, elements in event_texts(tries.story, tries.texts, event)
            ]
        )

    def begin(self, states: np.ndarray) -> Weights:
        """Return the weights before the first sentence of a window that starts in ``states``."""
        return {self.tries.beliefs.full: states}

    def advance(self, weights: Weights, sentence: Sentence) -> Weights:
        """Read one more sentence, or ``[END_WORD]``.

        Raises:
            DataError: no event is told so, whatever came before; or not after these sentences.
        """
        moved: Weights = {}
        for domains, states in weights.items():
            root = {(self._root, domains): 1.0}
            hypotheses, probabilities = run(self.tries, root, sentence)
            if len(probabilities) < len(sentence):
                continue
            # the tree shares its mass equally between the events
            likelihood = math.prod(probabilities) * len(self._moves)
            for (node, after), weight in hypotheses.items():
                event = self._event.get(node)
                if event is None:  # the sentence is only the beginning of one
                    continue
                there = self._move(states, event) * (likelihood * weight)
                if there.any():
                    moved[after] = moved[after] + there if after in moved else there
        if not moved:
            root = {(self._root, self.tries.beliefs.full): 1.0}
            hypotheses, probabilities = run(self.tries, root, sentence)
            if len(probabilities) < len(sentence):
                raise unspeakable(self.tries, sentence, len(probabilities), hypotheses)
        return moved

    def weight(self, sentences: Sequence[Sentence], *, states: np.ndarray | None = None) -> float:
        """Return how often the sentences stand next to each other in a document, on average.

        Args:
            sentences: adjacent sentences, in order; ``[END_WORD]`` may be the last.
            states: weights of the states before the first; by default their expected visits, so
                that the window may be anywhere. With `start`: p(the document begins so).

        Returns:
            Zero where each sentence can be said but not all of them in this order.
        """
        weights = self.begin(self.visits if states is None else states)
        for sentence in sentences:
            weights = self.advance(weights, sentence)
        return total(weights)

    def weight_before_another(self, sentences: Sequence[Sentence]) -> float:
        """Return how often the sentences stand in a document with another sentence after them."""
        weights = self.begin(self.visits)
        for sentence in sentences:
            weights = self.advance(weights, sentence)
        return total(weights) - total(self.advance(weights, [END_WORD])) if weights else 0.0

    def n_windows(self, n_sentences: int) -> float:
        """Return the mean number of windows of so many adjacent sentences in a document."""
        while len(self._n_windows) <= n_sentences:
            told = [self._move(self._after[-1], event) for event in self._moves if event != END]
            self._after.append(np.sum(told, axis=0))
            self._n_windows.append(float(self._after[-1].sum()))
        return self._n_windows[n_sentences]

    def bits(self, sentences: Sequence[Sentence]) -> float:
        """Return −log2 p of a window chosen uniformly among those of as many sentences.

        Raises:
            DataError: the language cannot say a sentence, or not these in this order.
        """
        weight = self.weight(sentences)
        if not weight:
            raise DataError(
                f"no document holds these {len(sentences)} sentences next to each other, in this "
                f"order: {' / '.join(' '.join(sentence) for sentence in sentences)}"
            )
        return math.log2(self.n_windows(len(sentences))) - math.log2(weight)

    def _move(self, states: np.ndarray, event: str) -> np.ndarray:
        before, after, probability = self._moves[event]
        return np.bincount(after, states[before] * probability, minlength=self._n_states)


def total(weights: Weights) -> float:
    """Return the sum of all weights."""
    return math.fsum(float(states.sum()) for states in weights.values())
