"""What a reader can know about a scene: a set of values for each fact, and how likely they are.

Every word of a slot is a rectangle: it narrows the sets of some facts and says nothing else.
Knowledge is therefore always a rectangle too: one set of values (a bit mask) for each fact, its
*domains*. Facts form small trees (a root and the facts that it causes), independent of each other,
so the prior probability of a rectangle is a product over trees of

    W(D) = Σ over v in D_root of p(v) · Π over children c of Σ over x in D_c of p(x | v).

A root that no slot speaks of, such as the topic, keeps its full domain: it is summed out.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from minillm.text.world.grammar import Fact, Slot, Story

Domains = tuple[int, ...]  # a bit mask over the values of each fact
_CACHED = 1 << 16  # rectangles whose mass is remembered: some twenty megabytes


class Rectangle(NamedTuple):
    """A constraint on few facts, and the trees that these belong to."""

    masks: tuple[tuple[int, int], ...]  # (number of the fact, bit mask)
    trees: tuple[int, ...]


class Beliefs:
    """Prior probabilities of rectangles, and the step from one rectangle to a smaller one.

    Attributes:
        full: the domains of who knows nothing.
        trees: of each tree the numbers of its facts, root first.
        tree_of: of each fact the number of its tree.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.full: Domains = tuple((1 << len(fact.values)) - 1 for fact in story.facts)
        roots = [number for number, fact in enumerate(story.facts) if fact.cause is None]
        self.trees = tuple(
            (root, *(n for n, f in enumerate(story.facts) if f.cause == story.facts[root].name))
            for root in roots
        )
        self.tree_of = {fact: number for number, tree in enumerate(self.trees) for fact in tree}
        self._priors = [_normalized(fact) for fact in story.facts]
        self._child = lru_cache(_CACHED)(self._child_masses)
        self._mass = lru_cache(_CACHED)(self._tree_mass)

    def prior(self, fact: int) -> tuple[tuple[float, ...], ...]:
        """Return p(value | cause) of fact number ``fact``: a row for each value of its cause."""
        return self._priors[fact]

    def rectangle(self, when: dict[str, int]) -> Rectangle:
        """Compile a form's ``when``; facts that it leaves free are dropped."""
        index = self.story.fact_index
        named = sorted((index[name], mask) for name, mask in when.items())
        masks = tuple((fact, mask) for fact, mask in named if mask != self.full[fact])
        return Rectangle(masks, tuple(sorted({self.tree_of[fact] for fact, _ in masks})))

    def forms(self, slot: Slot) -> dict[str, Rectangle]:
        """Return the rectangle of each word of a slot."""
        return {form.word: self.rectangle(dict(form.when)) for form in slot.forms}

    def narrow(self, domains: Domains, rectangle: Rectangle) -> tuple[Domains, float]:
        """Return the domains inside a rectangle, and p(rectangle | domains).

        The probability is 1.0 exactly when nothing new was learned, 0.0 when it cannot be.
        """
        for fact, mask in rectangle.masks:
            if domains[fact] & mask != domains[fact]:
                break
        else:
            return domains, 1.0
        narrowed = list(domains)
        for fact, mask in rectangle.masks:
            narrowed[fact] &= mask
            if not narrowed[fact]:
                return domains, 0.0
        ratio = 1.0
        for number in rectangle.trees:
            tree = self.trees[number]
            mass = self._mass(number, tuple([narrowed[fact] for fact in tree]))
            if not mass:
                return domains, 0.0
            ratio *= mass / self._mass(number, tuple([domains[fact] for fact in tree]))
        return tuple(narrowed), ratio

    def mass(self, domains: Domains) -> float:
        """Return the prior probability that the scene lies inside ``domains``."""
        pairs = zip(domains, self.full, strict=True)
        narrowed = {
            self.tree_of[fact] for fact, (domain, full) in enumerate(pairs) if domain != full
        }
        return math.prod(
            self._mass(number, tuple([domains[fact] for fact in self.trees[number]]))
            for number in narrowed
        )

    def _tree_mass(self, number: int, domains: Domains) -> float:
        """W of one tree; ``domains`` in the order of the tree's facts."""
        root, *children = self.trees[number]
        weights = self._child(root, domains[0]) if not children else None
        if weights is not None:
            return weights[0]
        values = [p if domains[0] >> v & 1 else 0.0 for v, p in enumerate(self._priors[root][0])]
        for fact, domain in zip(children, domains[1:], strict=True):
            if domain != self.full[fact]:
                given = self._child(fact, domain)
                values = [a * b for a, b in zip(values, given, strict=True)]
        return math.fsum(values)

    def _child_masses(self, fact: int, domain: int) -> tuple[float, ...]:
        """Σ over x in the domain of p(x | v), for each value v of the cause."""
        inside = [value for value in range(domain.bit_length()) if domain >> value & 1]
        if domain == self.full[fact]:
            return (1.0,) * len(self._priors[fact])
        return tuple(math.fsum([row[value] for value in inside]) for row in self._priors[fact])


def _normalized(fact: Fact) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(weight / sum(row) for weight in row) for row in fact.weights)
