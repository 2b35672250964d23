"""WordPiece, BERT's tokenizer: words first, then the longest pieces that fit.

A vocabulary of pieces holds whole words, beginnings of words ("play") and continuations
("##ing"). Encoding takes the longest piece that begins the word, then the longest that continues
it, and so on; a word that cannot be finished is [UNK] as a whole (Schuster and Nakajima 2012,
"Japanese and Korean voice search"; Wu et al. 2016, arXiv 1609.08144, section 4.1; the code is
``WordpieceTokenizer`` in BERT's ``tokenization.py``). How the vocabulary is learned stands in
``wordpiece_training.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from minillm.errors import ConfigError
from minillm.tokenizers.base import Tokenizer, check_special_tokens, check_text
from minillm.tokenizers.bert_words import split_bert_words
from minillm.tokenizers.tokenizer_json import word_pieces_to_json
from minillm.tokenizers.wordpiece_training import CONTINUED, Score, learn_pieces

BERT_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_WORD = 100  # characters; a longer "word" is [UNK], in BERT's code as well
_ROLES = ("[CLS]", "[SEP]", "[PAD]", "[MASK]")  # bos, eos, pad, mask
_MAX_CACHED_WORDS = 200_000


class WordPieceTokenizer(Tokenizer):
    """Greedy longest match first, with "##" before pieces that continue a word.

    Special tokens come first, [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, then the pieces.
    **What is lost:** white space, control characters, [UNK]'s word, and letter case and accents
    under ``lowercase``. ``decode`` puts one blank between words, so that punctuation and Chinese
    characters come back spaced out.

    Attributes:
        pieces: the vocabulary in the order of ids.
        lowercase: whether letters lose their case and accents.
        cls_id, sep_id, unk_id: BERT's names; ``bos_id`` is ``cls_id``, ``eos_id`` is ``sep_id``.

    Example:
        >>> tokenizer = WordPieceTokenizer(["play", "p", "##l", "##ing", "##i"])
        >>> tokenizer.tokens("Playing, plying")
        ['play', '##ing', '[UNK]', '[UNK]']
        >>> tokenizer.decode(tokenizer.encode("Playing, plying"))
        'playing [UNK] [UNK]'
    """

    is_lossless = False

    def __init__(
        self,
        pieces: Iterable[str],
        *,
        lowercase: bool = True,
        special_tokens: Sequence[str] = BERT_SPECIAL_TOKENS,
    ) -> None:
        """Number the special tokens, then the pieces.

        Args:
            pieces: pieces of words, the continuing ones with "##"; special tokens among them are
                the vocabulary's own order, as in BERT's ``vocab.txt``.
            lowercase: drop letter case and accents before anything else.
            special_tokens: BERT's five are among them.

        Raises:
            ConfigError: a piece that stands there twice; special tokens that are missing, doubled
                or such as a text may hold.
        """
        _check_special_tokens(special_tokens)
        pieces = list(pieces)
        self.pieces = [*(token for token in special_tokens if token not in pieces), *pieces]
        self._ids = {piece: token_id for token_id, piece in enumerate(self.pieces)}
        if len(self._ids) != len(self.pieces):
            doubled = next(p for i, p in enumerate(self.pieces) if self._ids[p] != i)
            raise ConfigError(f"the piece {doubled!r} stands twice in the vocabulary")
        table = [_as_bytes(piece) for piece in self.pieces]
        super().__init__(table, {t: self._ids[t] for t in special_tokens}, roles=_ROLES)
        self.lowercase = lowercase
        self.unk_id = self._unk = self._ids["[UNK]"]
        self.cls_id, self.sep_id = self.bos_id, self.eos_id
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        lowercase: bool = True,
        special_tokens: Sequence[str] = BERT_SPECIAL_TOKENS,
        score: Score = "gain",
        show_work: Callable[[str], object] | None = None,
    ) -> WordPieceTokenizer:
        """Learn pieces from texts, which are read once.

        Args:
            texts: the documents; a generator will do.
            vocab_size: number of ids wanted, special tokens and alphabet included.
            lowercase: drop letter case and accents.
            special_tokens: BERT's five are among them.
            score: which pair becomes a piece, see ``learn_pieces``.
            show_work: called with a line on each new piece, e.g. ``print``.

        Raises:
            ConfigError: vocab_size smaller than special tokens and alphabet.

        Example:
            >>> tokenizer = WordPieceTokenizer.train(["low slow lower"] * 2, 14, show_work=print)
            ##o + ##w → ##ow  (6 times)
            l + ##ow → low  (4 times)
            >>> tokenizer.tokens("slow low")
            ['s', '##l', '##ow', 'low']
        """
        _check_special_tokens(special_tokens)
        pieces = learn_pieces(
            texts,
            vocab_size,
            n_special=len(special_tokens),
            split=lambda text: split_bert_words(text, lowercase=lowercase),
            score=score,
            show_work=show_work,
        )
        return cls(pieces, lowercase=lowercase, special_tokens=special_tokens)

    def tokens(self, text: str) -> list[str]:
        """Return the pieces of a text as they are written in the vocabulary."""
        return [self.pieces[token_id] for token_id in self.encode(text)]

    def decode_bytes(self, ids: Iterable[int], *, skip_special: bool = False) -> bytes:
        """Turn ids into UTF-8 with one blank between words."""
        return super().decode_bytes(ids, skip_special=skip_special).removeprefix(b" ")

    def token_text(self, token_id: int) -> str:
        """Show one token in a figure: as it is written in the vocabulary."""
        piece = self.pieces[self._checked_id(token_id)]
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in piece)

    def to_json(self) -> str:
        """Write the tokenizer in the ``tokenizers`` library's format, always the same bytes."""
        return word_pieces_to_json(
            self.pieces, self.special_tokens, lowercase=self.lowercase, max_word=MAX_WORD
        )

    def show_work(self, text: str) -> Iterator[str]:
        """Narrate how each word is cut: what was tried, and what fitted.

        Example:
            >>> tokenizer = WordPieceTokenizer(["un", "##do", "##able", "##a"])
            >>> print(*tokenizer.show_work("undoable"), sep="\\n")
            undoable: longest piece at 0 is un
            undoable: longest piece at 2 is ##do
            undoable: longest piece at 4 is ##able
        """
        check_text(text)
        for word in split_bert_words(text, lowercase=self.lowercase):
            position = 0
            for piece in self._longest_matches(word):
                if piece is None:
                    yield f"{word}: nothing fits at {position}, so all of it is [UNK]"
                    break
                yield f"{word}: longest piece at {position} is {piece}"
                position += len(piece) - (len(CONTINUED) if position else 0)

    def _encode_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in split_bert_words(text, lowercase=self.lowercase):
            if word not in self._cache:
                if len(self._cache) >= _MAX_CACHED_WORDS:
                    self._cache.clear()
                self._cache[word] = self._encode_word(word)
            ids += self._cache[word]
        return ids

    def _encode_word(self, word: str) -> list[int]:
        if len(word) > MAX_WORD:
            return [self._unk]
        found = list(self._longest_matches(word))
        return [self._unk] if None in found else [self._ids[piece] for piece in found if piece]

    def _longest_matches(self, word: str) -> Iterator[str | None]:
        """Yield the longest piece that fits, from left to right; None, where none does."""
        start = 0
        while start < len(word):
            prefix = CONTINUED if start else ""
            for end in range(len(word), start, -1):
                piece = prefix + word[start:end]
                if piece in self._ids:
                    break
            else:
                yield None
                return
            yield piece
            start = end


def _check_special_tokens(special_tokens: Sequence[str]) -> None:
    """Refuse special tokens that are missing, doubled, or a word that a text may hold."""
    check_special_tokens(special_tokens, needed=BERT_SPECIAL_TOKENS)
    for token in special_tokens:
        if len(split_bert_words(token, lowercase=False)) < 2:
            raise ConfigError(f"{token!r} may be a word; write a special token like '[{token}]'")


def _as_bytes(piece: str) -> bytes:
    """Spell a piece as it reads in a text: a blank before it unless it continues a word."""
    is_continued = piece.startswith(CONTINUED) and len(piece) > len(CONTINUED)
    return piece[len(CONTINUED) :].encode() if is_continued else f" {piece}".encode()
