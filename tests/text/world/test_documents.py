"""TinyWorld's documents: reproducible, told alike in both languages, in splits that never mix."""

import hashlib
import json
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import pytest

from minillm.errors import ConfigError, DataError
from minillm.text.cleaning import DEFAULT_STEPS, CleaningReport, clean
from minillm.text.corpora import load_corpus
from minillm.text.documents import split_documents, stable_hash
from minillm.text.world import END_WORD, TinyWorld
from minillm.text.world.corpus import MAX_DOCUMENTS, WorldCorpus, parse_corpus
from minillm.text.world.documents import LANGUAGES, SPLITS, make_tables, split_of
from minillm.text.world.segmentation import places

HASHES = json.loads(Path(__file__).with_name("document_hashes.json").read_text("utf-8"))
BOTH = pytest.mark.parametrize("language", LANGUAGES)


def sha256_of(stored, language):
    world, digest = TinyWorld(language, stored["seed"]), hashlib.sha256()
    for number in range(stored["first"], stored["first"] + stored["documents"]):
        digest.update(world.document(number).text.encode() + b"\n")
    return digest.hexdigest()


@BOTH
def test_a_seed_gives_the_same_bytes_on_every_machine(language):
    """After a change of the story or a language: python scripts/world_numbers.py --write-hashes."""
    assert sha256_of(HASHES[language], language) == HASHES[language]["sha256"]


@BOTH
def test_text_words_and_spans_say_the_same(language):
    world, texts = TinyWorld(language, seed=17), set()
    for number in range(5_000):
        document = world.document(number)
        texts.add(document.text)
        assert world.parse(document.text) == list(document.words)
        if number < 500:
            assert world.render(document.words) == document.text
            shown = [document.text[start:end] for start, end in document.spans]
            assert [s.lower() for s in shown] == [word.lower() for word in document.words[:-1]]
            assert all(end <= start for (_, end), (start, _) in pairwise(document.spans))
    assert len(texts) > 4_995  # hardly any document comes twice


def test_a_sentence_of_english_begins_with_a_capital_and_no_other_word_does():
    """Rendering sees words only: it must find the beginnings of sentences by itself."""
    world = TinyWorld("en", seed=1)
    names = {word for word in make_tables("en").rendering.vocabulary if word[0].isupper()}
    for number in range(300):
        document, place = world.document(number), 0
        spans = document.spans
        for sentence in document.sentences:
            for word in sentence:
                start = spans[place][0]
                is_first = word is sentence[0] or document.text[start - 1] == '"'
                assert document.text[start].isupper() == (
                    (is_first and word.text != '"') or word.text in names
                ), document.text
                place += 1


def test_no_english_text_ends_where_rendering_would_go_on_in_lower_case():
    rendering = make_tables("en").rendering
    for text in places(LANGUAGES["en"]):
        words = [min(words) for words in text]
        assert rendering.render([*words, "the"]).endswith(" The"), words


@BOTH
def test_text_of_another_kind_is_refused(language):
    world = TinyWorld(language)
    text = world.document(3).text
    with pytest.raises(DataError, match=f"character {len(text)} stands 'x'"):
        world.parse(text + "x")
    with pytest.raises(DataError, match="not of the language"):
        world.bits("It was a dark and stormy night.")


def test_both_languages_tell_the_same_scenes():
    english, chinese = (TinyWorld(language, seed=5) for language in LANGUAGES)
    for number in range(200):
        first, second = english.document(number), chinese.document(number)
        assert first.derivation == second.derivation
        assert len(first.sentences) == len(second.sentences)


def test_a_document_needs_no_other_and_seeds_differ():
    world = TinyWorld(seed=2)
    last_first = [world.document(number).text for number in range(100, 0, -1)]
    assert last_first[::-1] == [world.document(number).text for number in range(1, 101)]
    other = TinyWorld(seed=3)
    assert not {other.document(number).text for number in range(100)} & set(last_first)
    assert TinyWorld(seed=2**63 - 1).document(2**63 - 1).words[-1] == END_WORD


# --- splits ---------------------------------------------------------------------------------------


