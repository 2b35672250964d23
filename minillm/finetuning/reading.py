"""Examples from a file of JSON lines; a line that does not fit is named, never passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    Example,
    QuestionExample,
    TagExample,
    TaskName,
    check_task,
    find_words,
    tags_of_entities,
)
from minillm.finetuning.metrics import OUTSIDE, Entity
from minillm.text.records import read_json_lines
from minillm.tokenizers import CharSpan

_SHOWN = 40  # characters of what came instead of what was expected


def read_examples(path: Path | str, task: TaskName, *, labeled: bool = True) -> list[Example]:
    """Read the examples of a task, one JSON object a line (docs/finetuning.md shows each form).

    Args:
        path: a .jsonl or .jsonl.gz file of UTF-8.
        task: what the lines are for.
        labeled: whether every line must have its label; otherwise labels are left out where they
            are missing.

    Raises:
        ConfigError: there is no such file or task.
        DataError: the first line that does not fit, with its number, its field, what came and what
            was expected; or a file without any example.

    Example:
        ``read_examples("reviews.jsonl", "classify")[0].label``
    """
    check_task(task)
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path} is no file; name a .jsonl file with one example a line")
    parse = _PARSERS[task]
    examples = [
        parse(Record(place, value), labeled=labeled) for place, value in read_json_lines(path)
    ]
    if not examples:
        raise DataError(f"{path.as_posix()} holds no example: every line is blank")
    return examples


class Record:
    """One line's object; asks for a field and says what is wrong with it."""

    def __init__(self, place: str, value: object, prefix: str = "") -> None:
        self.place, self.prefix = place, prefix
        if not isinstance(value, dict):
            name = f"field {prefix[:-1]}: " if prefix else ""
            raise DataError(f"{place}: {name}expected a JSON object, got {_shown(value)}")
        self.fields: dict[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def refuse(self, name: str, expected: str, came: str | None = None) -> NoReturn:
        """Raise the error that says what was expected of a field."""
        if came is None and name not in self.fields:
            keys = ", ".join(map(repr, list(self.fields)[:8])) or "none"
            came = f"no such field (there are: {keys})"
        shown = _shown(self.fields.get(name)) if came is None else came
        raise DataError(
            f"{self.place}: field {self.prefix}{name}: expected {expected}, got {shown}"
        )

    def text(self, name: str) -> str:
        """Return a string that holds more than blanks."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, "a string that is not blank")
        if surrogate := next((c for c in value if "\ud800" <= c <= "\udfff"), None):
            self.refuse(name, "text", f"a lone surrogate (U+{ord(surrogate):04X})")
        return value

    def whole_number(self, name: str) -> int:
        """Return a whole number from 0 on."""
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.refuse(name, "a whole number from 0 on")
        return value

    def records(self, name: str) -> Iterator[Record]:
        """Return the objects of a list."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            self.refuse(name, "a list of objects")
        for number, one in enumerate(value):
            yield Record(self.place, one, f"{self.prefix}{name}[{number}].")

    def strings(self, name: str) -> list[str]:
        """Return a list of strings."""
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.refuse(name, "a list of strings")
        return [Record(self.place, {name: one}, self.prefix).text(name) for one in value]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def _class_example(record: Record, *, labeled: bool) -> ClassExample:
    wants_label = labeled or "label" in record
    return ClassExample(
        text=record.text("text"),
        label=record.text("label") if wants_label else None,
        source=record.place,
    )


def _tag_example(record: Record, *, labeled: bool) -> TagExample:
    if "words" in record:
        text, spans = _placed_words(record)
        tags = _tags(record, len(spans)) if labeled or "tags" in record else None
    else:
        text = record.text("text")
        spans = find_words(text)
        tags = _tags_of_spans(record, text, spans) if labeled or "spans" in record else None
    return TagExample(text=text, word_spans=spans, tags=tags, source=record.place)


def _placed_words(record: Record) -> tuple[str, tuple[CharSpan, ...]]:
    """Find the words in the text; without one they are joined by blanks."""
    words = record.strings("words")
    if not words:
        record.refuse("words", "at least one word")
    for number, word in enumerate(words):
        if word != word.strip():
            record.refuse("words", "words without blanks around them", f"{word!r} (word {number})")
    text = record.text("text") if "text" in record else " ".join(words)
    spans, at = [], 0
    for number, word in enumerate(words):
        start = text.find(word, at)
        if start < 0 or text[at:start].strip():
            record.refuse(
                "words",
                "the words of the text in their order, all of them",
                f"{word!r} (word {number}) where the text goes on {_shown(text[at:].lstrip())}",
            )
        at = start + len(word)
        spans.append((start, at))
    if text[at:].strip():
        record.refuse("words", "all words of the text", f"none for {_shown(text[at:].lstrip())}")
    return text, tuple(spans)


def _tags(record: Record, n_words: int) -> tuple[str, ...]:
    """Check that tags are BIO: B begins, I goes on."""
    tags = record.strings("tags")
    if len(tags) != n_words:
        record.refuse("tags", f"one tag for each of the {n_words} words", f"{len(tags)} tags")
    for number, (before, tag) in enumerate(pairwise([OUTSIDE, *tags])):
        part, _, kind = tag.partition("-")
        if tag != OUTSIDE and (part not in ("B", "I") or not kind):
            record.refuse("tags", "O, B-KIND or I-KIND", f"{tag!r} (word {number})")
        if part == "I" and before[2:] != kind:
            record.refuse(
                "tags",
                f"B-{kind} to begin an entity (I-{kind} only goes on with one)",
                f"{tag!r} after {before!r} (word {number})",
            )
    return tuple(tags)


def _tags_of_spans(record: Record, text: str, word_spans: Sequence[CharSpan]) -> tuple[str, ...]:
    """Turn spans of characters into tags; a span must be made of whole words."""
    starts = {start: number for number, (start, _) in enumerate(word_spans)}
    ends = {end: number + 1 for number, (_, end) in enumerate(word_spans)}
    entities: list[Entity] = []
    for span in record.records("spans"):
        start, end = span.whole_number("start"), span.whole_number("end")
        if not start < end <= len(text):
            span.refuse("end", f"a number above start={start}, at most {len(text)}", str(end))
        for name, place, known in (("start", start, starts), ("end", end, ends)):
            if place not in known:
                span.refuse(
                    name, "the edge of a word", f"{place}, which is none ({text[start:end]!r})"
                )
        entities.append(Entity(span.text("label"), starts[start], ends[end]))
    entities.sort(key=lambda entity: entity.start)
    for first, second in pairwise(entities):
        if second.start < first.end:
            record.refuse("spans", "spans that do not overlap", f"{first.kind} and {second.kind}")
    return tags_of_entities(entities, len(word_spans))


def _question_example(record: Record, *, labeled: bool) -> QuestionExample:
    context, question = record.text("context"), record.text("question")
    answers = None
    if labeled or "answers" in record:
        answers = tuple(_answer(answer, context) for answer in record.records("answers"))
    return QuestionExample(context=context, question=question, answers=answers, source=record.place)


def _answer(record: Record, context: str) -> Answer:
    """Check that an answer stands where it says."""
    text, start = record.text("text"), record.whole_number("start")
    there = context[start : start + len(text)]
    if there != text:
        found = context.find(text)
        hint = f"it stands at {found}" if found >= 0 else "it stands nowhere in the context"
        record.refuse("start", f"the place of {text!r} ({hint})", f"{start}: {there!r}")
    return Answer(text=text, start=start)


_PARSERS: Mapping[TaskName, Callable[..., Example]] = {
    "classify": _class_example,
    "tag": _tag_example,
    "qa": _question_example,
}
