"""TinyWorld as a corpus: "world", or "world:documents=5000,seed=3,language=zh,split=test"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minillm.errors import ConfigError
from minillm.text.documents import Document
from minillm.text.world.documents import LANGUAGES, TinyWorld, WorldDocument

NAME = "world"
MAX_DOCUMENTS = 10**9  # a count beyond it is a slip: it would take weeks to write


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldCorpus:
    """Which documents of TinyWorld; by default none of the test split, so that no run sees it."""

    language: str = "en"
    seed: int = 0
    documents: int = 20_000
    split: str = "train+validation"
    first: int = 0  # the number from which to look for documents of the split

    def __post_init__(self) -> None:
        if self.documents > MAX_DOCUMENTS:
            raise ConfigError(f"documents must be from 1 to {MAX_DOCUMENTS}, got {self.documents}")
        self.world_documents()  # refuses what is out of range

    def world_documents(self) -> Iterator[WorldDocument]:
        """Make the documents with everything that is known about them."""
        world = TinyWorld(self.language, self.seed)
        return world.documents(self.documents, split=self.split, first=self.first)

    def __iter__(self) -> Iterator[Document]:
        for document in self.world_documents():
            yield Document(document.text, document.source)


def is_world(name: str) -> bool:
    """Tell whether a corpus' name means TinyWorld."""
    return name == NAME or name.startswith(f"{NAME}:")


def parse_corpus(name: str) -> WorldCorpus:
    """Read the name of a corpus of TinyWorld.

    Args:
        name: ``"world"``, or after a colon options joined by commas: ``language`` (or just ``zh``),
            ``seed``, ``documents``, ``split`` (splits joined by +) and ``first``.

    Raises:
        ConfigError: An option that is unknown, given twice or out of range.

    Example:
        >>> parse_corpus("world:zh,documents=50,split=test")
        WorldCorpus(language='zh', seed=0, documents=50, split='test', first=0)
    """
    settings: dict[str, str | int] = {}
    for option in name.partition(":")[2].split(",") if ":" in name else ():
        key, equals, value = option.strip().partition("=")
        if not equals and key in LANGUAGES:
            key, value = "language", key
        if key not in WorldCorpus.__slots__ or not value:
            raise ConfigError(
                f"{name}: unknown option {option!r}: write {', '.join(LANGUAGES)} or "
                f"NAME=VALUE with a name among {', '.join(WorldCorpus.__slots__)}"
            )
        if key in settings:
            raise ConfigError(f"{name}: {key} is given twice")
        settings[key] = value if key in ("language", "split") else _whole_number(name, key, value)
    return WorldCorpus(**settings)  # pyright: ignore[reportArgumentType]


def _whole_number(name: str, key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ConfigError(f"{name}: {key} must be a whole number, got {value!r}") from None
