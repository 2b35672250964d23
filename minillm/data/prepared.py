"""A corpus that is prepared once: cleaned, split, tokenized, stored, and opened as memory maps.

A prepared corpus is a folder: ``tokenizer.json``, the token ids of the training
and the validation documents one after the other (``train.bin``, ``validation.bin``, little-endian
uint16 or uint32) and ``manifest.json`` with the counts, the hashes and what cleaning removed.
A document is ``bos … eos``; ``bos`` occurs nowhere else, so the boundaries need no second file.
For objectives that read sentences, ``train.sentences.bin`` and ``validation.sentences.bin`` say
where each sentence begins in the stream (little-endian uint64).

Neither the text nor the ids need fit into memory: cleaned documents wait in a temporary file, which
is read once to split by hashes, once to count words, once to encode; what was prepared is read
through memory maps.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from minillm.data.sentences import SentenceDocuments, encode_with_sentences
from minillm.data.windows import check_positive
from minillm.errors import ConfigError, DataError
from minillm.runtime import file_sha256
from minillm.text.cleaning import CleaningReport, clean
from minillm.text.documents import Document, Split, hash_each, split_stored
from minillm.text.spool import Spool
from minillm.tokenizers import TokenizerKind, load_tokenizer, train_tokenizer
from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.parallel import encode_documents

Item = TypeVar("Item")
Progress = Callable[..., Iterable]  # such as tqdm: an iterable and keywords in, the items out
LearnTokenizer = Callable[[Iterable[str]], Tokenizer]  # texts in, a tokenizer out
SplitName = Literal["train", "validation"]
_SPLITS = ("train", "validation")
_STREAMS = [f"{name}{kind}.bin" for name in _SPLITS for kind in ("", ".sentences")]
_FILES = ("manifest.json", "tokenizer.json", *_STREAMS)  # of a prepared corpus


def no_progress(items: Iterable[Item], **_: object) -> Iterable[Item]:
    """Show nothing (the default ``progress``)."""
    return items


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A prepared corpus, opened: token ids are memory maps, read where they are needed."""

    folder: Path
    tokenizer: Tokenizer
    train: np.ndarray  # (N,) all training documents, each bos … eos
    validation: np.ndarray
    manifest: dict

    def documents(self, split: SplitName, *, max_tokens: int | None = None) -> list[np.ndarray]:
        """Return a split's documents, each bos … eos; with a limit the first, at least one.

        Args:
            split: ``"train"`` or ``"validation"``.
            max_tokens: the most tokens of all of them together.

        Returns:
            int64 arrays of their own, as torch indexes with nothing narrower.

        Raises:
            ConfigError: if there is no such split.
        """
        if split not in _SPLITS:
            raise ConfigError(f'split must be "train" or "validation", got {split!r}')
        stream = self.train if split == "train" else self.validation
        starts = np.flatnonzero(stream == self.tokenizer.bos_id)
        ends = np.append(starts[1:], len(stream))
        if max_tokens is not None:
            ends = ends[: max(1, int((ends <= max_tokens).sum()))]
        spans = zip(starts, ends, strict=False)  # a limit leaves the last ends out
        return [stream[start:end].astype(np.int64) for start, end in spans]

    def sentences(self, split: SplitName) -> SentenceDocuments:
        """Return a split's documents of two sentences or more, as lists of sentences.

        Raises:
            ConfigError: there is no such split, or the corpus was prepared without sentences.
        """
        if split not in _SPLITS:
            raise ConfigError(f'split must be "train" or "validation", got {split!r}')
        path = self.folder / f"{split}.sentences.bin"
        if "sentences_sha256" not in self.manifest["splits"][split]:
            raise ConfigError(f"{self.folder} was prepared without sentences: prepare it again")
        stream = self.train if split == "train" else self.validation
        starts = np.memmap(path, "<u8", mode="r") if path.stat().st_size else np.empty(0, "<u8")
        return SentenceDocuments(stream, starts, bos_id=self.tokenizer.bos_id)

    def n_bytes(self, documents: Iterable[np.ndarray]) -> int:
        """Count the UTF-8 bytes of the documents' text, without bos and eos."""
        decode = self.tokenizer.decode_bytes
        return sum(len(decode(document[1:-1].tolist())) for document in documents)

    def text(self, split: SplitName) -> str:
        """Return the text of a split, documents separated by blank lines."""
        documents = self.documents(split)
        return "\n\n".join(self.tokenizer.decode(d[1:-1].tolist()) for d in documents)


