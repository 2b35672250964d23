"""The tasks of the comparison: labeled examples to learn from, and one fixed test set each.

TinyWorld's documents are functions of their numbers, so that what is disjoint can be read off them:
pretraining reads the numbers below 25,000 of the splits train and validation, labels come from the
split train at 1,000,000 and above (each seed 10,000 further), settings were chosen on the split
validation, and the test documents are of the split test, which no run reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import accumulate, islice
from typing import Any

from minillm.arena.baselines import Baseline, bag_of_words, sliding_window, word_table
from minillm.config import TuningConfig
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    Example,
    QuestionExample,
    TagExample,
    TaskName,
)
from minillm.finetuning.metrics import OUTSIDE
from minillm.finetuning.packages import load_package_task
from minillm.finetuning.predicting import MAIN_SCORE
from minillm.text.world import TinyWorld, WorldDocument
from minillm.text.world.documents import FACT_PLACES
from minillm.text.world.labels import label
from minillm.text.world.questions import ask
from minillm.text.world.rng import keyed
from minillm.text.world.story import STORY
from minillm.text.world.tags import tag

FIRST_LABELED = 1_000_000  # document number; a seed's own begin 10,000 after the seed before
BETWEEN_SEEDS = 10_000
N_TEST = 400  # documents
PASSAGE = 4  # sentences that a question is asked about

View = Callable[[WorldDocument], Example]


def topic_example(document: WorldDocument) -> ClassExample:
    """Return a story and the topic that made it, one of twelve, which it never says."""
    return ClassExample(text=document.text, label=label(document).topic, source=document.source)


def ending_example(document: WorldDocument) -> ClassExample:
    """Return a story and whether the hidden thing was found or lost."""
    return ClassExample(text=document.text, label=label(document).ending, source=document.source)


def sentence_example(document: WorldDocument) -> TagExample:
    """Return one sentence of a story, drawn by its number, and the entities in it."""
    number = keyed(document.seed, "arena sentence", document.number).below(len(document.sentences))
    first = sum(map(len, document.sentences[:number]))
    after = first + len(document.sentences[number])
    spans = document.spans[first:after]
    start, end = _sentence_edges(document)[number]
    tags = tuple(word.tag for word in tag(document))[first:after]
    return TagExample(
        text=document.text[start:end],
        word_spans=tuple((a - start, b - start) for a, b in spans),
        tags=tags,
        source=document.source,
    )


def question_example(document: WorldDocument) -> QuestionExample:
    """Return one question about a passage of a story, drawn by its number.

    The passage is some sentences in a row, of which one holds the answer. Two of a story's dozen
    questions ask for what it does not say; then the passage is any.
    """
    questions = ask(document)
    rng = keyed(document.seed, "arena question", document.number)
    one = questions[rng.below(len(questions))]
    edges = _sentence_edges(document)
    last_start = max(len(edges) - PASSAGE, 0)
    if one.answer is None or one.start is None:
        low, high = 0, last_start
    else:
        place = next(i for i, (_, end) in enumerate(edges) if one.start < end)
        low, high = max(place - PASSAGE + 1, 0), min(place, last_start)
    first = low + rng.below(high - low + 1)
    shown = edges[first : first + PASSAGE]
    start, end = shown[0][0], shown[-1][1]
    answers = ()
    if one.answer is not None and one.start is not None:
        answers = (Answer(text=one.answer, start=one.start - start),)
    return QuestionExample(
        context=document.text[start:end],
        question=one.text,
        answers=answers,
        source=document.source,
    )


def _sentence_edges(document: WorldDocument) -> list[tuple[int, int]]:
    """Return where each sentence stands in the text, in characters."""
    ends = [*accumulate(map(len, document.sentences))]
    spans = document.spans
    return [
        (spans[end - len(sentence)][0], spans[end - 1][1])
        for end, sentence in zip(ends, document.sentences, strict=True)
    ]


def world_training(view: View, seed: int) -> Iterator[Example]:
    """Yield the labeled examples of a seed, one of each document; fewer are always the first."""
    documents = TinyWorld().documents(
        BETWEEN_SEEDS // 2, split="train", first=FIRST_LABELED + BETWEEN_SEEDS * seed
    )
    yield from map(view, documents)


@cache
def world_held_out(view: View, *, split: str = "test", n: int = N_TEST) -> tuple[Example, ...]:
    """Return the fixed examples of a split, to be judged on."""
    return tuple(view(document) for document in TinyWorld().documents(n, split=split))


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task, where its labels come from, and how readers and baselines learn it."""

    name: str
    kind: TaskName
    title: str  # what is asked, in a few words
    labels: tuple[str, ...]  # all there are, so that few examples need not show each
    training: Callable[[int, int], list[Example]]  # seed and number of labels → examples
    test: Callable[[], Sequence[Example]]  # the same for all
    numbers: tuple[int, ...]  # of labels, the columns of the table
    counted: str = "labeled examples"  # what ``numbers`` count
    tuning: TuningConfig  # for all readers
    baselines: Mapping[str, Baseline]

    @property
    def score(self) -> str:
        """The name of the score that is compared."""
        return MAIN_SCORE[self.kind]


def _first(view: View, seed: int, n: int) -> list[Example]:
    """Return the first labeled examples of a seed: fewer are always among more."""
    return list(islice(world_training(view, seed), n))


def _world_task(view: View, **about: Any) -> Task:
    return Task(
        training=partial(_first, view),
        test=partial(world_held_out, view),
        numbers=(10, 30, 100, 300),
        **about,
    )


def _tag_kinds() -> tuple[str, ...]:
    kinds = ("ANI", "FOOD", "LOC", "OBJ", "PER")  # minillm/text/world/tags.py
    return (OUTSIDE, *(f"{part}-{kind}" for kind in kinds for part in "BI"))


TOPICS = tuple(sorted(value for value in STORY.facts[FACT_PLACES["topic"]].values))
"""The twelve topics."""

_TUNING = TuningConfig(
    steps=200,
    batch_size=8,
    learning_rate=2e-3,
    pooling="mean",
    patience=None,
)
WORLD_TASKS = (
    _world_task(
        topic_example,
        name="topic",
        kind="classify",
        title="which of twelve topics made the story",
        labels=TOPICS,
        tuning=_TUNING,
        baselines={"bag of words": bag_of_words},
    ),
    _world_task(
        sentence_example,
        name="entities",
        kind="tag",
        title="the people, places, things, animals and food of a sentence",
        labels=_tag_kinds(),
        tuning=_TUNING,
        baselines={"table of words": word_table},
    ),
    _world_task(
        question_example,
        name="questions",
        kind="qa",
        title="the answer to a question about four sentences, or that there is none",
        labels=(),
        tuning=_TUNING,
        baselines={"sliding window": sliding_window},
    ),
)


def package_task() -> Task:
    """Return the task of real text: which package is a docstring from, its names hidden?

    Both its test documents and the validation documents of pretraining are those of the lowest
    hashes, so that pretraining never read a test example (see ``finetuning/packages.py``).
    """
    found = load_package_task()
    return Task(
        name="packages",
        kind="classify",
        title=f"which of {len(found.packages)} packages a docstring is from, names hidden",
        labels=found.packages,
        training=lambda seed, n: [*found.draw(n, seed=seed)],
        test=lambda: found.test,
        numbers=(3, 10, 20),
        counted="labeled docstrings of each package",
        tuning=replace(_TUNING, max_tokens=128),
        baselines={"bag of words": bag_of_words},
    )
