"""What a run does when nothing stops it: it learns, judges, keeps, and writes what it promises."""

import importlib
import json
import math
import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from minillm.config import FAMILIES, PretrainConfig
from minillm.data import load_prepared
from minillm.errors import CheckpointError, ConfigError, DataError, NumericalError
from minillm.evaluation import evaluate_documents
from minillm.run import (
    OBJECTIVES,
    RunFolder,
    evaluate_checkpoint,
    load_model,
    make_model,
    pretrain,
)
from minillm.run.table import BUILDERS

settings_module = importlib.import_module("minillm.run.settings")
# Causal models that learn by steps.
TRAINED = [name for name, family in FAMILIES["causal"].items() if not family.counts]


@pytest.mark.parametrize("model", TRAINED)
def test_it_learns_and_the_final_model_is_the_one_that_was_judged(run, settings, model):
    taken = {*FAMILIES["causal"][model].settings, "context_length"}
    for name in {"n_heads", "n_layers"} - taken:
        del settings[name]
    settings |= {"model": model, "steps": 150, "learning_rate": 0.02, "dropout": 0.0}
    result, said = run()
    metrics = RunFolder(settings["out"]).read_metrics()
    assert [line["step"] for line in metrics] == list(range(1, 151))
    assert metrics[0]["loss"] == pytest.approx(math.log(277), rel=0.02)
    assert metrics[-1]["loss"] < 0.65 * metrics[0]["loss"]
    loaded = load_model(settings["out"])
    judged = evaluate_checkpoint(loaded)
    stored = loaded.description["run"]["validation"]
    assert judged.loss == pytest.approx(stored["loss"], rel=1e-6)
    assert f"{judged.bits_per_byte:.3f} bits a byte" in said[-1]
    assert loaded.description["model"] == model
    assert result.best_validation_loss == min(
        line["validation_loss"] for line in metrics if "validation_loss" in line
    )


def test_a_line_of_the_log_says_what_was_promised(run, settings):
    run()
    metrics = RunFolder(settings["out"]).read_metrics()
    plain = {"step", "loss", "losses", "n_tokens_seen", "learning_rate", "grad_norm"}
    judged = plain | {"validation_loss", "validation_bits_per_byte"}
    assert [set(line) for line in metrics] == [plain if n % 4 else judged for n in range(1, 13)]
    rates = [line["learning_rate"] / 0.002 for line in metrics]
    # three steps up, then the peak, and the last fifth (two steps) down to nothing
    assert rates == pytest.approx([1 / 3, 2 / 3, *[1] * 8, 0.5, 0][:12], abs=1e-9)


def test_the_validation_of_the_log_is_that_of_whole_held_out_documents(run, settings):
    run(eval_tokens=10**6, patience=99)
    data = load_prepared(settings["out"] / "data")
    documents = data.documents("validation")
    last = RunFolder(settings["out"]).read_metrics()[-1]
    model = load_model(max((settings["out"] / "checkpoints").iterdir())).model
    judged = evaluate_documents(model, documents, n_bytes=data.n_bytes(documents))
    assert last["validation_loss"] == pytest.approx(judged.loss, rel=1e-6)


def test_patience_stops_and_gives_back_the_best(run, settings):
    """With a large rate the loss gets worse: the best step is not the last."""
    settings |= {"steps": 400, "learning_rate": 0.5, "eval_every": 10, "patience": 3}
    result, _ = run()
    assert result.step < 400
    assert result.best_step == result.step - 30
    metrics = RunFolder(settings["out"]).read_metrics()
    assert metrics[-1]["step"] == result.step
    best = load_model(settings["out"] / "checkpoints" / f"step-{result.best_step:08d}")
    final = load_model(settings["out"])
    for name, parameter in final.model.named_parameters():
        assert torch.equal(parameter, best.model.get_parameter(name)), name
    again, said = run()
    assert again == result
    assert any("is finished" in line for line in said)


def test_few_checkpoints_are_kept_and_the_best_among_them(run, settings):
    settings |= {"steps": 60, "save_every": 5, "eval_every": 5, "learning_rate": 0.5}
    result, _ = run()
    kept = sorted(path.name for path in (settings["out"] / "checkpoints").iterdir())
    expected = {result.best_step, 48, 55, 60}  # the last stable step and the newest two
    assert kept == [f"step-{step:08d}" for step in sorted(expected)]


