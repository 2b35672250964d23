"""TinyWorld's story: what causes what, which event may follow which, and how much is left open."""

import math
from collections import Counter
from functools import cache
from itertools import combinations, pairwise

import pytest

from minillm.errors import ConfigError
from minillm.text.world.ambiguities import ambiguities
from minillm.text.world.chinese import CHINESE
from minillm.text.world.derivation import Deriver
from minillm.text.world.english import ENGLISH
from minillm.text.world.exact import ExactModel
from minillm.text.world.floors import limited_context, sentence_order
from minillm.text.world.grammar import END
from minillm.text.world.lexicon_topics import TOPICS
from minillm.text.world.story import STORY
from minillm.text.world.telling import Teller
from minillm.text.world.wording_rows import row

FACTS = {fact.name: fact for fact in STORY.facts}
BOTH = pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["en", "zh"])


@cache
def derivations(n=2000):
    deriver = Deriver(STORY)
    return [deriver.derive(seed=2, number=number) for number in range(n)]


@cache
def events(n=2000):
    return [[step.event for step in derivation.steps] for derivation in derivations(n)]


@cache
def exact(name):
    return ExactModel(STORY, {"en": ENGLISH, "zh": CHINESE}[name])


@pytest.mark.parametrize("name", ["place", "object", "hiding_place", "food"])
def test_a_topic_borrows_from_its_two_neighbors_and_from_nobody_else(name):
    kind = "foods" if name == "food" else f"{name}s"
    fact = FACTS[name]
    assert fact.cause == "topic"
    home = {value.en: topic.name for topic in TOPICS for value in getattr(topic, kind)}
    for topic, weights in zip(TOPICS, fact.weights, strict=True):
        share = Counter()
        for value, weight in zip(fact.values, weights, strict=True):
            share[home[value]] += weight
        borrowed = {other: weight for other, weight in share.items() if weight}
        assert borrowed.pop(topic.name) * 5 == sum(weights) * 4
        assert set(borrowed) == set(topic.neighbors) - {topic.name}
        assert len(borrowed) == 2


def test_topics_tell_their_neighbors_by_name_and_are_all_alike_in_size():
    names = {topic.name for topic in TOPICS}
    for topic in TOPICS:
        assert set(topic.neighbors) <= names - {topic.name}
        sizes = map(len, (topic.places, topic.objects, topic.hiding_places, topic.foods))
        assert tuple(sizes) == (3, 6, 3, 3)


def test_values_are_distinct_possible_and_fall_by_rank():
    for fact in STORY.facts:
        assert len(set(fact.values)) == len(fact.values), fact.name
        for weights in zip(*fact.weights, strict=True):
            assert any(weights), fact.name
        if fact.cause is None and fact.name != "gender":
            (weights,) = fact.weights
            assert all(a > b for a, b in pairwise(weights)), fact.name


def test_both_people_have_opposite_genders():
    person, other = FACTS["person"], FACTS["other"]
    for a, b in zip(person.weights, other.weights, strict=True):
        assert not any(x and y for x, y in zip(a, b, strict=True))
    assert person.weights == other.weights[::-1]


def test_every_state_leads_to_an_end_after_six_to_nineteen_sentences():
    @cache
    def lengths(state):
        ways = [(0, 0)] if any(arc.event == END for arc in STORY.script[state]) else []
        ways += [lengths(arc.state) for arc in STORY.script[state] if arc.event != END]
        shortest, longest = min(a for a, _ in ways), max(b for _, b in ways)
        return (shortest, longest) if state == STORY.start else (shortest + 1, longest + 1)

    shortest, longest = lengths(STORY.start)  # a state costs the sentence that led to it
    assert 6 <= shortest <= longest <= 19
    reached = {STORY.start}
    waiting = [STORY.start]
    while waiting:
        for arc in STORY.script[waiting.pop()]:
            assert arc.weight > 0
            assert isinstance(arc.weight, int)
            if arc.event != END and arc.state not in reached:
                reached.add(arc.state)
                waiting.append(arc.state)
    assert reached == set(STORY.script)


