"""Fine-tuning learns, stops in time, gives the best weights back and touches nothing else."""

import copy
import importlib
import random

import pytest
import torch

from minillm.config import TuningConfig
from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    QuestionExample,
    TagExample,
    find_words,
)
from minillm.finetuning.metrics import OUTSIDE
from minillm.finetuning.tuning import find_labels, finetune, task_of
from minillm.runtime import random_state

tuning_module = importlib.import_module("minillm.finetuning.tuning")
NAMES = ["Ann", "Bob", "Cid"]


def make_examples(task, n, seed):
    draw = random.Random(seed)
    examples = []
    for _ in range(n):
        name, word = draw.choice(NAMES), draw.choice(["good", "bad"])
        text = f"{name} is {word}."
        if task == "classify":
            examples.append(ClassExample(text=text, label=word))
        elif task == "tag":
            spans = find_words(text)
            tags = ("B-PER", *[OUTSIDE] * (len(spans) - 1))
            examples.append(TagExample(text=text, word_spans=spans, tags=tags))
        else:
            answer = Answer(text=word, start=text.index(word))
            asked, answers = draw.choice([("How?", (answer,)), ("Why?", ())])
            examples.append(QuestionExample(context=text, question=asked, answers=answers))
    return examples


@pytest.mark.parametrize(
    ("kind", "task", "steps"),
    [
        ("encoder", "classify", 40),
        ("decoder", "classify", 40),
        ("recurrent", "classify", 40),
        ("encoder_decoder", "classify", 40),
        ("bidirectional", "tag", 40),
        ("encoder", "tag", 40),
        ("decoder", "tag", 40),
        ("encoder", "qa", 60),
        ("encoder_decoder", "qa", 60),
        ("decoder", "qa", 60),
    ],
)
def test_it_learns(make_body, tokenizer, kind, task, steps):
    settings = TuningConfig(
        steps=steps, learning_rate=0.02, dropout=0.0, eval_every=10, max_tokens=31, patience=None
    )
    training, validation = make_examples(task, 30, 1), make_examples(task, 10, 2)
    result = finetune(
        make_body(kind), tokenizer, training, validation, settings=settings, show_bar=False
    )
    main = tuning_module.MAIN_SCORE[task]
    assert result.scores[main] >= 0.95
    assert result.evaluate(validation) == result.scores
    assert result.scores["loss"] < 0.3 * result.history[0]["loss"]


SHORT = {"steps": 7, "eval_every": 3, "batch_size": 5, "max_tokens": 31}


def run(body, tokenizer, **changes):
    settings = TuningConfig(**(SHORT | changes))
    training, validation = make_examples("classify", 13, 1), make_examples("classify", 5, 2)
    return finetune(body, tokenizer, training, validation, settings=settings, show_bar=False)


def weights(result):
    return torch.cat([p.detach().flatten() for p in result.model.parameters()])


def test_the_seed_decides_and_nothing_else_is_touched(make_body, tokenizer):
    body = make_body("encoder")
    before, state = copy.deepcopy(body.state_dict()), random_state()
    first = run(body, tokenizer)
    assert random_state() == state
    after = body.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.requires_grad and p.grad is None for p in body.parameters())
    torch.rand(3)
    assert torch.equal(weights(run(body, tokenizer)), weights(first))
    assert not torch.equal(weights(run(body, tokenizer, seed=1)), weights(first))


def test_the_history_holds_each_step_and_each_validation(make_body, tokenizer):
    result = run(make_body("encoder"), tokenizer)
    assert [line["step"] for line in result.history] == [1, 2, 3, 4, 5, 6, 7]
    judged = [line["step"] for line in result.history if "validation_accuracy" in line]
    assert judged == [3, 6, 7]  # the last one always
    best = next(line for line in result.history if line["step"] == result.best_step)
    assert result.scores == {
        name.removeprefix("validation_"): best[name] for name in best if "validation" in name
    }
    assert result.history[0]["learning_rate"] == pytest.approx(1e-3)
    assert result.history[-1]["learning_rate"] == pytest.approx(0.0)
    assert not result.model.training


def test_each_epoch_reads_every_row_once(make_body, tokenizer, monkeypatch):
    seen = []
    original = tuning_module.make_batch
    monkeypatch.setattr(
        tuning_module, "make_batch", lambda rows, **k: seen.extend(rows) or original(rows, **k)
    )
    run(make_body("encoder"), tokenizer, steps=13)
    epochs = [[row.example for row in seen[i : i + 13]] for i in range(0, 65, 13)]
    assert all(sorted(epoch) == [*range(13)] for epoch in epochs)
    assert epochs[0] != epochs[1]


def scripted(monkeypatch, scores):
    """Let validations give these scores; return the weights at each of them."""
    seen, waiting = [], iter(scores)

    def evaluate(model, tokenizer, examples):
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        accuracy, loss = next(waiting)
        return {"accuracy": accuracy, "loss": loss}

    monkeypatch.setattr(tuning_module, "evaluate", evaluate)
    return seen


