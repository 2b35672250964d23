"""The entropy of a language, in closed form.

A document is told by exactly one row of choices (`ambiguities` checks it), up to the value of a
hidden fact such as the topic. Its entropy is therefore that of the choices it shows,

    H = Σ over states q of p(visit q) · H(next text | q)                        script and wording
      + Σ over states q, texts t of p(visit q) p(t | q) · Σ over its choices H(choice)     choices
      + Σ over sets T of what is told of p(T) · H(the values of T)                         facts

because the script does not look at facts: what is told and the values that it has are
independent. The last sum runs over the sets of facts that a document may have told by its end
(`knowledge.Telling`). Within a set, trees of facts are independent. If the root z of a tree was not
told, the chain rule would count it:

    H(told children) = H(z) + Σ over told children c of H(c | z)  −  H(z | told children),

and what it counts too much, the *ambiguity*, is found from the table of all values of the children
with z summed out. A fact that was told in part ("balls": two or three) adds the entropy of its part
given the facts told whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minillm.errors import ConfigError
from minillm.text.world.beliefs import Beliefs
from minillm.text.world.knowledge import Telling, Told
from minillm.text.world.tries import Tries

_MAX_CELLS = 20_000_000  # of a table of values: 160 MB


@dataclass(frozen=True, kw_only=True, slots=True)
class Entropy:
    """Bits per document, and the parts that they come from.

    ``total = script_and_wording + choices + facts``, where ``facts`` is what the told values are
    worth with hidden facts summed out: it would be larger by ``topic_ambiguity`` if the hidden
    facts were told.
    """

    script_and_wording: float
    choices: float
    facts: float
    topic_ambiguity: float
    words: float  # mean number of words of a document, END_WORD included
    sentences: float  # mean number of sentences, without END

    @property
    def total(self) -> float:
        """Return the entropy of a document, in bits."""
        return self.script_and_wording + self.choices + self.facts

    @property
    def bits_per_word(self) -> float:
        """Return the entropy per word: no model can have a lower mean loss."""
        return self.total / self.words


def entropy(tries: Tries, telling: Telling) -> Entropy:
    """Return the entropy of the language's documents (see the module for the derivation)."""
    script = choices = words = sentences = 0.0
    choice_bits = {
        name: _bits([probability for _, probability in said])
        for name, said in tries.choice_words.items()
    }
    for state, texts in telling.texts.items():
        visits = telling.visits[state]
        script += visits * _bits([text.mass for text in texts])
        for text in texts:
            passed = visits * text.mass
            chosen = [choice_bits[e.name] for e in text.elements if e.kind == "choice"]
            choices += passed * sum(chosen)
            words += passed * len(text.elements)
            sentences += passed * (text.target is not None)
    facts = ambiguity = 0.0
    tables = _Tables(tries.beliefs, telling)
    for slots in telling.groups:
        trees = {tries.beliefs.tree_of[fact] for slot in slots for fact in telling.facts_of(slot)}
        for told, probability in telling.told_at(slots)[None].items():
            facts += probability * tables.bits(told)
            ambiguity += probability * tables.ambiguity(told, trees)
    return Entropy(
        script_and_wording=script,
        choices=choices,
        facts=facts,
        topic_ambiguity=ambiguity,
        words=words,
        sentences=sentences,
    )


