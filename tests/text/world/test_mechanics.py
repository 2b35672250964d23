"""Drawing, telling and rendering, on a story of a few words."""

from collections import Counter
from itertools import pairwise

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text.world.derivation import Deriver, derive
from minillm.text.world.grammar import (
    END,
    END_WORD,
    Arc,
    Choice,
    Derivation,
    Fact,
    Form,
    Language,
    Slot,
    Step,
    Story,
    Wording,
)
from minillm.text.world.rendering import Rendering
from minillm.text.world.rng import SplitMix64, cumulate, keyed
from minillm.text.world.telling import Teller, Word, tell

# Weights with distinct sums; "thing" is caused by "topic"; the last row makes values impossible.
TOPIC = Fact(name="topic", values=("sea", "farm"), weights=((2, 5),))
THING = Fact(
    name="thing", values=("shell", "egg", "ant"), weights=((4, 1, 0), (0, 3, 8)), cause="topic"
)
NUMBER = Fact(name="number", values=("1", "2"), weights=((3, 10),))
STORY = Story(
    facts=(THING, TOPIC, NUMBER),  # the cause comes second: the order of drawing must see to it
    choices=(Choice(name="how", weights=(1, 6)), Choice(name="when", weights=(2, 2, 9))),
    script={
        "begin": (Arc("see", 1, "middle"),),
        "middle": (Arc("ask", 3, "middle"), Arc("go", 8, "middle"), Arc(END, 2, None)),
    },
    start="begin",
    wordings={
        "see": (Wording(3, ("when",)), Wording(4)),
        "ask": (Wording(1),),
        "go": (Wording(1, ("how", "when")),),
    },
)
THINGS = Slot(
    name="thing",
    tag="OBJ",
    forms=(
        Form(word="shell", when={"thing": 0b001, "number": 0b01}),
        Form(word="shells", when={"thing": 0b001, "number": 0b10}),
        Form(word="egg", when={"thing": 0b010, "number": 0b01}),
        Form(word="eggs", when={"thing": 0b010, "number": 0b10}),
        Form(word="ant", when={"thing": 0b100, "number": 0b01}),
        Form(word="ants", when={"thing": 0b100, "number": 0b10}),
    ),
)
ARTICLE = Slot(
    name="article",
    forms=(
        Form(word="an", when={"thing": 0b110, "number": 0b01}),
        Form(word="a", when={"thing": 0b001, "number": 0b01}),
        Form(word="two", when={"number": 0b10}),
    ),
)
ENGLISH = Language(
    name="en",
    slots=(THINGS, ARTICLE),
    choice_words={"how": ("home", "away"), "when": ("today", "now", "then")},
    texts={
        "see": ("{when} Tim saw {article} {thing} .", "{article} {thing} met Tim 's friend ."),
        "ask": ('" where is the {thing} ? " asked Tim .',),
        "go": ('{when} Tim called , " go {how} ! "',),
    },
)
CHINESE = Language(
    name="zh",
    slots=(
        Slot(
            name="thing",
            tag="OBJ",
            forms=(
                Form(word="贝壳", when={"thing": 0b001}),
                Form(word="鸡蛋", when={"thing": 0b010}),
                Form(word="蚂蚁", when={"thing": 0b100}),
            ),
        ),
        Slot(
            name="article",
            forms=(
                Form(word="一个", when={"number": 0b01}),
                Form(word="两个", when={"number": 0b10}),
            ),
        ),
    ),
    choice_words={"how": ("回家", "离开"), "when": ("今天", "现在", "然后")},
    texts={
        "see": ("{when} 明明 看见 {article} {thing} 。", "{article} {thing} 遇见 明明 的 朋友 。"),
        "ask": ("“ {thing} 在 哪里 ？ ” 明明 问 。",),
        "go": ("{when} 明明 喊 ： “ {how} 吧 ！ ”",),
    },
)
LANGUAGES = [ENGLISH, CHINESE]


def words_of(sentences):
    return [word.text for sentence in sentences for word in sentence]


# --- random numbers -------------------------------------------------------------------------------


