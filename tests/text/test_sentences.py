"""Sentences end where a reader says they end, and nothing of the text is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import ConfigError
from minillm.text.sentences import split_sentences

# Written by hand: "|" marks each end of a sentence inside the text.
GOLD = {
    "en": [
        "Dr. Smith went to Washington, D.C. on Jan. 5th. |He paid $3.50. |Why? |Nobody knows.",
        'He said, "I am here." |Then he left.',
        '"Where is it?" asked Anna. |"In the box," said Ben.',
        "See os.path.join() for details. |The function, e.g. map, returns None.",
        "Mr. and Mrs. J. K. Rowling live in the U.K. |They write books... |Then they rest!",
        "Version 3.11 is out, i.e. now. |Use it.",
        "Return the sum.\n\n|If the list is empty, return 0.",
        "Was it No. 5? |Yes (it was). |Good!",
    ],
    "zh": [
        "他说：“你好。”|然后走了。|她笑了！|为什么？|不知道……真的。",
        "今天气温是3.5度。|版本2.0发布了。",
        "小安来到公园。|她在那里遇见了她的朋友。|他们玩了一会儿。",
        "“快来！”|他们笑了。",
        "他读了《三国演义》。|你呢？！|我也读了。",
    ],
}


@pytest.mark.parametrize(
    ("language", "marked"), [(language, text) for language in GOLD for text in GOLD[language]]
)
def test_the_gold_set(language, marked):
    text = marked.replace("|", "")
    assert split_sentences(text, language=language) == marked.split("|")


@given(st.text(alphabet="ab. \n\"'”“。！？?!…，x", max_size=60), st.sampled_from(["en", "zh"]))
def test_joined_the_pieces_are_the_text(text, language):
    pieces = split_sentences(text, language=language)
    assert "".join(pieces) == text
    assert all(piece.strip() for piece in pieces) or not text.strip()


def test_an_unknown_language_is_refused():
    with pytest.raises(ConfigError, match="language must be one of en, zh, got 'de'"):
        split_sentences("Guten Tag.", language="de")


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentencex", None)
    with pytest.raises(ConfigError, match=r"pip install 'minillm\[text\]'"):
        split_sentences("One. Two.")
