"""The simplest tokenizer: every byte of the UTF-8 text is a token."""

from __future__ import annotations

from collections.abc import Sequence

from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS
from minillm.tokenizers.merges import MergeTokenizer


class ByteTokenizer(MergeTokenizer):
    """One token a byte, as in ByT5 (Xue et al. 2021, arXiv 2105.13626): nothing to train.

    Example:
        >>> tokenizer = ByteTokenizer()
        >>> tokenizer.encode("é!"), tokenizer.vocab_size
        ([195, 169, 33], 260)
    """

    def __init__(self, *, special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS) -> None:
        """Take the special tokens that follow the 256 bytes."""
        super().__init__(special_tokens=special_tokens)

    def _encode_plain(self, text: str) -> list[int]:
        return list(text.encode())
