"""A story small enough to write out every document, with everything that makes exactness hard.

A hidden topic that the words leave open, names that tell the gender, agreement over two facts,
facts that are told in part ("balls": two or three), recalls, events in free order, texts that begin
with the same word of different slots.
"""

import itertools
import math
from collections import defaultdict

import pytest

from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import (
    END,
    END_WORD,
    Arc,
    Choice,
    Fact,
    Form,
    Language,
    Slot,
    Story,
    Wording,
)

NAMES = ("anna", "eva", "ben")


def _facts():
    return (
        Fact(name="topic", values=("sea", "farm"), weights=((3, 2),)),
        Fact(name="place", values=("beach", "barn"), weights=((5, 2), (1, 3)), cause="topic"),
        Fact(name="gender", values=("f", "m"), weights=((1, 1),)),
        Fact(name="object", values=("ball", "egg"), weights=((4, 3), (1, 6)), cause="topic"),
        Fact(name="number", values=("1", "2", "3"), weights=((7, 3, 1),)),
        Fact(name="person", values=NAMES, weights=((2, 1, 0), (0, 0, 1)), cause="gender"),
        Fact(name="other", values=NAMES, weights=((0, 0, 1), (3, 2, 0)), cause="gender"),
        Fact(name="size", values=("old", "big"), weights=((2, 3),)),
    )


def _script():
    script = {"start": (Arc("arrive", 1, ("middle", frozenset())),)}
    free = ("object", "meet", "sky")
    waiting = [frozenset()]
    while waiting:
        said = waiting.pop()
        state = "middle", said
        if state in script:
            continue
        rest = [event for event in free if event not in said]
        arcs = [Arc(event, 2 + len(event), ("middle", said | {event})) for event in rest]
        if "object" in said and "meet" in said:
            arcs += [Arc("found", 3, "last"), Arc("lost", 2, "last")]
        script[state] = tuple(arcs)
        waiting += [said | {event} for event in rest]
    script["last"] = (Arc("diary", 1, "closed"), Arc(END, 2, None))
    script["closed"] = (Arc(END, 1, None),)
    return script


def _wordings():
    return {
        "arrive": (Wording(3), Wording(2, ("manner",))),
        "object": (Wording(2), Wording(3), Wording(1)),
        "meet": (Wording(2), Wording(3)),
        "sky": (Wording(1),),
        "found": (Wording(2), Wording(3)),
        "lost": (Wording(1), Wording(1)),
        "diary": (Wording(1),),
    }


def _form(word, when):
    return Form(word=word, when=when)


def _slots():
    one, more = 0b001, 0b110
    return (
        Slot(name="place", forms=(_form("beach", {"place": 1}), _form("barn", {"place": 2}))),
        Slot(
            name="object",
            forms=(
                _form("ball", {"object": 1, "number": one}),
                _form("balls", {"object": 1, "number": more}),
                _form("egg", {"object": 2, "number": one}),
                _form("eggs", {"object": 2, "number": more}),
            ),
        ),
        Slot(
            name="article",
            forms=(
                _form("an", {"number": one, "size": 1}),
                _form("a", {"number": one, "size": 2}),
                _form("some", {"number": more}),
            ),
        ),
        Slot(name="size", forms=(_form("old", {"size": 1}), _form("big", {"size": 2}))),
        Slot(
            name="number",
            forms=tuple(
                _form(w, {"number": 1 << v}) for v, w in enumerate(("one", "two", "three"))
            ),
        ),
        Slot(name="was", forms=(_form("was", {"number": one}), _form("were", {"number": more}))),
        Slot(name="she", forms=(_form("she", {"gender": 1}), _form("he", {"gender": 2}))),
        Slot(name="person", forms=tuple(_form(w, {"person": 1 << v}) for v, w in enumerate(NAMES))),
        Slot(name="other", forms=tuple(_form(w, {"other": 1 << v}) for v, w in enumerate(NAMES))),
    )


TEXTS = {
    "arrive": (
        "{person} went to the {place} .",
        "{manner} , {person} came .",
    ),
    "object": (
        "{she} had {article} {size} {object} .",
        "{she} had {article} {object} .",
        "{number} {object} lay there .",
    ),
    "meet": ("then {other} came .", "{other} saw {person} ."),
    "sky": ("the sky turned red .",),
    "found": (
        "{person} laughed .",
        "{other} laughed .",
    ),
    "lost": ("the {size} {object} {was} gone from the {place} .", "{other} cried ."),
    "diary": ("that day at the {place} {she} saw {other} .",),
}


