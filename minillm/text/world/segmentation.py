"""Where words end in a text without spaces: the only reading that the language's texts allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from minillm.text.world.grammar import END_WORD, Language


def places(language: Language) -> Iterator[list[frozenset[str]]]:
    """Return for each text of a language the words that may stand at each of its places."""
    slots = {slot.name: frozenset(form.word for form in slot.forms) for slot in language.slots}
    fillers = {name: frozenset(words) for name, words in language.choice_words.items()} | slots
    for texts in language.texts.values():
        for text in texts:
            yield [
                fillers[word[1:-1]] if word[0] == "{" and word[-1] == "}" else frozenset([word])
                for word in text.split()
            ]


def vocabulary(language: Language) -> frozenset[str]:
    """Return every word that a text of a language can say, END_WORD not among them."""
    said = (words for text in places(language) for words in text)
    return frozenset().union(*said) - {END_WORD}


class Segmenter:
    """Cuts a text into words, such that each sentence is one of a language's texts.

    To take the longest word at each place would err: 跑到 is a word, but in 跑 到 大门 it is two.
    So all readings are followed at once. The places of all texts are numbered through and a set of
    them is the bits of one whole number: reading a word moves the bits of the places where it
    may stand to the places after them, by one shift (Baeza-Yates & Gonnet, *A New Approach to
    Text Searching*, 1992).
    """

    def __init__(self, language: Language) -> None:
        self._where: dict[str, int] = defaultdict(int)  # word → the places where it may stand
        self._first = self._last = place = 0
        for text in places(language):
            self._first |= 1 << place
            for words in text:
                for word in words:
                    self._where[word] |= 1 << place
                place += 1
            self._last |= 1 << place - 1
        self._longest = max(map(len, self._where))
        self._lengths: dict[str, list[int]] = defaultdict(list)  # of the words that begin so
        for first, length in sorted({(word[0], len(word)) for word in self._where}):
            self._lengths[first].append(length)

    def split(self, text: str) -> tuple[list[str], int]:
        """Cut a text, or as much of its beginning as can be read.

        Where two readings are left, the later words are the longer ones.

        Returns:
            The words, and the position that they reach: the text's length if all was read.
        """
        readable = [0] * (len(text) + 1)  # at each position the places that may come next
        readable[0] = self._first
        for start in range(len(text)):
            if not (before := readable[start]):
                continue
            for length in self._lengths.get(text[start], ()):
                end = start + length
                if end <= len(text) and (read := before & self._where.get(text[start:end], 0)):
                    readable[end] |= self._after(read)
        reached = max(position for position, here in enumerate(readable) if here)
        return self._trace_back(text, readable, reached), reached

    def _after(self, read: int) -> int:
        # what is shifted out of a text's end lands on the beginning of another: it is among them
        return read << 1 | (self._first if read & self._last else 0)

    def _before(self, after: int) -> int:
        return after >> 1 | (self._last if after & self._first else 0)

    def _trace_back(self, text: str, readable: list[int], end: int) -> list[str]:
        words, wanted = [], readable[end]
        while end > 0:
            wanted, start = next(
                (read, start)
                for start in range(max(0, end - self._longest), end)
                if (read := readable[start] & self._where.get(text[start:end], 0))
                and (read := read & self._before(wanted))
            )
            words.append(text[start:end])
            end = start
        return words[::-1]
