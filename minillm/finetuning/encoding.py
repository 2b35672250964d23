"""Examples → rows of token ids with labels → batches.

Dimension key: B rows, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from minillm.batch import IGNORE_INDEX, Batch, row_padding, stack_rows
from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import ClassExample, Example, QuestionExample, TagExample
from minillm.finetuning.model import TaskConfig
from minillm.tokenizers import CharSpan, Tokenizer, encode_with_spans


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a model reads at once of an example: all of it, or one window."""

    example: int  # its place among the examples
    token_ids: list[int]
    segment_ids: list[int]
    labels: list[int] | int | None  # a class; a tag at each position; start and end; None: unknown
    word_positions: list[tuple[int, int]] = field(default_factory=list)  # (position, word), tags
    char_spans: list[CharSpan | None] = field(default_factory=list)  # of each position, qa
    n_cut: int = 0  # tokens of the example that no row holds


class RowEncoder:
    """Turns examples of a task into rows that fit a model.

    A text stands between bos and eos (for BERT's tokenizer: [CLS] and [SEP]). Classes are read off
    the beginning of a text that is too long; what was cut is counted. Tags and answers are looked
    for everywhere: the text is read in windows.

    Args:
        tokenizer: the pretrained model's.
        config: the task, its labels and sizes.
        summary: which position means "no answer", see ``FineTuned.summary``.

    Example:
        >>> from minillm.tokenizers import ByteTokenizer
        >>> config = TaskConfig(task="classify", labels=("no", "yes"), max_tokens=5)
        >>> row, = RowEncoder(ByteTokenizer(), config).rows([ClassExample(text="Well", label="no")])
        >>> row.token_ids, row.labels, row.n_cut
        ([256, 87, 101, 108, 257], 0, 1)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: TaskConfig,
        *,
        summary: Literal["first", "last"] = "first",
    ) -> None:
        self.tokenizer, self.config, self.summary = tokenizer, config, summary
        self._label_ids = {label: number for number, label in enumerate(config.labels)}

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """Encode examples, in their order.

        Raises:
            ConfigError: an example of another task.
            DataError: a label that the model does not know, or an answer of which the tokenizer
                sees nothing.
        """
        return [row for number, one in enumerate(examples) for row in self._rows(number, one)]

    def _rows(self, number: int, example: Example) -> list[Row]:
        task = self.config.task
        if isinstance(example, ClassExample) and task == "classify":
            return [self._class_row(number, example)]
        if isinstance(example, TagExample) and task == "tag":
            return self._tag_rows(number, example)
        if isinstance(example, QuestionExample) and task == "qa":
            return self._question_rows(number, example)
        raise ConfigError(f"the model's task is {task}, got a {type(example).__name__}")

    def _label_id(self, label: str, source: str) -> int:
        if label not in self._label_ids:
            known = ", ".join(self.config.labels)
            raise DataError(f"{source}: the model does not know the label {label!r}, only {known}")
        return self._label_ids[label]

    def _marked(self, token_ids: Sequence[int]) -> list[int]:
        return [self.tokenizer.bos_id, *token_ids, self.tokenizer.eos_id]

    # --- classes --------------------------------------------------------------------------------

    def _class_row(self, number: int, example: ClassExample) -> Row:
        token_ids = self.tokenizer.encode(example.text)
        kept = self._marked(token_ids[: self.config.max_tokens - 2])
        label = example.label
        return Row(
            example=number,
            token_ids=kept,
            segment_ids=[0] * len(kept),
            labels=None if label is None else self._label_id(label, example.source),
            n_cut=len(token_ids) + 2 - len(kept),
        )

    # --- tags -----------------------------------------------------------------------------------

    def _tag_rows(self, number: int, example: TagExample) -> list[Row]:
        """Fill windows with whole words; each word is in one of them."""
        room = self.config.max_tokens - 2
        windows: list[list[tuple[int, list[int], int | None]]] = [[]]
        n_used = n_cut = 0
        for word, (token_ids, first) in enumerate(_word_tokens(self.tokenizer, example)):
            if windows[-1] and n_used + len(token_ids) > room:
                windows.append([])
                n_used = 0
            windows[-1].append((word, token_ids[:room], first))  # a word longer than a window
            n_cut += max(len(token_ids) - room, 0)
            n_used += len(token_ids)
        rows = [self._tag_row(number, example, window) for window in windows]
        return [*rows[:-1], replace(rows[-1], n_cut=n_cut)]

    def _tag_row(
        self, number: int, example: TagExample, window: list[tuple[int, list[int], int | None]]
    ) -> Row:
        """Label each word at its first token and nowhere else (Devlin et al. 2019, §5.3)."""
        token_ids: list[int] = []
        places: list[tuple[int, int]] = []
        for word, ids, first in window:
            if first is not None and first < len(ids):
                places.append((1 + len(token_ids) + first, word))
            token_ids += ids
        labels = None
        if example.tags is not None:
            labels = [IGNORE_INDEX] * (len(token_ids) + 2)
            for position, word in places:
                labels[position] = self._label_id(example.tags[word], example.source)
        marked = self._marked(token_ids)
        return Row(
            example=number,
            token_ids=marked,
            segment_ids=[0] * len(marked),
            labels=labels,
            word_positions=places,
        )

    # --- questions ------------------------------------------------------------------------------

    def _question_rows(self, number: int, example: QuestionExample) -> list[Row]:
        """Read the context in windows that overlap by half, each after the question."""
        config = self.config
        question = self.tokenizer.encode(example.question)
        limit = min(config.max_question_tokens, (config.max_tokens - 3) // 2)
        question, n_cut = question[:limit], max(len(question) - limit, 0)
        context, spans = encode_with_spans(self.tokenizer, example.context)
        target = self._answer_tokens(example, spans)
        room = config.max_tokens - 3 - len(question)
        last_start = max(len(context) - room, 0)
        starts = [*range(0, last_start, max(room // 2, 1)), last_start]
        rows = []
        for start in starts:
            end = min(start + room, len(context))
            head = self._marked(question)
            token_ids = [*head, *context[start:end], self.tokenizer.eos_id]
            none = 0 if self.summary == "first" else len(token_ids) - 1
            labels = None
            if target is not None:
                is_inside = target and start <= target[0] and target[1] < end
                shift = len(head) - start
                labels = [place + shift for place in target] if is_inside else [none, none]
            rows.append(
                Row(
                    example=number,
                    token_ids=token_ids,
                    segment_ids=[0] * len(head) + [1] * (len(token_ids) - len(head)),
                    labels=labels,
                    char_spans=[*[None] * len(head), *spans[start:end], None],
                    n_cut=n_cut if start == last_start else 0,
                )
            )
        return rows

    def _answer_tokens(
        self, example: QuestionExample, spans: Sequence[CharSpan]
    ) -> tuple[int, ...] | None:
        """Return the first and last token of the first true answer; () if there is none."""
        if example.answers is None:
            return None
        if not example.answers:
            return ()
        answer = example.answers[0]
        end = answer.start + len(answer.text)
        inside = [i for i, (a, b) in enumerate(spans) if b > answer.start and a < end]
        if not inside:
            raise DataError(
                f"{example.source}: the tokenizer sees nothing of the answer {answer.text!r}"
            )
        return inside[0], inside[-1]


def _word_tokens(tokenizer: Tokenizer, example: TagExample) -> list[tuple[list[int], int | None]]:
    """Encode each word with the blanks before it; say at which token the word itself begins.

    Word by word, because a token may otherwise hold the end of one word and the begin of the next.
    None: the tokenizer sees nothing of the word.
    """
    result = []
    before = 0
    for start, end in example.word_spans:
        token_ids, spans = encode_with_spans(tokenizer, example.text[before:end])
        first = next((i for i, (_, stop) in enumerate(spans) if before + stop > start), None)
        result.append((token_ids, first))
        before = end
    return result


def make_batch(rows: Sequence[Row], *, pad_id: int) -> Batch:
    """Stack rows, the shorter ones filled up on the right.

    Args:
        rows: one or more of one task; their labels are kept if all of them have some.
        pad_id: fills up.

    Returns:
        A batch with inputs and segment_ids (B, T), is_padding where there is any, and labels: (B,)
        classes, (B, T) tags, or (B, 2) starts and ends.
    """
    token_ids = [row.token_ids for row in rows]
    is_padding = row_padding(token_ids)
    labels = None
    known = [row.labels for row in rows if row.labels is not None]
    if len(known) == len(rows):
        numbers = [label for label in known if isinstance(label, int)]
        lists = [label for label in known if not isinstance(label, int)]
        labels = torch.tensor(numbers) if numbers else stack_rows(lists, fill=IGNORE_INDEX)
    return Batch(
        inputs=stack_rows(token_ids, fill=pad_id),
        segment_ids=stack_rows([row.segment_ids for row in rows], fill=0),
        is_padding=is_padding if bool(is_padding.any()) else None,
        labels=labels,
    )