def test_splitmix64_gives_the_published_numbers():
    rng = SplitMix64(1234567)  # the sequence that rosettacode.org lists for this seed
    assert [rng.next() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert SplitMix64(0).next() == 0xE220A8397B1DCDAF  # of the reference program in C


def test_numbers_below_a_total_are_evenly_likely():
    rng, n, total = SplitMix64(5), 11_000, 11
    counts = Counter(rng.below(total) for _ in range(n))
    assert set(counts) == set(range(total))
    mean, deviation = n / total, (n / total * (1 - 1 / total)) ** 0.5
    assert all(abs(count - mean) < 5 * deviation for count in counts.values())


def test_a_place_is_picked_by_its_weight_and_never_where_it_weighs_nothing():
    rng, weights, n = SplitMix64(7), (0, 3, 0, 1, 13, 0), 17_000
    cumulative = cumulate(weights)
    assert cumulative == (0, 3, 3, 4, 17, 17)
    counts = Counter(rng.pick(cumulative) for _ in range(n))
    assert set(counts) == {1, 3, 4}
    for place, count in counts.items():
        share = weights[place] / 17
        assert abs(count - n * share) < 5 * (n * share * (1 - share)) ** 0.5


def test_sequences_of_neighbors_have_nothing_in_common():
    first = [keyed(3, "document", number).next() >> 60 for number in range(16_000)]
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in Counter(first).values())
    same = sum(a == b for a, b in pairwise(first))
    assert abs(same - 1000) < 5 * 1000**0.5
    starts = {keyed(*key).state for key in [(3, "a", 1), (3, "b", 1), (31, "a", 1), (3, "a", 11)]}
    assert len(starts) == 4


# --- derivations ----------------------------------------------------------------------------------


def test_a_document_depends_on_seed_and_number_alone():
    deriver = Deriver(STORY)
    in_order = [deriver.derive(seed=2, number=number) for number in range(50)]
    assert [derive(STORY, seed=2, number=number) for number in reversed(range(50))] == in_order[
        ::-1
    ]
    assert [deriver.derive(seed=3, number=number) for number in range(50)] != in_order
    assert [
        Deriver(STORY, stream="picture").derive(seed=2, number=n) for n in range(50)
    ] != in_order


def test_every_choice_is_drawn_by_its_weight():
    deriver, n = Deriver(STORY), 20_000
    drawn = [deriver.derive(seed=11, number=number) for number in range(n)]
    scenes = Counter(one.scene for one in drawn)
    for (thing, topic, number), count in scenes.items():
        share = TOPIC.weights[0][topic] / 7 * NUMBER.weights[0][number] / 13
        share *= THING.weights[topic][thing] / sum(THING.weights[topic])
        assert abs(count - n * share) < 5 * (n * share * (1 - share)) ** 0.5
    assert len(scenes) == 8  # of 12: two things are impossible under one topic each
    steps = Counter(step for one in drawn for step in one.steps[1:])
    total = sum(steps.values())
    for event, weight in (("ask", 3), ("go", 8), (END, 2)):
        share = weight / 13
        count = sum(c for step, c in steps.items() if step.event == event)
        assert abs(count - total * share) < 5 * (total * share * (1 - share)) ** 0.5
    went = sum(c for step, c in steps.items() if step.event == "go")
    assert abs(steps[Step("go", 0, (1, 2))] - went * 6 / 7 * 9 / 13) < 5 * went**0.5


def test_a_derivation_begins_at_the_start_and_ends_with_end():
    for number in range(100):
        steps = derive(STORY, seed=0, number=number).steps
        assert steps[0].event == "see"
        assert [step.event for step in steps].count(END) == 1
        assert steps[-1] == (END, 0, ())


# --- telling --------------------------------------------------------------------------------------

STEPS = (Step("see", 0, (2,)), Step("go", 0, (1, 0)), Step("ask", 0, ()), Step(END, 0, ()))


def test_both_languages_tell_the_same_derivation():
    derivation = Derivation((1, 1, 0), STEPS)  # one egg
    english, chinese = (tell(language, STORY, derivation) for language in LANGUAGES)
    assert [len(sentence) for sentence in english] == [6, 9, 10, 1]
    assert words_of(english)[:6] == ["then", "Tim", "saw", "an", "egg", "."]
    assert english[0][4] == Word("egg", "thing", "OBJ")
    assert english[0][0] == Word("then", "when", None)
    assert english[1][0] == Word("today", "when")
    assert english[1][6] == Word("away", "how")
    assert english[0][1] == Word("Tim")
    assert words_of(chinese)[:6] == ["然后", "明明", "看见", "一个", "鸡蛋", "。"]
    assert english[-1] == chinese[-1] == [Word(END_WORD)]


def test_a_slot_says_what_fits_the_scene():
    teller = Teller(STORY, ENGLISH)
    said = {
        (thing, number): [
            teller.slot_word(name, (thing, 0, number)) for name in ("article", "thing")
        ]
        for thing in range(3)
        for number in range(2)
    }
    assert said == {
        (0, 0): ["a", "shell"],
        (0, 1): ["two", "shells"],
        (1, 0): ["an", "egg"],
        (1, 1): ["two", "eggs"],
        (2, 0): ["an", "ant"],
        (2, 1): ["two", "ants"],
    }


# --- rendering ------------------------------------------------------------------------------------


