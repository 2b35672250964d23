"""More special tokens for a tokenizer that a model was already trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minillm.errors import ConfigError
from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.bytes import ByteTokenizer
from minillm.tokenizers.fast import FastTokenizer, FastUnigram
from minillm.tokenizers.tokenizer_json import N_BYTES, Merges, ScoredPieces, from_json


class Extended(NamedTuple):
    """A tokenizer with more special tokens, and what its ids were called before."""

    tokenizer: Tokenizer
    old_ids: tuple[int | None, ...]  # of each id the one that it had; None: it is new


def add_special_tokens(tokenizer: Tokenizer, tokens: Sequence[str]) -> Extended:
    """Give a tokenizer more special tokens; any text is cut as before.

    Special tokens stand between the bytes and what was learned, so that ids behind them move: a
    model's rows must move with them (``old_ids``).

    Args:
        tokenizer: of bytes, BPE or Unigram; it is not changed.
        tokens: those that it has already are left where they are.

    Raises:
        ConfigError: a tokenizer that cannot give every text back (WordPiece), or a token that is
            no special token.

    Example:
        >>> tokenizer, old_ids = add_special_tokens(FastTokenizer([(104, 105)]), ["<|user|>"])
        >>> tokenizer.encode("hi"), tokenizer.special_tokens["<|user|>"], old_ids[259:]
        ([261], 260, (259, None, 260))
    """
    if not tokenizer.is_lossless:
        raise ConfigError(
            f"{type(tokenizer).__name__} cannot give every text back, so that no more special "
            "tokens are added to it; take a model with a tokenizer of the kind bpe, unigram or "
            "bytes"
        )
    new = [token for token in tokens if token not in tokenizer.special_tokens]
    special_tokens = [*tokenizer.special_tokens, *new]
    first = N_BYTES + len(tokenizer.special_tokens)  # of the ids that move
    contents = from_json(tokenizer.to_json(), source=type(tokenizer).__name__)
    old_ids = (*range(first), *[None] * len(new), *range(first, tokenizer.vocab_size))
    if isinstance(contents, ScoredPieces):
        return Extended(FastUnigram(contents.scores, special_tokens=special_tokens), old_ids)
    assert isinstance(contents, Merges)
    merges = [
        (left + len(new) * (left >= first), right + len(new) * (right >= first))
        for left, right in contents.merges
    ]
    if not merges:
        return Extended(ByteTokenizer(special_tokens=special_tokens), old_ids)
    return Extended(FastTokenizer(merges, special_tokens=special_tokens), old_ids)