class _Tables:
    """Entropies of what is told."""

    def __init__(self, beliefs: Beliefs, telling: Telling) -> None:
        self.beliefs, self.telling = beliefs, telling
        self._spoken_of = set().union(*map(telling.facts_of, range(len(telling.tries.forms))))
        self._known: dict[frozenset[int], float] = {}

    def bits(self, told: Told) -> float:
        """Return the entropy of what is told."""
        trees = self.beliefs.trees
        whole = sum(self._joint_bits(told.facts.intersection(tree)) for tree in trees)
        return whole + sum(self._bits_in_part(told, slots) for slots in self._linked(told))

    def ambiguity(self, told: Told, trees: set[int]) -> float:
        """Return H(roots that no slot speaks of | facts told whole), over some trees."""
        bits = 0.0
        for root, *children in (self.beliefs.trees[number] for number in trees):
            if root not in self._spoken_of:
                named = told.facts.intersection(children)
                bits += self._chain_bits(root, sorted(named)) - self._joint_bits(named)
        return bits

    def _joint_bits(self, facts: frozenset[int]) -> float:
        """Return the entropy of some facts of one tree."""
        if facts not in self._known:
            self._known[facts] = _bits(self._table(sorted(facts)).ravel()) if facts else 0.0
        return self._known[facts]

    def _chain_bits(self, root: int, children: Sequence[int]) -> float:
        causes = self.beliefs.prior(root)[0]
        bits = _bits(causes)
        for child in children:
            rows = self.beliefs.prior(child)
            bits += sum(p * _bits(row) for p, row in zip(causes, rows, strict=True))
        return bits

    def _table(self, facts: Sequence[int]) -> np.ndarray:
        """Return the joint probabilities of facts (any trees): an axis for each, in their order."""
        sizes = [len(self.beliefs.story.facts[fact].values) for fact in facts]
        if math.prod(sizes) > _MAX_CELLS:
            names = ", ".join(self.beliefs.story.facts[fact].name for fact in facts)
            raise ConfigError(
                f"the entropy needs a table of {math.prod(sizes):,} cells for the facts {names} "
                f"(at most {_MAX_CELLS:,}): give the facts fewer values or fewer common causes"
            )
        table = np.ones([1] * len(facts))
        for root, *children in self.beliefs.trees:
            axes = [fact for fact in facts if fact == root or fact in children]
            if axes:
                shape = [size if f in axes else 1 for f, size in zip(facts, sizes, strict=True)]
                table = table * self._tree_table(root, axes).reshape(shape)
        return table

    def _tree_table(self, root: int, axes: Sequence[int]) -> np.ndarray:
        """Return the joint probabilities of some facts of a tree, in ascending order of facts."""
        total: np.ndarray | float = 0.0
        causes = self.beliefs.prior(root)[0]
        for value, probability in enumerate(causes):
            part = np.array(probability)
            for fact in axes:
                rows = np.eye(len(causes)) if fact == root else self.beliefs.prior(fact)
                part = np.multiply.outer(part, rows[value])
            total = total + part
        return np.asarray(total)

    def _linked(self, told: Told) -> list[list[int]]:
        """Return the slots that tell in part, those together whose tables overlap."""
        linked: list[tuple[set[int], list[int]]] = []
        for slot in sorted(told.slots):
            facts, slots = set(self._needed(told, slot)), [slot]
            for other in [entry for entry in linked if self._trees(entry[0]) & self._trees(facts)]:
                facts |= other[0]
                slots = other[1] + slots
                linked.remove(other)
            linked.append((facts, slots))
        return [slots for _, slots in linked]

    def _trees(self, facts: set[int]) -> set[int]:
        return {self.beliefs.tree_of[fact] for fact in facts}

    def _needed(self, told: Told, slot: int) -> frozenset[int]:
        """Return the slot's facts, and the told facts of the trees of those that are open."""
        facts = self.telling.facts_of(slot)
        trees = self._trees(set(facts - told.facts))
        return facts | {fact for fact in told.facts if self.beliefs.tree_of[fact] in trees}

    def _bits_in_part(self, told: Told, slots: Sequence[int]) -> float:
        """Return H(words of slots | facts told whole)."""
        facts = sorted(set().union(*(self._needed(told, slot) for slot in slots)))
        table = self._table(facts)
        known = tuple(axis for axis, fact in enumerate(facts) if fact in told.facts)
        labels = np.zeros(table.shape, dtype=np.int64)
        for axis in known:
            labels = labels * table.shape[axis] + _along(axis, table.shape)
        for slot in slots:
            words = self._words(slot, facts, table.shape)
            labels = labels * (int(words.max()) + 1) + words
        _, cells = np.unique(labels.ravel(), return_inverse=True)
        open_axes = tuple(axis for axis in range(table.ndim) if axis not in known)
        whole = _bits(table.sum(axis=open_axes).ravel())
        return _bits(np.bincount(cells.ravel(), weights=table.ravel())) - whole

    def _words(self, slot: int, facts: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
        """Return which word of a slot fits, for every cell of a table over ``facts``."""
        words = np.zeros(shape, dtype=np.int64)
        index = self.beliefs.story.fact_index
        for number, form in enumerate(self.telling.tries.language.slots[slot].forms):
            fits = np.ones(shape, dtype=bool)
            for axis, mask in ((facts.index(index[n]), m) for n, m in form.when.items()):
                inside = np.array([mask >> value & 1 for value in range(shape[axis])], dtype=bool)
                fits &= inside[_along(axis, shape)]
            words[fits] = number
        return words


def _along(axis: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the coordinate along one axis, shaped to broadcast."""
    return np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])


def _bits(probabilities: Sequence[float] | np.ndarray) -> float:
    """Return −Σ p log2 p; zeros count nothing."""
    values = np.asarray(probabilities, dtype=np.float64)
    values = values[values > 0]
    return -float((values * np.log2(values)).sum())  # NumPy adds in pairs: rounding stays small