def test_text_is_written_as_people_do():
    derivation = Derivation((1, 1, 0), STEPS)
    english, chinese = (
        Rendering(language).render(words_of(tell(language, STORY, derivation)))
        for language in LANGUAGES
    )
    assert english == (
        'Then Tim saw an egg. Today Tim called, "Go away!" "Where is the egg?" asked Tim.'
    )
    assert chinese == "然后明明看见一个鸡蛋。今天明明喊：“离开吧！”“鸡蛋在哪里？”明明问。"
    second = Derivation((0, 0, 1), (Step("see", 1, ()), Step("ask", 0, ()), Step("see", 0, (0,))))
    assert Rendering(ENGLISH).render(words_of(tell(ENGLISH, STORY, second))) == (
        'Two shells met Tim\'s friend. "Where is the shells?" asked Tim. Today Tim saw two shells.'
    )


def test_a_sentence_after_a_quotation_begins_with_a_capital():
    steps = (Step("go", 0, (0, 1)), Step("see", 0, (2,)), Step("ask", 0, ()), Step("see", 1, ()))
    words = words_of(tell(ENGLISH, STORY, Derivation((0, 0, 0), steps)))
    assert Rendering(ENGLISH).render(words) == (
        'Now Tim called, "Go home!" Then Tim saw a shell. "Where is the shell?" asked Tim. '
        "A shell met Tim's friend."
    )


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_parsing_undoes_rendering(language):
    deriver, teller, rendering = Deriver(STORY), Teller(STORY, language), Rendering(language)
    for number in range(500):
        words = words_of(teller.tell(deriver.derive(seed=1, number=number)))
        text = rendering.render(words)
        assert [*rendering.parse(text), END_WORD] == words
        shown = [text[start:end] for start, end in rendering.spans(words)]
        assert [s.lower() for s in shown] == [word.lower() for word in words[:-1]]
    assert rendering.parse("") == []
    assert rendering.render([]) == rendering.render([END_WORD]) == ""


def test_a_chinese_text_is_read_as_far_as_it_goes():
    rendering = Rendering(CHINESE)
    text = "今天明明看见两个贝壳。"
    words = rendering.parse(text)
    assert words == ["今天", "明明", "看见", "两个", "贝壳", "。"]
    ends = [end for _, end in rendering.spans(words)]
    for end in range(len(text) + 1):
        if end in (0, *ends):
            assert rendering.parse(text[:end]) == words[: ends.index(end) + 1 if end else 0]
        else:
            stop = max(e for e in (0, *ends) if e < end)
            with pytest.raises(DataError, match=f"character {stop} stands"):
                rendering.parse(text[:end])


@pytest.mark.parametrize(
    "words",
    [
        "明明 跑到 家 。",
        "明明 跑 到 大门 。",
        "明明 走 到 大门 。 明明 跑到 家 。 明明 跑 到 大门 。",
    ],
)
def test_what_comes_later_decides_where_a_word_ends(words):
    texts = {"run": ("明明 跑到 家 。", "明明 {how} 到 大门 。")}
    language = Language(name="zh", slots=(), choice_words={"how": ("走", "跑")}, texts=texts)
    assert Rendering(language).parse(words.replace(" ", "")) == words.split()


@pytest.mark.parametrize(
    ("language", "text", "position", "found"),
    [
        (ENGLISH, "Then Tim saw a cow.", 15, "cow"),
        (ENGLISH, "then Tim saw an egg.", 0, "then"),
        (ENGLISH, "Then Tim Saw an egg.", 9, "Saw"),
        (ENGLISH, "Then Tim  saw an egg.", 9, " saw"),
        (ENGLISH, "Then Tim saw an egg .", 19, " ."),
        (ENGLISH, "Then Tim saw an egg.\n", 20, r"\\n"),
        (ENGLISH, "Then tim saw an egg.", 5, "tim"),
        (CHINESE, "然后明明看见一只鸡蛋。", 6, "一只"),
        (CHINESE, "然后 明明", 2, " 明明"),
        (CHINESE, "今天明明看见鸡", 6, "鸡"),
    ],
)
def test_what_is_not_of_the_language_is_refused_with_its_place(language, text, position, found):
    with pytest.raises(DataError, match=rf"{language.name}.*character {position} stands '{found}"):
        Rendering(language).parse(text)


def test_a_name_that_is_a_common_word_is_refused():
    texts = {**ENGLISH.texts, "ask": ("tim asked .",)}
    alike = Language(name="en", slots=ENGLISH.slots, choice_words=ENGLISH.choice_words, texts=texts)
    with pytest.raises(ConfigError, match="'tim' and 'Tim'"):
        Rendering(alike)
