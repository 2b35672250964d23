"""Other views of a scene: what they claim must follow from the document's text."""

import math
import re
from collections import Counter

import pytest

from minillm.text.world import TinyWorld
from minillm.text.world.dialogue import converse
from minillm.text.world.documents import LANGUAGES, make_tables
from minillm.text.world.labels import label, topic_probabilities
from minillm.text.world.lexicon import ANIMALS, COLORS, CONTAINERS
from minillm.text.world.lexicon_names import MEN, WOMEN
from minillm.text.world.lexicon_topics import TOPICS
from minillm.text.world.questions import ask
from minillm.text.world.scenes import Scene
from minillm.text.world.story import STORY
from minillm.text.world.tags import tag

BOTH = pytest.mark.parametrize("language", LANGUAGES)
FACTS = {fact.name: fact for fact in STORY.facts}
NOT_SAID_BY_ITS_KEY = {"hiding_place", "number"}  # "under the bridge", "two"


def documents(language, n, seed=6):
    world = TinyWorld(language, seed)
    return [world.document(number) for number in range(n)]


def said(document, slot):
    """Return the words of a slot in a document."""
    return [word.text for one in document.sentences for word in one if word.source == slot]


def words_of_facts(language):
    """Map each word that says a fact's own value to the slots that say it."""
    slots = {
        s.name: s for s in LANGUAGES[language].slots if s.name in FACTS or s.name == "in_place"
    }
    return {form.word for slot in slots.values() for form in slot.forms}


# --- labels ---------------------------------------------------------------------------------------


def test_the_ending_can_be_read_in_the_text():
    texts = LANGUAGES["en"].texts["lost"]
    lost = [re.compile(r"\S+".join(map(re.escape, re.split(r"\{\w+\}", t)))) for t in texts]
    endings = Counter()
    for document in documents("en", 400):
        sentences = [" ".join(word.text for word in one) for one in document.sentences]
        is_lost = any(one.fullmatch(sentence) for one in lost for sentence in sentences)
        assert label(document).ending == ("lost" if is_lost else "found")
        endings[label(document).ending] += 1
    assert min(endings.values()) > 60  # both are worth predicting


def test_the_topic_is_as_likely_as_what_it_causes_says():
    """Bayes' rule by hand: p(topic) times p(value | topic) of each value that was told."""
    tellers = {"place": ("place", "in_place", "at_place", "around")}
    for document in [*documents("en", 150), *documents("zh", 150)]:
        masses = [float(weight) for weight in FACTS["topic"].weights[0]]
        for name in ("place", "object", "hiding_place", "food"):
            if any(said(document, slot) for slot in tellers.get(name, (name,))):
                value = FACTS[name].values.index(document.fact(name))
                rows = FACTS[name].weights
                masses = [m * r[value] / sum(r) for m, r in zip(masses, rows, strict=True)]
        expected = [mass / math.fsum(masses) for mass in masses]
        assert list(topic_probabilities(document).values()) == pytest.approx(expected, abs=1e-12)


def test_the_best_guess_of_the_topic_is_often_right_but_not_always():
    found, n = documents("en", 600), 600
    guesses = [topic_probabilities(document) for document in found]
    expected = [max(one.values()) for one in guesses]
    right = sum(
        max(guess, key=guess.__getitem__) == label(document).topic
        for guess, document in zip(guesses, found, strict=True)
    )
    deviation = math.sqrt(math.fsum(p * (1 - p) for p in expected))
    assert abs(right - math.fsum(expected)) < 5 * deviation
    assert 0.85 < math.fsum(expected) / n < 0.99


# --- tags -----------------------------------------------------------------------------------------


@BOTH
def test_tags_are_well_formed_and_cover_the_text(language):
    for document in documents(language, 200):
        tagged = tag(document)
        joined = "".join(one.word for one in tagged)
        assert joined == document.text.replace(" ", "")
        before = "O"
        for _, kind in tagged:
            assert kind == "O" or kind[:2] in ("B-", "I-")
            if kind.startswith("I-"):
                assert before[2:] == kind[2:]
            before = kind


def test_people_places_and_animals_are_found_by_their_names():
    names = {word.en for word in (*WOMEN, *MEN)}
    places = {place.en for topic in TOPICS for place in topic.places}
    animals = {animal.en for animal in ANIMALS}
    for document in documents("en", 400):
        for word, kind in tag(document):
            assert (word in names) == (kind == "B-PER")
            if word in places and kind != "O":
                assert kind == "B-LOC"
            if kind == "I-ANI":
                assert word in animals


def test_an_entity_begins_with_its_adjectives():
    document = next(d for d in documents("en", 50) if d.fact("number") == "1")
    scene, tagged = Scene(document), tag(document)
    place = next(
        i for i, (w, _) in enumerate(tagged) if w == scene["size"] and tagged[i + 1][0] != "a"
    )
    entity = [scene["size"], scene["color"], scene["object"]]
    assert [tuple(one) for one in tagged[place : place + 3]] == list(
        zip(entity, ["B-OBJ", "I-OBJ", "I-OBJ"], strict=True)
    )


# --- questions ------------------------------------------------------------------------------------


