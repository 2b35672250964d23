"""What every tokenizer can do: text to ids and back, with special tokens kept apart."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import regex

from minillm.errors import ConfigError, DataError
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS, N_BYTES, spell, to_json

DEFAULT_SPECIAL_TOKENS = ("<|bos|>", "<|eos|>", "<|pad|>", "<|mask|>")
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "→"})


class Tokenizer(ABC):
    """Text to token ids and back, exactly: ``decode(encode(text)) == text``.

    Ids 0..255 are the bytes, so no text is unknown (Radford et al. 2019, section 2.2); then
    come the special tokens, then one id for each merge. The text of a special token that
    stands in a document is plain text, unless the caller allows it by name, as in tiktoken:
    otherwise a web page could end a document or hide a word.

    Attributes:
        merges: pairs of ids that become one token, the most urgent first.
        special_tokens: the id of each special token's string.
        vocab_size: number of ids.
        bos_id, eos_id, pad_id, mask_id: ids of the tokens in ``DEFAULT_SPECIAL_TOKENS``.
        unk_id: None, as bytes can say everything.
    """

    unk_id: int | None = None

    def __init__(
        self,
        merges: Iterable[tuple[int, int]] = (),
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Build the table of each id's bytes.

        Args:
            merges: pairs of ids, the most urgent first.
            special_tokens: strings of ids 256, 257, …; the default four are among them.

        Raises:
            ConfigError: special tokens that are missing, doubled or too short; a merge of an id
                that does not exist yet, or into a token that does.
        """
        check_special_tokens(special_tokens)
        self.merges = list(merges)
        self.special_tokens = {token: N_BYTES + i for i, token in enumerate(special_tokens)}
        self.bos_id, self.eos_id, self.pad_id, self.mask_id = (
            self.special_tokens[token] for token in DEFAULT_SPECIAL_TOKENS
        )
        self._token_bytes = _token_bytes(self.merges, tuple(special_tokens))

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self._token_bytes)

    @abstractmethod
    def _encode_plain(self, text: str) -> list[int]:
        """Encode text that holds no special tokens."""

    def encode(self, text: str, *, allowed_special: Collection[str] = ()) -> list[int]:
        """Turn text into ids.

        Args:
            text: any string without lone surrogates.
            allowed_special: the special tokens that the text may contain as such; where two
                of them fit, the longer one wins.

        Raises:
            DataError: a lone surrogate, which UTF-8 cannot write.
            ConfigError: a name in allowed_special that is no special token.

        Example:
            >>> from minillm.tokenizers import ByteTokenizer
            >>> ByteTokenizer().encode("Hi<|eos|>", allowed_special={"<|eos|>"})
            [72, 105, 257]
            >>> len(ByteTokenizer().encode("Hi<|eos|>"))
            9
        """
        check_text(text)
        if not allowed_special:
            return self._encode_plain(text)
        ids: list[int] = []
        for part in self._split_special(text, allowed_special):
            special_id = self.special_tokens.get(part) if part in allowed_special else None
            ids.extend(self._encode_plain(part) if special_id is None else (special_id,))
        return ids

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Encode several texts; special tokens in them are plain text."""
        return [self.encode(text) for text in texts]

    def encode_document(self, text: str) -> list[int]:
        """Encode a whole document between its marks: bos, ids, eos."""
        return [self.bos_id, *self.encode(text), self.eos_id]

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """Turn ids into text; bytes that are not UTF-8 become U+FFFD.

        Args:
            ids: token ids; a list, or a one-dimensional tensor or array of integers.
            skip_special: leave special tokens out instead of writing their names.

        Raises:
            DataError: an id outside 0 … vocab_size - 1.

        Example:
            >>> from minillm.tokenizers import ByteTokenizer
            >>> ByteTokenizer().decode([72, 105, 0xE4, 257])
            'Hi�<|eos|>'
        """
        return self.decode_bytes(ids, skip_special=skip_special).decode("utf-8", "replace")

    def decode_bytes(self, ids: Iterable[int], *, skip_special: bool = False) -> bytes:
        """Turn ids into the bytes they stand for, complete UTF-8 or not."""
        table = self._token_bytes
        indices = [self._checked_id(token_id) for token_id in ids]
        if skip_special:
            special = set(self.special_tokens.values())
            indices = [index for index in indices if index not in special]
        return b"".join([table[index] for index in indices])

    def token_text(self, token_id: int) -> str:
        r"""Show one token in a figure: blanks made visible, partial characters as ``\xe4``.

        Example:
            >>> from minillm.tokenizers import ByteTokenizer
            >>> [ByteTokenizer().token_text(i) for i in (65, 32, 10, 0xE4)]
            ['A', '␣', '↵', '\\xe4']
        """
        text = self._token_bytes[self._checked_id(token_id)].decode("utf-8", "backslashreplace")
        text = text.translate(_VISIBLE)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

    def to_json(self) -> str:
        """Write the tokenizer in the ``tokenizers`` library's format, always the same bytes."""
        return to_json(self._token_bytes, list(self.special_tokens), self.merges)

    def save(self, path: Path | str) -> None:
        """Write ``to_json`` into a file, usually called ``tokenizer.json``."""
        Path(path).write_text(self.to_json(), encoding="utf-8", newline="\n")

    def _checked_id(self, token_id: int) -> int:
        index = operator.index(token_id)  # a float is a TypeError, an integer tensor is fine
        if not 0 <= index < len(self._token_bytes):
            raise DataError(f"token id {index} is outside 0 … {len(self._token_bytes) - 1}")
        return index

    def _split_special(self, text: str, allowed_special: Collection[str]) -> Iterator[str]:
        if isinstance(allowed_special, str):  # else its letters would be taken for names
            raise ConfigError(f"allowed_special must be a set of names, got {allowed_special!r}")
        unknown = sorted(set(allowed_special) - set(self.special_tokens))
        if unknown:
            raise ConfigError(
                f"{unknown} are no special tokens; there are {list(self.special_tokens)}"
            )
        return filter(None, _special_pattern(frozenset(allowed_special)).split(text))


