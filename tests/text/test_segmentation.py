"""Segmentation keeps the text, and jieba keeps quiet."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import ConfigError
from minillm.text import segmentation
from minillm.text.segmentation import METHODS, make_segmenter, segment, word_overlap

SENTENCE = "小明把红色的球放在桌子上。"


@pytest.fixture
def needs_jieba():
    pytest.importorskip("jieba")
    make_segmenter("jieba")  # reads the dictionary, which a test's deadline should not pay for


@pytest.mark.parametrize("method", METHODS)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]))
    | st.text("今天天气 好a1。\n", max_size=30)
)
@pytest.mark.usefixtures("needs_jieba")
def test_the_parts_are_the_text_again(method, text):
    assert "".join(segment(text, method)) == text


def test_characters_are_words():
    assert segment(SENTENCE) == list(SENTENCE)
    assert segment("") == []
    assert segment("说Hello 2次\n") == ["说", "Hello", " ", "2", "次", "\n"]


@pytest.mark.usefixtures("needs_jieba")
def test_jieba_finds_words():
    assert segment(SENTENCE, "jieba") == [
        "小明",
        "把",
        "红色",
        "的",
        "球",
        "放在",
        "桌子",
        "上",
        "。",
    ]
    assert make_segmenter("jieba") == make_segmenter("jieba")  # one dictionary


@pytest.mark.usefixtures("needs_jieba")
def test_jieba_prints_and_writes_nothing_and_is_imported_late(tmp_path):
    code = (
        "import sys, minillm.text.segmentation as s; assert 'jieba' not in sys.modules; "
        "assert s.segment('我来到北京', 'jieba') == ['我', '来到', '北京']"
    )
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_jieba_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jieba", None)
    segmentation._jieba.cache_clear()
    with pytest.raises(ConfigError, match=r"jieba, which is not installed.*minillm\[text\]"):
        segment(SENTENCE, "jieba")


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="characters, jieba, got 'words'"):
        segment(SENTENCE, "words")


def test_a_word_counts_if_both_ends_are_right():
    gold = ["ab", "c", "de"]
    assert word_overlap(gold, gold) == (1, 1, 1)
    assert word_overlap(["a", "bc", "de"], gold) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert word_overlap(["ab", "cde"], gold) == pytest.approx((1 / 2, 1 / 3, 2 / 5))
    assert word_overlap(["aa", "a"], ["a", "aa"]).f1 == 0  # the same words at other places
    assert word_overlap([], []) == (0, 0, 0)
    with pytest.raises(ValueError, match="not of the same text"):
        word_overlap(["ab"], ["a"])
