"""How far through the script a document is, and what it has told by then: visits and knowledge.

The script never looks at facts. So how often a state is visited follows from the script alone, and
what has been *told* there (not its value: that it was told) from the texts alone. Both are found by
going through the states in an order in which every arc leads forward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from minillm.errors import ConfigError
from minillm.text.world.elements import Element
from minillm.text.world.grammar import END, Slot, State
from minillm.text.world.tries import Tries, event_texts


class Told(NamedTuple):
    """What a document has told so far: facts whole, and slots that tell some fact in part."""

    facts: frozenset[int]
    slots: frozenset[int]


class Text(NamedTuple):
    """One text that may come next in a state; equal texts with one target are one."""

    mass: float
    elements: tuple[Element, ...]
    target: State | None  # None after END
    slots: frozenset[int]  # numbers of the slots that it uses


NOTHING = Told(frozenset(), frozenset())


class Telling:
    """The texts of every state in order, expected visits, and what is told.

    Attributes:
        order: the reachable states, each before those that follow it.
        texts: of each state the texts that may come next.
        visits: of each state how often a document comes through it (at most once): a probability.
    """

    def __init__(self, tries: Tries) -> None:
        self.tries, self.story = tries, tries.story
        self.order = _order(tries)
        self.texts = {state: self._texts(state) for state in self.order}
        self.visits: dict[State, float] = dict.fromkeys(self.order, 0.0)
        self.visits[self.story.start] = 1.0
        for state in self.order:
            for text in self.texts[state]:
                if text.target is not None:
                    self.visits[text.target] += self.visits[state] * text.mass
        self._slot_facts = [_facts_of(tries, slot) for slot in tries.language.slots]
        self._closures: dict[tuple[Told, frozenset[int]], Told] = {}
        self.groups = self._independent_groups()

    def facts_of(self, slot: int) -> frozenset[int]:
        """Return the facts that a slot depends on."""
        return self._slot_facts[slot]

    def after(self, told: Told, slots: Iterable[int]) -> Told:
        """Return what is told once some more slots were used.

        A slot tells a fact whole if each of its words leaves one value of it; a fact whose values
        each have a single possible cause tells the cause as well. A slot is forgotten when all
        facts that it depends on are told.
        """
        key = told, frozenset(slots)
        if key not in self._closures:
            self._closures[key] = self._close(told.facts, told.slots | key[1])
        return self._closures[key]

    def told_at(self, slots: frozenset[int]) -> dict[State | None, dict[Told, float]]:
        """Return, for each state, the probability of passing it having told what.

        Args:
            slots: the slots to look at; others are passed over.

        Returns:
            For each state the probabilities of what is told, summing to its visits; under None
            those at the end of a document.
        """
        passing: dict[State | None, dict[Told, float]] = {s: {} for s in (*self.order, None)}
        passing[self.story.start][NOTHING] = 1.0
        for state in self.order:
            steps: dict[tuple[State | None, frozenset[int]], float] = defaultdict(float)
            for text in self.texts[state]:
                steps[text.target, text.slots & slots] += text.mass
            for told, weight in passing[state].items():
                for (target, used), mass in steps.items():
                    after = self.after(told, used)
                    there = passing[target]
                    there[after] = there.get(after, 0.0) + weight * mass
        return passing

    def surely_told(self) -> dict[State, frozenset[int]]:
        """Return, for each state, the facts that every document has told before it."""
        sure: dict[State, frozenset[int]] = dict.fromkeys(self.order, frozenset())
        for slots in self.groups:
            for state, passing in self.told_at(slots).items():
                if state is not None:
                    sure[state] |= frozenset.intersection(*(told.facts for told in passing))
        return sure

    def _texts(self, state: State) -> tuple[Text, ...]:
        arcs = self.story.script[state]
        total = sum(arc.weight for arc in arcs)
        masses: dict[tuple[tuple[Element, ...], State | None], float] = defaultdict(float)
        for arc in arcs:
            target = None if arc.event == END else arc.state
            for share, elements in event_texts(self.story, self.tries.texts, arc.event):
                masses[elements, target] += arc.weight / total * share
        return tuple(Text(mass, *key, self._slots_of(key[0])) for key, mass in masses.items())

    def _slots_of(self, elements: Iterable[Element]) -> frozenset[int]:
        number = self.tries.slot_number
        return frozenset(number[e.name] for e in elements if e.kind == "slot")

    def _close(self, facts: frozenset[int], slots: frozenset[int]) -> Told:
        known, n_before = set(facts), -1
        while n_before != len(known):
            n_before = len(known)
            for slot in slots:
                known |= {f for f in self._slot_facts[slot] - known if self._tells(slot, f)}
            for root, *children in self.tries.beliefs.trees:
                if any(child in known and self._reveals_cause(child) for child in children):
                    known.add(root)
        rest = frozenset(slot for slot in slots if not self._slot_facts[slot] <= known)
        return Told(frozenset(known), rest)

    def _tells(self, slot: int, fact: int) -> bool:
        name = self.story.facts[fact].name
        forms = self.tries.language.slots[slot].forms
        return all(form.when.get(name, 0).bit_count() == 1 for form in forms)

    def _reveals_cause(self, fact: int) -> bool:
        columns = zip(*self.story.facts[fact].weights, strict=True)
        return all(sum(weight > 0 for weight in column) <= 1 for column in columns)

    def _independent_groups(self) -> list[frozenset[int]]:
        """Return sets of slots such that no two sets share a tree of facts."""
        tree_of = self.tries.beliefs.tree_of
        groups: list[tuple[set[int], set[int]]] = []  # trees, slots
        for slot, facts in enumerate(self._slot_facts):
            trees, slots = {tree_of[fact] for fact in facts}, {slot}
            touching = [group for group in groups if group[0] & trees]
            for group in touching:
                trees |= group[0]
                slots |= group[1]
                groups.remove(group)
            groups.append((trees, slots))
        return [frozenset(slots) for _, slots in groups]


def _facts_of(tries: Tries, slot: Slot) -> frozenset[int]:
    return frozenset(tries.story.fact_index[name] for form in slot.forms for name in form.when)


def _order(tries: Tries) -> list[State]:
    """Return the states that a document can reach, each before those that follow it."""
    script, start = tries.story.script, tries.story.start
    followers: dict[State, set[State]] = {}
    waiting = [start]
    while waiting:
        state = waiting.pop()
        if state not in followers:
            followers[state] = {arc.state for arc in script[state] if arc.event != END}
            waiting.extend(followers[state])
    sorter: TopologicalSorter[State] = TopologicalSorter(followers)
    try:
        return list(sorter.static_order())[::-1]
    except CycleError as error:
        raise ConfigError(
            f"the script comes back to a state ({error.args[1]}): remember in the state what was "
            "told, so that every document ends"
        ) from error
