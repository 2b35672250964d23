"""Labels for classifying whole documents: the topic that made the scene, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.text.world.documents import TinyWorld, WorldDocument


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What a classifier shall find out about a document."""

    topic: str  # never said; no reader can always be right about it
    ending: Literal["found", "lost"]  # was the object still there when they looked? Always said


def label(document: WorldDocument) -> Labels:
    """Return the labels of a document."""
    events = {step.event for step in document.derivation.steps}
    return Labels(topic=document.fact("topic"), ending="found" if "found" in events else "lost")


def topic_probabilities(document: WorldDocument) -> dict[str, float]:
    """Return p(topic | the document) of each topic, exactly: the best that a classifier can know.

    The topic only shows in what it causes, so it is never certain before all of that was told. The
    best guess is the likeliest topic; averaged over documents, its probability is the Bayes
    accuracy.

    Args:
        document: Only its words are looked at.
    """
    return TinyWorld(document.language).exact.fact("topic", document.words)