def check_text(text: str) -> None:
    """Refuse what UTF-8 cannot write.

    Raises:
        DataError: a lone surrogate (half of a character beyond U+FFFF).
        TypeError: anything but a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"a tokenizer encodes str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X}) at character "
            f"{error.start}; repair it, e.g. text.encode('utf-8', 'replace').decode()"
        ) from None


def check_special_tokens(special_tokens: Sequence[str]) -> None:
    """Refuse special tokens that cannot be told apart from each other or from bytes.

    Raises:
        ConfigError: one of the default four is missing, or one is doubled or too short.
    """
    if isinstance(special_tokens, str):
        raise ConfigError(f"special_tokens must be a list of names, got {special_tokens!r}")
    missing = [token for token in DEFAULT_SPECIAL_TOKENS if token not in special_tokens]
    if missing:
        raise ConfigError(f"special_tokens lack {missing}; add them to {list(special_tokens)}")
    if len(set(special_tokens)) != len(special_tokens):
        raise ConfigError(f"special_tokens must differ, got {list(special_tokens)}")
    for token in special_tokens:
        check_text(token)
        if len(token) < 2:  # one character could be spelled like one byte in tokenizer.json
            raise ConfigError(f"a special token needs two characters or more, got {token!r}")


@lru_cache(maxsize=64)
def _special_pattern(tokens: frozenset[str]) -> regex.Pattern[str]:
    longest_first = sorted(tokens, key=len, reverse=True)  # the first that fits is taken
    return regex.compile("(" + "|".join(map(regex.escape, longest_first)) + ")")


def _token_bytes(merges: list[tuple[int, int]], special_tokens: tuple[str, ...]) -> list[bytes]:
    """List what each id stands for, in an order that makes every merge possible."""
    table = [bytes([byte]) for byte in range(N_BYTES)]
    table += [token.encode() for token in special_tokens]
    specials, spelled = range(N_BYTES, len(table)), {*BYTE_SPELLINGS, *special_tokens}
    for rank, (left, right) in enumerate(merges):
        for part in (left, right):
            if not 0 <= part < len(table) or part in specials:
                raise ConfigError(f"merge {rank} joins {left} and {right}: {part} is no token yet")
        table.append(table[left] + table[right])
        if (spelling := spell(table[-1])) in spelled:  # tokenizer.json could not tell them apart
            raise ConfigError(f"merge {rank} would put {spelling!r} twice into the vocabulary")
        spelled.add(spelling)
    return table
