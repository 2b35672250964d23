"""Every document must have one derivation: the static check finds where it has two."""

from dataclasses import replace

import pytest

from minillm.text.world.ambiguities import ambiguities


def told_as(language, event, *texts):
    return replace(language, texts={**language.texts, event: texts})


def test_the_toy_has_no_ambiguity(toy_story, toy_language):
    assert ambiguities(toy_story, toy_language) == []


@pytest.mark.parametrize(
    ("event", "texts", "message"),
    [
        ("lost", ("{person} laughed .", "{other} cried ."), "found and lost both say"),
        ("found", ("{person} laughed .", "anna laughed ."), "'anna' may be the word or {person}"),
        ("meet", ("then {other} came .", "{other} came ."), ""),
        # before anybody was named, "anna came ." may be about either of the two
        ("arrive", ("{person} came .", "{other} came ."), "may be {person} or {other}"),
    ],
)
def test_what_could_be_told_twice_is_named(toy_story, toy_language, event, texts, message):
    if event == "arrive":
        wordings = {**toy_story.wordings, "arrive": toy_story.wordings["found"]}
        toy_story = replace(toy_story, wordings=wordings)
    found = ambiguities(toy_story, told_as(toy_language, event, *texts))
    assert bool(found) == bool(message)
    assert all(message in line for line in found), found
