"""The real languages with most choices taken away, until all documents fit into a list."""

import math
from collections import defaultdict
from dataclasses import replace

import pytest

from minillm.text.world.chinese import CHINESE
from minillm.text.world.english import ENGLISH
from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import END_WORD
from minillm.text.world.story import STORY

# how many values stay: of the facts that are not named here, one
KEPT = {"place": 2, "object": 2, "gender": 2, "number": 3, "size": 2}
OF_TOPIC = [fact for fact in STORY.facts if fact.cause == "topic"]
# the first topic and one that shares a place with it
PLACES = OF_TOPIC[0].weights
TOPICS = 0, next(t for t in range(1, 12) if any(map(min, PLACES[0], PLACES[t])))


def thinned(weights, n_kept):
    """Keep the first values that are possible; the others get no weight."""
    kept = [value for value, weight in enumerate(weights) if weight][:n_kept]
    return tuple(weight if value in kept else 0 for value, weight in enumerate(weights))


def reduced_fact(fact):
    """Leave few values: two topics that are neighbors, and a few values that both can cause."""
    n_kept = KEPT.get(fact.name, 1)
    if fact.name == "topic":
        row = fact.weights[0]
        return replace(fact, weights=(tuple(w * (t in TOPICS) for t, w in enumerate(row)),))
    if fact not in OF_TOPIC:
        return replace(fact, weights=tuple(thinned(row, n_kept) for row in fact.weights))
    both = [fact.weights[topic] for topic in TOPICS]
    kept = [place for place, pair in enumerate(zip(*both, strict=True)) if all(pair)]
    # the likeliest under one topic and under the other
    likely = [sorted(kept, key=lambda v, row=row: -row[v])[: n_kept // 2 + 1] for row in both]
    kept = {value for values in likely for value in values[:n_kept]}
    rows = {t: tuple(w * (v in kept) for v, w in enumerate(fact.weights[t])) for t in TOPICS}
    return replace(fact, weights=tuple(rows.get(t, rows[0]) for t in range(len(fact.weights))))


def entropy(probabilities):
    return -math.fsum(p * math.log2(p) for p in probabilities)


@pytest.fixture(scope="module")
def reduced():
    """One wording an event, two ways on from a state at most, and few values."""
    script = {
        state: tuple(sorted(arcs, key=lambda arc: -arc.weight)[: 1 if "middle" in state else 2])
        for state, arcs in STORY.script.items()
    }
    wordings = {
        event: tuple(word._replace(weight=word.weight * (n < 1)) for n, word in enumerate(rows))
        for event, rows in STORY.wordings.items()
    }
    facts = tuple(reduced_fact(fact) for fact in STORY.facts)
    choices = tuple(replace(c, weights=thinned(c.weights, 1)) for c in STORY.choices)
    return replace(STORY, script=script, wordings=wordings, facts=facts, choices=choices)


@pytest.mark.slow
@pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_real_language_reduced_is_what_its_list_says(reduced, language, toy_enumerate):
    exact = ExactModel(reduced, language)
    told, joint = defaultdict(float), toy_enumerate(reduced, language)
    for (words, _), probability in joint.items():
        told[(*words, END_WORD)] += probability
    assert len(told) > 20_000
    listed = entropy(told.values())
    ambiguity = entropy(joint.values()) - listed  # of the topic; a name tells the gender
    assert ambiguity > 0.3, "the two topics must be hard to tell apart, or the test is blunt"
    assert exact.entropy().total == pytest.approx(listed, abs=1e-9)
    assert exact.entropy().topic_ambiguity == pytest.approx(ambiguity, abs=1e-9)
    for words in sorted(told)[::41]:
        assert exact.bits(words) == pytest.approx(-math.log2(told[words]), abs=1e-9)
