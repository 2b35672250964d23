"""The engine on the real story: what must hold in both languages."""

import itertools
import math
import re
from pathlib import Path

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text.world import floors
from minillm.text.world.chinese import CHINESE
from minillm.text.world.derivation import Deriver
from minillm.text.world.english import ENGLISH
from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import END, END_WORD
from minillm.text.world.rendering import vocabulary
from minillm.text.world.report import entropy_report
from minillm.text.world.story import STORY
from minillm.text.world.telling import Teller

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}


@pytest.fixture(scope="module")
def engines():
    return {name: ExactModel(STORY, language) for name, language in LANGUAGES.items()}


def documents(name, n, *, seed):
    deriver, teller = Deriver(STORY), Teller(STORY, LANGUAGES[name])
    for number in range(n):
        told = teller.tell(deriver.derive(seed=seed, number=number))
        yield [[word.text for word in sentence] for sentence in told]


def joined(sentences):
    return [word for sentence in sentences for word in sentence]


def test_two_languages_tell_one_story_in_as_many_bits(engines):
    english, chinese = (engines[name].entropy() for name in LANGUAGES)
    assert english.total == pytest.approx(chinese.total, abs=1e-9)
    for one, other in zip(documents("en", 30, seed=4), documents("zh", 30, seed=4), strict=True):
        bits = engines["en"].bits(joined(one))
        assert engines["zh"].bits(joined(other)) == pytest.approx(bits, abs=1e-9)


def test_the_language_is_as_rich_as_it_should_be(engines):
    entropy = engines["en"].entropy()
    assert entropy.bits_per_word >= 0.8
    assert entropy.topic_ambiguity > 0.05
    assert entropy.words == engines["en"].expected_words()


@pytest.mark.parametrize(
    ("name", "n", "tolerance"),
    [("en", 1000, 0.03), pytest.param("en", 100_000, 0.002, marks=pytest.mark.slow)],
)
def test_the_mean_of_drawn_documents_is_the_entropy(engines, name, n, tolerance):
    exact, bits, lengths = engines[name], [], []
    for sentences in documents(name, n, seed=8):
        words = joined(sentences)
        bits.append(exact.bits(words))
        lengths.append(float(len(words)))
    for values, expected in ((bits, exact.entropy().total), (lengths, exact.expected_words())):
        found = floors.mean(values)
        assert abs(found.value - expected) < 3.5 * found.standard_error
        assert found.value == pytest.approx(expected, rel=tolerance)


def share(weights, place):
    return weights[place] / sum(weights)


def prior_bits(masks):
    """−log2 p(scene inside the masks), fact by fact under every value of every cause."""
    probability = 1.0
    inside = {
        fact.name: [[share(row, v) * (masks[fact.name] >> v & 1) for v in range(len(row))]
                    for row in fact.weights]
        for fact in STORY.facts
    }  # fmt: skip
    for root in STORY.facts:
        if root.cause is None:
            caused = [fact.name for fact in STORY.facts if fact.cause == root.name]
            probability *= math.fsum(
                p * math.prod(math.fsum(inside[name][value]) for name in caused)
                for value, p in enumerate(inside[root.name][0])
            )
    return -math.log2(probability)


def derivation_bits(language, derivation):
    """−log2 p of the choices that made a document and of the facts that its words tell."""
    slots = {slot.name: slot for slot in language.slots}
    choices = {choice.name: choice.weights for choice in STORY.choices}
    masks = {fact.name: (1 << len(fact.values)) - 1 for fact in STORY.facts}
    scene = dict(zip(STORY.fact_index, derivation.scene, strict=True))
    bits, state = 0.0, STORY.start
    for step in derivation.steps:
        arcs = STORY.script[state]
        (place,) = [n for n, arc in enumerate(arcs) if arc.event == step.event]
        bits -= math.log2(share([arc.weight for arc in arcs], place))
        state = arcs[place].state
        if step.event == END:
            break
        wordings = STORY.wordings[step.event]
        bits -= math.log2(share([wording.weight for wording in wordings], step.wording))
        for name, drawn in zip(wordings[step.wording].choices, step.choices, strict=True):
            bits -= math.log2(share(choices[name], drawn))
        for word in language.texts[step.event][step.wording].split():
            for form in slots[word.strip("{}")].forms if word.strip("{}") in slots else ():
                if all(mask >> scene[fact] & 1 for fact, mask in form.when.items()):
                    for fact, mask in form.when.items():
                        masks[fact] &= mask
    return bits + prior_bits(masks)


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_document_costs_what_its_derivation_costs(engines, name):
    """No other derivation tells the same document, or it would cost less."""
    deriver, teller = Deriver(STORY), Teller(STORY, LANGUAGES[name])
    for number in range(100):
        derivation = deriver.derive(seed=17, number=number)
        words = [word.text for sentence in teller.tell(derivation) for word in sentence]
        expected = derivation_bits(LANGUAGES[name], derivation)
        assert engines[name].bits(words) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", LANGUAGES)
def test_next_words_sum_to_one_and_give_the_bits(engines, name):
    exact = engines[name]
    words = joined(next(documents(name, 1, seed=5)))
    for position, bits in enumerate(exact.word_bits(words)):
        following = exact.next_words(words[:position])
        assert math.fsum(following.values()) == pytest.approx(1, abs=1e-12)
        assert -math.log2(following[words[position]]) == pytest.approx(bits, abs=1e-12)
    assert exact.next_words(words) == {}


