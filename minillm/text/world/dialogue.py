"""The two people of a document talk about what happened, in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minillm.text.world.documents import WorldDocument
from minillm.text.world.labels import label
from minillm.text.world.rng import keyed
from minillm.text.world.scenes import Scene

Kind = Literal["object", "place", "clothing", "animal", "food", "ending", "farewell"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What one of the two says."""

    role: Literal["user", "assistant"]  # who asks; who answers
    speaker: str  # their name in the document
    text: str
    kind: Kind  # what is asked, or told: the same for a question and its answer


_Exchange = tuple[tuple[str, ...], str]  # ways to ask, the answer
# By what the document must tell first; "found" and "lost" are the endings, "" always holds.
_ENGLISH: tuple[tuple[Kind, str, _Exchange], ...] = (
    (
        "object",
        "",
        (
            ("Hello, {person}! What did you have?", "Hi, {person}! What did you have with you?"),
            "I had {article} {size} {color} {object}.",
        ),
    ),
    (
        "place",
        "",
        (
            ("Where did you put {it_object}?", "And where did you hide {it_object}?"),
            "In {article_container} {container_color} {container} {under} the {hiding_place}.",
        ),
    ),
    (
        "clothing",
        "clothing",
        (
            ("Which of my clothes do you remember?", "Do you remember my clothes?"),
            "Your {clothing_color} {clothing}.",
        ),
    ),
    (
        "animal",
        "animal",
        (
            ("Which animal was there?", "Was there an animal?"),
            "There was {article_trait} {animal_trait} {animal}.",
        ),
    ),
    (
        "food",
        "food",
        (("What did we have to eat?", "Did we have any food?"), "We had some {food}."),
    ),
    (
        "ending",
        "found",
        (("And {was} {it} still there when we looked?",), "Yes, the {object} {was} still there."),
    ),
    (
        "ending",
        "lost",
        (("And {was} {it} still there when we looked?",), "No, the {object} {was} gone."),
    ),
    ("farewell", "", (("Thank you, {person}!", "Goodbye, {person}!"), "See you soon, {other}!")),
)
_CHINESE: tuple[tuple[Kind, str, _Exchange], ...] = (
    (
        "object",
        "",
        (
            ("你好，{person}！你那天带着什么？", "{person}，你那天有什么？"),
            "我有{number}{measure}{size}{color}{object}。",
        ),
    ),
    (
        "place",
        "",
        (
            ("你把{it}放在哪里了？", "{it}藏在哪里？"),
            "在{hiding_place}{side}的{container_color}{container}里。",
        ),
    ),
    (
        "clothing",
        "clothing",
        (
            ("你记得我的什么衣物？", "你还记得我的衣物吗？"),
            "一{measure_clothing}{clothing_color}{clothing}。",
        ),
    ),
    (
        "animal",
        "animal",
        (
            ("那里有什么动物？", "那里有动物吗？"),
            "有一{measure_animal}{animal_trait}{animal}。",
        ),
    ),
    ("food", "food", (("我们有什么吃的？", "有吃的吗？"), "我们有一些{food}。")),
    ("ending", "found", (("我们去找的时候，{it}还在吗？",), "还在，{object}还在那里。")),
    ("ending", "lost", (("我们去找的时候，{it}还在吗？",), "不在了，{object}不见了。")),
    ("farewell", "", (("谢谢你，{person}！", "再见，{person}！"), "下次见，{other}！")),
)
_SCRIPTS = {"en": _ENGLISH, "zh": _CHINESE}


def converse(document: WorldDocument) -> list[Turn]:
    """Let the other person ask and the main person answer, in turns.

    Every answer follows from what the document says; what it does not tell is not asked.

    Args:
        document: In either language; how questions are put is drawn from its seed and number.

    Returns:
        An even number of turns, the roles alternating, the user first.
    """
    scene, ending = Scene(document), label(document).ending
    rng = keyed(document.seed, "dialogue", document.number)
    turns = []
    for kind, needed, (ways, answer) in _SCRIPTS[document.language]:
        if needed in ("", ending) or scene.tells(needed):
            asked, told = scene.say(ways[rng.below(len(ways))]), scene.say(answer)
            turns.append(Turn(role="user", speaker=scene["other"], text=asked, kind=kind))
            turns.append(Turn(role="assistant", speaker=scene["person"], text=told, kind=kind))
    return turns