def test_a_loss_that_is_not_finite_stops_before_the_update_row50(run, settings, monkeypatch):
    from minillm.models.decoder import Decoder

    honest, calls = Decoder.loss_sums, []

    def poisoned(self, batch):
        calls.append(batch)
        sums = honest(self, batch)
        return (
            {name: value * float("nan") for name, value in sums.items()}
            if len(calls) > 13
            else sums
        )

    monkeypatch.setattr(Decoder, "loss_sums", poisoned)
    with pytest.raises(NumericalError, match=r"step 7: .*the weights are those of step 6"):
        run()
    steps = [line["step"] for line in RunFolder(settings["out"]).read_metrics()]
    assert steps == [1, 2, 3, 4, 5, 6]
    for _, parameter in load_model(settings["out"]).model.named_parameters():
        assert parameter.isfinite().all()


@pytest.mark.parametrize(
    ("dtype", "short", "first"),
    [("float32", 1024, "sdpa"), ("bfloat16", 13, "reference"), ("bfloat16", 12, "sdpa")],
)
def test_the_usual_winner_loses_only_clearly(run, settings, monkeypatch, dtype, short, first):
    asked = []

    def keep_the_first(calls, *, margin):
        asked.append((list(calls), margin))
        return next(iter(calls))

    monkeypatch.setattr("minillm.run.settings.fastest", keep_the_first)
    monkeypatch.setattr("minillm.run.settings.FUSED_BFLOAT16_FROM", short)  # the context has 13
    run(backend="auto", steps=1, dtype=dtype)
    assert asked == [([first, *({"sdpa", "reference"} - {first})], 1.3)]
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))
    assert stored["resolved"]["backend"] == first


def test_compiled_backends_are_tried_on_a_gpu_only(monkeypatch):
    monkeypatch.setattr(settings_module, "_why_not", lambda name, device: None)
    on_gpu = PretrainConfig(out=Path("run"), device="cuda")
    assert settings_module._backend_choices(on_gpu) == ["sdpa", "flex", "triton"]
    assert settings_module._backend_choices(replace(on_gpu, dropout=0.1)) == ["sdpa"]
    on_cpu = replace(on_gpu, device="cpu", dtype="float32")
    assert settings_module._backend_choices(on_cpu) == ["sdpa", "reference"]
    monkeypatch.setattr(settings_module, "_why_not", lambda name, device: f"no {device}")
    assert settings_module._backend_choices(on_gpu) == ["sdpa"]


def test_a_backend_that_fails_where_it_is_tried_is_left_out_with_a_warning():
    def fail():
        raise RuntimeError("no such instruction")

    tried = []
    calls = {"sdpa": fail, "flex": fail, "triton": lambda: tried.append("triton")}
    with pytest.warns(UserWarning, match="flex is left out, since it fails here: no such instr"):
        working = settings_module._working(calls)
    assert list(working) == ["sdpa", "triton"]  # the usual winner's own failure ends the run
    assert tried == ["triton"]


def test_a_backend_that_cannot_train_on_this_device_is_refused_first(run, settings):
    with pytest.raises(ConfigError, match="--backend flex: flex computes gradients only on a GPU"):
        run(backend="flex", dropout=0.0)
    assert not (settings["out"] / "data").exists()
    with pytest.raises(ConfigError, match=r"--backend triton knows no dropout, got 0\.1"):
        run(backend="triton")


def test_seconds_become_steps_once(run, settings):
    run(steps=None, seconds=0.2)
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))
    assert stored["asked"]["seconds"] == 0.2
    assert stored["resolved"]["seconds"] is None
    assert stored["resolved"]["steps"] >= 1
    assert len(RunFolder(settings["out"]).read_metrics()) == stored["resolved"]["steps"]


def test_the_corpus_is_named_by_its_hash(run, settings):
    run()
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))
    manifest = json.loads((settings["out"] / "data" / "manifest.json").read_text("utf-8"))
    assert stored["corpus_sha256"] == manifest["corpus_sha256"]
    assert len(stored["corpus_sha256"]) == 64


# --- the folder -----------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_the_first_goes_on_row12(run, settings):
    with RunFolder(settings["out"]).locked(), pytest.raises(ConfigError, match="is in use"):
        run()
    result, _ = run()  # the lock is free again
    assert result.is_finished