@pytest.mark.parametrize("name", LANGUAGES)
def test_hidden_words_are_found_by_trying_all(engines, name):
    exact = engines[name]
    words = joined(next(documents(name, 1, seed=6)))
    candidates = sorted(vocabulary(LANGUAGES[name]))

    def probability(hidden, tried):
        document = list(words)
        for place, word in zip(hidden, tried, strict=True):
            document[place] = word
        try:
            return 2 ** -exact.bits(document)
        except DataError:
            return 0.0

    costs = exact.word_bits(words)
    dear = sorted(range(len(words) - 1), key=costs.__getitem__)[-3:]
    for hidden in [[place] for place in dear] + [sorted(dear[:2])]:
        found = exact.hidden_words(words, hidden)
        tries = [sorted(said) for said in found] if len(hidden) > 1 else [candidates]
        joint = {tried: probability(hidden, tried) for tried in itertools.product(*tries)}
        total = math.fsum(joint.values())
        for number, said in enumerate(found):
            for word in tries[number]:
                share = math.fsum(p for t, p in joint.items() if t[number] == word) / total
                assert said.get(word, 0.0) == pytest.approx(share, abs=1e-10)
        here = joint[tuple(words[place] for place in hidden)] / total
        assert exact.hidden_bits(words, hidden) == pytest.approx(-math.log2(here), abs=1e-9)


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_text_costs_what_its_words_cost(engines, name):
    exact = engines[name]
    told = [joined(sentences) for sentences in documents(name, 20, seed=3)]
    texts = [exact.rendering.render(words) for words in told]
    assert exact.floor_bits(texts) == [exact.bits(words) for words in told]


def test_a_fact_is_known_once_it_is_told(engines):
    exact = engines["en"]
    place = STORY.fact_index["place"]
    derivation = Deriver(STORY).derive(seed=9, number=0)
    words = joined(next(documents("en", 1, seed=9)))
    value = STORY.facts[place].values[derivation.scene[place]]
    row = STORY.facts[STORY.fact_index["topic"]].weights[0]
    prior = exact.fact("topic", [])
    assert list(prior.values()) == pytest.approx([weight / sum(row) for weight in row])
    assert exact.fact("place", words)[value] == 1.0
    assert math.fsum(exact.fact("topic", words).values()) == pytest.approx(1)
    assert exact.fact("topic", words) != prior
    with pytest.raises(ConfigError, match="no fact 'moon': choose from topic, place"):
        exact.fact("moon", words)


def test_what_the_language_cannot_say_is_named(engines):
    exact = engines["en"]
    words = joined(next(documents("en", 1, seed=9)))
    with pytest.raises(DataError, match=r"word 4 of \d+ \('zebra'\) cannot follow .* expected"):
        exact.bits([*words[:3], "zebra", *words[4:]])
    with pytest.raises(DataError, match="a whole document ends with '<eos>'"):
        exact.bits(words[:-1])
    with pytest.raises(
        DataError, match=r"cannot follow .*: expected nothing: the document is over"
    ):
        exact.bits([*words, END_WORD])
    with pytest.raises(DataError, match="hidden position 999: the document has"):
        exact.hidden_words(words, [999])
    with pytest.raises(DataError, match="each may come only once"):
        exact.hidden_words(words, [1, 1])
    with pytest.raises(DataError, match="does not end with"):
        exact.hidden_words(words[:9], [1])
    assert exact.word_bits([]) == []


def test_the_report_holds_numbers_that_fit_together(engines):
    exact = engines["en"]
    found = entropy_report(exact, list(documents("en", 40, seed=12)), n_pairs=60)
    assert all(math.isfinite(number) for number in found.values())
    parts = ("script_and_wording_bits", "choices_bits", "facts_bits")
    total = found["analytic_bits_per_document"]
    assert math.fsum(found[part] for part in parts) == pytest.approx(total)
    assert found["bits_per_word"] == pytest.approx(total / found["words_per_document"])
    assert found["bits_per_byte"] == pytest.approx(total / found["bytes_per_document"])
    assert found["limited_excess_bits_per_word"] > 0
    for name in ("next_sentence", "sentence_order"):
        assert 0.5 < found[f"{name}_accuracy"] < 1
    for name in ("masked", "topic", "next_word"):
        assert 0 < found[f"{name}_accuracy"] < 1
        assert found[f"{name}_accuracy_error"] > 0


def test_the_page_states_the_numbers_of_this_story(engines):
    """After a change of the story or a language: python scripts/world_numbers.py --write."""
    page = (Path(__file__).parents[3] / "docs" / "tinyworld.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (\d.*) \|$", page, re.MULTILINE))
    for place, name in enumerate(LANGUAGES):
        entropy = engines[name].entropy()
        for row, number in {
            "entropy per document, closed form (bits)": entropy.total,
            "· script and wording (bits)": entropy.script_and_wording,
            "· memoryless choices (bits)": entropy.choices,
            "· facts, topic summed out (bits)": entropy.facts,
            "H(topic given the document) (bits)": entropy.topic_ambiguity,
            "words per document, punctuation and end included": entropy.words,
            "**floor, bits per word**": entropy.bits_per_word,
        }.items():
            assert float(rows[row].split(" | ")[place]) == pytest.approx(number, abs=6e-5), row
