"""The engine against a list of every document of a small story, made by code of its own."""

import itertools
import math
import random
from collections import defaultdict

import pytest

from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import END, END_WORD


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
            for rest, steps in _skeletons(story, arc.state, share):
                yield rest, ((arc.event, number), *steps)


def _scenes(story):
    """Every scene with its probability."""
    facts = {fact.name: fact for fact in story.facts}
    names = list(facts)
    for values in itertools.product(*(range(len(fact.values)) for fact in story.facts)):
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
    for values in itertools.product(*(range(len(weights[name])) for name in names)):
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


def entropy(probabilities):
    return -math.fsum(p * math.log2(p) for p in probabilities)


@pytest.fixture(scope="module")
def joint(toy_story, toy_language):
    return enumerate_documents(toy_story, toy_language)


@pytest.fixture(scope="module")
def texts(joint):
    summed = defaultdict(float)
    for (words, _), probability in joint.items():
        summed[(*words, END_WORD)] += probability
    return summed


@pytest.fixture(scope="module")
def exact(toy_story, toy_language):
    return ExactModel(toy_story, toy_language)


def test_all_documents_have_their_probability(texts, exact):
    assert math.fsum(texts.values()) == pytest.approx(1, abs=1e-12)
    some = sorted(texts)[::19]
    worst = max(abs(exact.bits(words) + math.log2(texts[words])) for words in some)
    assert worst < 1e-10, f"log2 p is off by {worst} bits"


def test_the_entropy_in_closed_form_is_that_of_the_list(texts, joint, exact):
    computed = exact.entropy()
    assert computed.total == pytest.approx(entropy(texts.values()), abs=1e-9)
    ambiguity = entropy(joint.values()) - entropy(texts.values())  # of topic and gender
    assert ambiguity > 0.3, "the story must leave its topic open, or the test is blunt"
    assert computed.words == pytest.approx(
        math.fsum(p * len(words) for words, p in texts.items()), abs=1e-9
    )
    assert computed.topic_ambiguity == pytest.approx(ambiguity, abs=1e-9)


def test_next_words_are_the_list_cut_at_a_prefix(texts, exact):
    document = max(texts, key=len)
    for length in range(0, len(document) + 1, 5):
        prefix = document[:length]
        following = defaultdict(float)
        for words, probability in texts.items():
            if words[:length] == prefix and len(words) > length:
                following[words[length]] += probability
        total = math.fsum(following.values())
        expected = {word: probability / total for word, probability in following.items()}
        assert exact.next_words(prefix) == pytest.approx(expected, abs=1e-12)


def test_hidden_words_are_the_list_filtered(texts, exact):
    document = max(texts, key=len)
    draws = random.Random(5)
    for n_hidden in (1, 2, 5, 11, len(document)):
        hidden = sorted(draws.sample(range(len(document)), n_hidden))
        alike = {
            words: probability
            for words, probability in texts.items()
            if len(words) == len(document)
            and all(
                a == b or i in hidden for i, (a, b) in enumerate(zip(words, document, strict=True))
            )
        }
        total = math.fsum(alike.values())
        assert exact.hidden_bits(document, hidden) == pytest.approx(
            -math.log2(texts[document] / total), abs=1e-10
        )
        for position, found in zip(hidden, exact.hidden_words(document, hidden), strict=True):
            expected = defaultdict(float)
            for words, probability in alike.items():
                expected[words[position]] += probability / total
            assert found == pytest.approx(expected, abs=1e-10)
