"""The prepared corpus: what is stored comes back, nothing leaks, damage is seen."""

import hashlib
import json
import warnings
from itertools import islice

import numpy as np
import pytest

from minillm.config import DecoderConfig
from minillm.data import load_prepared, prepare_data
from minillm.data import prepared as data
from minillm.errors import ConfigError, DataError
from minillm.evaluation import (
    evaluate_documents,
    uniform_bits_per_byte,
    unigram_bits_per_byte,
)
from minillm.models.decoder import Decoder
from minillm.text.documents import Document, corpus_sha256, split_documents, stable_hash
from minillm.text.spool import Spool
from minillm.tokenizers import parallel

# SHA-256 of what was written when a corpus was kept in memory, by the number of its texts.
EARLIER = {
    60: ["7552a22d", "0d08ce80", "e417174d"],
    1: ["a30986b9", "f8ddead8", "becf94fb"],
    2: ["736a4313", "73245664", "35843e62"],
}


def corpus(n=60):
    texts = (f"Note {i}: the cat sat on mat {i % 7}.\n\nÉtude № {i} — 猫" for i in range(n))
    return [Document(text, f"{i}.txt") for i, text in enumerate(texts)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "data"


@pytest.fixture
def prepared(folder):
    return prepare_data(folder, corpus(), vocab_size=300, sentences=True)


def texts_of(prepared, split):
    return [prepared.tokenizer.decode(ids[1:-1]) for ids in prepared.documents(split)]


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_documents_come_back_from_the_folder(folder, tokenizer):
    prepared = prepare_data(folder, iter(corpus()), tokenizer=tokenizer, vocab_size=300)
    split = split_documents(corpus())
    assert texts_of(prepared, "train") == [document.text for document in split.train]
    assert texts_of(prepared, "validation") == [document.text for document in split.validation]
    assert not set(texts_of(prepared, "train")) & set(texts_of(prepared, "validation"))
    for ids in prepared.documents("train"):
        assert (ids[0], ids[-1]) == (prepared.tokenizer.bos_id, prepared.tokenizer.eos_id)
    assert prepared.text("validation") == "\n\n".join(texts_of(prepared, "validation"))
    assert np.concatenate(prepared.documents("train")).tolist() == prepared.train.tolist()


def test_the_marks_of_documents_cannot_be_forged(folder):
    texts = ["a <|bos|> b <|eos|>", "<|bos|>", "plain", "<|eos|><|bos|>"]
    prepared = prepare_data(folder, [Document(t, t) for t in texts], tokenizer="bytes")
    assert sorted(texts_of(prepared, "train") + texts_of(prepared, "validation")) == sorted(texts)


def test_opened_again_it_is_the_same(prepared, folder):
    again = load_prepared(folder)
    assert again.manifest == prepared.manifest
    assert again.tokenizer.to_json() == prepared.tokenizer.to_json()
    for split in ("train", "validation"):
        assert np.array_equal(getattr(again, split), getattr(prepared, split))
        assert isinstance(getattr(again, split), np.memmap)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["data"]


def test_the_manifest_holds_what_can_be_counted(prepared, folder):
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest == prepared.manifest
    assert manifest["vocab_size"] == prepared.tokenizer.vocab_size == 300
    for name in ("train", "validation"):
        documents, counts = prepared.documents(name), manifest["splits"][name]
        assert counts["n_documents"] == len(documents)
        assert counts["n_tokens"] == sum(map(len, documents))
        assert counts["n_bytes"] == sum(len(text.encode()) for text in texts_of(prepared, name))
        assert counts["n_bytes"] == prepared.n_bytes(documents)
        raw = (folder / f"{name}.bin").read_bytes()
        assert counts["sha256"] == hashlib.sha256(raw).hexdigest()
    raw = (folder / "tokenizer.json").read_bytes()
    assert manifest["tokenizer_sha256"] == hashlib.sha256(raw).hexdigest()
    assert manifest["corpus_sha256"] == corpus_sha256(corpus())


def test_the_same_corpus_gives_the_same_bytes(prepared, folder, tmp_path):
    prepare_data(tmp_path / "again", corpus(), vocab_size=300, sentences=True)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_and_a_spool_on_disk_change_no_byte(
    prepared, folder, tmp_path, monkeypatch, threads
):
    monkeypatch.setattr(Spool, "MEMORY_BYTES", 10)
    monkeypatch.setattr(parallel, "_GROUP_CHARACTERS", 99)
    prepare_data(
        tmp_path / "again", iter(corpus()), vocab_size=300, sentences=True, threads=threads
    )
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(ConfigError, match="threads must be positive, got 0"):
        prepare_data(tmp_path / "none", corpus(), threads=0)


@pytest.mark.parametrize("n_texts", EARLIER)
def test_streaming_wrote_the_files_that_memory_wrote(folder, n_texts):
    prepared = prepare_data(folder, corpus(n_texts) * 2, vocab_size=265)
    paths = [folder / name for name in ("tokenizer.json", "train.bin", "validation.bin")]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in paths]
    assert hashes == EARLIER[n_texts]
    assert prepared.manifest["n_duplicates"] == n_texts


