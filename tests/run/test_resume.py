"""A run that was stopped anywhere and continued is the uninterrupted run, byte by byte."""

import json
import random
import shutil
import signal

import numpy as np
import pytest
import torch

from minillm.errors import CheckpointError, ConfigError
from minillm.run import RunFolder, load_model

MOMENTS = ("before log", "after log", "before save", "after save")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", [1, 4, 5, 7, 12])
def test_a_killed_run_continues_as_if_nothing_had_happened_row13_row14(
    run, settings, tmp_path, contents, die, moment, step
):
    run(out=tmp_path / "whole")
    assert die(moment, step)
    result, _ = run()
    assert (result.step, result.exit_status) == (12, 0)
    assert contents(settings["out"]) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_killed_at_every_step_of_sixty_row13(run, tmp_path, contents, die):
    changes = {"steps": 60, "save_every": 7, "eval_every": 20}
    run(out=tmp_path / "whole", **changes)
    expected = contents(tmp_path / "whole")
    for step in range(1, 61):
        out = tmp_path / f"killed-{step}"
        assert die(MOMENTS[step % 2], step, out=out, **changes)
        run(out=out, **changes)
        assert contents(out) == expected, step
        shutil.rmtree(out)


def test_a_run_killed_while_resuming_four_times_row15(run, settings, tmp_path, contents, die):
    run(out=tmp_path / "whole")
    for moment, step in (
        ("after log", 6), ("before log", 6), ("after save", 8), ("before save", 9)
    ):  # fmt: skip
        assert die(moment, step)
    run()
    assert contents(settings["out"]) == contents(tmp_path / "whole")


def test_the_run_reads_several_epochs_and_drops_out_row14(run, settings):
    """Else the tests above would prove less than they seem to."""
    run()
    metrics = RunFolder(settings["out"]).read_metrics()
    manifest = json.loads((settings["out"] / "data" / "manifest.json").read_text("utf-8"))
    assert metrics[-1]["n_tokens_seen"] == 12 * 2 * 5 * 13
    assert metrics[-1]["n_tokens_seen"] > 1.5 * manifest["splits"]["train"]["n_tokens"]
    run(out=settings["out"].with_name("dry"), dropout=0.0)
    dry = RunFolder(settings["out"].with_name("dry")).read_metrics()
    assert dry[0]["loss"] != metrics[0]["loss"]


def test_the_caller_keeps_its_random_numbers_and_threads(run):
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.set_num_threads(2)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    run()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002
    assert torch.get_num_threads() == 2