@BOTH
def test_an_answer_stands_where_it_says_and_is_the_only_one(language):
    kinds = Counter()
    for document in documents(language, 400):
        questions = ask(document)
        texts = [question.text for question in questions]
        assert len(set(texts)) == len(texts)
        for question in questions:
            if question.answer is None:
                assert question.start is question.end is None
                continue
            kinds[question.kind] += 1
            assert document.text[question.start : question.end] == question.answer
            if question.kind in FACTS.keys() - {"number", "place"}:
                assert len(set(said(document, question.kind))) == 1
    told = {"person", "place", "other", "color", "container", "container_color", "hiding_place"}
    assert all(kinds[kind] == 400 for kind in told | {"weather", "time"})
    assert all(kinds[kind] > 20 for kind in ("number", "clothing", "clothing_color", "food"))
    assert kinds["animal"] == kinds["animal_trait"] > 20


def test_answers_in_english_are_the_values_of_the_scene():
    count = {"2": "two", "3": "three"}
    for document in documents("en", 400):
        for question in ask(document, n_unanswerable=0):
            value = document.fact(question.kind)
            if question.kind == "number":
                assert question.answer == count[value]
            elif question.kind == "hiding_place":
                assert str(question.answer).split()[1:] == ["the", value]
            else:
                assert question.answer == value


def test_answers_in_chinese_are_the_values_of_the_scene():
    words = {
        "color": {word.en: word.zh for word in COLORS},
        "container_color": {word.en: word.zh for word in COLORS},
        "container": {thing.en: thing.zh for thing in CONTAINERS},
        "person": {word.en: word.zh for word in (*WOMEN, *MEN)},
        "other": {word.en: word.zh for word in (*WOMEN, *MEN)},
        "animal": {animal.en: animal.zh for animal in ANIMALS},
    }
    for document in documents("zh", 300):
        for question in ask(document, n_unanswerable=0):
            if question.kind in words:
                assert question.answer == words[question.kind][document.fact(question.kind)]


def test_an_answer_can_be_read_in_the_text():
    """A reader without the scene: the color stands before the thing that the question names."""
    n_read = 0
    for document in documents("en", 300):
        for question in ask(document, n_unanswerable=0):
            *_, noun = re.findall(r"[\w-]+", question.text)
            if question.kind in ("color", "container_color", "clothing_color"):
                assert f"{question.answer} {noun}" in document.text
                n_read += 1
            elif question.kind == "hiding_place":
                assert re.search(
                    rf"{noun} {question.answer}|{question.answer}, ", document.text, re.I
                )
                n_read += 1
    assert n_read > 900


@BOTH
def test_what_has_no_answer_is_not_in_the_text(language):
    slots = {slot.name: {form.word for form in slot.forms} for slot in LANGUAGES[language].slots}
    false = {
        "color": "object",
        "container_color": "container",
        "hiding_place": "container",
        "other": "relation",
        "clothing_color": "clothing",
    }
    kinds = Counter()
    for document in documents(language, 400):
        without = [question for question in ask(document) if question.answer is None]
        assert len(without) == 2
        for question in without:
            kinds[question.kind] += 1
            if question.kind in false:
                words = slots[false[question.kind]]
                named = max((word for word in words if word in question.text), key=len)
                assert named not in document.words, (question, document.text)
            elif said(document, question.kind):  # an animal came, but not one that was so
                traits = [word for word in slots["animal_trait"] if word in question.text]
                assert traits
                assert not set(traits) & set(document.words)
    assert set(kinds) == {*false, "animal", "clothing", "food"}


def test_questions_are_drawn_alike_each_time():
    first, second = (documents("en", 20) for _ in range(2))
    assert [ask(document) for document in first] == [ask(document) for document in second]
    assert len(ask(first[0], n_unanswerable=0)) < len(ask(first[0], n_unanswerable=1))


# --- dialogues ------------------------------------------------------------------------------------


@BOTH
def test_a_dialogue_alternates_and_says_only_what_the_document_says(language):
    vocabulary = words_of_facts(language)
    for document in documents(language, 300):
        turns = converse(document)
        assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert {turn.speaker for turn in turns[::2]} == set(said(document, "other"))
        assert {turn.speaker for turn in turns[1::2]} == set(said(document, "person"))
        for turn in turns:
            if language == "en":
                mentioned = {
                    word for word in re.findall(r"[\w-]+", turn.text) if word in vocabulary
                }
                assert mentioned <= set(document.words), (turn, document.text)
            assert "{" not in turn.text
        spoken = "".join(turn.text for turn in turns)
        for fact in ("size", "color", "container_color", "container", "hiding_place"):
            assert said(document, fact)[0] in spoken
        for fact in ("clothing", "animal", "food"):
            words = said(document, fact)
            assert not words or words[0] in spoken


def test_the_dialogue_ends_as_the_document_did():
    for document in documents("en", 200):
        spoken = " ".join(turn.text for turn in converse(document))
        assert ("Yes, the" in spoken) == (label(document).ending == "found")
        assert ("No, the" in spoken) == (label(document).ending == "lost")


def test_a_changed_fact_changes_the_words_that_depend_on_it():
    document = documents("en", 1)[0]
    many = Scene(document, {"number": FACTS["number"].values.index("3")})
    assert many.say("{article} {was} {it}") == "three were they"
    assert set(many) == {slot.name for slot in LANGUAGES["en"].slots}
    assert len(many) == len(set(many))
    assert make_tables("en") is make_tables("en")
