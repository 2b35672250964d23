"""Their tokenizer makes our ids from what we export; ours theirs from what they save."""

import json
import warnings

import pytest
import torch

from minillm.errors import ConfigError, DataError
from minillm.interop import from_transformers, read_tokenizer, to_transformers
from minillm.tokenizers import TOKENIZER_KINDS, load_tokenizer, train_tokenizer

TEXTS = (
    "The cat sees the red house.",
    "Zoë didn't read 3,141 books…\n\n  (She said so!)",
    "小猫看见红色的房子。你好，世界！",
    "mixed 中文 and English, émigré — naïve 😀",
    "",
    " ",
)
CORPUS = [text * 3 for text in TEXTS[:4]] + ["the house the cat the books the world 房子 世界"] * 5


@pytest.fixture(scope="module")
def tokenizers_of_ours():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so little text allows fewer pieces than asked for
        return {kind: train_tokenizer(kind, CORPUS, 320) for kind in TOKENIZER_KINDS}


@pytest.fixture
def exported(make_bert, make_gpt2, tmp_path):
    def export(family, tokenizer):
        make = {"bert": make_bert, "gpt2": make_gpt2}[family]
        model = make(vocab_size=tokenizer.vocab_size, context_length=97)
        return model, to_transformers(model, tmp_path / family, tokenizer=tokenizer)

    return export


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_their_tokenizer_gives_our_ids(kind, tokenizers_of_ours, transformers, exported):
    tokenizer = tokenizers_of_ours[kind]
    for family in ("bert", "gpt2"):
        _, folder = exported(family, tokenizer)
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        for text in TEXTS:
            framed = family == "bert"
            expected = tokenizer.encode_document(text) if framed else tokenizer.encode(text)
            assert theirs(text)["input_ids"] == expected, (family, text)
            plain = theirs(text, add_special_tokens=False)["input_ids"]
            assert plain == tokenizer.encode(text)
            decoded = theirs.decode(plain)
            assert decoded == tokenizer.decode(plain)
        for role in ("bos", "eos", "pad", "mask", "unk"):
            assert getattr(theirs, f"{role}_token_id") == getattr(tokenizer, f"{role}_id"), role
        assert theirs.model_max_length == 97
        assert read_tokenizer(folder).to_json() == tokenizer.to_json()
        assert load_tokenizer(folder).to_json() == tokenizer.to_json()


def test_a_pair_has_segments_as_bert_has_them(tokenizers_of_ours, transformers, exported):
    tokenizer = tokenizers_of_ours["wordpiece"]
    _, folder = exported("bert", tokenizer)
    pair = transformers.AutoTokenizer.from_pretrained(folder)("the cat", "the house")
    first, second = tokenizer.encode("the cat"), tokenizer.encode("the house")
    cls, sep = tokenizer.bos_id, tokenizer.eos_id
    assert pair["input_ids"] == [cls, *first, sep, *second, sep]
    assert pair["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_what_their_tokenizer_returns_fits_their_model(
    family, tokenizers_of_ours, transformers, exported
):
    """A GPT-2 that is given segments adds the embedding of token 0 to each token."""
    tokenizer = tokenizers_of_ours["bpe"]
    model, folder = exported(family, tokenizer)
    read = transformers.AutoTokenizer.from_pretrained(folder)
    given = read(list(TEXTS[:2]), return_tensors="pt", padding=True)
    kind = {"bert": "AutoModelForMaskedLM", "gpt2": "AutoModelForCausalLM"}[family]
    out = getattr(transformers, kind).from_pretrained(folder).eval()(**given).logits
    real = given["attention_mask"].bool()
    ours = model(given["input_ids"], is_padding=~real)
    torch.testing.assert_close(ours[real], out[real], rtol=1e-5, atol=1e-5)


# ---- tokenizers that they saved -----------------------------------------------------------------


PIECES = [
    *("[PAD]", "[UNK]", "[unused0]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "house"),
    *("##s", "see", ",", ".", "zoe", "小", "猫"),
]


def vocabulary(folder, pieces=PIECES, **settings):
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return folder


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("is_saved_again", [True, False])
def test_berts_own_files_are_read(is_saved_again, lowercase, transformers, tmp_path):
    folder = vocabulary(tmp_path / "words", do_lower_case=lowercase)
    theirs = transformers.BertTokenizer.from_pretrained(folder, do_lower_case=lowercase)
    if is_saved_again:  # as tokenizer.json
        folder = tmp_path / "saved"
        theirs.save_pretrained(folder)
        assert not (folder / "vocab.txt").exists()
    ours = read_tokenizer(folder)
    assert ours.vocab_size == len(PIECES)
    for text in ("The cats see Zoë, the house.", "the cat sees, zoe 小猫 [MASK x"):
        assert ours.encode_document(text) == theirs(text)["input_ids"]
    assert [ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id] == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("settings", "pieces", "message"),
    [
        ({"strip_accents": False}, PIECES, "strip_accents=False with lowercase=True"),
        ({"tokenize_chinese_chars": False}, PIECES, "handle_chinese_chars=False"),
        ({}, PIECES[:5] + PIECES[6:], r"lacks \[MASK\]"),
        ({}, [*PIECES, "cat"], "'cat' stands twice"),
    ],
)
def test_a_vocabulary_under_other_rules_is_refused(settings, pieces, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_tokenizer(vocabulary(tmp_path, pieces, **settings))


def test_other_tokenizers_are_refused_by_what_differs(transformers, tmp_path):
    with pytest.raises(ConfigError, match=r"neither tokenizer\.json nor BERT's vocab\.txt"):
        read_tokenizer(tmp_path)
    saved = transformers.BertTokenizer.from_pretrained(vocabulary(tmp_path / "words"))
    saved.save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    for changes, message in (
        ({"pre_tokenizer": {"type": "Whitespace"}}, "cut by BertNormalizer and Whitespace"),
        ({"normalizer": contents["normalizer"] | {"clean_text": False}}, "clean_text=False"),
        ({"model": contents["model"] | {"unk_token": "?"}}, r"unk_token='\?'"),
        ({"added_tokens": contents["added_tokens"][:-1]}, r"lacks \[MASK\]"),
        ({"model": {"type": "WordLevel"}}, "WordLevel"),
        ({"model": None}, "NoneType"),
    ):
        (tmp_path / "tokenizer.json").write_text(json.dumps(contents | changes), "utf-8")
        with pytest.raises(DataError, match=message):
            read_tokenizer(tmp_path)


def test_a_gpt2_tokenizer_numbers_its_bytes_otherwise(transformers, tmp_path):
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", "a", "b", "ab"])}
    theirs = transformers.GPT2Tokenizer(vocab=vocab, merges=[("a", "b")])
    theirs.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="the vocabulary is not bytes, special tokens, merges"):
        read_tokenizer(tmp_path)


def test_a_model_and_its_tokenizer_come_back(tokenizers_of_ours, exported):
    tokenizer = tokenizers_of_ours["wordpiece"]
    model, folder = exported("bert", tokenizer)
    tokens = torch.tensor([read_tokenizer(folder).encode_document(TEXTS[0])])
    assert torch.equal(from_transformers(folder)(tokens), model(tokens))
