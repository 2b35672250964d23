"""WordPiece against the library's BERT tokenizer, and its trainer against a slow loop."""

import json
import math
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
import tokenizers as library
from hypothesis import example, given
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.tokenizers import (
    BERT_SPECIAL_TOKENS,
    FastWordPiece,
    WordPieceTokenizer,
    load_tokenizer,
    train_tokenizer,
)
from minillm.tokenizers.bert_words import is_common, is_punctuation, split_bert_words
from minillm.tokenizers.wordpiece_training import learn_pieces

CORPUS = [
    "It's the theory of the thing: we'll see 1234567 of them,   or not.\n\n    'Indented'.\n",
    "今天天气很好。今天我们去公园，天气真好！１２３４５ ΣΊΣΥΦΟΣ Straße İstanbul",
    "the eos, [SEP] [UNK] 😀😀 and naïve café cafe\u0301\r\n\tthe other\x00\x07\ufffd\u200dend",
] * 3
CASED = WordPieceTokenizer.train(CORPUS, 150, lowercase=False)
UNCASED = WordPieceTokenizer.train(CORPUS, 140)
BOTH = pytest.mark.parametrize("tokenizer", [CASED, UNCASED], ids=["cased", "uncased"])

oddities = ["\x00", "\x85", "\u2028", "\ufeff", "\u3000", "\xa0", "\xad", "e\u0301", "İ", "Σ", "ß"]
parts = [*CORPUS, *BERT_SPECIAL_TOKENS, *oddities, "##the", "the" * 40, "a" * 100, "天气", "😀"]
any_text = st.text(st.characters(exclude_categories=["Cs"]))
text_of_any_kind = any_text | st.lists(st.sampled_from(parts) | any_text, max_size=8).map("".join)
few_blocks = st.characters(max_codepoint=0x9FFF).filter(is_common)
common_parts = st.sampled_from([part for part in parts if is_common(part)])
common_text = st.lists(common_parts | st.text(few_blocks), max_size=8).map("".join)


def berts(tokenizer):
    """The library's own BERT tokenizer with the same vocabulary, built without our file."""
    vocab = {piece: token_id for token_id, piece in enumerate(tokenizer.pieces)}
    bert = library.BertWordPieceTokenizer(vocab, lowercase=tokenizer.lowercase)
    bert._tokenizer.encode_special_tokens = True  # their text is plain text; see Tokenizer
    return bert


@BOTH
@given(text=common_text)
def test_it_encodes_as_the_librarys_bert(tokenizer, text):
    bert = berts(tokenizer)
    assert tokenizer.encode(text) == bert.encode(text, add_special_tokens=False).ids


@BOTH
@given(text=text_of_any_kind)
def test_fast_encodes_exactly_as_ours(tokenizer, text):
    fast = FastWordPiece(tokenizer.pieces, lowercase=tokenizer.lowercase)
    assert fast.encode(text) == tokenizer.encode(text)
    assert fast.encode_batch([text, "the"]) == tokenizer.encode_batch([text, "the"])
    allowed = ("[SEP]", "[MASK]")
    assert fast.encode(text, allowed_special=allowed) == tokenizer.encode(
        text, allowed_special=allowed
    )


def test_common_characters_are_cut_alike_by_both():
    common = [c for c in map(chr, range(0x20000)) if is_common(c)]
    assert len(common) > 40_000
    pieces = [*common, *("##" + c for c in common)]
    for lowercase in (False, True):
        ours = WordPieceTokenizer(pieces, lowercase=lowercase)
        fast = FastWordPiece(pieces, lowercase=lowercase)
        for start in range(0, len(common), 0x100):
            text = "\n".join(f"a{c}b a {c} b" for c in common[start : start + 0x100])
            assert fast._library.encode(text).ids == ours.encode(text), ascii(common[start])


def test_words_are_berts_words():
    text = "Don't\tstop\x00-now, 天气$好\u200d! Crêpe\u3000Ünï"
    cased = ["Don", "'", "t", "stop", "-", "now", ",", "天", "气", "$", "好", "!", "Crêpe", "Ünï"]
    assert split_bert_words(text, lowercase=False) == cased
    lowered = [w.lower() for w in cased[:-2]] + ["crepe", "uni"]
    assert split_bert_words(text, lowercase=True) == lowered
    assert split_bert_words("ΑΣ", lowercase=True) == ["ασ"]  # each letter by itself
    marks = [c for c in map(chr, range(128)) if unicodedata.category(c)[0] in "PS"]
    assert [c for c in map(chr, range(128)) if is_punctuation(c)] == marks


