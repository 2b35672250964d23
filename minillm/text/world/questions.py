"""Questions about a document, answered by a span of its text or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from minillm.text.world.documents import FACT_PLACES, WorldDocument
from minillm.text.world.rng import SplitMix64, keyed
from minillm.text.world.scenes import Scene
from minillm.text.world.story import STORY

_TRIES = 20  # values drawn for a false premise until one is not in the text; nearly always one does


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question and the one place that answers it."""

    kind: str  # what is asked for, such as "color"
    text: str
    answer: str | None  # as it stands in the text; None: the document does not say
    start: int | None = None  # the answer is document.text[start:end]
    end: int | None = None


class _Row(NamedTuple):
    """A kind of question: the slots whose words, side by side, answer it."""

    kind: str
    answer: tuple[str, ...]
    text: str


class _Phrases(NamedTuple):
    """The questions of a language."""

    answered: tuple[_Row, ...]  # of two of one kind the first that the document answers
    untold: tuple[tuple[str, str, str], ...]  # (kind, slot that is never told, question)


_ENGLISH = _Phrases(
    answered=(
        _Row("person", ("person",), "Who hid the {object}?"),
        _Row("place", ("place",), "Where did {person} meet {other}?"),
        _Row("other", ("other",), "Who was {person}'s {relation}?"),
        _Row("color", ("color",), "What color {was} the {object}?"),
        _Row("number", ("article",), "How many {object} did {person} have?"),
        _Row("container", ("container",), "What did {person} hide the {object} in?"),
        _Row("container_color", ("container_color",), "What color was the {container}?"),
        _Row("hiding_place", ("under", "hiding_place"), "Where was the {container}?"),
        _Row("clothing", ("clothing",), "What kind of clothing did {other} have?"),
        _Row("clothing_color", ("clothing_color",), "What color was {other}'s {clothing}?"),
        _Row("animal", ("animal",), "Which animal was {animal_trait}?"),
        _Row("animal_trait", ("animal_trait",), "What was the {animal} like?"),
        _Row("food", ("food",), "What food did {person} and {other} have?"),
        _Row("weather", ("weather",), "What was the weather like?"),
        _Row("time", ("time",), "When was {person} {at_place} the {place}?"),
    ),
    untold=(
        ("clothing", "clothing", "What kind of clothing did {other} have?"),
        ("animal", "animal", "Which animal did {person} see?"),
        ("food", "food", "What food did {person} and {other} have?"),
    ),
)
_CHINESE = _Phrases(
    answered=(
        _Row("person", ("person",), "谁把{object}藏了起来？"),
        _Row("place", ("in_place",), "{person}在哪里遇见了{other}？"),
        _Row("place", ("place",), "{person}在哪里遇见了{other}？"),
        _Row("other", ("other",), "谁是{person}的{relation}？"),
        _Row("color", ("color",), "{object}是什么颜色的？"),
        _Row("number", ("number",), "{person}有几{measure}{object}？"),
        _Row("container", ("container",), "{person}把{object}藏在了什么里？"),
        _Row("container_color", ("container_color",), "{container}是什么颜色的？"),
        _Row("hiding_place", ("hiding_place", "side"), "{container}在哪里？"),
        _Row("clothing", ("clothing",), "{other}有什么衣物？"),
        _Row("clothing_color", ("clothing_color",), "{other}的{clothing}是什么颜色的？"),
        _Row("animal", ("animal",), "什么动物是{animal_trait}？"),
        _Row("animal_trait", ("animal_trait",), "{animal}是什么样的？"),
        _Row("food", ("food",), "{person}和{other}有什么吃的？"),
        _Row("weather", ("weather",), "那天天气怎么样？"),
        _Row("time", ("time",), "{person}是什么时候在{in_place}的？"),
    ),
    untold=(
        ("clothing", "clothing", "{other}有什么衣物？"),
        ("animal", "animal", "{person}看见了什么动物？"),
        ("food", "food", "{person}和{other}有什么吃的？"),
    ),
)
_PHRASES = {"en": _ENGLISH, "zh": _CHINESE}
_FALSE = {  # the kind of question → the fact that it gets wrong
    "color": "object",
    "container_color": "container",
    "hiding_place": "container",
    "other": "relation",
    "clothing_color": "clothing",
    "animal": "animal_trait",
}


def ask(document: WorldDocument, *, n_unanswerable: int = 2) -> list[Question]:
    """Ask all that a document answers, and a few things that it does not.

    The span is the first place that says the answer with these words. There is no other true
    answer, because a scene holds one object, one container, one animal. Questions without an answer
    ask for what never happened, or rest on a false premise ("What color was the lamp?" where there
    is none): as in SQuAD 2.0 (Rajpurkar et al., arXiv:1806.03822), a reader must know what is not
    said.

    Args:
        document: In either language.
        n_unanswerable: At most so many of them, drawn anew for each document but reproducibly.
    """
    scene, spans = Scene(document), document.spans
    questions = []
    for row in _PHRASES[document.language].answered:
        is_double = any(row.kind == question.kind for question in questions)
        if not is_double and _is_told(scene, row):
            start, end = spans[scene.told[row.answer[0]][0]][0], spans[_last(scene, row)][1]
            answer = document.text[start:end]
            questions.append(
                Question(
                    kind=row.kind, text=scene.say(row.text), answer=answer, start=start, end=end
                )
            )
    rng = keyed(document.seed, "questions", document.number)
    without = [*_untold(scene), *_false_premises(scene, rng)]
    drawn = [without.pop(rng.below(len(without))) for _ in range(min(n_unanswerable, len(without)))]
    return questions + drawn


def _is_told(scene: Scene, row: _Row) -> bool:
    """Tell whether the document says the answer and all that the question takes for granted."""
    if row.kind == "number" and scene.document.fact("number") == "1":
        return False  # "a ball" is no answer to "How many balls"
    premises = [name for name in FACT_PLACES if "{" + name + "}" in row.text]
    return scene.tells(*row.answer) and all(_tells_fact(scene, name) for name in premises)


def _tells_fact(scene: Scene, fact: str) -> bool:
    return scene.tells(fact) or (fact == "place" and scene.tells("in_place"))


def _last(scene: Scene, row: _Row) -> int:
    """Return the place of the last word of the answer's first occurrence."""
    first = scene.told[row.answer[0]][0]
    last = row.answer[-1]
    return next(place for place in scene.told[last] if place >= first)


def _untold(scene: Scene) -> list[Question]:
    return [
        Question(kind=kind, text=scene.say(text), answer=None)
        for kind, slot, text in _PHRASES[scene.document.language].untold
        if not scene.tells(slot)
    ]


def _false_premises(scene: Scene, rng: SplitMix64) -> list[Question]:
    found = []
    for row in _PHRASES[scene.document.language].answered:
        fact = _FALSE.get(row.kind)
        if fact is None or not _is_told(scene, row):
            continue
        n_values = len(STORY.facts[FACT_PLACES[fact]].values)
        for _ in range(_TRIES):
            other = Scene(scene.document, {fact: rng.below(n_values)})
            if other[fact] not in scene.document.words:
                found.append(Question(kind=row.kind, text=other.say(row.text), answer=None))
                break
    return found
