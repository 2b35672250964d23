"""Everything that is known exactly about a language: one class in front of the algorithms."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from minillm.errors import ConfigError, DataError
from minillm.text.world import forward, hidden_words, next_word
from minillm.text.world.entropy import Entropy, entropy
from minillm.text.world.grammar import END_WORD, Language, Story
from minillm.text.world.knowledge import Telling
from minillm.text.world.rendering import Rendering
from minillm.text.world.tries import Hypotheses, Tries
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
        return next_word.next_words(self.tries, self._after(words_before))

    def fact(self, name: str, words: Sequence[str]) -> dict[str, float]:
        """Return p(value of a fact | the beginning of a document), such as of its topic.

        Args:
            name: of a fact of the story, hidden or not.
            words: a document or its beginning.

        Returns:
            A probability for each value of the fact; they sum to 1.

        Raises:
            ConfigError: the story has no such fact.
        """
        place = self.story.fact_index.get(name)
        if place is None:
            raise ConfigError(f"no fact {name!r}: choose from {', '.join(self.story.fact_index)}")
        values = self.story.facts[place].values
        found = dict.fromkeys(values, 0.0)
        for (_, domains), weight in self._after(words).items():
            for number, value in enumerate(values):
                alone = self.tries.beliefs.rectangle({name: 1 << number})
                found[value] += weight * self.tries.beliefs.narrow(domains, alone)[1]
        return found

    def _after(self, words: Sequence[str]) -> Hypotheses:
        """Return the hypotheses after the beginning of a document."""
        hypotheses, read = forward.run(self.tries, forward.start(self.tries), words)
        if len(read) < len(words):
            raise forward.unspeakable(self.tries, words, len(read), hypotheses)
        return hypotheses

    def floor_bits(self, texts: Iterable[str]) -> list[float]:
        """Return −log2 p of rendered documents: what no model of these texts can go below.

        A text stands for one row of words and ends where it ends, so that this is −log2 p(text)
        under any tokenization: divide by bytes or by words, and compare with a model whose loss
        includes the end of the document.

        Raises:
            DataError: a text that is not of the language.
        """
        return [self.bits([*self.rendering.parse(text), END_WORD]) for text in texts]

    @cached_property
    def rendering(self) -> Rendering:
        """How words are written as text."""
        return Rendering(self.language)

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

        Raises:
            DataError: the language cannot say it.
        """
        windows, bits = self.windows, []
        for place, sentence in enumerate(sentences):
            seen = sentences[max(place - n_before, 0) : place]
            weights = windows.begin(windows.start if place < n_before else windows.visits)
            for earlier in seen:
                weights = windows.advance(weights, earlier)
            with_it = windows.advance(weights, sentence)
            if not with_it:
                raise DataError(
                    f"sentence {place + 1} ({' '.join(sentence)!r}) cannot follow the "
                    f"{len(seen)} sentences before it"
                )
            bits.append(math.log2(total(weights)) - math.log2(total(with_it)))
        return math.fsum(bits)

    def _check_hidden(self, words: Sequence[str], hidden_positions: Collection[int]) -> None:
        if len(set(hidden_positions)) != len(hidden_positions):
            raise DataError(f"hidden positions {list(hidden_positions)}: each may come only once")
