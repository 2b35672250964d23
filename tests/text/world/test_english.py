"""English: a word of every slot for every scene, agreement, and no name that is a word."""

from collections import Counter
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from minillm.errors import ConfigError
from minillm.text.world.derivation import Deriver
from minillm.text.world.english import ENGLISH
from minillm.text.world.grammar import END_WORD
from minillm.text.world.lexicon_names import MEN, WOMEN
from minillm.text.world.lexicon_topics import TOPICS
from minillm.text.world.slot_making import make_slot
from minillm.text.world.story import STORY
from minillm.text.world.telling import Teller
from minillm.text.world.wording_rows import placeholders

N_DOCUMENTS = 2000
COMMON = """
rose mark will bill grace hope jack frank daisy ivy holly lily ruby violet olive pearl ray art
dean drew miles max sue pat penny dawn joy faith iris amber april june may jade robin victor
grant chase hunter mason carter sandy josh nick harry tom rob bob carol ginger jasmine heather
hazel summer autumn melody ruth sky star brook reed rusty rocky buddy guy miller cook baker
smith king prince duke earl gene herb cliff glen forest woody norm stew wade lance pierce trip
chip dale
"""


@cache
def documents():
    deriver, teller = Deriver(STORY), Teller(STORY, ENGLISH)
    told = []
    for number in range(N_DOCUMENTS):
        derivation = deriver.derive(seed=3, number=number)
        told.append((derivation, teller.tell(derivation)))
    return told


def value_of(derivation, fact):
    place = STORY.fact_index[fact]
    return STORY.facts[place].values[derivation.scene[place]]


def test_every_placeholder_is_a_slot_or_a_choice_and_all_are_used():
    slots, choices = {slot.name for slot in ENGLISH.slots}, set(ENGLISH.choice_words)
    assert not slots & choices
    used = {name for texts in ENGLISH.texts.values() for t in texts for name in placeholders(t)}
    assert used == slots | choices


def test_every_text_makes_the_choices_of_its_wording():
    for event, wordings in STORY.wordings.items():
        assert len(ENGLISH.texts[event]) == len(wordings)
        for text, wording in zip(ENGLISH.texts[event], wordings, strict=True):
            made = [name for name in placeholders(text) if name in ENGLISH.choice_words]
            assert sorted(made) == sorted(wording.choices)
    for choice in STORY.choices:
        words = ENGLISH.choice_words[choice.name]
        assert len(set(words)) == len(words) == len(choice.weights)


def test_articles_agree_with_the_sound_that_follows():
    n_seen = Counter()
    for _, sentences in documents():
        for sentence in sentences:
            words = [word.text for word in sentence]
            for word, after in pairwise(words):
                if word in ("a", "an"):
                    n_seen[word] += 1
                    vowel = after[0].lower() in "aeio" or after in ("ugly", "unhappy", "upset")
                    assert (word == "an") == vowel, words
    assert min(n_seen["a"], n_seen["an"]) > 300


def test_numbers_agree_wherever_the_object_is_spoken_of():
    plural = {thing.en: thing.plural for topic in TOPICS for thing in topic.objects}
    one = {"article": "a an", "it": "it", "it_object": "it", "is": "is", "was": "was"}
    many = {"article": "two three", "it": "they", "it_object": "them", "is": "are", "was": "were"}
    for derivation, sentences in documents():
        name, number = value_of(derivation, "object"), value_of(derivation, "number")
        words = one if number == "1" else many
        for word in (word for sentence in sentences for word in sentence):
            if word.source in words:
                assert word.text in words[word.source].split()
            if word.source == "object":
                assert word.text == (name if number == "1" else plural[name])


def test_people_are_she_or_he_by_their_names():
    women = {word.en for word in WOMEN}
    she = {"she": "she he", "her": "her him", "hers": "her his"}
    for derivation, sentences in documents():
        for who, prefix in (("person", ""), ("other", "other_")):
            column = 0 if value_of(derivation, who) in women else 1
            expected = {prefix + slot: words.split()[column] for slot, words in she.items()}
            for word in (word for sentence in sentences for word in sentence):
                if word.source in expected:
                    assert word.text == expected[word.source]


def test_foods_are_it_or_they_by_their_last_letter():
    for _, sentences in documents():
        for sentence in sentences:
            foods = [word.text for word in sentence if word.source == "food"]
            for word in sentence:
                if word.source in ("it_food", "was_food", "them_food"):
                    assert (word.text in ("they", "were", "them")) == foods[0].endswith("s")


def test_no_name_is_a_common_word_or_of_both_genders():
    women, men = {word.en for word in WOMEN}, {word.en for word in MEN}
    assert len(women) == len(men) == 60
    assert not women & men
    words = {
        word
        for _, sentences in documents()
        for sentence in sentences
        for word in (each.text for each in sentence if each.source not in ("person", "other"))
    }
    for name in women | men:
        assert name[0].isupper()
        assert name[1:].islower()
        assert name.lower() not in words | set(COMMON.split())


def test_words_are_many_unequal_and_all_in_use():
    counts = Counter(
        word.text for _, sentences in documents() for sentence in sentences for word in sentence
    )
    said = {form.word for slot in ENGLISH.slots for form in slot.forms}
    said |= {word for words in ENGLISH.choice_words.values() for word in words}
    assert len(said - set(counts)) <= 2  # the rarest come about four times in 2,000 documents
    assert len(counts) > 850
    frequencies = np.log(sorted(counts.values(), reverse=True))
    slope = np.polyfit(np.log(np.arange(1, len(frequencies) + 1)), frequencies, 1)[0]
    assert -1.5 < slope < -1.1  # Zipf's law says -1


def test_documents_have_a_good_length():
    lengths = [sum(map(len, sentences)) for _, sentences in documents()]
    assert 110 < sum(lengths) / N_DOCUMENTS < 126
    assert max(lengths) <= 200
    for _, sentences in documents():
        told = [sentence for sentence in sentences if sentence[0].text != END_WORD]
        assert 6 <= len(told) <= 19


def test_words_that_make_no_rectangle_are_refused():
    def word(gender, number):
        return "both" if (gender, number) in {("f", "1"), ("m", "2")} else "rest"

    with pytest.raises(ConfigError, match="'both' in slot odd"):
        make_slot("odd", ["gender", "number"], word)
