"""Labeled examples by name: a file, TinyWorld's views, the standard library's docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from minillm.errors import ConfigError
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    Example,
    QuestionExample,
    TagExample,
    TaskName,
    check_task,
    find_words,
)
from minillm.finetuning.packages import is_stdlib, stdlib_examples
from minillm.finetuning.reading import read_examples
from minillm.text.world import WorldDocument
from minillm.text.world.corpus import is_world, parse_corpus
from minillm.text.world.labels import label
from minillm.text.world.questions import ask
from minillm.text.world.tags import tag

WorldLabel = Literal["topic", "ending"]


def load_examples(
    data: Path | str,
    task: TaskName,
    *,
    labeled: bool = True,
    world_label: WorldLabel = "topic",
) -> list[Example]:
    """Read a file of examples, or make them of TinyWorld or of the standard library.

    Args:
        data: a path as for ``read_examples``, a corpus of TinyWorld such as
            ``"world:documents=100,split=test"``, or docstrings to classify by their package such as
            ``"stdlib:labels=20"``, see ``stdlib_examples``.
        task: what the examples are for.
        labeled: as for ``read_examples``; the others always are.
        world_label: what a document of TinyWorld is classified by. Its topic is never said, and no
            reader can always be right about it; how it ended always is.

    Raises:
        ConfigError: there is no such file, task or world.
        DataError: a line that does not fit, with its number.

    Example:
        >>> examples = load_examples("world:documents=2", "qa")
        >>> examples[0].question, examples[0].answers[0].text
        ('Who hid the daisies?', 'Alice')
    """
    check_task(task)
    if is_stdlib(str(data)):
        if task != "classify":
            raise ConfigError(f"stdlib has labels to classify by, not for {task}: name a file")
        return [*stdlib_examples(str(data))]
    if not is_world(str(data)):
        return read_examples(data, task, labeled=labeled)
    documents = parse_corpus(str(data)).world_documents()
    return [one for document in documents for one in _views(document, task, world_label)]


def make_example(task: TaskName, text: str, *, question: str | None = None) -> Example:
    """Make an example to predict of a plain text.

    Args:
        task: what the example is for.
        text: what to classify or tag, or the context of the question.
        question: for qa, and only there.

    Raises:
        ConfigError: the text or the question is missing, or there is one too many.

    Example:
        >>> make_example("qa", "Ann has a cat.", question="What has Ann?").context
        'Ann has a cat.'
    """
    check_task(task)
    if not text.strip():
        raise ConfigError("the text is blank: there is nothing to predict")
    if (task == "qa") != bool(question and question.strip()):
        wanted = "needs a" if task == "qa" else "takes no"
        raise ConfigError(f"the model's task is {task}: it {wanted} question (--question)")
    if task == "classify":
        return ClassExample(text=text)
    if task == "tag":
        return TagExample(text=text, word_spans=find_words(text))
    return QuestionExample(context=text, question=question or "")


def _views(document: WorldDocument, task: TaskName, world_label: WorldLabel) -> Iterator[Example]:
    text, source = document.text, document.source
    if task == "classify":
        yield ClassExample(text=text, label=getattr(label(document), world_label), source=source)
    elif task == "tag":
        tags = tuple(word.tag for word in tag(document))
        yield TagExample(text=text, word_spans=tuple(document.spans), tags=tags, source=source)
    else:
        for question in ask(document):
            answers = ()
            if question.answer is not None and question.start is not None:
                answers = (Answer(text=question.answer, start=question.start),)
            yield QuestionExample(
                context=text, question=question.text, answers=answers, source=source
            )
