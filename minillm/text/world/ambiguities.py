"""Is every document told by one derivation only? A static check of a story and a language.

Where two arcs of a trie node can say the same word, a reader may not know which one was taken. That
is harmless if the words after it, or what was told before, decide. The check follows both arcs side
by side, along words that both can say. They part for good when no such word is left, or when the
facts that each needs cannot both hold: facts that surely were told before have one value, the same
for both. They are not told apart when they meet in one node, or end a sentence together.

The check errs on the safe side: what it reports might still be decided by a later sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from minillm.text.world.beliefs import Beliefs, Domains, Rectangle
from minillm.text.world.elements import Element
from minillm.text.world.grammar import Language, State, Story
from minillm.text.world.knowledge import Telling, Told
from minillm.text.world.tries import FINISHED, Tries, event_texts

_MAX_TWINS = 2_000  # pairs that are followed before the check gives up on a word
_ANYTHING = Rectangle((), ())


class _Arc(NamedTuple):
    said_as: str  # "{slot}" or "the word"
    rectangle: Rectangle
    target: int


class _Twin(NamedTuple):
    """Two readings of the same words, and what each needs to be true."""

    nodes: tuple[int, int]
    domains: tuple[Domains, Domains]
    words: tuple[str, ...]


def ambiguities(story: Story, language: Language) -> list[str]:
    """Name every place where one text could have been told by two derivations.

    Returns:
        A line for each place: a state of the script, the words of the sentence before, the word
        that two arcs share, and words with which the two readings meet. Empty: every document
        has one derivation, up to facts that are not told. Only then is the entropy in closed form
        exact.
    """
    tries = Tries(story, language)
    telling = Telling(tries)
    sure = telling.surely_told()
    found: dict[str, State] = {}
    for state in telling.order:
        for line in _repeated_texts(tries, state):
            found.setdefault(line, state)
        for node, before, slots in _nodes(tries, tries.roots[state], (), frozenset()):
            known = telling.after(Told(sure[state], frozenset()), slots).facts
            for line in _shared_words(tries, node, known):
                found.setdefault(f"after {' '.join(before)!r}: {line}", state)
    return [f"state {state!r}: {line}" for line, state in found.items()]


def _repeated_texts(tries: Tries, state: State) -> Iterator[str]:
    """Name texts that two arcs of the script, or two wordings of one event, share."""
    seen: dict[tuple[Element, ...], str] = {}
    for arc in tries.story.script[state]:
        for _, elements in event_texts(tries.story, tries.texts, arc.event):
            if elements in seen:
                text = " ".join(e.name if e.kind == "word" else f"{{{e.name}}}" for e in elements)
                yield f"{seen[elements]} and {arc.event} both say {text!r}"
            seen[elements] = arc.event


def _nodes(
    tries: Tries, node: int, before: tuple[str, ...], slots: frozenset[int]
) -> Iterator[tuple[int, tuple[str, ...], frozenset[int]]]:
    """Yield the nodes of one sentence with the words and the slots on the way to each."""
    yield node, before, slots
    ways = {target: (word, slots) for word, arcs in tries.words[node].items() for _, target in arcs}
    for _, slot, target in tries.slots[node]:
        ways[target] = f"{{{tries.language.slots[slot].name}}}", slots | {slot}
    for target, (word, used) in ways.items():
        if target != FINISHED and target not in tries.state_of:
            yield from _nodes(tries, target, (*before, word), used)


def _arcs(tries: Tries, node: int) -> dict[str, list[_Arc]]:
    """Return the arcs of a node by the word that they say."""
    arcs = {
        word: [_Arc("the word", _ANYTHING, target) for _, target in steps]
        for word, steps in tries.words[node].items()
    }
    for _, slot, target in tries.slots[node]:
        name = f"{{{tries.language.slots[slot].name}}}"
        for word, rectangle in tries.forms[slot].items():
            arcs.setdefault(word, []).append(_Arc(name, rectangle, target))
    return arcs


def _shared_words(tries: Tries, node: int, known: frozenset[int]) -> Iterator[str]:
    """Name the arcs of a node that share a word and are not told apart."""
    full = tries.beliefs.full
    reported = set()
    words, slots = tries.words[node], tries.slots[node]
    if len(slots) <= (not words) and all(len(arcs) == 1 for arcs in words.values()):
        return  # one slot, or words that lead to one place each: nothing to share
    for word, arcs in _arcs(tries, node).items():
        for first, second in combinations(arcs, 2):
            says = first.said_as, second.said_as
            twin = _move(_Twin((node, node), (full, full), ()), word, first, second)
            end = _meeting(tries, twin, known) if says not in reported else None
            if end is not None:
                reported.add(says)
                yield f"{word!r} may be {says[0]} or {says[1]}: {end}"


def _move(twin: _Twin, word: str, first: _Arc, second: _Arc) -> _Twin:
    narrowed = []
    for domains, arc in zip(twin.domains, (first, second), strict=True):
        here = list(domains)
        for fact, mask in arc.rectangle.masks:
            here[fact] &= mask
        narrowed.append(tuple(here))
    return _Twin((first.target, second.target), (narrowed[0], narrowed[1]), (*twin.words, word))


def _possible(beliefs: Beliefs, twin: _Twin, known: frozenset[int]) -> bool:
    """Tell whether one history allows both readings: known facts have one value for both."""
    for one, other in (twin.domains, twin.domains[::-1]):
        shared = tuple(
            a & b if fact in known else a
            for fact, (a, b) in enumerate(zip(one, other, strict=True))
        )
        if not beliefs.mass(shared):
            return False
    return True


def _meeting(tries: Tries, twin: _Twin, known: frozenset[int]) -> str | None:
    """Follow two readings until they part for good (None) or are seen not to."""
    waiting, n_followed = [twin], 0
    while waiting:
        twin = waiting.pop()
        if not _possible(tries.beliefs, twin, known):
            continue
        text = " ".join(twin.words)
        one, other = twin.nodes
        if one == other:
            return f"both can say {text!r} and go on alike"
        if one in tries.state_of and other in tries.state_of:
            return f"both can say the whole of {text!r}"
        n_followed += 1
        if n_followed > _MAX_TWINS:
            return f"not told apart after {len(twin.words)} words, such as {text!r}"
        arcs = _arcs(tries, one), _arcs(tries, other)
        for word in arcs[0].keys() & arcs[1].keys():
            waiting += [_move(twin, word, a, b) for a in arcs[0][word] for b in arcs[1][word]]
    return None
