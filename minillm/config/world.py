"""Settings of the command that shows TinyWorld."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldConfig:
    """Show TinyWorld, a generated language whose entropy is known exactly.

    What is out of range is refused by `TinyWorld`, which knows its languages and ranges.
    """

    documents: int | None = None  # how many; None: 10 to read, 50000 to draw for --entropy
    language: str = "en"  # en or zh
    seed: int = 0
    first: int = 0  # number of the first document
    split: str | None = None  # only train, validation or test (joined by +); None: any document
    views: bool = False  # labels, entities, questions, dialogue and picture of each document
    entropy: bool = False  # how well any model could do, instead of documents
    json: bool = False  # one line of JSON for each document, or one for --entropy
