"""A fine-tuned model's answers, and how good they are.

Dimension key: B rows, T positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor

from minillm.errors import ConfigError, NumericalError
from minillm.finetuning.encoding import Row, RowEncoder, make_batch
from minillm.finetuning.examples import ClassExample, Example, QuestionExample, TagExample
from minillm.finetuning.metrics import OUTSIDE, accuracy, answer_scores, macro_f1, span_scores
from minillm.finetuning.model import FineTuned
from minillm.models.base import evaluating
from minillm.tokenizers import CharSpan, Tokenizer

ROWS_AT_ONCE = 32
# The score that training is to improve, of each task.
MAIN_SCORE = {"classify": "accuracy", "tag": "f1", "qa": "f1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPrediction:
    """The likeliest class of a text."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TagPrediction:
    """A tag for each word."""

    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerPrediction:
    """The best answer to a question, or none."""

    text: str  # "": the context does not say
    start: int | None  # context[start : start + len(text)]
    margin: float  # nats by which the best answer beats "no answer"; below 0 there is none


Prediction = ClassPrediction | TagPrediction | AnswerPrediction


class TokenSpan(NamedTuple):
    """A run of positions, the last one included, and the sum of its two scores."""

    first: int
    last: int
    score: float


def best_span(scores: Tensor, candidates: Tensor, *, max_tokens: int) -> TokenSpan | None:
    """Find the answer whose start and end score most together, among those that are possible.

    The two best positions taken alone may be no answer: the end before the start, in the question,
    or a page apart (Devlin et al. 2019, §4.2 asks for j ≥ i).

    Args:
        scores: (2, T), starts and ends.
        candidates: (T,) bool, True where an answer may stand.
        max_tokens: of an answer.

    Returns:
        The span; ``None`` if there is no candidate.

    Example:
        >>> scores = torch.tensor([[0.0, 9.0, 1.0, 5.0], [9.0, 0.0, 4.0, 1.0]])
        >>> best_span(scores, torch.tensor([False, False, True, True]), max_tokens=2)
        TokenSpan(first=3, last=3, score=6.0)
    """
    if not bool(candidates.any()):
        return None
    positions = torch.arange(len(candidates), device=scores.device)
    length = positions[None, :] - positions[:, None] + 1  # of first (row) to last (column)
    possible = (length >= 1) & (length <= max_tokens) & candidates[:, None] & candidates[None, :]
    together = scores[0][:, None] + scores[1][None, :]
    best = int(together.masked_fill(~possible, -math.inf).argmax())
    first, last = divmod(best, len(candidates))
    return TokenSpan(first, last, together[first, last].item())


def predict(
    model: FineTuned, tokenizer: Tokenizer, examples: Sequence[Example]
) -> list[Prediction]:
    """Answer every example.

    Args:
        model: fine-tuned; it is left as it is, in training mode or not.
        tokenizer: the one that the model was trained with.
        examples: of the model's task; their labels are not looked at.

    Returns:
        As many predictions, in their order.

    Raises:
        ConfigError: an example of another task.
        NumericalError: a score that is NaN.
    """
    rows = _encoder(model, tokenizer).rows([_unlabeled(example) for example in examples])
    return _predictions(model, tokenizer, examples, rows)


def evaluate(
    model: FineTuned, tokenizer: Tokenizer, examples: Sequence[Example]
) -> dict[str, float]:
    """Judge a fine-tuned model on labeled examples, by the task's usual scores.

    Args:
        model: fine-tuned.
        tokenizer: the one that the model was trained with.
        examples: all of them with labels, one or more.

    Returns:
        ``"loss"`` in nats a scored label, and for classify ``"accuracy"`` and ``"macro_f1"``; for
        tag ``"f1"``, ``"precision"``, ``"recall"`` of entities and the ``"accuracy"`` of words; for
        qa ``"f1"`` and ``"exact_match"``. A label that the model has never met counts as missed,
        and not in the loss.

    Raises:
        ConfigError: there is no example, or one of them has no label.
    """
    if not examples:
        raise ConfigError("there is no example to evaluate")
    scores = score_predictions(examples, predict(model, tokenizer, examples))
    known = [one for one in examples if _label_set(one) <= {*model.config.labels}]
    loss = _loss(model, tokenizer, known)
    return scores if loss is None else {"loss": loss, **scores}


def score_predictions(
    examples: Sequence[Example], predictions: Sequence[Prediction]
) -> dict[str, float]:
    """Compare predictions with the examples' labels; see ``evaluate``.

    Raises:
        ConfigError: an example has no label, or examples and predictions do not fit.
    """
    for example in examples:
        if not is_labeled(example):
            raise ConfigError(f"{example.source or 'an example'} has no label to compare with")
    pairs = list(zip(examples, predictions, strict=True))
    classes = [
        (prediction.label, str(example.label))
        for example, prediction in pairs
        if isinstance(example, ClassExample) and isinstance(prediction, ClassPrediction)
    ]
    tagged = [
        (prediction.tags, example.tags or ())
        for example, prediction in pairs
        if isinstance(example, TagExample) and isinstance(prediction, TagPrediction)
    ]
    answered = [
        answer_scores(prediction.text, [answer.text for answer in example.answers or ()])
        for example, prediction in pairs
        if isinstance(example, QuestionExample) and isinstance(prediction, AnswerPrediction)
    ]
    if len(pairs) not in (len(classes), len(tagged), len(answered)):
        raise ConfigError("examples and predictions must be of one task")
    if classes:
        guessed, true = zip(*classes, strict=True)
        return {"accuracy": accuracy(guessed, true), "macro_f1": macro_f1(guessed, true)}
    if tagged:
        return _tag_scores(tagged)
    matches, overlaps = zip(*answered, strict=True)
    return {"f1": sum(overlaps) / len(overlaps), "exact_match": sum(matches) / len(matches)}


