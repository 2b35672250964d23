"""TinyWorld in two languages: the same stories, sentence by sentence, to be translated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from minillm.text.world.documents import TinyWorld


class TextPair(NamedTuple):
    """The same in two languages."""

    source: str
    target: str


def document_pairs(
    n_documents: int,
    *,
    source: str = "en",
    target: str = "zh",
    split: str = "train",
    seed: int = 0,
    first: int = 0,
) -> Iterator[TextPair]:
    """Yield whole documents in two languages.

    Args:
        n_documents: how many, 1 or more.
        source: language that is read, ``"en"`` or ``"zh"``.
        target: language that is written.
        split: of the source's documents, see ``TinyWorld.documents``.
        seed: of the world.
        first: the number from which to look for documents.

    Raises:
        ConfigError: an argument is out of range.

    Example:
        >>> [pair] = document_pairs(1)
        >>> pair.source[:24], pair.target[:10]
        ('It was a stormy Sunday, ', '这是一个电闪雷鸣的星')
    """
    world, other = TinyWorld(source, seed), TinyWorld(target, seed)
    documents = world.documents(n_documents, split=split, first=first)
    return (TextPair(document.text, other.document(document.number).text) for document in documents)


def sentence_pairs(
    n_documents: int,
    *,
    source: str = "en",
    target: str = "zh",
    split: str = "train",
    seed: int = 0,
    first: int = 0,
) -> Iterator[TextPair]:
    """Yield the sentences of documents in two languages; the arguments are those of documents.

    Both languages tell a scene in as many sentences, one for each event. A sentence alone does not
    always say all: how many crystals "the big blue crystals" are was told in another one, and
    Chinese says it again.

    Example:
        >>> next(sentence_pairs(1, first=1)).target
        '这是一个寒冷的星期五，小明正在山谷里。'
    """
    world, other = TinyWorld(source, seed), TinyWorld(target, seed)
    for document in world.documents(n_documents, split=split, first=first):
        told = other.document(document.number).sentences
        for ours, theirs in zip(document.sentences, told, strict=True):
            yield TextPair(
                world.render([word.text for word in ours]),
                other.render([word.text for word in theirs]),
            )