@pytest.mark.parametrize(
    ("event", "needs"),
    [
        ("clothing", "meet"),
        ("hide", "object"),
        ("hide", "meet"),
        ("animal_act", "animal"),
        ("answer", "ask"),
        ("search", "hide"),
        ("forgotten", "clothing"),
        ("goodbye", "found"),
        ("goodbye", "animal"),
        ("stolen", "lost"),
        ("stolen", "animal"),
        ("leftovers", "eat"),
        ("happy", "found"),
        ("sad", "lost"),
        ("returned", "lost"),
        ("dream", "tell"),
    ],
)
def test_what_needs_something_comes_after_it(event, needs):
    told = [document for document in events() if event in document]
    assert told
    for document in told:
        assert needs in document[: document.index(event)], document


def test_no_event_is_told_twice_and_every_event_is_told():
    counts = Counter()
    for document in events():
        assert len(set(document)) == len(document), document
        counts.update(document)
    assert set(counts) == {*STORY.wordings, END}
    assert counts["found"] + counts["lost"] == counts["arrive"] == len(events())


@BOTH
def test_a_document_has_one_derivation(language):
    assert ambiguities(STORY, language) == []


def genders_allowed(when):
    """The genders of the main person (a bit for each) with which a form can be said."""
    allowed = 3
    for fact, mask in when.items():
        if fact == "gender":
            allowed &= mask
        elif FACTS[fact].cause == "gender":
            women, men = (
                any(weight and mask >> value & 1 for value, weight in enumerate(weights))
                for weights in FACTS[fact].weights
            )
            allowed &= women + 2 * men
    return allowed


def words_of(language, item):
    """Each word that a place of a text can say, with the genders that it allows."""
    name = item[1:-1]
    if item[0] != "{":
        return {item: 3}
    if name in language.choice_words:
        return dict.fromkeys(language.choice_words[name], 3)
    slot = next(slot for slot in language.slots if slot.name == name)
    return {form.word: genders_allowed(form.when) for form in slot.forms}


@BOTH
def test_texts_that_may_follow_one_state_part_within_the_sentence(language):
    """Independent of the tries: two texts side by side, until they can share no word."""
    places = {item for rows in language.texts.values() for text in rows for item in text.split()}
    words = {item: words_of(language, item) for item in places}
    pairs = set()
    for arcs in STORY.script.values():
        following = {text for arc in arcs if arc.event != END for text in language.texts[arc.event]}
        pairs.update(combinations(sorted(following), 2))
    assert len(pairs) > 1000
    for first, second in pairs:
        assert any(
            not any(words[a][word] & words[b][word] for word in words[a].keys() & words[b].keys())
            for a, b in zip(first.split(), second.split(), strict=False)
        ), (first, second)


@BOTH
def test_how_much_a_word_tells_is_within_the_aims(language):
    entropy = exact(language.name).entropy()
    assert 110 <= entropy.words <= 125
    assert entropy.bits_per_word >= 0.85
    assert 10.5 <= entropy.sentences <= 12.5


def test_a_translation_says_just_as_much():
    """Both tellings of a derivation have the same probability, though other words."""
    english, chinese = Teller(STORY, ENGLISH), Teller(STORY, CHINESE)
    for derivation in derivations()[:100]:
        bits = []
        for teller, model in ((english, exact("en")), (chinese, exact("zh"))):
            words = [word.text for sentence in teller.tell(derivation) for word in sentence]
            bits.append(model.bits(words))
        assert math.isclose(*bits, rel_tol=1e-12), derivation


def test_order_is_informative_but_not_certain_and_old_sentences_are_needed():
    teller = Teller(STORY, ENGLISH)
    documents = [
        [[word.text for word in sentence] for sentence in teller.tell(derivation)]
        for derivation in derivations()
    ]
    order = sentence_order(exact("en"), documents, n_pairs=1000)
    assert order.value - 2 * order.standard_error > 0.85
    assert order.value + 2 * order.standard_error < 0.95
    _, excess = limited_context(exact("en"), documents[:300])
    assert excess.value - 3 * excess.standard_error > 0.08


def test_a_row_whose_languages_choose_differently_is_refused():
    with pytest.raises(ConfigError, match="scary"):
        row(1, "a {scary} story .", "一 个 故事 。")
    with pytest.raises(ConfigError, match="waved"):
        row(1, "{waved} and {waved} .", "{waved} 又 {waved} 。")
