"""Chinese: the words of the slots, with measure words, and the texts of the story's wordings.

Words stand side by side without spaces in a rendered text; a plural is not marked, but 它 and 它们
are told apart, and so are 她 and 他.
"""

from __future__ import annotations

from collections.abc import Mapping

from minillm.text.world.grammar import Language, Slot
from minillm.text.world.lexicon import (
    ANIMALS,
    CLOTHES,
    COLORS,
    CONTAINERS,
    GAMES,
    RELATIONS,
    SIZES,
    TALES,
    TIMES,
    TRAITS,
    WEATHERS,
)
from minillm.text.world.lexicon_choices import CHOICES
from minillm.text.world.lexicon_names import MEN, WOMEN
from minillm.text.world.lexicon_topics import TOPICS
from minillm.text.world.slot_making import make_slot
from minillm.text.world.wordings import WORDINGS

_PLACES = [place for topic in TOPICS for place in topic.places]
_OBJECTS = [thing for topic in TOPICS for thing in topic.objects]
_SPOTS = [spot for topic in TOPICS for spot in topic.hiding_places]
_FOODS = [food for topic in TOPICS for food in topic.foods]
_NUMBER = {"1": "一", "2": "两", "3": "三"}
_RELATION = {relation.key: {"f": relation.zh_f, "m": relation.zh_m} for relation in RELATIONS}
_OTHER = {"f": "m", "m": "f"}  # gender of the other person, by that of the main one
_COLOR = {word.en: word.zh for word in COLORS}


def _slot(name: str, fact: str, words: Mapping[str, str], tag: str | None = None) -> Slot:
    """The slot whose word follows from one fact."""
    return make_slot(name, [fact], words.__getitem__, tag)


def _relation(key: str, gender: str) -> str:
    return _RELATION[key][_OTHER[gender]]


def _own_words() -> list[Slot]:
    """Slots that say the value of a fact."""
    names = {word.en: word.zh for word in (*WOMEN, *MEN)}
    entities = {
        "person": ("PER", names),
        "other": ("PER", names),
        "place": ("LOC", {place.en: place.zh for place in _PLACES}),
        "hiding_place": ("LOC", {spot.en: spot.zh for spot in _SPOTS}),
        "object": ("OBJ", {thing.en: thing.zh for thing in _OBJECTS}),
        "container": ("OBJ", {thing.en: thing.zh for thing in CONTAINERS}),
        "clothing": ("OBJ", {garment.en: garment.zh for garment in CLOTHES}),
        "animal": ("ANI", {thing.en: thing.zh for thing in ANIMALS}),
        "food": ("FOOD", {food.en: food.zh for food in _FOODS}),
    }
    plain = {"size": SIZES, "weather": WEATHERS, "time": TIMES, "animal_trait": TRAITS}
    return [
        *(_slot(name, name, words, tag) for name, (tag, words) in entities.items()),
        *(_slot(name, name, {w.en: w.zh for w in words}) for name, words in plain.items()),
        *(_slot(name, name, _COLOR) for name in ("color", "container_color", "clothing_color")),
        _slot("game", "game", {game.en: game.zh for game in GAMES}),
        _slot("tale", "tale", {word.en: word.zh for word in TALES}),
        _slot("number", "number", _NUMBER),
        _slot("those", "number", {"1": "那", "2": "那两", "3": "那三"}),
        make_slot("relation", ["relation", "gender"], _relation),
    ]


def _agreement() -> list[Slot]:
    """Slots whose word follows from facts that another word says."""
    return [
        _slot("she", "gender", {"f": "她", "m": "他"}),
        _slot("other_she", "gender", {"f": "他", "m": "她"}),
        _slot("it", "number", {"1": "它", "2": "它们", "3": "它们"}),
        _slot("in_place", "place", {place.en: place.zh_in for place in _PLACES}, "LOC"),
        _slot("side", "hiding_place", {spot.en: spot.zh_side for spot in _SPOTS}),
        _slot("measure", "object", {thing.en: thing.measure for thing in _OBJECTS}),
        _slot("measure_container", "container", {c.en: c.measure for c in CONTAINERS}),
        _slot("measure_animal", "animal", {animal.en: animal.measure for animal in ANIMALS}),
        _slot("measure_clothing", "clothing", {g.en: g.measure for g in CLOTHES}),
        _slot("wear", "clothing", {garment.en: garment.wear for garment in CLOTHES}),
        _slot("play", "game", {game.en: game.play for game in GAMES}),
    ]


CHINESE = Language(
    name="zh",
    slots=(*_own_words(), *_agreement()),
    choice_words={name: tuple(word.zh for word in words) for name, words in CHOICES.items()},
    texts={event: tuple(row.zh for row in rows) for event, rows in WORDINGS.items()},
)
