"""Text to token ids and back: bytes, BPE, WordPiece, Unigram, and the library's fast versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from minillm.errors import ConfigError, DataError
from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, Tokenizer
from minillm.tokenizers.bpe import BPETokenizer
from minillm.tokenizers.bpe_training import check_vocab_size
from minillm.tokenizers.bytes import ByteTokenizer
from minillm.tokenizers.extending import Extended, add_special_tokens
from minillm.tokenizers.fast import FastTokenizer, FastUnigram, FastWordPiece
from minillm.tokenizers.offsets import CharSpan, encode_with_spans
from minillm.tokenizers.sentinels import SENTINEL_TOKENS, sentinel_ids
from minillm.tokenizers.tokenizer_json import Merges, ScoredPieces, WordPieces, from_json
from minillm.tokenizers.unigram import UnigramTokenizer
from minillm.tokenizers.wordpiece import BERT_SPECIAL_TOKENS, WordPieceTokenizer
from minillm.tokenizers.words import Words

__all__ = [
    "BERT_SPECIAL_TOKENS",
    "DEFAULT_SPECIAL_TOKENS",
    "SENTINEL_TOKENS",
    "TOKENIZER_KINDS",
    "BPETokenizer",
    "ByteTokenizer",
    "CharSpan",
    "Extended",
    "FastTokenizer",
    "FastUnigram",
    "FastWordPiece",
    "Tokenizer",
    "TokenizerKind",
    "UnigramTokenizer",
    "WordPieceTokenizer",
    "Words",
    "add_special_tokens",
    "encode_with_spans",
    "load_tokenizer",
    "sentinel_ids",
    "tokenizer_from_json",
    "train_tokenizer",
    "usual_special_tokens",
]


TokenizerKind = Literal["bytes", "bpe", "wordpiece", "unigram"]
TOKENIZER_KINDS: tuple[TokenizerKind, ...] = get_args(TokenizerKind)


def train_tokenizer(
    kind: TokenizerKind,
    texts: Iterable[str],
    vocab_size: int,
    *,
    special_tokens: Sequence[str] | None = None,
) -> Tokenizer:
    """Make a tokenizer of a kind; it is learned by our trainer and run by the library.

    Args:
        kind: "bytes", which learns nothing and leaves texts unread; "bpe"; "unigram"; or
            "wordpiece", in BERT's lower case, which cannot give the text back exactly.
        texts: the documents, read once; a generator will do.
        vocab_size: the most ids wanted; a byte tokenizer needs no more than 256 and the
            special tokens, and the others warn when the corpus allows fewer.
        special_tokens: strings of ids 256, 257, …, for WordPiece of ids 0, 1, …; None takes
            ``DEFAULT_SPECIAL_TOKENS``, for WordPiece ``BERT_SPECIAL_TOKENS``.

    Raises:
        ConfigError: an unknown kind, or vocab_size too small for the alphabet (256 bytes; for
            WordPiece the characters of the text) and special tokens.

    Example:
        >>> tokenizer = train_tokenizer("bpe", ["to be or not to be"] * 2, vocab_size=262)
        >>> [tokenizer.token_text(i) for i in tokenizer.encode("to be")]
        ['to', '␣', 'be']
    """
    special_tokens = usual_special_tokens(kind) if special_tokens is None else special_tokens
    if kind == "wordpiece":
        words = WordPieceTokenizer.train(texts, vocab_size, special_tokens=special_tokens)
        return FastWordPiece(words.pieces, special_tokens=special_tokens)
    check_vocab_size(vocab_size, special_tokens)
    if kind == "bytes":
        return ByteTokenizer(special_tokens=special_tokens)
    if kind == "bpe":
        learned = BPETokenizer.train(texts, vocab_size, special_tokens=special_tokens)
        return FastTokenizer(learned.merges, special_tokens=special_tokens)
    if kind == "unigram":
        pieces = UnigramTokenizer.train(texts, vocab_size, special_tokens=special_tokens)
        return FastUnigram(pieces.scored_pieces(), special_tokens=special_tokens)
    raise ConfigError(f"tokenizer must be one of {', '.join(TOKENIZER_KINDS)}, got {kind!r}")


def usual_special_tokens(kind: TokenizerKind) -> tuple[str, ...]:
    """Return the special tokens that a kind of tokenizer has if none are asked for.

    Example:
        >>> usual_special_tokens("bpe")
        ('<|bos|>', '<|eos|>', '<|pad|>', '<|mask|>')
    """
    return BERT_SPECIAL_TOKENS if kind == "wordpiece" else DEFAULT_SPECIAL_TOKENS


def load_tokenizer(path: Path | str, *, fast: bool = True) -> Tokenizer:
    """Read a tokenizer that ``Tokenizer.save`` wrote.

    Args:
        path: the file, or the folder that holds ``tokenizer.json``.
        fast: encode by the ``tokenizers`` library; False takes our own code, with equal ids.

    Raises:
        ConfigError: there is no such file.
        DataError: the file is damaged or was not written by minillm.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; it should be a saved tokenizer.json")
    text = path.read_text(encoding="utf-8", errors="replace")
    return tokenizer_from_json(text, source=str(path), fast=fast)


def tokenizer_from_json(text: str, *, source: str, fast: bool = True) -> Tokenizer:
    """Make a tokenizer from what ``Tokenizer.to_json`` returned.

    Args:
        text: the JSON.
        source: where it comes from, for messages.
        fast: as ``load_tokenizer``.

    Raises:
        DataError: it is damaged or was not written by minillm.

    Example:
        >>> tokenizer_from_json(ByteTokenizer().to_json(), source="here").vocab_size
        260
    """
    contents = from_json(text, source=source)
    try:
        return _rebuilt(contents, fast=fast)
    except ConfigError as error:  # the file is at fault, not who reads it
        raise DataError(f"{source} is not a tokenizer.json written by minillm: {error}") from error


def _rebuilt(contents: Merges | WordPieces | ScoredPieces, *, fast: bool) -> Tokenizer:
    special_tokens = contents.special_tokens
    if isinstance(contents, WordPieces):
        kind = FastWordPiece if fast else WordPieceTokenizer
        return kind(contents.pieces, lowercase=contents.lowercase, special_tokens=special_tokens)
    if isinstance(contents, ScoredPieces):
        kind = FastUnigram if fast else UnigramTokenizer
        return kind(contents.scores, special_tokens=special_tokens)
    if not contents.merges:
        return ByteTokenizer(special_tokens=special_tokens)
    kind = FastTokenizer if fast else BPETokenizer
    return kind(contents.merges, special_tokens=special_tokens)
