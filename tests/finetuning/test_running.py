"""A fine-tuning run stops and continues as a pretraining run does; predictions are examples."""

import importlib
import io
import json
import signal

import pytest
import torch

from minillm.checkpoint import read_checkpoint
from minillm.cli import main
from minillm.config import FinetuneConfig, PredictConfig, PretrainConfig
from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import hold_out
from minillm.finetuning.predicting import predict
from minillm.finetuning.reading import read_examples
from minillm.finetuning.running import finetune_run
from minillm.finetuning.storing import load_finetuned, prediction_record
from minillm.finetuning.tuning import finetune
from minillm.finetuning.world import load_examples, make_example
from minillm.run import RunFolder, load_model, pretrain

saving = importlib.import_module("minillm.run.saving")
TASKS = ("classify", "tag", "qa")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A pretrained model, hardly trained."""
    out = tmp_path_factory.mktemp("base") / "run"
    pretrain(
        PretrainConfig(
            out=out, corpus=("world:documents=60",), vocab_size=300, d_model=6, n_layers=1,
            n_heads=3, context_length=61, batch_size=3, steps=3, eval_tokens=200, threads=1,
            dtype="float32", backend="sdpa", dropout=0.1,
        )
    )  # fmt: skip
    return out


@pytest.fixture
def settings(base, tmp_path):
    return {
        "out": tmp_path / "tuned", "checkpoint": base, "task": "tag", "data": "world:documents=7",
        "steps": 9, "eval_every": 3, "batch_size": 5, "patience": None, "dropout": 0.2,
    }  # fmt: skip


def contents(folder):
    newest = max((folder / "checkpoints").iterdir())
    files = [*(folder / "final").iterdir(), *newest.iterdir(), folder / "metrics.jsonl"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Killed(BaseException):
    """What kill -9 looks like from inside."""


@pytest.mark.parametrize("task", TASKS)
def test_the_run_is_the_call_into_a_folder(settings, task):
    data = "world:documents=2" if task == "qa" else settings["data"]  # many windows a question
    config = FinetuneConfig(**settings | {"task": task, "data": data})
    said = []
    result = finetune_run(config, say=said.append)
    assert result.is_finished
    loaded = load_finetuned(config.out)
    base = load_model(config.checkpoint)
    training, validation = hold_out(load_examples(config.data, task))
    by_call = finetune(
        base.model, base.tokenizer, training, validation, settings=config, show_bar=False
    )
    for name, tensor in by_call.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name
    assert (result.step, result.best_step) == (9, by_call.best_step)
    assert RunFolder(config.out).read_metrics() == [*by_call.history]
    assert predict(loaded.model, loaded.tokenizer, validation) == predict(
        by_call.model, base.tokenizer, validation
    )
    assert "finished: 9 steps" in said[-1]
    again = finetune_run(config, say=said.append)
    assert said[-1] == f"{config.out} is finished: 9 steps were taken"
    assert again == result


@pytest.mark.parametrize(("owner", "name"), [(RunFolder, "log"), (saving, "write_checkpoint")])
@pytest.mark.parametrize("call", [2, 4])
def test_a_killed_run_continues_bit_for_bit(settings, tmp_path, monkeypatch, owner, name, call):
    finetune_run(FinetuneConfig(**settings))
    expected = contents(settings["out"])
    settings["out"] = tmp_path / "killed"
    original, calls = getattr(owner, name), []

    def dying(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            finetune_run(FinetuneConfig(**settings))
    said = []
    assert finetune_run(FinetuneConfig(**settings), say=said.append).step == 9
    assert contents(settings["out"]) == expected


def test_a_signal_saves_and_the_same_command_continues(settings, tmp_path, signals_after):
    finetune_run(FinetuneConfig(**settings))
    expected = contents(settings["out"])
    settings["out"] = tmp_path / "stopped"
    with signals_after(4, signal.SIGINT):
        result = finetune_run(FinetuneConfig(**settings))
    assert (result.step, result.exit_status) == (4, 130)
    said = []
    finetune_run(FinetuneConfig(**settings), say=said.append)
    assert "continuing after step 4 of 9" in said
    assert contents(settings["out"]) == expected


def test_patience_ends_the_run_with_the_best_model(settings, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.1, 0.9])
    monkeypatch.setattr(
        importlib.import_module("minillm.finetuning.tuning"),
        "evaluate",
        lambda *_: {"f1": next(scores), "loss": 1.0},
    )
    config = FinetuneConfig(**settings | {"eval_every": 1, "patience": 2, "steps": 90})
    result = finetune_run(config)
    assert (result.step, result.best_step) == (4, 2)
    kept = sorted(path.name for path in (config.out / "checkpoints").iterdir())
    assert kept == [f"step-0000000{step}" for step in (2, 3, 4)]
    best = read_checkpoint(config.out / "checkpoints" / kept[0], ["model.safetensors"])
    final = read_checkpoint(config.out / "final", ["model.safetensors"])
    for name, tensor in final["model.safetensors"].items():
        assert torch.equal(tensor, best["model.safetensors"][name])


def test_a_damaged_final_model_is_made_again(settings):
    config = FinetuneConfig(**settings)
    finetune_run(config)
    expected, path = contents(config.out), config.out / "final/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said = []
    finetune_run(config, say=said.append)
    assert "it is made again" in said[0]
    assert contents(config.out) == expected


def test_adapters_are_stored_too(settings):
    config = FinetuneConfig(**settings | {"lora_rank": 2, "task": "classify"})
    finetune_run(config)
    model = load_finetuned(config.out).model
    assert model.config.lora_rank == 2
    assert model.n_trainable() < model.n_parameters() / 2


def test_another_run_is_refused(settings, base, tmp_path):
    finetune_run(FinetuneConfig(**settings))
    for changes, message in (
        ({"steps": 10}, r"other settings: steps \(the run has 9, now 10\)"),
        ({"task": "qa"}, r"task \(the run has tag, now qa\)"),
        ({"lora_rank": 2}, "lora-rank"),
    ):
        with pytest.raises(ConfigError, match=message):
            finetune_run(FinetuneConfig(**settings | changes))
    with pytest.raises(ConfigError, match="holds a run of another kind"):
        finetune_run(FinetuneConfig(**settings | {"out": base}))
    path = tmp_path / "data.jsonl"
    path.write_text('{"words": ["a"], "tags": ["B-X"]}\n{"words": ["b"], "tags": ["O"]}\n')
    changed = settings | {"out": tmp_path / "own", "data": str(path)}
    finetune_run(FinetuneConfig(**changed))
    path.write_text('{"words": ["a"], "tags": ["B-X"]}\n{"words": ["c"], "tags": ["O"]}\n')
    with pytest.raises(ConfigError, match="the examples have changed since"):
        finetune_run(FinetuneConfig(**changed))
    path.write_text('{"words": ["a"], "tags": ["X"]}\n')
    with pytest.raises(DataError, match=r"data\.jsonl:1: field tags: expected O, B-KIND"):
        finetune_run(FinetuneConfig(**changed))
    with pytest.raises(ConfigError, match="knows no task: fine-tune it first"):
        load_finetuned(base)
    with pytest.raises(ConfigError, match="fine-tuned for a task and no language model any more"):
        load_model(settings["out"])


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_examples_again(settings, tmp_path, task):
    config = FinetuneConfig(**settings | {"task": task, "steps": 1})
    finetune_run(config)
    model, tokenizer, _, _ = load_finetuned(config.out)
    examples = load_examples("world:documents=2", task)
    predictions = predict(model, tokenizer, examples)
    records = [prediction_record(*pair) for pair in zip(examples, predictions, strict=True)]
    path = tmp_path / "predicted.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    again = read_examples(path, task)
    assert [one.group for one in again] == [one.group for one in examples]
    for one, prediction in zip(again, predictions, strict=True):
        if task == "classify":
            assert one.label == prediction.label
        elif task == "qa":
            assert [answer.text for answer in one.answers] == [prediction.text] * bool(
                prediction.text
            )


def test_the_commands(settings, tmp_path, capsys, monkeypatch):
    path = tmp_path / "data.jsonl"
    lines = [
        {"text": f"{word} tea {n}", "label": word} for n in range(6) for word in ("good", "bad")
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out = str(tmp_path / "cli")
    command = ["finetune", "--checkpoint", str(settings["checkpoint"]), "--task", "classify",
               "--data", str(path), "--out", out, "--steps", "3"]  # fmt: skip
    assert main(command) == 0
    assert "finished: 3 steps" in capsys.readouterr().err
    assert main([*command, "--seed", "1"]) == 2
    assert "seed (the run has 0, now 1)" in capsys.readouterr().err
    predict_with = ["predict", "--checkpoint", out]
    assert main([*predict_with, "--text", "good tea"]) == 0
    assert capsys.readouterr().out.split()[0] in ("good", "bad")
    monkeypatch.setattr("sys.stdin", io.StringIO("good tea\n"))
    assert main([*predict_with, "--text", "-", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["text"], {*record}) == ("good tea\n", {"text", "label", "probability"})
    assert main([*predict_with, "--data", str(path), "--json"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 12
    assert "accuracy" in shown.err
    path.write_text('{"text": "a", "label": "b"}\n{"label": "b"}\n', encoding="utf-8")
    assert main([*predict_with, "--data", str(path)]) == 2
    assert "data.jsonl:2: field text: expected a string" in capsys.readouterr().err
    assert main([*predict_with, "--text", "a", "--question", "b"]) == 2
    assert "takes no question" in capsys.readouterr().err
    assert main([*predict_with, "--text", " "]) == 2
    assert "there is nothing to predict" in capsys.readouterr().err


def test_refusals_of_settings(tmp_path):
    with pytest.raises(ConfigError, match=r"give --text .* or --data, one of them"):
        PredictConfig(checkpoint=tmp_path)
    with pytest.raises(ConfigError, match="leave out --question"):
        PredictConfig(checkpoint=tmp_path, data="a", question="b")
    with pytest.raises(ConfigError, match="task is qa: it needs a question"):
        make_example("qa", "a")
    assert make_example("tag", "Ann met").words == ["Ann", "met"]


@pytest.mark.parametrize("objective", ["span-corruption", "bidirectional"])
def test_every_kind_of_body_is_stored_and_answers_again(tmp_path, objective):
    is_lstm = objective == "bidirectional"
    sizes = {"d_model": 6} if is_lstm else {"d_model": 6, "n_heads": 3, "backend": "sdpa"}
    pretrain(
        PretrainConfig(
            out=tmp_path / "base", corpus=("world:documents=60",), vocab_size=400, n_layers=1,
            objective=objective, context_length=61, batch_size=3, steps=2, eval_tokens=200,
            threads=1, dtype="float32", **sizes,
        )
    )  # fmt: skip
    base = load_model(tmp_path / "base")
    rank = None if is_lstm else 2
    config = FinetuneConfig(
        out=tmp_path / "tuned", checkpoint=tmp_path / "base", task="tag", data="world:documents=5",
        steps=3, eval_every=3, batch_size=2, patience=None, lora_rank=rank,
    )  # fmt: skip
    assert finetune_run(config).is_finished
    examples = load_examples(config.data, "tag")
    training, validation = hold_out(examples)
    by_call = finetune(
        base.model, base.tokenizer, training, validation, settings=config, show_bar=False
    )
    loaded = load_finetuned(config.out)
    stored = loaded.model.state_dict()
    for name, tensor in by_call.model.state_dict().items():
        assert torch.equal(tensor, stored[name]), name
    assert predict(loaded.model, loaded.tokenizer, examples) == predict(
        by_call.model, base.tokenizer, examples
    )