def test_longest_match_first_and_unknown_words():
    pieces = ["un", "una", "##ff", "##able", "##a", "##ble", "u", "n", "a", "##ll", "##l"]
    tokenizer = WordPieceTokenizer(pieces)
    assert tokenizer.tokens("unable") == ["una", "##ble"]  # greedy: not un ##able
    assert tokenizer.tokens("unball unall") == ["[UNK]", "una", "##ll"]
    assert tokenizer.tokens("a" * 100 + " " + "a" * 101) == ["a", *["##a"] * 99, "[UNK]"]
    assert tokenizer.encode("zz") == [tokenizer.unk_id] == [1]
    work = list(tokenizer.show_work("unalx"))
    assert work[-1] == "unalx: nothing fits at 4, so all of it is [UNK]"
    assert len(work) == 3


def test_special_ids_are_berts():
    names = ("pad_id", "unk_id", "cls_id", "sep_id", "mask_id")
    assert [getattr(UNCASED, name) for name in names] == [0, 1, 2, 3, 4]
    assert (UNCASED.bos_id, UNCASED.eos_id) == (UNCASED.cls_id, UNCASED.sep_id)
    assert UNCASED.encode_document("the") == [2, *UNCASED.encode("the"), 3]
    assert not set(UNCASED.encode("[CLS] [MASK][PAD]")) & {0, 2, 3, 4}
    assert UNCASED.encode("a[MASK]", allowed_special={"[MASK]"})[-1] == 4
    moved = WordPieceTokenizer(["a", "[UNK]", "[PAD]", "[MASK]", "[SEP]", "[CLS]"])  # a vocab.txt
    assert (moved.pad_id, moved.cls_id, moved.vocab_size) == (2, 5, 6)


def test_decoding_says_what_was_kept():
    assert not UNCASED.is_lossless
    assert UNCASED.decode(UNCASED.encode("The  Café, 天气")) == "the cafe , 天 气"
    assert UNCASED.decode([2, *UNCASED.encode("the"), 3]) == "[CLS] the [SEP]"
    assert UNCASED.decode([2, *UNCASED.encode("the"), 3], skip_special=True) == "the"
    assert CASED.decode(CASED.encode("It's\x07")) == "It ' s"
    assert UNCASED.token_text(UNCASED.pieces.index("##e")) == "##e"
    with pytest.raises(DataError, match="outside 0 … "):
        UNCASED.decode([UNCASED.vocab_size])
    with pytest.raises(DataError, match=r"U\+D83D"):
        UNCASED.encode("ab\ud83dc")


@BOTH
@given(text=text_of_any_kind)
def test_decoding_and_encoding_again_changes_nothing(tokenizer, text):
    ids = tokenizer.encode(text)
    if tokenizer.unk_id not in ids:
        assert tokenizer.encode(tokenizer.decode(ids)) == ids


def naive_counts(words, cut):
    pieces, pairs = Counter(), Counter()
    for word, parts_of_word in cut.items():
        for piece in parts_of_word:
            pieces[piece] += words[word]
        for pair in pairwise(parts_of_word):
            pairs[pair] += words[word]
    return pieces, {pair: n for pair, n in pairs.items() if n >= 2}


def naive_best(pieces, pairs, score):
    total = sum(pieces.values())

    def value(pair):
        ratio = pairs[pair] / (pieces[pair[0]] * pieces[pair[1]])
        return ratio if score == "ratio" else pairs[pair] * math.log(ratio * total)

    best = max(map(value, pairs))
    near = {"rel_tol": 1e-12, "abs_tol": 1e-12 if score == "gain" else 0.0}
    among = [pair for pair in pairs if math.isclose(value(pair), best, **near)]
    return max(among, key=lambda pair: (pairs[pair], pair))


def naive_join(parts_of_word, pair, joined):
    if len(parts_of_word) < 2:
        return parts_of_word
    if tuple(parts_of_word[:2]) == pair:
        return [joined, *naive_join(parts_of_word[2:], pair, joined)]
    return [parts_of_word[0], *naive_join(parts_of_word[1:], pair, joined)]


def naive_pieces(words, n_joins, score):
    """Recount everything before every join."""
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in words}
    learned = []
    while len(learned) < n_joins:
        pieces, pairs = naive_counts(words, cut)
        if not pairs:
            break
        left, right = naive_best(pieces, pairs, score)
        joined = left + right.removeprefix("##")
        if joined not in learned:
            learned.append(joined)
        cut = {word: naive_join(parts, (left, right), joined) for word, parts in cut.items()}
    return learned