def test_the_hash_of_a_corpus_sees_order_and_borders():
    texts = (["ab", "c"], ["a", "bc"], ["c", "ab"], ["abc"], ["ab", "c", ""], [])
    hashes = [corpus_sha256([Document(text, "any") for text in group]) for group in texts]
    assert len(set(hashes)) == len(hashes)
    raw = b"".join(len(text).to_bytes(8, "little") + text for text in (b"ab", b"c"))
    assert hashes[0] == hashlib.sha256(raw).hexdigest()


def canaries(*, held_out):
    """Documents full of a word that nobody uses, on one side of the split."""
    texts = (f"{'Xylophagous ' * 40}{i}" for i in range(1000))
    chosen = (text for text in texts if (stable_hash(text) < 0.1 * 2**64) == held_out)
    return [Document(text, text[-4:]) for text in islice(chosen, 5)]


@pytest.mark.parametrize("held_out", [True, False])
def test_the_tokenizer_learns_from_training_text_only(folder, held_out):
    documents = [*corpus(), *canaries(held_out=held_out)]
    prepared = prepare_data(folder, documents, vocab_size=320)
    assert ("Xylophagous" in prepared.text("validation")) == held_out
    assert ("Xylophagous" in prepared.text("train")) == (not held_out)
    tokens = [prepared.tokenizer.decode_bytes([i]) for i in range(260, 320)]
    assert (b"Xylophagous" in tokens) == (not held_out)
    assert any(b"lopha" in token for token in tokens) == (not held_out)


@pytest.mark.parametrize("vocab_size", [2**16, 2**16 + 1])
def test_large_vocabularies_get_wider_numbers(folder, monkeypatch, vocab_size):
    tokenizer = data.train_tokenizer("bytes", [], 260)
    wide = type(tokenizer)()
    monkeypatch.setattr(type(wide), "vocab_size", vocab_size)
    monkeypatch.setattr(type(wide), "encode", lambda *_: [vocab_size - 1])
    prepared = prepare_data(folder, corpus(2), tokenizer="bytes")
    assert prepared.train.tolist() == [256, vocab_size - 1, 257]
    assert prepared.train.itemsize == (2 if vocab_size == 2**16 else 4)


def test_documents_are_what_evaluation_takes(prepared):
    """Maps of narrow integers are not: torch neither writes to them nor indexes with them."""
    documents = prepared.documents("validation")
    n_bytes = prepared.n_bytes(documents)
    unigram = unigram_bits_per_byte([], documents, n_bytes=n_bytes, vocab_size=300)
    assert unigram == pytest.approx(
        uniform_bits_per_byte(documents, n_bytes=n_bytes, vocab_size=300)
    )
    model = Decoder(DecoderConfig.gpt(vocab_size=300, d_model=4, n_heads=1, n_layers=1))
    evaluation = evaluate_documents(model, documents, n_bytes=n_bytes)
    assert evaluation.n_tokens == sum(len(document) - 1 for document in documents)
    before = prepared.validation.copy()
    documents[0][:] = 0
    assert np.array_equal(prepared.validation, before)


def test_the_first_documents_up_to_a_size(prepared):
    documents = prepared.documents("train")
    lengths = np.cumsum([len(document) for document in documents])
    for max_tokens, expected in ((0, 1), (lengths[0], 1), (lengths[2], 3), (lengths[2] - 1, 2)):
        chosen = prepared.documents("train", max_tokens=max_tokens)
        assert [ids.tolist() for ids in chosen] == [ids.tolist() for ids in documents[:expected]]
    with pytest.raises(ConfigError, match='must be "train" or "validation", got \'test\''):
        prepared.documents("test")


def test_cleaning_is_counted_and_copies_are_reported_row26(folder):
    copies = [*corpus(), Document(corpus()[0].text, "copy"), Document(corpus()[1].text, "copy")]
    prepared = prepare_data(folder, copies, tokenizer="bytes")
    assert prepared.manifest["n_duplicates"] == 2
    assert "2 documents repeat an earlier text" in prepared.manifest["notice"]
    assert not set(texts_of(prepared, "train")) & set(texts_of(prepared, "validation"))
    steps = ["exact-duplicates"]
    prepared = prepare_data(folder, copies, tokenizer="bytes", clean_steps=steps)
    assert prepared.manifest["n_duplicates"] == 0
    assert [step["n_dropped"] for step in prepared.manifest["cleaning"]] == [2]
    assert prepared.manifest["corpus_sha256"] == corpus_sha256(copies)  # of the raw text