def test_splits_are_tenths_of_the_hashes():
    n, world = 5_000, TinyWorld(seed=23)
    texts = [world.document(number).text for number in range(n)]
    counts = Counter(map(split_of, texts))
    for name, (low, high) in SPLITS.items():
        share = (high - low) / 10
        assert abs(counts[name] - n * share) < 5 * (n * share * (1 - share)) ** 0.5
        for text in texts:
            inside = low * 2**64 <= stable_hash(text) * 10 < high * 2**64
            assert inside == (split_of(text) == name)


def test_documents_come_in_order_from_their_split():
    world = TinyWorld("zh", seed=4)
    found = {name: list(world.documents(60, split=name, first=30)) for name in SPLITS}
    everything = [world.document(number) for number in range(30, 3000)]
    for name, documents in found.items():
        expected = islice((one for one in everything if one.split == name), 60)
        assert documents == list(expected)
    both = list(world.documents(60, split="test+train", first=30))
    assert both == list(islice((d for d in everything if d.split != "validation"), 60))


def test_the_split_of_a_run_is_the_worlds():
    """A run splits its corpus by itself: it must hold out the validation documents, no others."""
    corpus = list(load_corpus(["world:documents=2000"]))
    report = CleaningReport()
    assert list(clean(corpus, DEFAULT_STEPS, report)) == corpus  # nor does cleaning touch them
    split = split_documents(corpus)
    assert {split_of(document.text) for document in split.validation} == {"validation"}
    assert {split_of(document.text) for document in split.train} == {"train"}
    assert len(corpus) == 2000
    chinese = list(load_corpus(["world:zh,documents=500"]))
    assert list(clean(chinese, DEFAULT_STEPS, CleaningReport())) == chinese


# --- the corpus -----------------------------------------------------------------------------------


def test_a_corpus_is_named_with_its_options():
    assert parse_corpus("world") == WorldCorpus()
    assert parse_corpus("world:zh") == WorldCorpus(language="zh")
    name = "world:documents=5000,seed=3,language=zh,split=test,first=7"
    assert parse_corpus(name) == WorldCorpus(
        documents=5000, seed=3, language="zh", split="test", first=7
    )
    documents = list(load_corpus(["world:documents=3,seed=9,zh,split=test", "world:documents=2"]))
    world = TinyWorld("zh", 9)
    expected = list(world.documents(3, split="test"))
    assert [document.text for document in documents[:3]] == [one.text for one in expected]
    assert [document.source for document in documents[:3]] == [one.source for one in expected]
    assert expected[0].source == f"world:zh/9/{expected[0].number}"
    assert len(documents) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("world:french", r"unknown option 'french'.*en, zh.*language, seed, documents"),
        ("world:language=fr", "language must be one of en, zh, got 'fr'"),
        ("world:seed=-1", r"seed must be from 0 to 2\*\*63 - 1, got -1"),
        (f"world:seed={2**63}", f"seed must be from 0 .* got {2**63}"),
        ("world:seed=3.5", "seed must be a whole number, got '3.5'"),
        ("world:documents=0", "documents must be 1 or more, got 0"),
        (f"world:documents={MAX_DOCUMENTS + 1}", f"from 1 to {MAX_DOCUMENTS}, got"),
        ("world:split=dev", "split must be one of .*train.* got 'dev'"),
        ("world:first=-3", "first must be from 0 .* got -3"),
        ("world:size=3", "unknown option 'size=3'"),
        ("world:", "unknown option ''"),
        ("world:zh,language=en", "language is given twice"),
    ],
)
def test_a_name_that_means_nothing_is_refused_at_once(name, message):
    with pytest.raises(ConfigError, match=message):
        load_corpus([name])


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ConfigError, match=rf"seed must be from 0 to 2\*\*63 - 1, got {seed}"):
        TinyWorld(seed=seed)


def test_other_refusals():
    with pytest.raises(ConfigError, match="language must be one of en, zh, got 'de'"):
        TinyWorld("de")
    with pytest.raises(ConfigError, match=r"number must be from 0 .* got -1"):
        TinyWorld().document(-1)
    with pytest.raises(ConfigError, match="documents must be 1 or more, got 0"):
        TinyWorld().documents(0)
