"""Chinese: measure words, pronouns, places, and texts that choose what the English ones choose."""

from functools import cache
from itertools import product

import pytest

from minillm.text.world.chinese import CHINESE
from minillm.text.world.derivation import Deriver
from minillm.text.world.english import ENGLISH
from minillm.text.world.lexicon_names import MEN, WOMEN
from minillm.text.world.rendering import Rendering
from minillm.text.world.story import STORY
from minillm.text.world.telling import Teller
from minillm.text.world.wording_rows import placeholders

FACTS = {fact.name: fact for fact in STORY.facts}


@cache
def documents(n=1000):
    deriver, teller = Deriver(STORY), Teller(STORY, CHINESE)
    derivations = [deriver.derive(seed=4, number=number) for number in range(n)]
    return [(derivation, teller.tell(derivation)) for derivation in derivations]


@cache
def texts():
    rendering = Rendering(CHINESE)
    return [
        rendering.render([word.text for sentence in told for word in sentence])
        for _, told in documents()
    ]


def slot_word(name, **values):
    slot = next(slot for slot in CHINESE.slots if slot.name == name)
    fitting = [
        form.word
        for form in slot.forms
        if all(mask >> FACTS[f].values.index(values[f]) & 1 for f, mask in form.when.items())
    ]
    (word,) = fitting
    return word


@pytest.mark.parametrize("language", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_one_word_of_each_slot_fits_whatever_the_scene(language):
    for slot in language.slots:
        assert len({form.word for form in slot.forms}) == len(slot.forms)
        names = sorted({name for form in slot.forms for name in form.when})
        for values in product(*(range(len(FACTS[name].values)) for name in names)):
            scene = dict(zip(names, values, strict=True))
            fitting = [
                form.word
                for form in slot.forms
                if all(mask >> scene[name] & 1 for name, mask in form.when.items())
            ]
            assert len(fitting) == 1, (slot.name, scene, fitting)


def test_every_placeholder_is_known_and_the_choices_are_those_of_the_english_text():
    slots, choices = {slot.name for slot in CHINESE.slots}, set(CHINESE.choice_words)
    assert not slots & choices
    used = set()
    for event, rows in CHINESE.texts.items():
        for chinese, english in zip(rows, ENGLISH.texts[event], strict=True):
            used.update(placeholders(chinese))
            made = [name for name in placeholders(chinese) if name in choices]
            assert sorted(made) == sorted(n for n in placeholders(english) if n in choices)
    assert used == slots | choices
    for choice in STORY.choices:
        words = CHINESE.choice_words[choice.name]
        assert len(set(words)) == len(words) == len(choice.weights)


@pytest.mark.parametrize(
    ("slot", "values", "word"),
    [
        ("measure_clothing", {"clothing": "hat"}, "顶"),
        ("measure_clothing", {"clothing": "scarf"}, "条"),
        ("measure_animal", {"animal": "pony"}, "匹"),
        ("measure_animal", {"animal": "cat"}, "只"),
        ("measure", {"object": "candle"}, "支"),
        ("measure", {"object": "book"}, "本"),
        ("measure", {"object": "leaf"}, "片"),
        ("number", {"number": "2"}, "两"),
        ("those", {"number": "1"}, "那"),
        ("in_place", {"place": "harbor"}, "港口"),
        ("in_place", {"place": "beach"}, "海滩上"),
        ("in_place", {"place": "forest"}, "森林里"),
        ("in_place", {"place": "river"}, "河边"),
        ("wear", {"clothing": "hat"}, "戴着"),
        ("wear", {"clothing": "coat"}, "穿着"),
        ("relation", {"relation": "sibling", "gender": "m"}, "妹妹"),
        ("she", {"gender": "f"}, "她"),
        ("other_she", {"gender": "f"}, "他"),
    ],
)
def test_words_that_one_can_look_up(slot, values, word):
    assert slot_word(slot, **values) == word


def test_it_and_they_and_she_and_he_are_told_apart():
    women = {word.zh for word in WOMEN}
    for derivation, sentences in documents():
        number = FACTS["number"].values[derivation.scene[STORY.fact_index["number"]]]
        words = [word for sentence in sentences for word in sentence]
        person = next(word.text for word in words if word.source == "person")
        for word in words:
            if word.source == "it":
                assert word.text == ("它" if number == "1" else "它们")
            if word.source in ("she", "other_she"):
                is_woman = (person in women) == (word.source == "she")
                assert word.text == ("她" if is_woman else "他")


@pytest.mark.parametrize(
    "wrong", ["里里", "上里", "上上", "边里", "的的", "了了", "港口里", "二个", "个一", "在在", " "]
)
def test_nothing_is_said_twice_or_in_the_wrong_place(wrong):
    assert not [text for text in texts() if wrong in text]


def test_no_name_is_part_of_another_word():
    names = [word.zh for word in (*WOMEN, *MEN)]
    assert len(set(names)) == 120
    words = {form.word for slot in CHINESE.slots for form in slot.forms}
    words |= {word for words in CHINESE.choice_words.values() for word in words}
    words |= {item for rows in CHINESE.texts.values() for text in rows for item in text.split()}
    for name in names:
        assert len(name) == 2
        assert not [word for word in words - {name} if name in word]


def test_a_text_without_spaces_is_read_by_longest_words():
    """What a reader does who knows the words: at each place the longest one that fits."""
    words = {form.word for slot in CHINESE.slots for form in slot.forms}
    words |= {word for words in CHINESE.choice_words.values() for word in words}
    words |= {i for rows in CHINESE.texts.values() for t in rows for i in t.split() if i[0] != "{"}
    longest = max(map(len, words))
    for _, sentences in documents(200):
        said = [word.text for sentence in sentences[:-1] for word in sentence]
        text, read = "".join(said), []
        while text:
            size = next(size for size in range(longest, 0, -1) if text[:size] in words)
            read.append(text[:size])
            text = text[size:]
        assert read == said
