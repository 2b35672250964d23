"""One prefix tree for each state of the script: all texts of all events that may come next.

A text weighs p(event | state) · p(wording | event). Texts that begin alike share a path, and the
weight of an arc is the share of the weight below its node that runs through it, so that a walk
from the root multiplies conditional probabilities. The last arc of a text leads straight to the
root of the next state's tree: there are no arcs without a word.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from minillm.text.world.beliefs import Beliefs, Domains, Rectangle
from minillm.text.world.elements import Element, Texts, parse_texts
from minillm.text.world.grammar import END, Language, State, Story

FINISHED = 0  # the node after END_WORD: nothing follows
WordArcs = dict[str, tuple[tuple[float, int], ...]]  # word → (probability, node after it)
Hypotheses = dict[tuple[int, Domains], float]  # (node, domains) → weight; they sum to 1
SlotArcs = tuple[tuple[float, int, int], ...]  # (probability, number of the slot, node after it)


class Path(NamedTuple):
    """One text on its way into a tree."""

    mass: float
    elements: tuple[Element, ...]
    target: int  # the node after its last word


class Tries:
    """The trees of a language; nodes are numbers.

    Attributes:
        words: of each node the arcs of literal words and of the words of choices.
        slots: of each node the arcs of slots.
        lone: of each node the words that one word arc and no slot arc can say: the fast path.
        forms: of each slot its words and their rectangles.
        roots: of each state of the script the root of its tree.
        beliefs: the prior of the facts.
        texts: the elements of each text of each event.
    """

    def __init__(self, story: Story, language: Language) -> None:
        self.story, self.language = story, language
        self.beliefs = Beliefs(story)
        self.texts: Texts = parse_texts(story, language)
        self.slot_number = {slot.name: number for number, slot in enumerate(language.slots)}
        self.forms: list[dict[str, Rectangle]] = [self.beliefs.forms(s) for s in language.slots]
        self.choice_words = _choice_words(story, language)
        self.words: list[WordArcs] = [{}]
        self.slots: list[SlotArcs] = [()]
        self.lone: list[dict[str, tuple[float, int]]] = [{}]
        self.roots: dict[State, int] = {state: self._new() for state in story.script}
        self.state_of = {root: state for state, root in self.roots.items()}
        for state, root in self.roots.items():
            self._grow(root, self._paths(state), 0)

    @property
    def start(self) -> int:
        """Return the node before the first word of a document."""
        return self.roots[self.story.start]

    def plant(self, paths: list[Path]) -> int:
        """Grow one more tree, of any texts, and return its root."""
        root = self._new()
        self._grow(root, paths, 0)
        return root

    def leaf(self) -> int:
        """Make a node that nothing follows, for `plant` to lead to."""
        return self._new()

    def _new(self) -> int:
        self.words.append({})
        self.slots.append(())
        self.lone.append({})
        return len(self.words) - 1

    def _paths(self, state: State) -> list[Path]:
        arcs = [arc for arc in self.story.script[state] if arc.weight]
        total = sum(arc.weight for arc in arcs)
        paths = []
        for arc in arcs:
            target = FINISHED if arc.event == END else self.roots[arc.state]
            for share, elements in event_texts(self.story, self.texts, arc.event):
                paths.append(Path(arc.weight / total * share, elements, target))
        return paths

    def _grow(self, node: int, paths: list[Path], depth: int) -> None:
        """Give ``node`` its arcs: all ``paths`` agree on the ``depth`` elements before it."""
        total = sum(path.mass for path in paths)
        branches: dict[Element, list[Path]] = defaultdict(list)
        for path in paths:
            branches[path.elements[depth]].append(path)
        words: dict[str, list[tuple[float, int]]] = defaultdict(list)
        slots = []
        for element, members in branches.items():
            for target, mass in self._targets(members, depth).items():
                share = mass / total
                if element.kind == "slot":
                    slots.append((share, self.slot_number[element.name], target))
                elif element.kind == "choice":
                    for word, probability in self.choice_words[element.name]:
                        words[word].append((share * probability, target))
                else:
                    words[element.name].append((share, target))
        self.words[node] = {word: tuple(arcs) for word, arcs in words.items()}
        self.slots[node] = tuple(slots)
        said = [self.forms[slot] for _, slot, _ in slots]
        self.lone[node] = {
            word: arcs[0]
            for word, arcs in words.items()
            if len(arcs) == 1 and not any(word in forms for forms in said)
        }

    def _targets(self, members: list[Path], depth: int) -> dict[int, float]:
        """Return the nodes behind one element with their mass; grow the one that goes on."""
        targets: dict[int, float] = defaultdict(float)
        longer = []
        for path in members:
            if len(path.elements) == depth + 1:
                targets[path.target] += path.mass
            else:
                longer.append(path)
        if longer:
            child = self._new()
            targets[child] = sum(path.mass for path in longer)
            self._grow(child, longer, depth + 1)
        return targets


def event_texts(story: Story, texts: Texts, event: str) -> list[tuple[float, tuple[Element, ...]]]:
    """Return p(wording | event) and the elements of each text of an event (END included).

    What weighs nothing is never said and left out.
    """
    if event == END:
        return [(1.0, texts[END][0])]
    wordings = story.wordings[event]
    total = sum(wording.weight for wording in wordings)
    pairs = zip(wordings, texts[event], strict=True)
    return [(wording.weight / total, text) for wording, text in pairs if wording.weight]


def _choice_words(story: Story, language: Language) -> dict[str, list[tuple[str, float]]]:
    """Return the words of each choice with their probabilities."""
    weights = {choice.name: choice.weights for choice in story.choices}
    return {
        name: [(w, n / sum(weights[name])) for w, n in zip(words, weights[name], strict=True) if n]
        for name, words in language.choice_words.items()
    }