few_words = st.dictionaries(st.text("abé", min_size=1, max_size=9), st.integers(1, 5), min_size=1)


@pytest.mark.parametrize("score", ["gain", "ratio"])
@pytest.mark.filterwarnings("ignore:the corpus is too small")
@given(words=few_words)
@example(
    words={
        "é": 3,
        "bab": 2,
        "bbb": 2,
        "aaaa": 3,
        "abaaa": 3,
        "éaaabb": 4,
        "abaabaab": 4,
        "baaabbbbb": 4,
    }
)  # a tie that rounding once broke
def test_training_equals_the_naive_loop(score, words):
    text = " ".join(f"{word} " * n for word, n in words.items())
    alphabet = sorted({w[0] for w in words}) + sorted({"##" + c for w in words for c in w[1:]})
    learned = learn_pieces([text], len(alphabet) + 6, n_special=0, split=str.split, score=score)
    assert learned == [*alphabet, *naive_pieces(words, 6, score)]


def test_the_ratio_loves_rare_pairs_and_the_gain_does_not():
    text = "the " * 50 + "then that tha hat " * 9 + "qz qz"
    ratio = WordPieceTokenizer.train([text], 20, score="ratio")
    gain = WordPieceTokenizer.train([text], 20, score="gain")
    alphabet = {"h", "q", "t", "##a", "##e", "##h", "##n", "##t", "##z"}
    assert next(piece for piece in ratio.pieces[5:] if piece not in alphabet) == "qz"
    assert next(piece for piece in gain.pieces[5:] if piece not in alphabet) == "th"


def test_sizes_smaller_than_the_alphabet_are_refused():
    with pytest.raises(ConfigError, match=r"at least 9 .*alphabet of 4.*got 8"):
        WordPieceTokenizer.train(["ab ba"], 8)  # a, b, ##a, ##b
    assert train_tokenizer("wordpiece", ["ab ba"], 9).vocab_size == 9
    with pytest.raises(ConfigError, match="at least 5, got 4"):
        train_tokenizer("wordpiece", ["ab"], 4)
    with pytest.raises(ConfigError, match='"gain" or "ratio"'):
        WordPieceTokenizer.train(["ab"], 9, score="frequency")  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match=r"vocab_size=50: .*stopped at 8 tokens"):
        assert train_tokenizer("wordpiece", ["ab ab"], 50).vocab_size == 8


def test_wrong_vocabularies_are_refused():
    with pytest.raises(ConfigError, match="'a' stands twice"):
        WordPieceTokenizer(["a", "b", "a"])
    with pytest.raises(ConfigError, match="lack"):
        WordPieceTokenizer(["a"], special_tokens=BERT_SPECIAL_TOKENS[:4])
    with pytest.raises(ConfigError, match="'mask' may be a word"):
        WordPieceTokenizer(["a"], special_tokens=(*BERT_SPECIAL_TOKENS, "mask"))


@BOTH
def test_a_saved_tokenizer_is_the_same_tokenizer(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    fast, ours = load_tokenizer(path), load_tokenizer(path, fast=False)
    assert (type(fast), type(ours)) == (FastWordPiece, WordPieceTokenizer)
    for loaded in (fast, ours):
        assert loaded.to_json() == path.read_text("utf-8")
        assert loaded.encode(CORPUS[0]) == tokenizer.encode(CORPUS[0])
        assert loaded.special_tokens == tokenizer.special_tokens
    other = library.Tokenizer.from_file(str(path))
    assert other.encode("the theory").ids == tokenizer.encode("the theory")
    assert other.decode(tokenizer.encode("the theory .")) == "the theory ."


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["normalizer"].update(handle_chinese_chars=False),
        lambda c: c["normalizer"].update(strip_accents=True),
        lambda c: c["pre_tokenizer"].update(type="Whitespace"),
        lambda c: c["model"]["vocab"].pop("a"),
        lambda c: c["model"].update(continuing_subword_prefix="@@"),
    ],
)
def test_a_foreign_or_damaged_file_is_refused(tmp_path, change):
    contents = json.loads(WordPieceTokenizer(["a", "b"]).to_json())
    change(contents)
    (tmp_path / "tokenizer.json").write_text(json.dumps(contents), encoding="utf-8")
    with pytest.raises(DataError, match=r"not a tokenizer\.json written by minillm"):
        load_tokenizer(tmp_path)
