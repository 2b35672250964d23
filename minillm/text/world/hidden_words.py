"""What stood at hidden places of a document, given everything else: forward and backward.

A hidden word moves along every arc. If the arc is a slot, the domains stay *as they are*: some word
of the slot fits every scene, so hiding it says nothing (summing over its words gives 1). Hypotheses
therefore never multiply by the vocabulary. What the hidden word was is asked at the end: with f the
domains after the whole document on some path through the slot,

    p(word | rest) = Σ over arcs a, ends f of  α(a) · β_f(a) · W(D_f ∩ word) / W(D_f),

where α is the weight before the arc, β_f the weight of the way from behind it to the end f. The
backward pass carries one number for each end instead of one number; there are few ends.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from minillm.errors import DataError
from minillm.text.world.beliefs import Domains
from minillm.text.world.forward import advance, start, unspeakable
from minillm.text.world.grammar import END_WORD
from minillm.text.world.next_word import slot_words
from minillm.text.world.tries import FINISHED, Hypotheses, Tries

Key = tuple[int, Domains]
Ends = dict[Domains, float]  # final domains → weight of the way there


class Reading(NamedTuple):
    """The forward pass: hypotheses before each word and at the end, and each word's factor."""

    layers: list[Hypotheses]
    factors: list[float]  # p(word | before); 1 where the word is hidden
    ended: float  # weight of the hypotheses that ended with the last word: 1 unless it is hidden

    @property
    def bits(self) -> float:
        """Return −log2 p(visible words, and the document has as many words as this one)."""
        return -math.fsum(math.log2(factor) for factor in (*self.factors, self.ended))


def read(tries: Tries, words: Sequence[str], hidden: Collection[int]) -> Reading:
    """Read a whole document of which some words are hidden.

    Raises:
        DataError: a place outside the document, or words that the language cannot say.
    """
    outside = [position for position in hidden if not 0 <= position < len(words)]
    if outside:
        raise DataError(f"hidden position {outside[0]}: the document has {len(words)} words")
    layers, factors = [start(tries)], []
    for position, word in enumerate(words):
        if position in hidden:
            moved, factor = _advance_blindly(tries, layers[-1]), 1.0
        else:
            moved, factor = advance(tries, layers[-1], word)
        if not moved:
            raise unspeakable(tries, words, position, layers[-1])
        layers.append(moved)
        factors.append(factor)
    ended = math.fsum(w for (node, _), w in layers[-1].items() if node == FINISHED)
    if not ended:
        raise DataError(f"the document of {len(words)} words does not end with {END_WORD!r}")
    return Reading(layers, factors, ended)


def hidden_words(
    tries: Tries, words: Sequence[str], hidden: Collection[int]
) -> dict[int, dict[str, float]]:
    """Return p(word at a place | all words that are not hidden) for each hidden place."""
    reading = read(tries, words, hidden)
    behind: dict[Key, Ends] = {
        (node, domains): {domains: 1 / reading.ended}
        for node, domains in reading.layers[-1]
        if node == FINISHED
    }
    found = {}
    for position in range(len(words) - 1, -1, -1):
        before = reading.layers[position]
        if position in hidden:
            found[position] = _posterior(tries, before, behind)
        word = None if position in hidden else words[position]
        behind = _retreat(tries, before, behind, word, reading.factors[position])
    return dict(sorted(found.items()))


def _blind_arcs(tries: Tries, node: int) -> dict[int, float]:
    """Return the nodes that any word leads to, with their probability."""
    targets: dict[int, float] = defaultdict(float)
    for arcs in tries.words[node].values():
        for probability, target in arcs:
            targets[target] += probability
    for probability, _, target in tries.slots[node]:
        targets[target] += probability
    return targets


def _advance_blindly(tries: Tries, hypotheses: Hypotheses) -> Hypotheses:
    moved: Hypotheses = defaultdict(float)
    for (node, domains), weight in hypotheses.items():
        for target, probability in _blind_arcs(tries, node).items():
            moved[target, domains] += weight * probability
    return dict(moved)


def _retreat(
    tries: Tries, before: Hypotheses, behind: dict[Key, Ends], word: str | None, factor: float
) -> dict[Key, Ends]:
    """Carry the weights of the ways to each end over one word (None: hidden) to before it."""
    carried: dict[Key, Ends] = {}
    for key in before:
        node, domains = key
        if word is None:
            steps = [((t, domains), p) for t, p in _blind_arcs(tries, node).items()]
        else:
            moved, total = advance(tries, {key: 1.0}, word)
            steps = [(target, weight * total / factor) for target, weight in moved.items()]
        ends: Ends = defaultdict(float)
        for target, weight in steps:
            for end, value in behind.get(target, {}).items():
                ends[end] += weight * value
        carried[key] = dict(ends)
    return carried


def _posterior(tries: Tries, before: Hypotheses, behind: dict[Key, Ends]) -> dict[str, float]:
    said: dict[str, float] = defaultdict(float)
    for (node, domains), weight in before.items():
        for word, arcs in tries.words[node].items():
            for probability, target in arcs:
                rest = math.fsum(behind.get((target, domains), {}).values())
                said[word] += weight * probability * rest
        for probability, slot, target in tries.slots[node]:
            for end, value in behind.get((target, domains), {}).items():
                for word, share in slot_words(tries, slot, end).items():
                    said[word] += weight * probability * value * share
    return {word: probability for word, probability in said.items() if probability}
