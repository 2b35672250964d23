"""Draw a document: a scene, then a path through the script, wordings and choices on the way."""

from __future__ import annotations

from typing import NamedTuple

from minillm.text.world.grammar import END, Derivation, State, Step, Story
from minillm.text.world.rng import SplitMix64, cumulate, keyed

_END_STEP = Step(END, 0, ())


class _Way(NamedTuple):
    """An event that may come next: its wordings, and the state after it."""

    event: str
    wordings: tuple[int, ...]  # cumulative weights
    choices: tuple[tuple[tuple[int, ...], ...], ...]  # of each wording: cumulative weights of each
    state: State


class Deriver:
    """Draws derivations of a story; its tables are made once.

    A derivation is a product of independent draws (see `Story`), so that its probability is the
    product of their probabilities.

    Args:
        story: What may happen.
        stream: Name of the random numbers; another stream gives other documents for a seed.
    """

    def __init__(self, story: Story, *, stream: str = "document") -> None:
        self.story, self._stream = story, stream
        self._facts = [tuple(map(cumulate, fact.weights)) for fact in story.facts]
        self._causes = [
            None if fact.cause is None else story.fact_index[fact.cause] for fact in story.facts
        ]
        self._order = sorted(range(len(story.facts)), key=lambda i: self._causes[i] is not None)
        choices = {choice.name: cumulate(choice.weights) for choice in story.choices}
        self._wordings = {
            event: (
                cumulate(wording.weight for wording in wordings),
                tuple(tuple(choices[name] for name in wording.choices) for wording in wordings),
            )
            for event, wordings in story.wordings.items()
        }
        self._ways = {state: self._ways_from(state) for state in story.script}

    def _ways_from(self, state: State) -> tuple[tuple[int, ...], list[_Way | None]]:
        """Return the cumulative weights of the arcs and where each leads; None is the end."""
        arcs = self.story.script[state]
        ways = [
            None if arc.event == END else _Way(arc.event, *self._wordings[arc.event], arc.state)
            for arc in arcs
        ]
        return cumulate(arc.weight for arc in arcs), ways

    def derive(self, *, seed: int, number: int) -> Derivation:
        """Draw document ``number`` of a seed; the same arguments give the same document."""
        pick = (rng := keyed(seed, self._stream, number)).pick
        scene = self._scene(rng)
        steps = []
        weights, ways = self._ways[self.story.start]
        while (way := ways[pick(weights)]) is not None:
            event, wordings, choices, state = way
            wording = pick(wordings)
            steps.append(Step(event, wording, tuple([pick(one) for one in choices[wording]])))
            weights, ways = self._ways[state]
        return Derivation(scene, (*steps, _END_STEP))

    def _scene(self, rng: SplitMix64) -> tuple[int, ...]:
        """Draw a value of every fact, causes first."""
        scene = [0] * len(self._facts)
        for place in self._order:
            cause = self._causes[place]
            rows = self._facts[place]
            scene[place] = rng.pick(rows[0 if cause is None else scene[cause]])
        return tuple(scene)


def derive(story: Story, *, seed: int, number: int) -> Derivation:
    """Draw one derivation; whoever needs many keeps a `Deriver`.

    Args:
        story: What may happen.
        seed: Of the world.
        number: Of the document.
    """
    return Deriver(story).derive(seed=seed, number=number)