def test_a_folder_that_is_no_run_is_refused_row62(run, settings):
    settings["out"].mkdir()
    (settings["out"] / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"is no run: it holds thesis.tex"):
        run()
    assert [path.name for path in settings["out"].iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(run, settings):
    settings["out"].write_text("a file")
    with pytest.raises(ConfigError, match="is a file"):
        run()


def test_a_start_that_was_killed_while_preparing_begins_again(run, settings, monkeypatch):
    from minillm.run import opening

    def dying(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(opening, "resolve_by_measuring", dying)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert (settings["out"] / "data").is_dir()
    result, _ = run()
    assert result.is_finished


def test_a_torn_last_line_is_forgotten(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.log({"step": step})
    folder.close_log()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    assert [line["step"] for line in folder.read_metrics()] == [1, 2, 3]
    folder.rewind_metrics(2)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_log_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        RunFolder(tmp_path).log({"loss": math.nan})


# --- refusals -------------------------------------------------------------------------------------

REFUSED = {
    "steps": (-1, "steps must be positive, got -1"),
    "seconds": (-2.0, "give steps or seconds, not both"),
    "threads": (0, "threads must be positive or auto, got 0"),
    "learning_rate": (math.nan, "learning_rate must be a positive finite number, got nan"),
    "weight_decay": (-0.1, "weight_decay must be a positive finite number, got -0.1"),
    "seed": (2**63, "seed must be from 0 to"),
    "corpus": ((), "corpus must name at least one"),
    "n_heads": (4, "n_heads=4 must divide d_model=6"),
    "dropout": (1.0, r"dropout must be in \[0, 1\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_cannot_be_is_refused(settings, name):
    value, message = REFUSED[name]
    with pytest.raises(ConfigError, match=message):
        PretrainConfig(**(settings | {name: value}))


def test_text_shorter_than_a_window_states_both_lengths_row21(run, tmp_path):
    (tmp_path / "short.txt").write_text("Two short lines of text,\n\nand no more than that.")
    with pytest.raises(DataError, match=r"the text has \d+ tokens, .* context_length \+ 1 = 501"):
        run(corpus=(str(tmp_path / "short.txt"),), context_length=500)


def test_an_unknown_model_or_stored_architecture_is_refused(run, settings):
    with pytest.raises(ConfigError, match="--model bart is unknown: choose from gpt, llama"):
        make_model("bart", vocab_size=11, architecture={})
    run()
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))
    stored["resolved"]["lr"] = 1
    (settings["out"] / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="this one does not know lr"):
        run()


def test_a_model_that_this_version_does_not_know_is_refused(run, settings):
    from minillm.checkpoint import read_checkpoint, write_checkpoint

    run()
    final = settings["out"] / "final"
    files = read_checkpoint(final)
    files["config.json"]["architecture"]["n_experts"] = 8
    write_checkpoint(final, files)
    with pytest.raises(CheckpointError, match="describes no model that this minillm knows"):
        load_model(final)


def test_a_checkpoint_outside_its_run_needs_a_corpus(run, settings, tmp_path, corpus):
    run()
    lonely = tmp_path / "deep" / "er" / "model"
    shutil.copytree(settings["out"] / "final", lonely)
    loaded = load_model(lonely)
    with pytest.raises(ConfigError, match="name the text with --corpus"):
        evaluate_checkpoint(loaded)
    whole = evaluate_checkpoint(loaded, corpus=[str(corpus)])
    n_bytes = sum(len(p.read_bytes()) for p in corpus.iterdir() if p.suffix != ".jsonl")
    assert whole.n_bytes > n_bytes


def test_the_tables_of_objectives_and_families_agree():
    assert set(OBJECTIVES) == set(FAMILIES)
    families = [family for models in FAMILIES.values() for family in models.values()]
    assert {family.config for family in families} == set(BUILDERS)
    flags = get_type_hints(PretrainConfig)
    assert set(get_args(flags["objective"])) == set(OBJECTIVES)
    assert set(get_args(flags["model"])) == {"auto", *chain(*FAMILIES.values())}


def test_bars_are_shown_when_asked(settings, capsys):
    pretrain(PretrainConfig(**settings), show_bars=True)
    captured = capsys.readouterr()
    assert "pretrain: 100%" in captured.err
    assert captured.out == ""
