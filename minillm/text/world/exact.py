"""Everything that is known exactly about a language: one class in front of the algorithms."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import cached_property

from minillm.errors import DataError
from minillm.text.world import forward, hidden_words, next_word
from minillm.text.world.entropy import Entropy, entropy
from minillm.text.world.grammar import END_WORD, Language, Story
from minillm.text.world.knowledge import Telling
from minillm.text.world.tries import Tries
from minillm.text.world.windows import Windows, total


class ExactModel:
    """Exact probabilities of the texts of a story told in a language.

    Words are those of `Language.texts`, punctuation included; a document ends with END_WORD. All
    results are exact up to the rounding of doubles: sums of probabilities, no approximation.
    """

    def __init__(self, story: Story, language: Language) -> None:
        self.story, self.language = story, language
        self.tries = Tries(story, language)

    @cached_property
    def telling(self) -> Telling:
        """Visits of the script's states and what is told there."""
        return Telling(self.tries)

    def entropy(self) -> Entropy:
        """Return the entropy per document in bits and its parts, in closed form."""
        return self._entropy

    def expected_words(self) -> float:
        """Return the mean number of words of a document, END_WORD included."""
        return self._entropy.words

    @cached_property
    def _entropy(self) -> Entropy:
        return entropy(self.tries, self.telling)

    def word_bits(self, words: Sequence[str]) -> list[float]:
        """Return −log2 p(word | all words before) of each word of a document or its beginning.

        Raises:
            DataError: naming the first word that the language cannot say there.
        """
        return [-math.log2(p) for p in forward.word_probabilities(self.tries, words)]

    def bits(self, words: Sequence[str]) -> float:
        """Return −log2 p of a whole document, its END_WORD included.

        Raises:
            DataError: the language cannot say it, or it is not whole.
        """
        if not words or words[-1] != END_WORD:
            raise DataError(
                f"a whole document ends with {END_WORD!r}, got {list(words[-1:])}; for the "
                "beginning of a document use word_bits"
            )
        return math.fsum(self.word_bits(words))

    def next_words(self, words_before: Sequence[str]) -> dict[str, float]:
        """Return p(next word | the document's words before); they sum to 1.

        After END_WORD nothing follows: the dictionary is empty.
        """
        hypotheses = forward.start(self.tries)
        for position, word in enumerate(words_before):
            moved, probability = forward.advance(self.tries, hypotheses, word)
            if not probability:
                raise forward.unspeakable(self.tries, words_before, position, hypotheses)
            hypotheses = moved
        return next_word.next_words(self.tries, hypotheses)

    def hidden_words(
        self, words: Sequence[str], hidden_positions: Collection[int]
    ) -> list[dict[str, float]]:
        """Return p(word | all words that are not hidden) at each hidden position, in their order.

        Args:
            words: a whole document; what stands at hidden positions is not looked at.
            hidden_positions: numbers of words, from 0; each once.
        """
        self._check_hidden(words, hidden_positions)
        found = hidden_words.hidden_words(self.tries, words, set(hidden_positions))
        return [found[position] for position in hidden_positions]

    def hidden_bits(self, words: Sequence[str], hidden_positions: Collection[int]) -> float:
        """Return −log2 p(all hidden words jointly | the others)."""
        self._check_hidden(words, hidden_positions)
        reading = hidden_words.read(self.tries, words, set(hidden_positions))
        return self.bits(words) - reading.bits

    @cached_property
    def windows(self) -> Windows:
        """Weights of adjacent sentences at an unknown place of a document."""
        return Windows(self.tries, self.telling)

    def window_bits(self, sentences: Sequence[Sequence[str]]) -> float:
        """Return −log2 p of adjacent sentences, drawn uniformly among windows of as many.

        Raises:
            DataError: the language cannot say them, or not in this order.
        """
        return self.windows.bits(sentences)

    def limited_bits(self, sentences: Sequence[Sequence[str]], *, n_before: int = 6) -> float:
        """Return the bits of a document for who sees only a sentence and some before it.

        Args:
            sentences: a whole document; ``[END_WORD]`` is the last.
            n_before: how many sentences before the one that is read are seen. While there are
                fewer, the reader knows that the document began; later on the place is unknown, and
                every place with ``n_before`` sentences before it is equally likely.
        """
        windows, bits = self.windows, []
        for place, sentence in enumerate(sentences):
            seen = sentences[max(place - n_before, 0) : place]
            weights = windows.begin(windows.start if place < n_before else windows.visits)
            for earlier in seen:
                weights = windows.advance(weights, earlier)
            with_it = windows.advance(weights, sentence)
            bits.append(math.log2(total(weights)) - math.log2(total(with_it)))
        return math.fsum(bits)

    def _check_hidden(self, words: Sequence[str], hidden_positions: Collection[int]) -> None:
        if len(set(hidden_positions)) != len(hidden_positions):
            raise DataError(f"hidden positions {list(hidden_positions)}: each may come only once")
