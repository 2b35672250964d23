"""Where each token stands in the text: what turns a model's positions into characters."""

from __future__ import annotations

from functools import lru_cache

from minillm.tokenizers.base import Tokenizer
from minillm.tokenizers.bert_words import split_bert_words
from minillm.tokenizers.wordpiece import WordPieceTokenizer
from minillm.tokenizers.wordpiece_training import CONTINUED

CharSpan = tuple[int, int]  # text[start:end]


def encode_with_spans(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[CharSpan]]:
    """Encode a text and say which characters each token came from.

    A tokenizer of bytes gives every byte to one token: a token that holds a part of a character
    is given the whole character. WordPiece has forgotten white space, and perhaps case and accents:
    its pieces are counted off against the characters that are left of the text.

    Args:
        tokenizer: any of ours.
        text: without lone surrogates.

    Returns:
        ``tokenizer.encode(text)``, and as many (start, end) in characters, in their order.

    Example:
        >>> from minillm.tokenizers import ByteTokenizer
        >>> encode_with_spans(ByteTokenizer(), "aé")
        ([97, 195, 169], [(0, 1), (1, 2), (1, 2)])
        >>> encode_with_spans(WordPieceTokenizer(["play", "##ing"]), " Playing")[1]
        [(1, 5), (5, 8)]
    """
    token_ids = tokenizer.encode(text)
    if isinstance(tokenizer, WordPieceTokenizer):
        return token_ids, _word_piece_spans(tokenizer, text, token_ids)
    owners = [place for place, character in enumerate(text) for _ in character.encode()]
    spans, at = [], 0
    for token_id in token_ids:
        end = at + len(tokenizer.decode_bytes([token_id]))
        spans.append((owners[at], owners[end - 1] + 1))
        at = end
    return token_ids, spans


def _word_piece_spans(
    tokenizer: WordPieceTokenizer, text: str, token_ids: list[int]
) -> list[CharSpan]:
    lowercase = tokenizer.lowercase
    left = [_left_of(character, lowercase) for character in text]
    owners = [place for place, n_left in enumerate(left) for _ in range(n_left)]
    words = iter(split_bert_words(text, lowercase=lowercase))
    spans, at, n_of_word = [], 0, 0
    for token_id in token_ids:
        if not n_of_word:
            n_of_word = len(next(words))
        piece = tokenizer.pieces[token_id]
        n = n_of_word if token_id == tokenizer.unk_id else _length(piece)  # [UNK] is a whole word
        spans.append((owners[at], owners[at + n - 1] + 1))
        at, n_of_word = at + n, n_of_word - n
    return spans


def _length(piece: str) -> int:
    is_continued = piece.startswith(CONTINUED) and len(piece) > len(CONTINUED)
    return len(piece) - len(CONTINUED) * is_continued


@lru_cache(maxsize=65_536)
def _left_of(character: str, lowercase: bool) -> int:
    """Count the characters that BERT's cleaning leaves of one; blanks count as nothing."""
    return sum(map(len, split_bert_words(character, lowercase=lowercase)))
