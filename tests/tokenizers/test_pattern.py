import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.tokenizers.pattern import split_words


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_nothing_is_lost(text):
    assert "".join(split_words(text)) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("two words", ["two", " words"]),
        ("a  b", ["a", " ", " b"]),
        ("one\n\n  two ", ["one", "\n\n ", " two", " "]),
        ("x\n    return", ["x", "\n   ", " return"]),
        ("1234567 in 1999", ["123", "456", "7", " in", " 199", "9"]),
        ("１２３４", ["１２３", "４"]),
        ("it's 'second' we’ll", ["it", "'s", " '", "second", "'", " we", "’ll"]),
        ("今天，天气很好。二〇二四", ["今天", "，", "天气很好", "。", "二〇二四"]),
        ("你好 world", ["你好", " world"]),
        ("naïve cafe\u0301 हिन्दी", ["naïve", " cafe\u0301", " हिन्दी"]),
        ("f(x) == y", ["f", "(", "x", ")", " ==", " y"]),
        ("\u3000\u3000段落", ["\u3000\u3000", "段落"]),
        ("👩‍👩‍👧 ok", ["👩‍👩‍👧", " ok"]),
        ("", []),
    ],
)
def test_words(text, words):
    assert split_words(text) == words
