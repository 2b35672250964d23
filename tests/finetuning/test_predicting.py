"""Predictions are read where the labels were written, and only possible answers are given."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minillm.batch import IGNORE_INDEX
from minillm.errors import ConfigError, NumericalError
from minillm.finetuning.encoding import RowEncoder
from minillm.finetuning.examples import Answer, ClassExample, QuestionExample, TagExample
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.finetuning.predicting import (
    AnswerPrediction,
    ClassPrediction,
    TagPrediction,
    best_span,
    evaluate,
    predict,
    score_predictions,
)
from minillm.finetuning.tuning import find_labels
from minillm.finetuning.world import load_examples

SCORES = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.booleans()), min_size=1, max_size=11
)


@given(SCORES, st.integers(1, 12))
def test_the_best_span_by_trying_all(rows, max_tokens):
    starts, ends, candidates = zip(*rows, strict=True)
    scores = torch.tensor([starts, ends], dtype=torch.float32)
    found = best_span(scores, torch.tensor(candidates), max_tokens=max_tokens)
    every = [
        starts[i] + ends[j]
        for i in range(len(rows))
        for j in range(len(rows))
        if candidates[i] and candidates[j] and i <= j < i + max_tokens
    ]
    if not every:
        assert found is None
        return
    assert found.score == max(every)
    assert starts[found.first] + ends[found.last] == found.score
    assert 0 <= found.last - found.first < max_tokens
    assert candidates[found.first]
    assert candidates[found.last]


class Oracle(FineTuned):
    """Says the labels that it was shown for a row, in scores."""

    def learn(self, rows):
        self.known = {tuple(row.token_ids): row.labels for row in rows}

    def forward(self, batch):
        n_rows, n_positions = batch.inputs.shape
        shapes = {"classify": (len(self.config.labels),), "qa": (2, n_positions),
                  "tag": (n_positions, len(self.config.labels))}  # fmt: skip
        scores = torch.zeros(n_rows, *shapes[self.config.task])
        for row in range(n_rows):
            padding = 0 if batch.is_padding is None else int(batch.is_padding[row].sum())
            labels = self.known[tuple(batch.inputs[row, : n_positions - padding].tolist())]
            for number, label in enumerate([labels] if isinstance(labels, int) else labels):
                if label != IGNORE_INDEX:
                    scores[(row, label) if isinstance(labels, int) else (row, number, label)] = 9.0
        return scores


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize("task", ["classify", "tag", "qa"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_whoever_knows_the_labels_gets_full_marks(make_body, tokenizer, kind, task, language):
    n_documents = 1 if task == "qa" else 3
    examples = load_examples(f"world:{language},documents={n_documents}", task)
    labels = () if task == "qa" else find_labels(examples)
    config = TaskConfig(task=task, labels=labels, max_tokens=61, max_question_tokens=99)
    model = Oracle(make_body(kind), config)
    model.learn(RowEncoder(tokenizer, config, summary=model.summary).rows(examples))
    scores = evaluate(model, tokenizer, examples)
    loss = scores.pop("loss")
    assert loss < 0.05
    if task == "classify":
        assert scores == {"accuracy": 1.0, "macro_f1": 1.0}
    elif task == "tag":
        assert scores == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "accuracy": 1.0}
        for example, guess in zip(examples, predict(model, tokenizer, examples), strict=True):
            assert guess.tags == example.tags
    else:
        assert scores == {"f1": 1.0, "exact_match": 1.0}
        for example, guess in zip(examples, predict(model, tokenizer, examples), strict=True):
            wanted = example.answers[0] if example.answers else Answer(text="", start=-1)
            assert guess.text == wanted.text
            if guess.text:
                assert guess.margin > 0
                assert example.context[guess.start :].startswith(guess.text)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "encoder_decoder", "bidirectional"])
@pytest.mark.parametrize("task", ["classify", "tag", "qa"])
def test_neither_labels_nor_neighbors_matter(make_body, tokenizer, kind, task):
    examples = load_examples("world:documents=2", task)[:5]
    labels = {"classify": ("a", "b"), "tag": ("O", "B-X", "I-X"), "qa": ()}[task]
    model = FineTuned(make_body(kind), TaskConfig(task=task, labels=labels, max_tokens=61))
    model.train()
    together = predict(model, tokenizer, examples)
    assert model.training
    for example, prediction in zip(examples, together, strict=True):
        (alone,) = predict(model, tokenizer, [example])
        if isinstance(alone, TagPrediction):
            assert alone == prediction
            assert len(alone.tags) == len(example.words)
        elif isinstance(alone, ClassPrediction):
            assert alone.label == prediction.label
            assert alone.probability == pytest.approx(prediction.probability, abs=1e-5)
        else:
            assert (alone.text, alone.start) == (prediction.text, prediction.start)
            assert alone.margin == pytest.approx(prediction.margin, abs=1e-4)
            n_bytes = len(alone.text.encode())
            assert n_bytes <= 30


def test_a_context_of_which_nothing_is_seen_has_no_answer(make_body, tokenizer):
    model = FineTuned(make_body("encoder"), TaskConfig(task="qa", max_tokens=61))
    blank = QuestionExample(context="   ", question="Who?")
    (prediction,) = predict(model, tokenizer, [blank])
    assert prediction == AnswerPrediction(text="", start=None, margin=-math.inf)


def test_a_label_never_met_counts_as_missed(make_body, tokenizer):
    model = FineTuned(
        make_body("encoder"), TaskConfig(task="classify", labels=("a", "b"), max_tokens=31)
    )
    known = [ClassExample(text="x", label=label) for label in "ab"]
    strange = ClassExample(text="x", label="c")
    scores = evaluate(model, tokenizer, [*known, strange])
    assert scores["accuracy"] == pytest.approx(1 / 3)
    assert scores["loss"] == evaluate(model, tokenizer, known)["loss"]
    assert "loss" not in evaluate(model, tokenizer, [strange])


def test_scores_are_those_of_the_metrics():
    tags = [TagExample(text="a b", word_spans=((0, 1), (2, 3)), tags=("B-X", "I-X"))]
    assert score_predictions(tags, [TagPrediction(tags=("B-X", "O"))]) == {
        "f1": 0, "precision": 0, "recall": 0, "accuracy": 0.5,
    }  # fmt: skip
    questions = [
        QuestionExample(context="a cat", question="?", answers=(Answer(text="cat", start=2),)),
        QuestionExample(context="a cat", question="?", answers=()),
        QuestionExample(context="a cat", question="?", answers=()),
    ]
    answers = ["a cat", "", "cat"]
    guesses = [AnswerPrediction(text=text, start=None, margin=0.0) for text in answers]
    assert score_predictions(questions, guesses) == {"f1": 2 / 3, "exact_match": 2 / 3}


@pytest.mark.parametrize("task", ["classify", "tag", "qa"])
def test_a_damaged_model_says_nothing(make_body, tokenizer, task):
    labels = () if task == "qa" else ("O", "B-X")
    model = FineTuned(make_body("encoder"), TaskConfig(task=task, labels=labels, max_tokens=31))
    with torch.no_grad():
        model.head.scores.bias[1] = math.nan
    with pytest.raises(NumericalError, match="NaN: its weights are damaged"):
        predict(model, tokenizer, load_examples("world:documents=1", task))


def test_refusals(make_body, tokenizer):
    model = FineTuned(
        make_body("encoder"), TaskConfig(task="classify", labels=("a", "b"), max_tokens=31)
    )
    with pytest.raises(ConfigError, match="no example to evaluate"):
        evaluate(model, tokenizer, [])
    with pytest.raises(ConfigError, match="f:1 has no label"):
        evaluate(model, tokenizer, [ClassExample(text="a", source="f:1")])
    with pytest.raises(ConfigError, match="must be of one task"):
        score_predictions([ClassExample(text="a", label="b")], [TagPrediction(tags=())])
