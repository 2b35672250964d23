"""The probability of every word that may come next.

Each hypothesis gives each of its arcs; an arc of a slot splits over the slot's words by
p(rectangle of the word | domains). The words of a slot partition the scenes, so these sum to 1, and
so does the whole.
"""

from __future__ import annotations

from collections import defaultdict

from minillm.text.world.beliefs import Domains
from minillm.text.world.tries import Hypotheses, Tries


def slot_words(tries: Tries, slot: int, domains: Domains) -> dict[str, float]:
    """Return p(word | domains) of the words that a slot can say there."""
    narrow = tries.beliefs.narrow
    said: dict[str, float] = {}
    for word, rectangle in tries.forms[slot].items():
        probability = narrow(domains, rectangle)[1]
        if probability == 1.0:
            return {word: 1.0}  # the others fit no scene that is left
        if probability:
            said[word] = probability
    return said


def next_words(tries: Tries, hypotheses: Hypotheses) -> dict[str, float]:
    """Return p(next word | what the hypotheses have read) of every possible word."""
    said: dict[str, float] = defaultdict(float)
    for (node, domains), weight in hypotheses.items():
        for word, arcs in tries.words[node].items():
            for probability, _ in arcs:
                said[word] += weight * probability
        for probability, slot, _ in tries.slots[node]:
            for word, share in slot_words(tries, slot, domains).items():
                said[word] += weight * probability * share
    return dict(said)
