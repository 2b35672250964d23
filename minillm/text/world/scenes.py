"""What a document tells of its scene, and its words for saying it in other sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from minillm.text.world.documents import FACT_PLACES, WorldDocument, make_tables


class Scene(Mapping[str, str]):
    """The word of every slot in a document's scene, for `str.format_map`.

    Args:
        document: Whose scene.
        changed: Facts that shall have another value: what would the words be then?

    Attributes:
        told: Of each slot and choice that the document uses, the places of its words among the
            document's words.
    """

    def __init__(self, document: WorldDocument, changed: Mapping[str, int] | None = None) -> None:
        tables = make_tables(document.language)
        self.document, self._teller = document, tables.teller
        values = list(document.derivation.scene)
        for fact, value in (changed or {}).items():
            values[FACT_PLACES[fact]] = value
        self._values = tuple(values)
        self.told: dict[str, list[int]] = {}
        words = (word for sentence in document.sentences for word in sentence)
        for place, word in enumerate(words):
            if word.source is not None:
                self.told.setdefault(word.source, []).append(place)

    def __getitem__(self, slot: str) -> str:
        return self._teller.slot_word(slot, self._values)

    def __iter__(self) -> Iterator[str]:
        return (slot.name for slot in self._teller.language.slots)

    def __len__(self) -> int:
        return len(self._teller.language.slots)

    def tells(self, *slots: str) -> bool:
        """Tell whether the document uses all of the slots."""
        return all(slot in self.told for slot in slots)

    def say(self, template: str) -> str:
        """Fill a template such as "What color {was} the {object}?"."""
        return template.format_map(self)
