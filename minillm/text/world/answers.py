"""Is an answer about a document true? Exactly, since the document's scene is known."""

from __future__ import annotations

from dataclasses import dataclass

from minillm.text.world.dialogue import Kind, converse
from minillm.text.world.documents import WorldDocument


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question of a document's dialogue and the one true answer to it."""

    kind: Kind
    question: str
    answer: str

    def is_true(self, answer: str) -> bool:
        """Tell whether an answer says all that was asked, and nothing false.

        The language has one sentence for each answer, so that an answer is true if and only if it
        is that sentence; only letter case and
        blanks do not matter.

        Example:
            >>> asked = Asked(kind="food", question="?", answer="We had some bread.")
            >>> asked.is_true(" we had some  bread."), asked.is_true("We had some cake.")
            (True, False)
        """
        return _plain(answer) == _plain(self.answer)


def questions_of(document: WorldDocument) -> list[Asked]:
    """Return what is asked in a document's dialogue, and what is true.

    Args:
        document: In either language. Nothing is asked that its text does not tell.

    Example:
        >>> from minillm.text.world import TinyWorld
        >>> [asked.kind for asked in questions_of(TinyWorld().document(3))]
        ['object', 'place', 'ending', 'farewell']
    """
    turns = converse(document)
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return [Asked(kind=q.kind, question=q.text, answer=a.text) for q, a in pairs]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
