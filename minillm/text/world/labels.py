"""Labels for classifying whole documents: the topic that made the scene, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.text.world.documents import FACT_PLACES, TinyWorld, WorldDocument
from minillm.text.world.grammar import END_WORD
from minillm.text.world.story import STORY


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What a classifier shall find out about a document."""

    topic: str  # never said; no reader can always be right about it
    ending: Literal["found", "lost"]  # is the object found again? Always said


def label(document: WorldDocument) -> Labels:
    """Return the labels of a document."""
    events = {step.event for step in document.derivation.steps}
    return Labels(topic=document.fact("topic"), ending="found" if "found" in events else "lost")


def topic_probabilities(document: WorldDocument) -> dict[str, float]:
    """Return p(topic | the document) of each topic, exactly: the best that a classifier can know.

    The topic only shows in what it causes, so the posterior is that of the facts that were told
    (Bayes' rule). The best guess is the likeliest topic; averaged over documents, its probability
    is the Bayes accuracy.

    Args:
        document: Only its words are looked at.
    """
    tries = TinyWorld(document.language).exact.tries
    domains = tries.beliefs.full
    for sentence in document.sentences:
        for word in sentence:
            if (slot := tries.slot_number.get(word.source or END_WORD)) is not None:
                domains, _ = tries.beliefs.narrow(domains, tries.forms[slot][word.text])
    place, total = FACT_PLACES["topic"], tries.beliefs.mass(domains)
    masses = {
        topic: tries.beliefs.mass((*domains[:place], 1 << value, *domains[place + 1 :]))
        for value, topic in enumerate(STORY.facts[place].values)
    }
    return {topic: mass / total for topic, mass in masses.items()}
