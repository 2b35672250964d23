"""TinyWorld's documents: each a function of language, seed and number; each in one split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from minillm.errors import ConfigError
from minillm.text.documents import stable_hash
from minillm.text.world.chinese import CHINESE
from minillm.text.world.derivation import Deriver
from minillm.text.world.english import ENGLISH
from minillm.text.world.exact import ExactModel
from minillm.text.world.grammar import END_WORD, Derivation
from minillm.text.world.rendering import Rendering
from minillm.text.world.story import STORY
from minillm.text.world.telling import Teller, Word

LANGUAGES = {language.name: language for language in (ENGLISH, CHINESE)}
# Tenths of the hashes, from and to. Validation comes first: it is what `split_documents` holds out.
SPLITS = {"validation": (0, 1), "test": (1, 2), "train": (2, 10)}
SplitName = Literal["train", "validation", "test"]
MAX_SEED = 2**63 - 1
FACT_PLACES = STORY.fact_index


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldDocument:
    """One document of TinyWorld, and everything that made it."""

    language: str  # "en" or "zh"
    seed: int
    number: int
    text: str
    sentences: tuple[tuple[Word, ...], ...]  # one for each event; END_WORD belongs to none
    derivation: Derivation

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all sentences, END_WORD the last."""
        return (*(word.text for sentence in self.sentences for word in sentence), END_WORD)

    @property
    def sentences_of_words(self) -> list[list[str]]:
        """The words of each sentence, and END_WORD as the last one: what floors are computed of."""
        told = [[word.text for word in sentence] for sentence in self.sentences]
        return [*told, [END_WORD]]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each word but END_WORD stands in the text: (start, end) in characters."""
        return make_tables(self.language).rendering.spans(self.words)

    @property
    def split(self) -> SplitName:
        """The side on which every copy of this text stands."""
        return split_of(self.text)

    @property
    def source(self) -> str:
        """Name of the document, such as "world:en/0/123": language, seed, number."""
        return f"world:{self.language}/{self.seed}/{self.number}"

    def fact(self, name: str) -> str:
        """Return the value of a fact of the scene, such as "red"; whether it was told or not."""
        place = FACT_PLACES[name]
        return STORY.facts[place].values[self.derivation.scene[place]]


class Tables(NamedTuple):
    """What is made once for a language."""

    deriver: Deriver
    teller: Teller
    rendering: Rendering


@cache
def make_tables(language: str) -> Tables:
    """Make what draws, tells and renders the documents of a language, or return it again."""
    words = LANGUAGES[language]
    return Tables(Deriver(STORY), Teller(STORY, words), Rendering(words))


@cache
def _exact(language: str) -> ExactModel:
    return ExactModel(STORY, LANGUAGES[language])


def split_of(text: str) -> SplitName:
    """Return the split of a text: a tenth of the hashes is validation, the next tenth is test.

    The text alone decides, so that equal texts are in one split and splits never overlap. What
    `split_documents` holds out of a corpus is the same first tenth: a run that reads train and
    validation validates on just the validation documents and never sees one of test.
    """
    tenths = stable_hash(text) * 10 >> 64
    for name in ("validation", "test"):
        if SPLITS[name][0] <= tenths < SPLITS[name][1]:
            return name
    return "train"


class TinyWorld:
    """A generated language whose entropy is known exactly.

    Args:
        language: ``"en"`` or ``"zh"``; both tell the same scenes, sentence by sentence.
        seed: Which of the 2**63 worlds of documents, from 0 to 2**63 - 1.

    Raises:
        ConfigError: There is no such language or seed.

    Example:
        >>> TinyWorld().document(7) == TinyWorld(language="en", seed=0).document(7)
        True
    """

    def __init__(self, language: str = "en", seed: int = 0) -> None:
        if language not in LANGUAGES:
            raise ConfigError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
        if not 0 <= seed <= MAX_SEED:
            raise ConfigError(f"seed must be from 0 to 2**63 - 1, got {seed}")
        self.language, self.seed = language, seed
        self._tables = make_tables(language)

    def document(self, number: int) -> WorldDocument:
        """Make one document; no other has to be made before it.

        Args:
            number: From 0 to 2**63 - 1.
        """
        if not 0 <= number <= MAX_SEED:
            raise ConfigError(f"a document's number must be from 0 to 2**63 - 1, got {number}")
        derivation = self._tables.deriver.derive(seed=self.seed, number=number)
        told = self._tables.teller.tell(derivation)[:-1]
        words = [word.text for sentence in told for word in sentence]
        return WorldDocument(
            language=self.language,
            seed=self.seed,
            number=number,
            text=self._tables.rendering.render(words),
            sentences=tuple(map(tuple, told)),
            derivation=derivation,
        )

    def documents(self, n: int, *, split: str = "train", first: int = 0) -> Iterator[WorldDocument]:
        """Make ``n`` documents of a split, in the order of their numbers.

        Args:
            n: How many, 1 or more.
            split: ``"train"``, ``"validation"``, ``"test"``, or some of them joined by ``+``.
            first: The number from which to look for them.

        Raises:
            ConfigError: At once, for an argument that is out of range.
        """
        if n < 1:
            raise ConfigError(f"the number of documents must be 1 or more, got {n}")
        if not 0 <= first <= MAX_SEED - n * 100:  # so many numbers hold n of any split
            raise ConfigError(f"first must be from 0 to 2**63 - 1 - 100 * documents, got {first}")
        return self._of_splits(n, _split_names(split), first)

    def _of_splits(self, n: int, splits: set[str], number: int) -> Iterator[WorldDocument]:
        while n:
            document = self.document(number)
            if document.split in splits:
                yield document
                n -= 1
            number += 1

    @property
    def exact(self) -> ExactModel:
        """The exact probabilities of this language; made when first asked for."""
        return _exact(self.language)

    def parse(self, text: str) -> list[str]:
        """Read the words of a whole document's text, END_WORD added.

        Raises:
            DataError: The text is not of the language, with the position and what stands there.
        """
        return [*self._tables.rendering.parse(text), END_WORD]

    def render(self, words: Sequence[str]) -> str:
        """Write words as text; an END_WORD at the end is not written."""
        return self._tables.rendering.render(words)

    def bits(self, document: str | Sequence[str]) -> float:
        """Return -log2 p of a whole document, exactly.

        Args:
            document: Its text, or its words with END_WORD.

        Raises:
            DataError: The language cannot say it.
        """
        return self.exact.bits(self.parse(document) if isinstance(document, str) else document)


def _split_names(split: str) -> set[str]:
    names = split.split("+")
    for name in names:
        if name not in SPLITS:
            raise ConfigError(
                f"split must be one of {', '.join(SPLITS)}, or some joined by +, got {split!r}"
            )
    return set(names)
