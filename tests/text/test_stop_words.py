"""Stop words go where they are whole words, and nothing else does."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minillm.text.cleaning import STEPS
from minillm.text.stop_words import STOP_WORDS, drop_stop_words


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The cat is on the mat.", "cat mat."),
        ("THEME, out-of-date: THE END, 'the'", "THEME, out-of-date: END, ''"),
        ("it's Theirs; who’d say so? I can't.", "it's ; who’d say ? can't."),
        ("a\nb\n\nthe", "\nb\n\n"),
        ("to the_end of thé", "the_end thé"),
        ("", ""),
    ],
)
def test_by_hand(before, after):
    assert drop_stop_words(before) == after
    assert STEPS["stop-words"](before) == after


@given(st.lists(st.sampled_from(["the", "Of", "cat", "theme", "not", "x1", "offer"])))
def test_words_are_filtered_as_a_list_would_be(words):
    kept = [word for word in words if word.lower() not in {"the", "of", "not"}]
    assert drop_stop_words(" ".join(words)).split() == kept


@given(st.text())
@example("İ ſhe")
def test_no_stop_word_is_left_and_no_other_character_is_lost(text):
    after = drop_stop_words(text)
    assert re.sub(r"[A-Za-z \t]", "", after) == re.sub(r"[A-Za-z \t]", "", text)


def test_the_list_is_of_small_lower_case_words():
    assert all(re.fullmatch("[a-z]+", word) for word in STOP_WORDS)
    assert {"the", "of", "not", "because", "themselves"} < STOP_WORDS
    assert not {"time", "people", "return", "one", "said"} & STOP_WORDS  # frequent, but not small
