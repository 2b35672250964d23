"""Words to text and back, without loss: capitals and spaces in English, neither in Chinese.

The words of a language are those of its tables: "the", not "The", and punctuation is a word too.
Rendering follows rules that look at the words alone, and parsing undoes them, so that a probability
of words is a probability of texts: a model of bytes and a model of words are judged by one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from minillm.errors import ConfigError, DataError
from minillm.text.world.grammar import END_WORD, Language
from minillm.text.world.segmentation import Segmenter, vocabulary

_STOPS = frozenset(".!?")
_NO_SPACE_BEFORE = frozenset([*_STOPS, *",;:", "'s", "'"])
_ENGLISH_TOKEN = re.compile(r"'s\b|[\w-]+(?:'(?!s\b)\w+)*|[^\w\s]")
_SHOWN = 24  # characters of a text that an error shows


class Rendering:
    """Writes the words of one language as text, and reads them back.

    Args:
        language: Whose words.

    Raises:
        ConfigError: A word could not be read back: a name that is a common word with a capital.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self.is_spaced = language.name != "zh"
        self.vocabulary = vocabulary(language)
        self._segmenter = None if self.is_spaced else Segmenter(language)
        if self.is_spaced:
            for word in sorted(self.vocabulary):
                if word != _capital(word) and _capital(word) in self.vocabulary:
                    raise ConfigError(
                        f"{language.name}: {word!r} and {_capital(word)!r} look alike where a "
                        "sentence begins: rename one"
                    )

    def render(self, words: Sequence[str]) -> str:
        """Write words as text; END_WORD, which only closes the document, is not written."""
        return "".join(space + shown for space, shown in self._pieces(words))

    def spans(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Return where each word stands in the rendered text: (start, end) in characters.

        Returns:
            Half-open ranges, one for each word; END_WORD, which is not written, has none.
        """
        found, position = [], 0
        for space, shown in self._pieces(words):
            start = position + len(space)
            position = start + len(shown)
            found.append((start, position))
        return found

    def parse(self, text: str) -> list[str]:
        """Read the words of a text: the inverse of `render`, so without END_WORD.

        Raises:
            DataError: The text is not of the language, with the position and what stands there.
        """
        words = self._split_spaced(text) if self._segmenter is None else self._split_joined(text)
        again = self.render(words)
        if again != text:  # every word is known, but not as the language writes it
            length = min(len(text), len(again))
            wrong = next((i for i in range(length) if text[i] != again[i]), length)
            expected = again[wrong : wrong + _SHOWN]
            raise self._refuse(text, wrong, f"expected {expected!r}" if expected else "too much")
        return words

    def _pieces(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Return the space before each word and the word as it is written."""
        written = words[:-1] if words and words[-1] == END_WORD else words
        return _spaced(written) if self.is_spaced else (("", word) for word in written)

    def _split_spaced(self, text: str) -> list[str]:
        words = []
        for match in _ENGLISH_TOKEN.finditer(text):
            token = match.group()
            word = token if token in self.vocabulary else token[0].lower() + token[1:]
            if word not in self.vocabulary:
                raise self._refuse(text, match.start(), "which is no word of the language")
            words.append(word)
        return words

    def _split_joined(self, text: str) -> list[str]:
        assert self._segmenter is not None
        words, stopped_at = self._segmenter.split(text)
        if stopped_at < len(text):
            raise self._refuse(text, stopped_at, "where no word can follow")
        return words

    def _refuse(self, text: str, position: int, why: str) -> DataError:
        return DataError(
            f"the text is not of the language {self.language.name!r}: at character {position} "
            f"stands {text[position : position + _SHOWN]!r}, {why}"
        )


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _spaced(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Apply the rules of English.

    A quotation begins with a capital. One that opens a sentence goes on with who says it ("Where
    is it?" asked Tim.) unless it ends with a full stop; one inside a sentence ends it.
    """
    begins, in_quote, opened_at_start, before = True, False, False, ""
    for word in words:
        if word == '"':
            in_quote = not in_quote
            yield ("" if not in_quote or not before else " "), word
            if in_quote:
                opened_at_start, begins = begins, True
            else:
                begins = before == "." or (before in _STOPS and not opened_at_start)
        else:
            joins = not before or word in _NO_SPACE_BEFORE or (in_quote and before == '"')
            yield ("" if joins else " "), (_capital(word) if begins else word)
            begins = word in _STOPS
        before = word
