"""Every document must have one derivation: the static check finds where it has two."""

import math
from collections import defaultdict
from dataclasses import replace

import pytest

from minillm.errors import ConfigError
from minillm.text.world.ambiguities import ambiguities
from minillm.text.world.elements import check_partition
from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import END, Arc, Form, Slot


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


def test_the_closed_form_is_wrong_just_where_the_check_complains(
    toy_story, toy_language, toy_enumerate
):
    """One sentence about one of two persons whom nobody knows yet, told apart or not."""
    script = {"start": (Arc("arrive", 1, "closed"),), "closed": (Arc(END, 1, None),)}
    wordings = {**toy_story.wordings, "arrive": toy_story.wordings["found"]}
    story = replace(toy_story, script=script, wordings=wordings)
    for texts in [("{person} came .", "{other} came ."), ("{person} came .", "{other} left .")]:
        language = told_as(toy_language, "arrive", *texts)
        told = defaultdict(float)
        for (words, _), probability in toy_enumerate(story, language).items():
            told[words] += probability
        listed = -math.fsum(p * math.log2(p) for p in told.values())
        too_much = ExactModel(story, language).entropy().total - listed
        assert (too_much > 0.1) == bool(ambiguities(story, language))
        assert too_much > 0.1 or too_much == pytest.approx(0, abs=1e-12)


def test_a_script_that_comes_back_is_refused(toy_story, toy_language):
    script = {**toy_story.script, "last": (Arc("diary", 1, "start"), Arc(END, 1, None))}
    with pytest.raises(ConfigError, match="the script comes back to a state"):
        ambiguities(replace(toy_story, script=script), toy_language)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": {"sky": ()}}, "event 'sky' has 1 wordings but 0 texts"),
        ({"texts": {"sky": (" ",)}}, "a text has no words"),
        ({"texts": {"sky": ("{manner} .",)}}, r"uses the choices \['manner'\]"),
        ({"texts": {"lost": ("{moon} .", "{other} cried .")}}, "no slot or choice has it"),
        ({"choice_words": {"manner": ("slowly",)}}, "'manner' must not be"),
        ({"choice_words": {"manner": ("a", "a")}}, "tell them apart"),
        ({"choice_words": {"manner": ("a b", "c")}}, "without blanks"),
    ],
)
def test_a_language_that_cannot_tell_the_story_is_refused(toy_story, toy_language, change, message):
    if "texts" in change:
        change = {"texts": {**toy_language.texts, **change["texts"]}}
    with pytest.raises(ConfigError, match=message):
        ExactModel(toy_story, replace(toy_language, **change))


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ((("a", {"number": 1}), ("b", {"number": 2})), "its 2 forms cover 2 of 3"),
        ((("a", {"number": 3}), ("b", {"number": 6})), "its 2 forms cover 4 of 3"),
        ((("a", {"number": 1}), ("b", {"size": 1}), ("c", {"size": 2})), "cover 8 of 6"),
        ((("a", {"number": 3}), ("b", {"number": 2})), "'a' and 'b' fit the same scene"),
        ((("a", {"moon": 1}),), "the story has no such facts"),
        ((("a", {"number": 9}),), "fits no value, or one too many"),
    ],
)
def test_forms_that_do_not_partition_the_scenes_are_refused(toy_story, forms, message):
    slot = Slot(name="it", forms=tuple(Form(word=word, when=when) for word, when in forms))
    with pytest.raises(ConfigError, match=message):
        check_partition(toy_story, slot)