def test_progress_wraps_every_long_loop(folder):
    bars = {}

    def progress(items, **options):
        items = list(items)
        bars[options["desc"]] = len(items)
        return items

    prepare_data(folder, corpus(), vocab_size=262, progress=progress)
    split = split_documents(corpus())
    n_train, n_validation = len(split.train), len(split.validation)
    assert bars == {
        "read and clean": 60,
        "tokenizer": n_train,
        "encode train": n_train,
        "encode validation": n_validation,
    }


@pytest.mark.parametrize("texts", [[], [""], ["\n\n", " \t\n"]])
def test_no_text_is_refused_and_leaves_nothing_row20(folder, texts):
    with pytest.raises(DataError, match="no text"):
        prepare_data(folder, [Document(text, "empty.txt") for text in texts])
    assert not folder.parent.exists()


def test_one_short_document_trains_and_judges(folder):
    prepared = prepare_data(folder, [Document("To be or not to be. " * 20, "x")], tokenizer="bytes")
    assert len(prepared.documents("train")) == len(prepared.documents("validation")) == 1
    assert "only one text" in prepared.manifest["notice"]


def test_a_tokenizer_that_is_too_small_is_refused_row33(folder):
    with pytest.raises(ConfigError, match="vocab_size must be at least 260"):
        prepare_data(folder, corpus(), vocab_size=259)
    assert not folder.parent.exists()


def test_a_vocabulary_that_the_corpus_cannot_fill_warns_row34(folder):
    with pytest.warns(UserWarning, match="training stopped at"):
        prepared = prepare_data(folder, corpus(3), vocab_size=5000)
    assert prepared.manifest["vocab_size"] < 5000


# Damage.


@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "longer"])
def test_a_damaged_file_is_named(prepared, folder, name, damage):
    path = folder / name
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 1
    path.write_bytes({"truncate": raw[:-2], "empty": b"", "longer": raw + b"\0\0"}.get(damage, raw))
    with pytest.raises(DataError, match=rf"{name} is damaged: delete .*data to prepare"):
        load_prepared(folder)


@pytest.mark.parametrize("name", data._FILES)
def test_a_missing_file_is_named(prepared, folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"not a prepared corpus .*{name}"):
        load_prepared(folder)


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "null", "[]", "{}", '"text"', "[" * 100_000, '{"splits": []}', b"\xff\xfe",
     '{"tokenizer_sha256": 3}', '{"splits": {"train": {"sha256": ""}}, "tokenizer_sha256": ""}'],
)  # fmt: skip
def test_a_strange_manifest_is_refused(prepared, folder, manifest):
    raw = manifest if isinstance(manifest, bytes) else manifest.encode()
    (folder / "manifest.json").write_bytes(raw)
    with pytest.raises(DataError, match=r"not a prepared corpus|is damaged"):
        load_prepared(folder)


def test_a_manifest_without_a_split_is_refused(prepared, folder):
    manifest = prepared.manifest | {"splits": {"train": prepared.manifest["splits"]["train"]}}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(DataError, match=r"not a prepared corpus \(KeyError: 'validation'\)"):
        load_prepared(folder)


def test_what_is_no_prepared_corpus_is_not_deleted(tmp_path):
    (tmp_path / "novel.txt").write_text("years of work", "utf-8")
    with pytest.raises(ConfigError, match=r"holds novel\.txt, not of a prepared corpus"):
        prepare_data(tmp_path, corpus())
    with pytest.raises(ConfigError, match=r"novel\.txt is a file"):
        prepare_data(tmp_path / "novel.txt", corpus())
    assert (tmp_path / "novel.txt").read_text("utf-8") == "years of work"


def test_an_earlier_or_damaged_one_is_replaced(prepared, folder):
    (folder / "train.bin").write_bytes(b"")
    (folder / "manifest.json").unlink()
    prepare_data(folder, corpus(9), tokenizer="bytes")
    assert load_prepared(folder).manifest["corpus_sha256"] == corpus_sha256(corpus(9))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_preparation_leaves_what_was_there(prepared, folder, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(data, "_write_stream", fail)
    with pytest.raises(type(error)):
        prepare_data(folder, corpus(9), tokenizer="bytes")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["data"]
    assert load_prepared(folder).manifest == prepared.manifest


def test_what_a_killed_process_left_is_removed(folder):
    left = folder.with_name(".data.tmp")
    left.mkdir(parents=True)
    (left / "train.bin").write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare_data(folder, corpus(), tokenizer="bytes")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["data"]
