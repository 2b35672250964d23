"""Text to token ids and back: bytes, byte-pair encoding, and the library's fast version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from minillm.errors import ConfigError
from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, Tokenizer
from minillm.tokenizers.bpe import BPETokenizer
from minillm.tokenizers.bpe_training import check_vocab_size
from minillm.tokenizers.bytes import ByteTokenizer
from minillm.tokenizers.fast import FastTokenizer
from minillm.tokenizers.tokenizer_json import from_json

__all__ = [
    "DEFAULT_SPECIAL_TOKENS",
    "BPETokenizer",
    "ByteTokenizer",
    "FastTokenizer",
    "Tokenizer",
    "load_tokenizer",
    "train_tokenizer",
]


def train_tokenizer(
    kind: Literal["bytes", "bpe"],
    texts: Iterable[str],
    vocab_size: int,
    *,
    special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
) -> Tokenizer:
    """Make a tokenizer of a kind; BPE is learned by our trainer and run by the library.

    Args:
        kind: "bytes", which learns nothing and leaves texts unread, or "bpe".
        texts: the documents, read once; a generator will do.
        vocab_size: the most ids wanted; a byte tokenizer needs no more than 256 and the
            special tokens, and BPE warns when the corpus allows fewer.
        special_tokens: strings of ids 256, 257, …

    Raises:
        ConfigError: an unknown kind, or vocab_size too small for bytes and special tokens.

    Example:
        >>> tokenizer = train_tokenizer("bpe", ["to be or not to be"] * 2, vocab_size=262)
        >>> [tokenizer.token_text(i) for i in tokenizer.encode("to be")]
        ['to', '␣', 'be']
    """
    check_vocab_size(vocab_size, special_tokens)
    if kind == "bytes":
        return ByteTokenizer(special_tokens=special_tokens)
    if kind == "bpe":
        learned = BPETokenizer.train(texts, vocab_size, special_tokens=special_tokens)
        return FastTokenizer(learned.merges, special_tokens=special_tokens)
    raise ConfigError(f'tokenizer must be "bytes" or "bpe", got {kind!r}')


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
    special_tokens, merges = from_json(text, source=str(path))
    if not merges:
        return ByteTokenizer(special_tokens=special_tokens)
    kind = FastTokenizer if fast else BPETokenizer
    return kind(merges, special_tokens=special_tokens)
