"""What notebook 14 does with fine-tuned models: rivals, short questions, confusions, views."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from exercises.figures_14 import AnswerView, TaggedText
from minillm.batch import Batch
from minillm.errors import ConfigError
from minillm.finetuning.encoding import RowEncoder, make_batch
from minillm.finetuning.examples import Answer, ClassExample, QuestionExample, TagExample
from minillm.finetuning.lora import LowRankLinear
from minillm.finetuning.metrics import answer_scores
from minillm.finetuning.predicting import (
    AnswerPrediction,
    ClassPrediction,
    TagPrediction,
    predict,
)
from minillm.finetuning.tuning import TuningResult
from minillm.models.base import Model, evaluating
from minillm.models.decoder import Decoder
from minillm.text.world import TinyWorld, WorldDocument
from minillm.text.world.labels import label, topic_probabilities
from minillm.text.world.questions import ask

NONE = "(none)"  # stands for "the text does not say"


def from_scratch(body: Decoder, seed: int) -> Decoder:
    """Return a model of the same architecture that has learned nothing.

    Args:
        body: whose configuration is taken.
        seed: of the first weights.
    """
    return Decoder(body.config, generator=torch.Generator().manual_seed(seed))


def short_questions(n_documents: int, *, split: str, first: int = 0) -> list[QuestionExample]:
    """Return questions about two neighboring sentences of a story, one of which may answer.

    A whole story has a dozen sentences; to find the answer in two of them is learned in seconds.

    Args:
        n_documents: stories, of which each gives about ten questions.
        split: of TinyWorld.
        first: number of the first story.

    Example:
        >>> one = short_questions(1, split="test")[0]
        >>> one.question, one.answers[0].text
        ('Who hid the balls?', 'Nora')
    """
    documents = TinyWorld().documents(n_documents, split=split, first=first)
    return [one for document in documents for one in _short_questions(document)]


def _short_questions(document: WorldDocument) -> list[QuestionExample]:
    """Ask about the sentence of the answer and the one before or after it, by turns."""
    places = _sentence_places(document)
    found = []
    for number, question in enumerate(ask(document)):
        home = number % len(places)
        if question.start is not None:
            home = next(i for i, (a, b) in enumerate(places) if a <= question.start < b)
        low = min(max(home - number % 2, 0), len(places) - 2)
        start, end = places[low][0], places[low + 1][1]
        answers = ()
        if question.answer is not None and question.start is not None:
            answers = (Answer(text=question.answer, start=question.start - start),)
        found.append(
            QuestionExample(
                context=document.text[start:end],
                question=question.text,
                answers=answers,
                source=document.source,
            )
        )
    return found


def _sentence_places(document: WorldDocument) -> list[tuple[int, int]]:
    """Return where each sentence of a document begins and ends, in characters."""
    places, first = [], 0
    for sentence in document.sentences:
        last = first + len(sentence) - 1
        places.append((document.spans[first][0], document.spans[last][1]))
        first = last + 1
    return places


def best_possible(n: int, *, split: str) -> tuple[float, float]:
    """Return accuracy and loss (nats) of the reader who knows p(topic | story) exactly.

    Args:
        n: number of stories, the first ones of the split.
        split: of TinyWorld.
    """
    documents = list(TinyWorld().documents(n, split=split))
    beliefs = [topic_probabilities(one) for one in documents]
    topics = [label(one).topic for one in documents]
    pairs = list(zip(beliefs, topics, strict=True))
    n_right = sum(max(p, key=lambda topic: p[topic]) == topic for p, topic in pairs)
    losses = [-torch.tensor(p[topic], dtype=torch.float64).log().item() for p, topic in pairs]
    return n_right / n, sum(losses) / n


def confusion(
    result: TuningResult, examples: Sequence[ClassExample], labels: Sequence[str]
) -> list[list[int]]:
    """Count true classes (rows) against predicted ones (columns).

    Args:
        result: of a fine-tuning for ``classify``.
        examples: labeled.
        labels: in the order of rows and columns.
    """
    places = {name: place for place, name in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    guesses = predict(result.model, result.tokenizer, examples)
    for example, guess in zip(examples, guesses, strict=True):
        assert isinstance(guess, ClassPrediction), "the task is classify"
        counts[places[str(example.label)]][places[guess.label]] += 1
    return counts


def tagged_texts(result: TuningResult, examples: Sequence[TagExample]) -> list[TaggedText]:
    """Tag examples, to be drawn beside their true tags."""
    guesses = predict(result.model, result.tokenizer, examples)
    texts = []
    for one, guess in zip(examples, guesses, strict=True):
        assert isinstance(guess, TagPrediction), "the task is tag"
        texts.append(TaggedText(words=one.words, predicted=guess.tags, true=one.tags or ()))
    return texts


def answer_log_probs(
    result: TuningResult, example: QuestionExample
) -> tuple[Tensor, list[tuple[int, int] | None]]:
    """Return the log-probabilities of starts and ends, and the characters of each position.

    Args:
        result: of a fine-tuning for ``qa``.
        example: whose context fits into one row.

    Returns:
        (2, T) in nats, −∞ where no answer can stand, and for each position where it is in the
        context, ``None`` outside of it.

    Raises:
        ConfigError: a context that is read in more than one row.
    """
    model = result.model
    encoder = RowEncoder(result.tokenizer, model.config, summary=model.summary)
    rows = encoder.rows([replace(example, answers=None)])
    if len(rows) != 1:
        raise ConfigError(f"the context takes {len(rows)} rows: give a shorter one")
    with evaluating(model):
        scores = model(make_batch(rows, pad_id=result.tokenizer.pad_id))[0]
    return scores.log_softmax(dim=1), list(rows[0].char_spans)


def answer_view(result: TuningResult, example: QuestionExample) -> AnswerView:
    """Put the probabilities of starts and ends on the words of a context.

    A word has the sum of its tokens. The first place stands for "no answer".
    """
    log_probs, spans = answer_log_probs(result, example)
    words = _words(example.context)
    sums = [[0.0] * (len(words) + 1) for _ in range(2)]
    for row, probs in zip(sums, log_probs.exp().tolist(), strict=True):
        for probability, span in zip(probs, spans, strict=True):
            row[0 if span is None else 1 + _word_at(words, span[1] - 1)] += probability
    guess = predict(result.model, result.tokenizer, [example])[0]
    assert isinstance(guess, AnswerPrediction)
    true = example.answers[0] if example.answers else None
    return AnswerView(
        question=example.question,
        words=[NONE, *(example.context[a:b] for a, b in words)],
        starts=sums[0],
        ends=sums[1],
        chosen=_word_range(words, guess.start, guess.text),
        true=_word_range(words, true.start if true else None, true.text if true else ""),
    )


def _words(text: str) -> list[tuple[int, int]]:
    """Return where the words between blanks are."""
    places, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        places.append((start, start + len(word)))
        start += len(word)
    return places


def _word_at(words: Sequence[tuple[int, int]], place: int) -> int:
    """Return the word that holds a character, or the next one after a blank."""
    return next(i for i, (_, end) in enumerate(words) if place < end)


def _word_range(words: Sequence[tuple[int, int]], start: int | None, text: str) -> tuple[int, int]:
    """Return the first and last place of an answer; "no answer" has place 0."""
    if start is None or not text:
        return 0, 0
    return 1 + _word_at(words, start), 1 + _word_at(words, start + len(text) - 1)


@torch.no_grad()
def mean_loss(model: Model, batch: Batch) -> float:
    """Return the pretraining loss of a batch in nats a scored token."""
    with evaluating(model):
        return model.loss_sums(batch)["tokens"].item() / batch.n_scored()["tokens"]


def decoded_alone(result: TuningResult, examples: Sequence[QuestionExample]) -> list[str | None]:
    """Answer by the likeliest start and the likeliest end, each for itself.

    Returns:
        The answers, ``""`` where both say that there is none, and ``None`` where the two are no
        span: one of them says that there is no answer, or the end stands before the start.
    """
    answers: list[str | None] = []
    for example in examples:
        log_probs, spans = answer_log_probs(result, example)
        first, last = (spans[int(row.argmax())] for row in log_probs)
        if first is None or last is None or last < first:
            answers.append("" if first is None and last is None else None)
        else:
            answers.append(example.context[first[0] : last[1]].strip())
    return answers


def exact_matches(answers: Sequence[str | None], examples: Sequence[QuestionExample]) -> float:
    """Return the share of answers that match a true one exactly; ``None`` matches nothing."""
    right = [
        0.0 if text is None else answer_scores(text, [a.text for a in one.answers or ()])[0]
        for text, one in zip(answers, examples, strict=True)
    ]
    return sum(right) / len(right)


def without_adapters(body: Model) -> Model:
    """Return a copy of a model with its low-rank adapters taken off again."""
    plain = copy.deepcopy(body)
    adapters = [(n, m) for n, m in plain.named_modules() if isinstance(m, LowRankLinear)]
    for name, adapter in adapters:
        plain.set_submodule(name, adapter.base)
    return plain
