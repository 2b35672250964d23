"""The same tokenizer inside the Rust library ``tokenizers``: our merges, its threads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers

from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, Tokenizer, check_text


class FastTokenizer(Tokenizer):
    """BPE by Hugging Face's ``tokenizers``; it encodes exactly as ``BPETokenizer`` does.

    The library learns nothing here: ``merges`` come from our trainer, words are cut by our
    pattern, and decoding is the base class's.

    Example:
        >>> FastTokenizer([(104, 105)]).encode("hi!")
        [260, 33]
    """

    def __init__(
        self,
        merges: Iterable[tuple[int, int]],
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Hand the merges to the library; arguments as for ``BPETokenizer``."""
        super().__init__(merges, special_tokens=special_tokens)
        self._library = tokenizers.Tokenizer.from_str(self.to_json())
        self._library.encode_special_tokens = True  # their text is plain text; see Tokenizer

    def _encode_plain(self, text: str) -> list[int]:
        return self._library.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Encode several texts in the library's threads; special tokens are plain text."""
        texts = list(texts)
        for text in texts:
            check_text(text)
        encodings = self._library.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]