def is_labeled(example: Example) -> bool:
    """Say whether an example's label is known."""
    if isinstance(example, ClassExample):
        return example.label is not None
    if isinstance(example, TagExample):
        return example.tags is not None
    return example.answers is not None


def _tag_scores(tagged: Sequence[tuple[Sequence[str], Sequence[str]]]) -> dict[str, float]:
    guessed, true = zip(*tagged, strict=True)
    score = span_scores(guessed, true)["all"]
    words = [[tag for tags in side for tag in tags] for side in (guessed, true)]
    return {
        "f1": score.f1,
        "precision": score.precision,
        "recall": score.recall,
        "accuracy": accuracy(*words),
    }


def _label_set(example: Example) -> set[str]:
    """Return the labels of an example that its model must know."""
    if isinstance(example, ClassExample):
        return {example.label or ""}
    return {*(example.tags or ())} if isinstance(example, TagExample) else set()


def _unlabeled(example: Example) -> Example:
    if isinstance(example, ClassExample):
        return ClassExample(text=example.text, source=example.source)
    if isinstance(example, TagExample):
        return TagExample(text=example.text, word_spans=example.word_spans, source=example.source)
    return QuestionExample(
        context=example.context, question=example.question, source=example.source
    )


def _encoder(model: FineTuned, tokenizer: Tokenizer) -> RowEncoder:
    return RowEncoder(tokenizer, model.config, summary=model.summary)


def _loss(model: FineTuned, tokenizer: Tokenizer, examples: Sequence[Example]) -> float | None:
    """Return the mean loss of a scored label; None where nothing is scored."""
    total, n_scored = 0.0, 0
    with evaluating(model):
        for batch in _batches(model, tokenizer, _encoder(model, tokenizer).rows(examples)):
            total += model.loss_sums(batch)["labels"].item()
            n_scored += batch.n_scored()["labels"]
    return total / n_scored if n_scored else None


def _batches(model: FineTuned, tokenizer: Tokenizer, rows: Sequence[Row]) -> Iterator:
    """Yield batches of neighboring rows on the model's device."""
    device = next(model.parameters()).device
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = make_batch(rows[start : start + ROWS_AT_ONCE], pad_id=tokenizer.pad_id)
        yield batch.to(device)


def _predictions(
    model: FineTuned, tokenizer: Tokenizer, examples: Sequence[Example], rows: Sequence[Row]
) -> list[Prediction]:
    logits: list[Tensor] = []
    with evaluating(model):
        for batch in _batches(model, tokenizer, rows):
            scores = model(batch).float().cpu()
            if bool(scores.isnan().any()):
                raise NumericalError("the model's scores are NaN: its weights are damaged")
            logits.extend(scores)
    scored = list(zip(rows, logits, strict=True))
    task, labels = model.config.task, model.config.labels
    if task == "classify":
        return [_class_prediction(scores, labels) for _, scores in scored]
    by_example: list[list[tuple[Row, Tensor]]] = [[] for _ in examples]
    for row, scores in scored:
        by_example[row.example].append((row, scores))
    if task == "tag":
        tag_examples = cast(Sequence[TagExample], examples)
        pairs = zip(tag_examples, by_example, strict=True)
        return [_tag_prediction(len(one.word_spans), windows, labels) for one, windows in pairs]
    questions = cast(Sequence[QuestionExample], examples)
    pairs = zip(questions, by_example, strict=True)
    return [_answer_prediction(one.context, windows, model) for one, windows in pairs]


def _class_prediction(scores: Tensor, labels: Sequence[str]) -> ClassPrediction:
    probability, best = scores.softmax(dim=-1).max(dim=-1)
    return ClassPrediction(label=labels[int(best)], probability=float(probability))


def _tag_prediction(
    n_words: int, windows: Iterable[tuple[Row, Tensor]], labels: Sequence[str]
) -> TagPrediction:
    """Read each word's tag off its first token; a word without a token is outside."""
    tags = [OUTSIDE] * n_words
    for row, scores in windows:
        best = scores.argmax(dim=-1)
        for position, word in row.word_positions:
            tags[word] = labels[int(best[position])]
    return TagPrediction(tags=tuple(tags))


def _answer_prediction(
    context: str, windows: Iterable[tuple[Row, Tensor]], model: FineTuned
) -> AnswerPrediction:
    """Take the answer of the window in which it beats "no answer" most."""
    best = AnswerPrediction(text="", start=None, margin=-math.inf)
    for row, scores in windows:
        n_tokens = len(row.token_ids)
        none = 0 if model.summary == "first" else n_tokens - 1
        scores = scores[:, :n_tokens]
        candidates = torch.tensor([_is_visible(context, place) for place in row.char_spans])
        span = best_span(scores, candidates, max_tokens=model.config.max_answer_tokens)
        if span is None:
            continue
        margin = span.score - scores[:, none].sum().item()
        if margin > best.margin:
            best = _answer(context, row, span, margin)
    return best if best.margin > 0 else AnswerPrediction(text="", start=None, margin=best.margin)


def _is_visible(context: str, place: CharSpan | None) -> bool:
    """Say whether an answer may begin or end with a token: not with blanks alone."""
    return place is not None and not context[slice(*place)].isspace()


def _answer(context: str, row: Row, span: TokenSpan, margin: float) -> AnswerPrediction:
    first, last = row.char_spans[span.first], row.char_spans[span.last]
    assert first is not None
    assert last is not None
    text = context[first[0] : last[1]]
    start = first[0] + len(text) - len(text.lstrip())
    return AnswerPrediction(text=text.strip(), start=start, margin=margin)
