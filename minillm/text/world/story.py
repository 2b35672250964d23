"""The story of TinyWorld: its facts, how its events follow each other, and how often each happens.

The script looks at no fact. What it remembers is which events were told: an animal that never came
cannot say goodbye, and nobody answers before somebody asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from minillm.text.world.grammar import END, Arc, Choice, Fact, State, Story
from minillm.text.world.lexicon import (
    ANIMALS,
    CLOTHES,
    COLORS,
    CONTAINERS,
    GAMES,
    GENDERS,
    NUMBERS,
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
from minillm.text.world.wordings import WORDINGS

_ZIPF_SCALE = 10_000  # weights are integers: 10000 / (rank + 2), rounded
_OWN, _NEIGHBOR = 8, 1  # a topic's own values against those of each of its two neighbors

_OPENING = ("object", "meet", "clothing", "animal")
_OPENING_WEIGHTS = {"object": 5, "meet": 6, "clothing": 3, "animal": 2, "hide": 8}
_MIDDLE_WEIGHTS = {
    "play": 40,
    "walk": 40,
    "eat": 50,
    "tell": 40,
    "animal_act": 40,
    "sky": 30,
    "rest": 30,
}
_N_MIDDLE = 3  # at most so many events between hiding and searching
_LEAVE_MIDDLE = (14, 34, 70, 1)  # weight of ending the middle after 0, 1, 2, 3 events


def zipf(n_values: int) -> tuple[int, ...]:
    """Return integer weights that fall as 1 / (rank + 2), rank 0 first.

    Example:
        >>> zipf(3)
        (5000, 3333, 2500)
    """
    return tuple(_ZIPF_SCALE // (rank + 2) for rank in range(n_values))


def _free(name: str, values: Iterable[str]) -> Fact:
    keys = tuple(values)
    return Fact(name=name, values=keys, weights=(zipf(len(keys)),))


def _of_topic(name: str, kind: str) -> Fact:
    """The fact that a topic causes: mostly its own values, sometimes those of its neighbors."""
    values = [(topic.name, value.en) for topic in TOPICS for value in getattr(topic, kind)]
    own = zipf(len(values) // len(TOPICS))
    rank = [place % len(own) for place in range(len(values))]
    rows = []
    for topic in TOPICS:
        share = {topic.name: _OWN, **dict.fromkeys(topic.neighbors, _NEIGHBOR)}
        rows.append(
            tuple(share.get(home, 0) * own[rank[place]] for place, (home, _) in enumerate(values))
        )
    return Fact(
        name=name, values=tuple(key for _, key in values), weights=tuple(rows), cause="topic"
    )


def _of_gender(name: str, *, same: bool) -> Fact:
    """Who is told about: a woman if the main person is one (``same``), or the other way round."""
    names, n_women = (*WOMEN, *MEN), len(WOMEN)
    woman = (*zipf(n_women), *([0] * len(MEN)))
    man = (*([0] * n_women), *zipf(len(MEN)))
    rows = (woman, man) if same else (man, woman)
    return Fact(name=name, values=tuple(word.en for word in names), weights=rows, cause="gender")


FACTS = (
    _free("topic", (topic.name for topic in TOPICS)),
    _of_topic("place", "places"),
    _of_topic("object", "objects"),
    _of_topic("hiding_place", "hiding_places"),
    _of_topic("food", "foods"),
    Fact(name="gender", values=GENDERS, weights=((1, 1),)),
    _of_gender("person", same=True),
    _of_gender("other", same=False),
    _free("relation", (relation.key for relation in RELATIONS)),
    Fact(name="number", values=NUMBERS, weights=((4, 2, 1),)),
    _free("size", (word.en for word in SIZES)),
    _free("color", (word.en for word in COLORS)),
    _free("container", (thing.en for thing in CONTAINERS)),
    _free("container_color", (word.en for word in COLORS)),
    _free("animal", (thing.en for thing in ANIMALS)),
    _free("animal_trait", (word.en for word in TRAITS)),
    _free("clothing", (garment.en for garment in CLOTHES)),
    _free("clothing_color", (word.en for word in COLORS)),
    _free("weather", (word.en for word in WEATHERS)),
    _free("time", (word.en for word in TIMES)),
    _free("game", (game.en for game in GAMES)),
    _free("tale", (word.en for word in TALES)),
)


def _opening_arcs(told: tuple[str, ...]) -> Iterable[Arc]:
    """Arrival is told: now the object, the other person, her clothes and an animal may come."""
    for event in _OPENING:
        if event not in told and (event != "clothing" or "meet" in told):
            state = ("opening", *(e for e in _OPENING if e in told or e == event))
            yield Arc(event, _OPENING_WEIGHTS[event], state)
    if "object" in told and "meet" in told:
        kept = tuple(event for event in ("clothing", "animal") if event in told)
        yield Arc("hide", _OPENING_WEIGHTS["hide"], ("middle", kept, ()))


def _middle_arcs(kept: tuple[str, ...], told: tuple[str, ...]) -> Iterable[Arc]:
    """The object is hidden: some events pass, then the search begins."""
    if len(told) < _N_MIDDLE:
        for event, weight in _MIDDLE_WEIGHTS.items():
            if event not in told and (event != "animal_act" or "animal" in kept):
                state = tuple(e for e in _MIDDLE_WEIGHTS if e in told or e == event)
                yield Arc(event, weight, ("middle", kept, state))
    seen = (*kept, *(event for event in ("eat", "tell") if event in told))
    leave = _LEAVE_MIDDLE[len(told)]
    for event, weight in (("ask", 5), ("hint", 3), ("search", 2)):
        yield Arc(event, weight * leave, (event, seen))


def _search_arcs(phase: str, seen: tuple[str, ...]) -> Iterable[Arc]:
    """After the question comes an answer, then perhaps a search, then the end of it."""
    if phase == "ask":
        yield Arc("answer", 5, ("hint", seen))
    if phase != "search":
        yield Arc("search", 5, ("search", seen))
    if phase != "ask":
        yield Arc("found", 12, ("found", seen))
        yield Arc("lost", 4, ("lost", seen))


def _late_arcs(ending: str, seen: tuple[str, ...]) -> Iterable[Arc]:
    """Found or lost: what was told before is remembered, in any order, or not."""
    animal = "goodbye" if ending == "found" else "stolen"
    for memory, event in (("clothing", "forgotten"), ("animal", animal), ("eat", "leftovers")):
        if memory in seen:
            rest = tuple(other for other in seen if other != memory)
            yield Arc(event, 5, (ending, rest))
    open_ends = (ending, "day", *(memory for memory in seen if memory == "tell"))
    yield Arc("happy" if ending == "found" else "sad", 5, ("home", open_ends))


def _night_arcs(stage: str, open_ends: tuple[str, ...]) -> Iterable[Arc]:
    """Back home: the day is told once more, and then or before the thing or the tale."""
    no_day = tuple(end for end in open_ends if end != "day")
    only_day = tuple(end for end in open_ends if end == "day")
    if "day" in open_ends:
        yield Arc("diary", 10, ("night", no_day))
        yield Arc("memory", 3, ("over", ()))
    if "found" in open_ends or "lost" in open_ends:
        if stage == "home":
            yield Arc("supper", 5, ("evening", only_day))
        yield Arc("picture", 3, ("night", only_day))
        yield Arc("letter", 1, ("over", ()))
    if "lost" in open_ends:
        yield Arc("returned", 9, ("over", ()))
    if "tell" in open_ends:
        yield Arc("dream", 5, ("night", only_day))
    yield Arc(END, 2 if "day" in open_ends else 8, ("over", ()))


def _script() -> dict[State, tuple[Arc, ...]]:
    """Follow the rules above from the first state to every state that they reach."""
    script: dict[State, tuple[Arc, ...]] = {"start": (Arc("arrive", 1, ("opening",)),)}
    waiting: list[State] = [("opening",)]
    while waiting:
        state = waiting.pop()
        if state in script or not isinstance(state, tuple):
            continue
        phase = state[0]
        if phase == "opening":
            arcs = tuple(_opening_arcs(state[1:]))
        elif phase == "middle":
            arcs = tuple(_middle_arcs(state[1], state[2]))
        elif phase in ("ask", "hint", "search"):
            arcs = tuple(_search_arcs(phase, state[1]))
        elif phase in ("found", "lost"):
            arcs = tuple(_late_arcs(phase, state[1]))
        else:
            arcs = tuple(_night_arcs(phase, state[1]))
        script[state] = arcs
        waiting.extend(arc.state for arc in arcs)
    return script


STORY = Story(
    facts=FACTS,
    choices=tuple(Choice(name=name, weights=zipf(len(words))) for name, words in CHOICES.items()),
    script=_script(),
    start="start",
    wordings={event: tuple(row.wording for row in rows) for event, rows in WORDINGS.items()},
)
