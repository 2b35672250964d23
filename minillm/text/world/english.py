"""English: the words of the slots, with agreement, and the texts of the story's wordings.

Words are written in lower case but for names, days and "I"; whoever renders a text writes the
first letter of a sentence in upper case.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from minillm.text.world.grammar import Language, Slot
from minillm.text.world.lexicon import RELATIONS
from minillm.text.world.lexicon_choices import CHOICES
from minillm.text.world.lexicon_topics import TOPICS
from minillm.text.world.slot_making import make_slot
from minillm.text.world.wordings import WORDINGS

_COUNT = {"2": "two", "3": "three"}
_OTHER = {"f": "m", "m": "f"}  # gender of the other person, by that of the main one
_SHE = {"f": "she", "m": "he"}
_HER = {"f": "her", "m": "him"}
_HERS = {"f": "her", "m": "his"}
_PLURAL = {thing.en: thing.plural for topic in TOPICS for thing in topic.objects}
_AT = {place.en: place.preposition for topic in TOPICS for place in topic.places}
_UNDER = {spot.en: spot.preposition for topic in TOPICS for spot in topic.hiding_places}
_AROUND = {place.en: place.around for topic in TOPICS for place in topic.places}
_MANY = {food.en: food.agreement == "they" for topic in TOPICS for food in topic.foods}
_RELATION = {relation.key: {"f": relation.en_f, "m": relation.en_m} for relation in RELATIONS}


def article(word: str) -> str:
    """Return "an" before a vowel's sound, else "a" (for the words of this world).

    Example:
        >>> article("orange"), article("uniform"), article("ugly")
        ('an', 'a', 'an')
    """
    begins_with_vowel = word[0] in "aeiou" and not word.startswith("uni")
    return "an" if begins_with_vowel else "a"


def _same(value: str) -> str:
    return value


def _by_number(one: str, many: str) -> Callable[[str], str]:
    return lambda number: one if number == "1" else many


def _by_food(one: str, many: str) -> Callable[[str], str]:
    return lambda food: many if _MANY[food] else one


def _counted(number: str, next_word: str) -> str:
    """The word before an adjective and the object: "an", "two"."""
    return article(next_word) if number == "1" else _COUNT[number]


def _own_words() -> list[Slot]:
    """Slots that say the value of a fact."""
    entities = {
        "place": "LOC",
        "hiding_place": "LOC",
        "person": "PER",
        "other": "PER",
        "container": "OBJ",
        "animal": "ANI",
        "food": "FOOD",
        "clothing": "OBJ",
    }
    plain = "size color container_color animal_trait clothing_color weather time game tale"
    return [
        *(make_slot(name, [name], _same, tag) for name, tag in entities.items()),
        *(make_slot(name, [name], _same) for name in plain.split()),
        make_slot("object", ["object", "number"], _object, "OBJ"),
        make_slot("relation", ["relation", "gender"], _relation),
    ]


def _object(name: str, number: str) -> str:
    return name if number == "1" else _PLURAL[name]


def _relation(key: str, gender: str) -> str:
    return _RELATION[key][_OTHER[gender]]


def _of(words: dict[str, str], gender: str) -> str:
    return words[gender]


def _of_other(words: dict[str, str], gender: str) -> str:
    return words[_OTHER[gender]]


def _agreement() -> list[Slot]:
    """Slots whose word follows from facts that another word says."""
    people = {"she": _SHE, "her": _HER, "hers": _HERS}
    articles = {
        "article_weather": "weather",
        "article_container": "container_color",
        "article_trait": "animal_trait",
        "article_clothing": "clothing_color",
    }
    numbers = {
        "it": ("it", "they"),
        "it_object": ("it", "them"),
        "is": ("is", "are"),
        "was": ("was", "were"),
    }
    foods = {"it_food": ("it", "they"), "them_food": ("it", "them"), "was_food": ("was", "were")}
    return [
        *(make_slot(name, ["gender"], partial(_of, words)) for name, words in people.items()),
        *(
            make_slot(f"other_{name}", ["gender"], partial(_of_other, words))
            for name, words in people.items()
        ),
        *(make_slot(name, [fact], article) for name, fact in articles.items()),
        make_slot("article", ["number", "size"], _counted),
        *(make_slot(name, ["number"], _by_number(*words)) for name, words in numbers.items()),
        *(make_slot(name, ["food"], _by_food(*words)) for name, words in foods.items()),
        make_slot("at_place", ["place"], _AT.__getitem__),
        make_slot("around", ["place"], _AROUND.__getitem__),
        make_slot("under", ["hiding_place"], _UNDER.__getitem__),
    ]


ENGLISH = Language(
    name="en",
    slots=(*_own_words(), *_agreement()),
    choice_words={name: tuple(word.en for word in words) for name, words in CHOICES.items()},
    texts={event: tuple(row.en for row in rows) for event, rows in WORDINGS.items()},
)
