"""What every tokenizer can do: text to ids and back, with special tokens kept apart."""

from __future__ import annotations

import codecs
import operator
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import regex

from minillm.errors import ConfigError, DataError

DEFAULT_SPECIAL_TOKENS = ("<|bos|>", "<|eos|>", "<|pad|>", "<|mask|>")
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "→"})


class Tokenizer(ABC):
    """Text to token ids and back, with special tokens kept apart.

    The text of a special token that stands in a document is plain text, unless the caller allows
    it by name, as in tiktoken: otherwise a web page could end a document or hide a word.

    Attributes:
        special_tokens: the id of each special token's string.
        vocab_size: number of ids.
        bos_id, eos_id, pad_id, mask_id: ids of the four tokens that every tokenizer has.
        unk_id: stands for what the vocabulary cannot say; None where bytes can say everything.
        is_lossless: whether ``decode(encode(text)) == text`` for every text. If not, bits per byte
            charge for less than the text that its bytes are counted of.
        merges: pairs of ids that become one token, the most urgent first; empty for a tokenizer
            that does not join.
    """

    unk_id: int | None = None
    is_lossless = True
    merges: list[tuple[int, int]]

    def __init__(
        self,
        token_bytes: list[bytes],
        special_tokens: Mapping[str, int],
        *,
        roles: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Keep the table of each id's bytes.

        Args:
            token_bytes: what each id stands for.
            special_tokens: string → id.
            roles: the special tokens that are bos, eos, pad and mask.
        """
        self.special_tokens = dict(special_tokens)
        self.bos_id, self.eos_id, self.pad_id, self.mask_id = (
            self.special_tokens[token] for token in roles
        )
        self._token_bytes = token_bytes
        self.merges = []

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

    def decode_stream(self, ids: Iterable[int], *, silent: Collection[int] = ()) -> Iterator[str]:
        """Turn ids into text as they come; a character is given out when its last byte is there.

        Args:
            ids: token ids, such as those of ``minillm.generation.stream``.
            silent: ids that are left out.

        Yields:
            A piece of text for each id, which may be empty, and at last what is incomplete.

        Example:
            >>> from minillm.tokenizers import ByteTokenizer
            >>> list(ByteTokenizer().decode_stream([72, *"é".encode()]))
            ['H', '', 'é', '']
        """
        characters = codecs.getincrementaldecoder("utf-8")("replace")
        for token_id in ids:
            yield characters.decode(b"" if token_id in silent else self.decode_bytes([token_id]))
        yield characters.decode(b"", final=True)

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

    @abstractmethod
    def to_json(self) -> str:
        """Write the tokenizer in the ``tokenizers`` library's format, always the same bytes."""

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


def check_special_tokens(
    special_tokens: Sequence[str], *, needed: Sequence[str] = DEFAULT_SPECIAL_TOKENS
) -> None:
    """Refuse special tokens that cannot be told apart from each other or from bytes.

    Raises:
        ConfigError: one of those needed is missing, or one is doubled or too short.
    """
    if isinstance(special_tokens, str):
        raise ConfigError(f"special_tokens must be a list of names, got {special_tokens!r}")
    missing = [token for token in needed if token not in special_tokens]
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