def prepare_data(
    folder: Path,
    documents: Iterable[Document],
    *,
    tokenizer: TokenizerKind | LearnTokenizer = "bpe",
    vocab_size: int = 2048,
    clean_steps: Sequence[str] = (),
    sentences: bool = False,
    threads: int = 1,
    progress: Progress = no_progress,
) -> PreparedData:
    """Clean, split, tokenize and store a corpus; return it opened.

    The tokenizer learns from the training documents only: merges counted on held-out text
    would leak it. The folder appears whole or not at all.

    Args:
        folder: where the prepared corpus goes; an earlier one of that name is replaced.
        documents: the raw corpus, streamed.
        tokenizer: ``"bytes"``, ``"bpe"``, ``"wordpiece"`` or ``"unigram"``; or what makes one of
            the training texts.
        vocab_size: number of token ids, for a tokenizer that is named.
        clean_steps: names of cleaning steps, in order.
        sentences: encode sentence by sentence, and store where each begins.
        threads: documents encoded at a time; the ids do not depend on it.
        progress: wraps the long loops, such as ``tqdm``.

    Raises:
        DataError: if nothing is left to train on.
        ConfigError: if ``folder`` holds something else, or a setting does not fit.
    """
    check_positive(threads=threads)
    _check_replaceable(folder)
    digest, report = hashlib.sha256(), CleaningReport()
    cleaned = clean(hash_each(documents, digest), clean_steps, report)
    with Spool(progress(cleaned, desc="read and clean", unit=" docs")) as kept:
        split = split_stored(kept)
        texts = (
            document.text for document in progress(split.train, desc="tokenizer", unit=" docs")
        )
        if callable(tokenizer):
            learned = tokenizer(texts)
        else:
            learned = train_tokenizer(tokenizer, texts, vocab_size)
        manifest = {
            "corpus_sha256": digest.hexdigest(),
            "vocab_size": learned.vocab_size,
            "notice": split.notice,
            "n_duplicates": split.n_duplicates,
            "cleaning": report.to_json(),
        }
        work = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(work, ignore_errors=True)  # what a killed process left
        try:
            work.mkdir(parents=True)
            write = partial(_write_stream, tokenizer=learned, threads=threads, sentences=sentences)
            _fill(work, split, learned, manifest, write, progress)
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
        except BaseException:  # Ctrl-C too
            shutil.rmtree(work, ignore_errors=True)
            raise
    return load_prepared(folder)


def _check_replaceable(folder: Path) -> None:
    """Refuse to delete what is no prepared corpus."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: choose another name for the prepared corpus")
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if foreign := [name for name in found if name not in _FILES]:
        names = ", ".join(foreign[:5])
        raise ConfigError(f"{folder} holds {names}, not of a prepared corpus: choose another")


def _fill(
    work: Path,
    split: Split,
    tokenizer: Tokenizer,
    manifest: dict,
    write: Callable[[Path, Iterable[Document]], dict],
    progress: Progress,
) -> None:
    """Write the files; the manifest last, with the hashes of the others."""
    tokenizer.save(work / "tokenizer.json")
    manifest["tokenizer_sha256"] = file_sha256(work / "tokenizer.json")
    manifest["splits"] = {}
    for name, part in zip(_SPLITS, (split.train, split.validation), strict=True):
        bar = progress(part, desc=f"encode {name}", unit=" docs")
        manifest["splits"][name] = write(work / f"{name}.bin", bar)
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def load_prepared(folder: Path) -> PreparedData:
    """Open what ``prepare_data`` stored, after comparing each file with its SHA-256.

    Raises:
        DataError: if the folder or a file of it is missing, damaged or of another corpus.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        _check_hash(folder / "tokenizer.json", manifest["tokenizer_sha256"])
        for name in _SPLITS:
            about = manifest["splits"][name]
            _check_hash(folder / f"{name}.bin", about["sha256"])
            if "sentences_sha256" in about:
                _check_hash(folder / f"{name}.sentences.bin", about["sentences_sha256"])
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        dtype = _token_dtype(tokenizer)
        train, validation = (np.memmap(folder / f"{n}.bin", dtype, mode="r") for n in _SPLITS)
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(
            f"{folder} is not a prepared corpus ({type(error).__name__}: {error}); delete it to "
            "prepare it again"
        ) from error
    return PreparedData(folder, tokenizer, train, validation, manifest)


def _token_dtype(tokenizer: Tokenizer) -> np.dtype:
    return np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")


def _check_hash(path: Path, expected: str) -> None:
    if file_sha256(path) != expected:
        raise DataError(f"{path} is damaged: delete {path.parent} to prepare the corpus again")


def _write_stream(
    path: Path,
    documents: Iterable[Document],
    *,
    tokenizer: Tokenizer,
    threads: int,
    sentences: bool,
) -> dict[str, int | str]:
    """Write the documents' token ids one after the other; return what was counted."""
    texts = (document.text for document in documents)
    encoded = (
        encode_with_sentences(tokenizer, texts, threads=threads)
        if sentences
        else ((*pair, []) for pair in encode_documents(tokenizer, texts, threads=threads))
    )
    n_tokens = n_documents = n_bytes = n_sentences = 0
    starts_path = path.with_name(f"{path.stem}.sentences.bin")
    with path.open("wb") as file, ExitStack() as stack:
        starts_file = stack.enter_context(starts_path.open("wb")) if sentences else None
        for text, ids, starts in encoded:
            file.write(np.array(ids, _token_dtype(tokenizer)).tobytes())
            if starts_file is not None:
                starts_file.write((np.array(starts, "<u8") + np.uint64(n_tokens)).tobytes())
            n_tokens, n_documents = n_tokens + len(ids), n_documents + 1
            n_bytes, n_sentences = n_bytes + len(text.encode("utf-8")), n_sentences + len(starts)
    about: dict[str, int | str] = {
        "n_documents": n_documents,
        "n_tokens": n_tokens,
        "n_bytes": n_bytes,
        "sha256": file_sha256(path),
    }
    if sentences:
        about |= {"n_sentences": n_sentences, "sentences_sha256": file_sha256(starts_path)}
    return about