@pytest.fixture(scope="session")
def toy_story():
    """Seven wordings of events in free order over eight facts."""
    return Story(
        facts=_facts(),
        choices=(Choice(name="manner", weights=(3, 2)),),
        script=_script(),
        start="start",
        wordings=_wordings(),
    )


@pytest.fixture(scope="session")
def toy_language():
    """English of about forty words."""
    return Language(
        name="toy",
        slots=_slots(),
        choice_words={"manner": ("slowly", "gladly")},
        texts=TEXTS,
    )


def _skeletons(story, state, probability):
    """Every way through the script from a state: probability and (event, wording) pairs."""
    total = sum(arc.weight for arc in story.script[state])
    for arc in story.script[state]:
        here = probability * arc.weight / total
        if arc.event == END:
            yield here, ()
            continue
        wordings = story.wordings[arc.event]
        for number, wording in enumerate(wordings):
            share = here * wording.weight / sum(w.weight for w in wordings)
            if not share:
                continue
            for rest, steps in _skeletons(story, arc.state, share):
                yield rest, ((arc.event, number), *steps)


def _scenes(story):
    """Every scene with its probability."""
    facts = {fact.name: fact for fact in story.facts}
    names = list(facts)
    possible = [
        [value for value in range(len(fact.values)) if any(row[value] for row in fact.weights)]
        for fact in story.facts
    ]
    for values in itertools.product(*possible):
        scene = dict(zip(names, values, strict=True))
        probability = 1.0
        for name, value in scene.items():
            cause = facts[name].cause
            row = facts[name].weights[0 if cause is None else scene[cause]]
            probability *= row[value] / sum(row)
        if probability:
            yield probability, scene


def _say(language, line, scene, chosen):
    """The words of one text in one scene."""
    slots = {slot.name: slot for slot in language.slots}
    for word in line.split():
        name = word.strip("{}")
        if not word.startswith("{"):
            yield word
        elif name in chosen:
            yield language.choice_words[name][chosen[name]]
        else:
            (said,) = [
                form.word
                for form in slots[name].forms
                if all(mask >> scene[fact] & 1 for fact, mask in form.when.items())
            ]
            yield said


def _sayings(story, language, event, wording, scene):
    """Every way to say a wording in a scene, one for each outcome of its choices: p and words."""
    weights = {choice.name: choice.weights for choice in story.choices}
    names = story.wordings[event][wording].choices
    drawn = ([v for v, weight in enumerate(weights[name]) if weight] for name in names)
    for values in itertools.product(*drawn):
        chosen = dict(zip(names, values, strict=True))
        probability = math.prod(weights[n][v] / sum(weights[n]) for n, v in chosen.items())
        yield probability, tuple(_say(language, language.texts[event][wording], scene, chosen))


def enumerate_documents(story, language):
    """The probability of every document together with every value of its topic and gender."""
    joint = defaultdict(float)
    skeletons = list(_skeletons(story, story.start, 1.0))
    kinds = {step for _, steps in skeletons for step in steps}
    for likelihood, scene in _scenes(story):
        said = {step: list(_sayings(story, language, *step, scene)) for step in kinds}
        hidden = scene["topic"], scene["gender"]
        for probability, steps in skeletons:
            documents = [(likelihood * probability, ())]
            for step in steps:
                documents = [(p * q, a + b) for p, a in documents for q, b in said[step]]
            for weight, words in documents:
                joint[words, hidden] += weight
    return joint


@pytest.fixture(scope="session")
def toy_joint(toy_story, toy_language):
    """The probability of every document with its topic and gender."""
    return enumerate_documents(toy_story, toy_language)


@pytest.fixture(scope="session")
def toy_texts(toy_joint):
    """The probability of every document."""
    summed = defaultdict(float)
    for (words, _), probability in toy_joint.items():
        summed[(*words, END_WORD)] += probability
    return summed


@pytest.fixture(scope="session")
def toy_exact(toy_story, toy_language):
    return ExactModel(toy_story, toy_language)


@pytest.fixture(scope="session")
def toy_enumerate():
    """The function that writes out every document of a story and a language."""
    return enumerate_documents