def test_it_stops_when_patience_ends_and_goes_back_to_the_best(make_body, tokenizer, monkeypatch):
    script = [(0.5, 1.0), (0.7, 2.0), (0.7, 1.5), (0.7, 1.6), (0.6, 0.1), (0.9, 0.1)]
    seen = scripted(monkeypatch, script)
    result = run(make_body("encoder"), tokenizer, steps=90, eval_every=2, patience=2)
    assert len(seen) == 5  # the sixth would have been better: patience ended before
    assert (result.best_step, result.scores) == (6, {"accuracy": 0.7, "loss": 1.5})
    assert result.history[-1]["step"] == 10
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(tensor, seen[2][name])
    assert any(not torch.equal(seen[4][name], seen[2][name]) for name in seen[2])


def test_without_patience_it_goes_to_the_end(make_body, tokenizer, monkeypatch):
    script = [(0.9, 1.0), (0.1, 1.0), (0.1, 1.0), (0.1, 1.0)]
    assert len(scripted(monkeypatch, script)) == 0
    result = run(make_body("encoder"), tokenizer, steps=8, eval_every=2, patience=None)
    assert (result.best_step, len(result.history)) == (2, 8)


def test_without_validation_the_last_step_counts(make_body, tokenizer):
    examples = make_examples("tag", 5, 1)
    settings = TuningConfig(steps=3, max_tokens=31)
    result = finetune(make_body("decoder"), tokenizer, examples, settings=settings, show_bar=False)
    assert (result.best_step, result.scores, len(result.history)) == (3, {}, 3)
    assert result.model.config.labels == ("O", "B-PER", "I-PER")


def test_what_is_frozen_stays(make_body, tokenizer):
    for changes in ({"freeze": "body"}, {"freeze": "embeddings"}, {"lora_rank": 2}):
        body = make_body("encoder")
        before = copy.deepcopy(body.state_dict())
        after = run(body, tokenizer, **changes).model.body.state_dict()
        assert any("query.up" in name for name in after) == ("lora_rank" in changes)
        for name, tensor in before.items():
            adapted = name.replace("query.", "query.base.").replace("value.", "value.base.")
            now = after[adapted if "lora_rank" in changes else name]
            stays = changes != {"freeze": "embeddings"} or "embedding" in name
            is_idle = name.startswith(("masked_head", "pair_head"))
            assert torch.equal(now, tensor) == (stays or is_idle), name


def test_texts_that_were_cut_are_counted(make_body, tokenizer):
    examples = [ClassExample(text="x" * 40, label="a"), ClassExample(text="y", label="b")]
    settings = TuningConfig(steps=1, max_tokens=31)
    result = finetune(make_body("encoder"), tokenizer, examples, settings=settings, show_bar=False)
    assert result.n_cut_tokens == 11
    settings = TuningConfig(steps=1)
    result = finetune(make_body("encoder"), tokenizer, examples, settings=settings, show_bar=False)
    assert result.model.config.max_tokens == 61
    result = finetune(
        make_body("recurrent"), tokenizer, examples, settings=settings, show_bar=False
    )
    assert (result.model.config.max_tokens, result.n_cut_tokens) == (512, 0)


def test_labels_come_in_a_stable_order():
    spans = ((0, 1), (1, 2))
    tagged = [
        TagExample(text="ab", word_spans=spans, tags=("B-Y", "I-Y")),
        TagExample(text="ab", word_spans=spans, tags=("O", "B-X")),
    ]
    assert find_labels(tagged) == ("O", "B-X", "I-X", "B-Y", "I-Y")
    classes = [ClassExample(text="a", label=label) for label in "bca"]
    assert find_labels(classes) == find_labels(classes[::-1]) == ("a", "b", "c")
    assert find_labels([QuestionExample(context="a", question="b", answers=())]) == ()


def test_refusals(make_body, tokenizer):
    one = ClassExample(text="a", label="b", source="f:7")
    with pytest.raises(DataError, match="every example is of the class 'b'"):
        finetune(make_body("encoder"), tokenizer, [one], show_bar=False)
    with pytest.raises(ConfigError, match="at least one of them, got none"):
        task_of([])
    with pytest.raises(ConfigError, match="got ClassExample, QuestionExample"):
        task_of([one, QuestionExample(context="a", question="b", answers=())])
    with pytest.raises(ConfigError, match="f:8 has no label to learn"):
        task_of([one, ClassExample(text="a", source="f:8")])
    for changes, message in (
        ({"steps": 0}, "steps must be positive"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive"),
        ({"warmup_fraction": 1.0}, "warmup_fraction must be in"),
        ({"freeze": "body", "lora_rank": 2}, "adapters freeze the body"),
    ):
        with pytest.raises(ConfigError, match=message):
            TuningConfig(**changes)
    with pytest.raises(ConfigError, match="no example to train on"):
        finetune(make_body("encoder"), tokenizer, [], [one], labels=["b", "c"], show_bar=False)
