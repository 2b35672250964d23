"""A story small enough to write out every document, with everything that makes exactness hard.

A hidden topic that the words leave open, names that tell the gender, agreement over two facts,
facts that are told in part ("balls": two or three), recalls, events in free order, texts that begin
with the same word of different slots.
"""

import pytest

from minillm.text.world.grammar import (
    END,
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
        "sky": (Wording(1, ("hue",)),),
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
    "sky": ("the sky turned {hue} .",),
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
        choices=(
            Choice(name="manner", weights=(3, 2)),
            Choice(name="hue", weights=(4, 2)),
        ),
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
        choice_words={"manner": ("slowly", "gladly"), "hue": ("red", "grey")},
        texts=TEXTS,
    )
