"""The probability of a document, word by word: the forward algorithm over trie nodes and beliefs.

A hypothesis is (node of a trie, domains of the facts) with a weight; the weights sum to 1. A word
moves each hypothesis along the arcs that can say it; a slot's word also narrows the domains, at
the price of p(rectangle | domains). Hypotheses that meet are added. The sum of the new weights is
p(word | all words before), and log p(document) the sum of its logarithms. The tree of a state
holds every text only once and facts are known exactly after they are named, so that nearly always
one hypothesis lives and a literal word costs one look-up.

The filter is the forward algorithm of hidden Markov models (Rabiner 1989, §III.A) with a state
that is made when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minillm.errors import DataError
from minillm.text.world.next_word import next_words
from minillm.text.world.tries import Hypotheses, Tries


def start(tries: Tries) -> Hypotheses:
    """Return what is known before the first word of a document."""
    return {(tries.start, tries.beliefs.full): 1.0}


def advance(tries: Tries, hypotheses: Hypotheses, word: str) -> tuple[Hypotheses, float]:
    """Read one word.

    Returns:
        The hypotheses after it, weights summing to 1 (none if the word cannot stand here), and
        p(word | words before).
    """
    moved: Hypotheses = {}
    narrow = tries.beliefs.narrow
    for (node, domains), weight in hypotheses.items():
        for probability, target in tries.words[node].get(word, ()):
            key = target, domains
            moved[key] = moved.get(key, 0.0) + weight * probability
        for probability, slot, target in tries.slots[node]:
            rectangle = tries.forms[slot].get(word)
            if rectangle is None:
                continue
            narrowed, ratio = narrow(domains, rectangle)
            if ratio:
                key = target, narrowed
                moved[key] = moved.get(key, 0.0) + weight * probability * ratio
    total = math.fsum(moved.values())
    if total and total != 1.0:
        moved = {key: weight / total for key, weight in moved.items()}
    return moved, total


def word_probabilities(tries: Tries, words: Sequence[str]) -> list[float]:
    """Return p(word | all words before) of each word of the beginning of a document.

    Raises:
        DataError: naming the first word that the language cannot say after the words before it.
    """
    hypotheses, probabilities = run(tries, start(tries), words)
    if len(probabilities) < len(words):
        raise unspeakable(tries, words, len(probabilities), hypotheses)
    return probabilities


def run(
    tries: Tries, hypotheses: Hypotheses, words: Sequence[str]
) -> tuple[Hypotheses, list[float]]:
    """Read words as long as the language can say them.

    Returns:
        The hypotheses after the words read, and p(word | before) of each of these.
    """
    lone = tries.lone
    probabilities: list[float] = []
    position, n_words = 0, len(words)
    while position < n_words:
        if len(hypotheses) == 1:  # along literal arcs as far as they go
            ((node, domains),) = hypotheses
            entered = position
            while position < n_words:
                arc = lone[node].get(words[position])
                if arc is None:
                    break
                probability, node = arc
                probabilities.append(probability)
                position += 1
            if position > entered:
                hypotheses = {(node, domains): 1.0}
            if position == n_words:
                break
        moved, probability = advance(tries, hypotheses, words[position])
        if not probability:
            break
        hypotheses = moved
        probabilities.append(probability)
        position += 1
    return hypotheses, probabilities


def unspeakable(
    tries: Tries, words: Sequence[str], position: int, hypotheses: Hypotheses
) -> DataError:
    """Return the error that names the word which cannot stand at ``position``, and what could."""
    before = " ".join(words[max(position - 5, 0) : position]) or "the beginning"
    possible = sorted(next_words(tries, hypotheses))
    expected = " or ".join(repr(word) for word in possible[:3]) or "nothing: the document is over"
    more = f" or {len(possible) - 3} other words" if len(possible) > 3 else ""
    return DataError(
        f"word {position + 1} of {len(words)} ({words[position]!r}) cannot follow {before!r} in "
        f"the language {tries.language.name!r}: expected {expected}{more}"
    )
