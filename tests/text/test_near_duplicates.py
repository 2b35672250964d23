"""Near-duplicates: planted ones are found, others stay, and the odds are those that are stated."""

import random
import re
from math import comb

import numpy as np
import pytest

from minillm.errors import ConfigError
from minillm.text import near_duplicates
from minillm.text.cleaning import CleaningReport, clean
from minillm.text.documents import Document
from minillm.text.near_duplicates import (
    LEAST_SIMILARITY,
    N_BANDS,
    N_PERMUTATIONS,
    N_ROWS,
    PHRASE_WORDS,
    phrases,
    survey_near_duplicates,
)


@pytest.fixture(autouse=True)
def _datasketch():
    pytest.importorskip("datasketch")


def article(seed, n_words=300):
    draw = random.Random(seed)
    return " ".join(draw.choices([f"word{i}" for i in range(500)], k=n_words))


def edited(text, seed, n_edits):
    """Replace words far apart: each takes about five phrases with it and brings five."""
    words, draw = text.split(), random.Random(seed)
    step = len(words) // n_edits
    for i in range(n_edits):
        words[i * step + draw.randrange(step - PHRASE_WORDS)] = f"new{seed}x{i}"
    return " ".join(words)


def similarity(one, other):
    one, other = phrases(one), phrases(other)
    return len(one & other) / len(one | other)


def kept(texts):
    rewrite = survey_near_duplicates(iter(texts))
    return [text for text in texts if rewrite(text) is not None]


def test_planted_near_duplicates_go_and_others_stay():
    originals = [article(seed) for seed in range(60)]
    copies = [edited(text, seed, 3) for seed, text in enumerate(originals)]  # J = 0.904
    cousins = [edited(text, seed + 100, 20) for seed, text in enumerate(originals)]  # J = 0.49
    assert min(map(similarity, originals, copies)) > 0.9
    assert max(map(similarity, originals, cousins)) < 0.55
    left = kept([*originals, *copies, *cousins])
    assert set(cousins) <= set(left)
    one_of_each = [
        sum(text in left for text in pair) for pair in zip(originals, copies, strict=True)
    ]
    assert one_of_each == [1] * 60


def test_the_order_of_the_corpus_does_not_matter():
    texts = [article(seed) for seed in range(20)]
    texts += [edited(text, seed, n) for seed, text in enumerate(texts) for n in (1, 3, 5, 6, 7, 9)]
    texts += texts[3:7]
    expected = sorted(kept(texts))
    assert len(set(texts)) > len(expected) == len(set(expected)) >= 20
    for seed in range(5):
        shuffled = random.Random(seed).sample(texts, len(texts))
        assert sorted(kept(shuffled)) == expected


def test_what_goes_resembles_what_stays():
    """In a chain a ~ b ~ c … only neighbors are alike: the ends must not fall together."""
    chain = [article(0, 400)]
    for seed in range(1, 12):
        words = chain[-1].split()
        start = 30 * seed
        words[start : start + 12] = [f"new{seed}x{i}" for i in range(12)]
        chain.append(" ".join(words))
    assert similarity(chain[0], chain[1]) > 0.9
    assert similarity(chain[0], chain[-1]) < 0.5
    left = kept(chain)
    assert 2 <= len(left) < len(chain)
    for text in set(chain) - set(left):
        assert max(similarity(text, other) for other in left) > 0.7  # 0.8 less three errors


def test_the_longest_stays_and_copies_go():
    shorts = [article(seed) for seed in range(12)]  # twelve hashes: chance alone would not do
    longs = [short + " and one more sentence at the end" for short in shorts]
    assert kept([*shorts, *longs, *shorts, *longs]) == longs
    assert kept([*longs, *shorts]) == longs
    assert kept(["", " ", "!!", "??", "!!"]) == ["", " ", "!!", "??"]  # no words: only copies go


def test_phrases_by_hand():
    assert phrases("One, TWO three-four.") == {"one two three four"}
    assert phrases("a b c d e f") == {"a b c d e", "b c d e f"}
    assert phrases("我喝茶。你喝咖啡") == {"我 喝 茶 你 喝", "喝 茶 你 喝 咖", "茶 你 喝 咖 啡"}
    assert phrases("日本語 and 1 カ") == {"日 本 語 and 1", "本 語 and 1 カ"}


def test_chinese_near_duplicates_are_found():
    draw = random.Random(5)
    text = "".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(400))
    other = "".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(400))
    assert len(kept([text, text[:200] + "新" + text[200:], other])) == 2


def chance(similarity):
    """Compute the chance that two sets are found: a band agrees, and so do enough numbers.

    Band by band: how many of its rows agree is binomial; without a full band a pair is not met.
    """
    rows = range(N_ROWS + 1)
    any_band = [comb(N_ROWS, k) * similarity**k * (1 - similarity) ** (N_ROWS - k) for k in rows]
    not_full = [*any_band[:-1], 0.0]
    total, unmet = np.ones(1), np.ones(1)
    for _ in range(N_BANDS):
        total, unmet = np.convolve(total, any_band), np.convolve(unmet, not_full)
    least = next(k for k in range(N_PERMUTATIONS) if k / N_PERMUTATIONS >= LEAST_SIMILARITY)
    return (total - unmet)[least:].sum()


def test_the_table_of_the_docstring_is_what_the_formula_gives():
    table = dict(re.findall(r"^    ([Jp]) +(.+)$", near_duplicates.__doc__, re.MULTILINE))
    levels, stated = ([float(x) for x in table[name].split()] for name in "Jp")
    assert len(levels) == 7
    assert [round(chance(level), 3) for level in levels] == stated


@pytest.mark.parametrize("level", [0.7, 0.75, 0.8, 0.85, 0.9])
def test_pairs_are_found_as_often_as_the_formula_says(level):
    """Sets of a known similarity, 5 σ."""
    n_pairs, n_words = 300, 199
    n_shared = round(2 * level * n_words / (1 + level))
    exact = n_shared / (2 * n_words - n_shared)
    n_found = 0
    for pair in range(n_pairs):
        groups = [[f"{pair} {i}" for i in range(n_shared)] for _ in range(2)]
        for side, group in enumerate(groups):
            group += [f"{pair} {side} {i}" for i in range(n_words - n_shared)]
        n_found += len(kept_sets(groups)) == 1
    expected = n_pairs * chance(exact)
    sigma = (expected * (1 - chance(exact))) ** 0.5
    assert abs(n_found - expected) <= 5 * sigma + 1


def kept_sets(groups):
    """Let each group of phrases stand for a text."""
    texts = {f"text {i}": group for i, group in enumerate(groups)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "phrases", lambda text: set(texts[text]))
        return kept(list(texts))


def test_the_step_counts_what_it_drops():
    texts = [article(1), article(2), edited(article(1), 9, 2)]
    report = CleaningReport()
    documents = [Document(text, str(i)) for i, text in enumerate(texts)]
    left = list(clean(documents, ["near-duplicates"], report))
    assert len(left) == 2
    assert report.rows()[0][:4] == ("near-duplicates", 3, 0, 1)


def test_a_missing_package_is_named_before_the_corpus_is_read(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.import_module", fail)
    with pytest.raises(ConfigError, match=r"near-duplicates needs datasketch.*'minillm\[text\]'"):
        survey_near_duplicates(1 / 0 for _ in range(1))  # reading would be another error
