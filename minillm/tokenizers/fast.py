"""The same tokenizers inside the Rust library ``tokenizers``: our vocabularies, its threads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import tokenizers

from minillm.tokenizers.base import Tokenizer, check_text
from minillm.tokenizers.bert_words import is_common
from minillm.tokenizers.merges import MergeTokenizer
from minillm.tokenizers.unigram import UnigramTokenizer
from minillm.tokenizers.wordpiece import WordPieceTokenizer


class _InLibrary(Tokenizer):
    """Encodes by Hugging Face's ``tokenizers``, which learns nothing here.

    The vocabulary comes from our trainers, and decoding is the readable class's.
    """

    @cached_property
    def _library(self) -> tokenizers.Tokenizer:
        library = tokenizers.Tokenizer.from_str(self.to_json())
        library.encode_special_tokens = True  # their text is plain text; see Tokenizer
        return library

    def _encode_plain(self, text: str) -> list[int]:
        return self._library.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Encode several texts in the library's threads; special tokens are plain text."""
        texts = list(texts)
        for text in texts:
            check_text(text)
        encodings = self._library.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


class FastTokenizer(_InLibrary, MergeTokenizer):
    """BPE by the library; it encodes exactly as ``BPETokenizer`` does.

    Example:
        >>> FastTokenizer([(104, 105)]).encode("hi!")
        [260, 33]
    """


class FastUnigram(_InLibrary, UnigramTokenizer):
    """Unigram by the library; it encodes exactly as ``UnigramTokenizer`` does."""


class FastWordPiece(_InLibrary, WordPieceTokenizer):
    """WordPiece by the library; it encodes exactly as ``WordPieceTokenizer`` does.

    Texts with characters for which its Unicode tables may be of another year than Python's are
    encoded by our own code; see ``is_common``.
    """

    def _encode_plain(self, text: str) -> list[int]:
        if is_common(text):
            return super()._encode_plain(text)
        return WordPieceTokenizer._encode_plain(self, text)

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Encode several texts, in the library's threads where all of them are common."""
        texts = list(texts)
        for text in texts:
            check_text(text)
        if all(map(is_common, texts)):
            return super().encode_batch(texts)
        return [self._encode_plain(text) for text in texts]