def test_the_random_states_of_a_checkpoint_are_those_of_the_whole_run_row16(
    run, settings, tmp_path
):
    run(out=tmp_path / "whole")
    run(save_every=6)
    whole, other = (
        json.loads((out / "checkpoints" / "step-00000012" / "state.json").read_text("utf-8"))
        for out in (tmp_path / "whole", settings["out"])
    )
    assert whole["random_state"] == other["random_state"]
    assert set(whole["random_state"]) == {"python", "numpy", "torch", "cuda"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_same_command_continues_row51_row52(
    run, settings, tmp_path, contents, signals_after, number
):
    run(out=tmp_path / "whole")
    before = signal.getsignal(number)
    with signals_after(7, number):
        result, said = run()
    assert (result.step, result.exit_status, result.is_finished) == (7, 128 + number, False)
    assert "stopped after step 7; the same command continues" in said
    assert signal.getsignal(number) is before
    run()
    assert contents(settings["out"]) == contents(tmp_path / "whole")


def test_a_second_ctrl_c_leaves_at_once_and_the_checkpoint_holds_row51(
    run, settings, tmp_path, contents, signals_after
):
    run(out=tmp_path / "whole")
    # A shell that starts the tests in the background lets them ignore Ctrl-C.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    with signals_after(7, signal.SIGINT, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        run()
    signal.signal(signal.SIGINT, usual)
    newest = max((settings["out"] / "checkpoints").iterdir()).name
    assert newest == "step-00000005"
    run()
    assert contents(settings["out"]) == contents(tmp_path / "whole")


def test_a_damaged_newest_checkpoint_costs_its_steps_only_row2(
    run, settings, tmp_path, contents, die
):
    run(out=tmp_path / "whole")
    assert die("after save", 9)
    newest = max((settings["out"] / "checkpoints").iterdir())
    (newest / "optimizer.safetensors").write_bytes(b"")
    _, said = run()
    assert any("warning" in line and newest.name in line for line in said)
    assert contents(settings["out"]) == contents(tmp_path / "whole")


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_again(run, settings, die):
    assert die("after save", 9)
    for folder in (settings["out"] / "checkpoints").iterdir():
        (folder / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no checkpoint is intact"):
        run()


def test_a_damaged_final_model_is_made_again(run, settings, tmp_path, contents):
    run()
    whole = contents(settings["out"])
    (settings["out"] / "final" / "model.safetensors").write_bytes(b"damaged")
    _, said = run()
    assert any("made again" in line for line in said)
    assert contents(settings["out"]) == whole


def test_a_finished_run_is_left_alone_row19(run, settings, contents):
    first, _ = run()
    whole = contents(settings["out"])
    times = {path: path.stat().st_mtime_ns for path in settings["out"].rglob("*.safetensors")}
    result, said = run()
    assert result == first
    assert any("is finished: 12 steps" in line for line in said)
    assert contents(settings["out"]) == whole
    assert times == {p: p.stat().st_mtime_ns for p in settings["out"].rglob("*.safetensors")}


# --- longer, shorter, other -----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [20, 16])
def test_a_stable_run_is_prolonged_to_what_it_would_have_been_row19(
    run, settings, tmp_path, contents, steps
):
    run(out=tmp_path / "whole", steps=steps)
    run()
    result, said = run(steps=steps)
    assert (result.step, result.n_steps) == (steps, steps)
    assert any(f"12 steps become {steps}" in line for line in said)
    assert contents(settings["out"]) == contents(tmp_path / "whole")
    _, said = run(steps=steps)
    assert any("is finished" in line for line in said)


def test_more_steps_under_a_cosine_are_refused_with_the_reason_row19(run, settings, contents):
    run(schedule="warmup-cosine")
    whole = contents(settings["out"])
    with pytest.raises(ConfigError, match="under a cosine schedule every learning rate depends"):
        run(schedule="warmup-cosine", steps=20)
    assert contents(settings["out"]) == whole
    _, said = run(schedule="warmup-cosine")
    assert any("is finished" in line for line in said)


def test_a_run_cannot_be_cut_below_what_it_keeps(run):
    run()
    with pytest.raises(ConfigError, match="keeps no checkpoint up to step 4"):
        run(steps=5)


def test_how_a_run_is_watched_may_change(run, settings, tmp_path, die):
    run(out=tmp_path / "whole")
    assert die("after log", 6)
    run(save_every=3, eval_every=2, eval_tokens=100)
    ours, whole = load_model(settings["out"]), load_model(tmp_path / "whole")
    for name, parameter in ours.model.named_parameters():
        assert torch.equal(parameter, whole.model.get_parameter(name)), name


DIFFERENT = {
    "seed": (3, "seed (the run has 0, now 3)"),
    "vocab_size": (300, "vocab-size (the run has 277, now 300)"),
    "n_layers": (1, "n-layers (the run has 2, now 1)"),
    "learning_rate": (0.5, "learning-rate (the run has 0.002, now 0.5)"),
    "model": ("llama", "model (the run has gpt, now llama)"),
    "backend": ("reference", "backend (the run has sdpa, now reference)"),
    "clean": (("html",), "clean (the run has"),
    "n_kv_heads": (1, "n-kv-heads (the run has None, now 1)"),
    "seconds": (3.0, "seconds (the run has None, now 3.0)"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_setting_is_named_and_nothing_is_changed_row17(run, settings, contents, name):
    run()
    whole = contents(settings["out"])
    value, message = DIFFERENT[name]
    changes = {name: value} | ({"steps": None} if name == "seconds" else {})
    with pytest.raises(ConfigError) as raised:
        run(**changes)
    assert message in str(raised.value)
    assert "choose another --out" in str(raised.value)
    assert contents(settings["out"]) == whole


def test_two_differences_are_both_named(run):
    run()
    with pytest.raises(ConfigError, match=r"d-model .*; batch-size "):
        run(d_model=9, batch_size=2)


def test_what_auto_once_decided_is_kept(run, settings, contents):
    automatic = {"dtype": "auto", "backend": "auto", "threads": "auto", "steps": None}
    run(**automatic, seconds=0.3)
    whole = contents(settings["out"])
    stored = json.loads((settings["out"] / "config.json").read_text("utf-8"))["resolved"]
    assert stored["dtype"] in ("float32", "bfloat16")
    assert stored["backend"] in ("reference", "sdpa")
    _, said = run(**automatic, seconds=0.3)
    assert any("is finished" in line for line in said)
    explicit = {key: stored[key] for key in ("dtype", "backend", "threads", "steps", "model")}
    _, said = run(**explicit)
    assert any("is finished" in line for line in said)
    _, said = run(**automatic)
    assert any("is finished" in line for line in said)
    assert contents(settings["out"]) == whole


def test_changed_text_is_refused_row17(run, settings, corpus, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(corpus, copy)
    run(corpus=(str(copy),))
    (copy / "0.txt").write_text("Another text stands here now, with other words.")
    with pytest.raises(ConfigError, match=r"has changed since .* was begun"):
        run(corpus=(str(copy),))
    run(corpus=(str(copy),), out=tmp_path / "new")


def test_another_thread_count_or_machine_is_warned_of_row18(run, settings, die):
    assert die("after log", 6)
    config = json.loads((settings["out"] / "config.json").read_text("utf-8"))
    config["machine"]["torch"] = "2.9.0"
    (settings["out"] / "config.json").write_text(json.dumps(config))
    result, said = run(threads=2)
    (warning,) = (line for line in said if line.startswith("warning"))
    assert "threads 1 → 2" in warning
    assert "torch 2.9.0 → " in warning
    assert "last digits" in warning
    assert result.is_finished


def test_a_log_with_a_hole_is_refused(run, settings, die):
    assert die("after save", 9)
    log = settings["out"] / "metrics.jsonl"
    log.write_text("".join(log.read_text("utf-8").splitlines(keepends=True)[1:]))
    with pytest.raises(CheckpointError, match="does not hold steps 1 to"):
        run()
