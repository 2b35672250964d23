"""Which tokens form a word: what whole-word masking hides together."""

from __future__ import annotations

import numpy as np
import regex
import torch
from torch import Tensor

from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.wordpiece import WordPieceTokenizer
from minillm.tokenizers.wordpiece_training import CONTINUED

_IDEOGRAPH_LEAD_BYTES = range(0xE3, 0xEA)  # of UTF-8: kana, Han, their punctuation
_JOINING = regex.compile(r"[\p{L}\p{N}\p{M}--\p{Han}]", regex.V1)  # what goes on within a word


class Words:
    """The words that a tokenizer's tokens belong to.

    WordPiece says so itself: "##" continues a word. For tokenizers of bytes the rule is BERT's
    (a word ends at white space, at punctuation, and after each ideograph), read off the tokens'
    own bytes: a token continues a word if it begins with a letter or a digit and the token before
    ends with one. A single byte that is no character is taken for the beginning of an ideograph or
    for the middle of a letter.

    Attributes:
        starts: (V,) bool, whether an id begins a word whatever stands before it.
        closes: (V,) bool, whether the token after this id begins a word whatever it is.

    Example:
        >>> words = Words(WordPieceTokenizer(["play", "##ing", "a"]))
        >>> words.ids(torch.tensor([[2, 5, 6, 7, 3]])).tolist()
        [[0, 1, 1, 2, 3]]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        n, special = tokenizer.vocab_size, list(tokenizer.special_tokens.values())
        if isinstance(tokenizer, WordPieceTokenizer):
            starts = [not piece.startswith(CONTINUED) for piece in tokenizer.pieces]
            closes = [False] * n  # the next token says whether it continues
        else:
            tokens = [tokenizer.decode_bytes([token_id]) for token_id in range(n)]
            starts = [not _joins(token, at_end=False) for token in tokens]
            closes = [not _joins(token, at_end=True) for token in tokens]
        self.starts, self.closes = np.array(starts), np.array(closes)
        self.starts[special], self.closes[special] = True, True

    def ids(self, token_ids: Tensor) -> Tensor:
        """Number the words of each row.

        Args:
            token_ids: (B, T) int64.

        Returns:
            (B, T) int64 from 0 on: tokens of one word share a number.
        """
        begins = torch.from_numpy(self.starts).to(token_ids.device)[token_ids]
        closes = torch.from_numpy(self.closes).to(token_ids.device)[token_ids]
        begins[:, 1:] |= closes[:, :-1]
        begins[:, :1] = True
        return begins.cumsum(dim=1) - 1


def _joins(token: bytes, *, at_end: bool) -> bool:
    """Tell whether a word may go on across the beginning or the end of a token."""
    text = token.decode("utf-8", "surrogateescape")
    if not text:
        return False
    character = text[-1] if at_end else text[0]
    if 0xDC80 <= ord(character) <= 0xDCFF:  # a byte that is a part of a character
        return at_end or ord(character) - 0xDC00 not in _IDEOGRAPH_LEAD_BYTES
    return _JOINING.match(character) is not None
