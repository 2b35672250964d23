"""Benchmarks measure what they say. Nothing here asserts a time."""

import gc
import importlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

pytest.importorskip("resource")  # what the benchmarks count CPU time and memory with

import torch

from benchmarks import __main__ as command
from benchmarks import (
    attention_backends,
    fused_loss,
    generation,
    importing,
    isolated,
    masked_step,
    measuring,
    skipped_blocks,
    training_step,
)
from benchmarks.measuring import compare, interleave, rounds
from benchmarks.measuring import isolated as measure_isolated
from benchmarks.table import HEADER, format_row

TINY_MODEL = {"d_model": 14, "n_heads": 2, "n_layers": 3, "vocab_size": 29, "n_rounds": 2}
TINY = {
    "training_step": {**TINY_MODEL, "batch_size": 2, "context_length": 11},
    "masked_step": {
        "d_model": 14, "n_heads": 2, "n_layers": 3, "vocab_sizes": (29, 37), "batch_size": 2,
        "context_length": 11, "n_rounds": 2, "n_memory_rounds": 1,
    },
    "attention_backends": {
        "batch_size": 2, "n_heads": 3, "head_dim": 5, "lengths": (7, 11), "memory_lengths": (7,),
        "n_rounds": 2, "n_memory_rounds": 1,
    },
    "skipped_blocks": {
        "n_heads": 3, "head_dim": 5, "lengths": (11,), "window": 2, "n_documents": 3, "n_rounds": 1,
    },
    "fused_loss": {"n_tokens": 13, "d_model": 5, "vocab_size": 37, "n_rounds": 1},
    "generation": {**TINY_MODEL, "n_new": 5, "n_prompt": 3},
    "tokenizing": {"n_bytes": 3000, "vocab_size": 270, "n_letters": 50, "n_rounds": 2},
    "importing": {"n_rounds": 1},
}  # fmt: skip
NEEDS_TRANSFORMERS = ("training_step", "masked_step", "generation")
with_transformers = pytest.mark.skipif(
    not measuring.has_transformers(), reason="needs transformers: pip install -e '.[interop]'"
)


def rows_of(name):
    module = importlib.import_module(f"benchmarks.{name}")
    return list(module.rows(replace(module.QUICK, **TINY[name])))


def run(name, monkeypatch, *, transformers):
    for module in (measuring, training_step, masked_step, generation):
        monkeypatch.setattr(module, "has_transformers", lambda: transformers)
    monkeypatch.setattr(masked_step, "isolated", isolated_here)
    return rows_of(name)


# ---- the common part ------------------------------------------------------------------------


def test_jobs_run_in_turn_after_one_warm_up():
    calls = []
    now = iter(range(100))
    jobs = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = interleave(jobs, n_rounds=3, clock=lambda: next(now))
    assert "".join(calls) == "ab" + "ababab"
    assert seconds == {"a": [1, 1, 1], "b": [1, 1, 1]}


def test_the_clock_is_read_around_the_job_only():
    time = [0.0]

    def work(amount):
        time[0] += amount

    jobs = {"a": lambda: work(2.0), "b": lambda: work(5.0)}
    assert interleave(jobs, n_rounds=2, clock=lambda: time[0]) == {"a": [2.0] * 2, "b": [5.0] * 2}


def test_the_collector_passes_over_what_was_there_before():
    frozen = []
    interleave({"a": lambda: frozen.append(gc.get_freeze_count())}, n_rounds=2)
    assert frozen[0] == gc.get_freeze_count() == 0  # neither in the warm-up nor afterwards
    assert min(frozen[1:]) > 10_000  # torch alone brings more objects


def test_measures_are_taken_in_turn():
    values = iter(range(6))
    found = rounds({"a": lambda: next(values), "b": lambda: next(values)}, n_rounds=3)
    assert found == {"a": [0, 2, 4], "b": [1, 3, 5]}


def test_ratios_are_taken_within_a_round():
    amounts = {"minillm": [1.0, 10.0, 2.0], "peer": [3.0, 20.0, 8.0]}
    row = compare(amounts, theme="t", case="c", peer="peer", aim=3.0)
    assert row.values == (3.0, 2.0, 4.0)
    # The ratio of the medians would be 8 / 2 = 4: a round that was slow for both would count twice.
    assert (row.value, row.ours, row.theirs, row.reached) == (3.0, 2.0, 8.0, True)
    assert compare(amounts, theme="t", case="c", peer="peer", aim=3.1).reached is False
    assert compare(amounts, theme="t", case="c", peer="peer").reached is None


def test_a_difference_should_be_small():
    amounts = {"minillm": [1.0, 1.5, 1.25], "peer": [1.0, 1.0, 1.0]}
    row = compare(amounts, theme="t", case="c", peer="peer", kind="difference", aim=0.25)
    assert (row.values, row.value, row.reached) == ((0.0, 0.5, 0.25), 0.25, True)
    assert replace(row, aim=0.2).reached is False


def test_rounds_that_are_missing_are_refused():
    with pytest.raises(ValueError, match="longer than"):
        compare({"minillm": [1.0], "peer": [1.0, 2.0]}, theme="t", case="c", peer="peer")


def test_a_line_says_whether_the_aim_was_reached():
    amounts = {"minillm": [1.0, 1.0], "peer": [1.5, 2.5]}
    row = compare(amounts, theme="theme", case="case", peer="peer", aim=2.5, note="why")
    line = format_row(row)
    assert line.split() == [
        "theme", "case", "1", "s", "peer", "2", "s", "2.00", "1.50", "to", "2.50", "≥", "2.50",
        "NO", "why",
    ]  # fmt: skip
    assert line.index("NO") == HEADER.index("reached")
    assert " yes " in format_row(replace(row, aim=2.0))
    difference = compare(amounts, theme="t", case="c", peer="peer", kind="difference", aim=0.1)
    assert "-1.00 s" in format_row(difference)
    assert "≤ 0.10" in format_row(difference)


def make_allocation(megabytes):
    """Return a job that holds so much memory for a moment; ``isolated`` finds it by name."""
    torch.ones(2**26).sum()  # 256 MB of preparation, given back: not the job's
    return lambda: torch.ones(megabytes * 2**18).sum().item()


@pytest.mark.parametrize("megabytes", [40, 200])
def test_memory_is_the_peak_of_the_job_alone(megabytes):
    here = torch.ones(2**27)  # 512 MB in this process must not count in the other one
    found = measure_isolated("tests.test_benchmarks:make_allocation", megabytes=megabytes)
    assert found.result == here[: megabytes * 2**18].sum().item()
    expected = megabytes * 2**20 / 1e6
    assert expected - 1 < found.megabytes < expected + 20  # pages used again; torch's own buffers


def test_the_peak_can_be_forgotten():
    if not isolated.STATUS.exists():
        pytest.skip("only Linux can forget a peak")
    code = """
import torch
from benchmarks.isolated import forget_peak, peak_bytes
torch.ones(2**25).sum()
high = peak_bytes()
forget_peak()
print(high - peak_bytes() > 100e6)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=measuring.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


def test_a_failing_process_is_an_error():
    with pytest.raises(subprocess.CalledProcessError):
        measuring.run_python("-c", "raise SystemExit(3)")


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with measuring.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


# ---- every benchmark, tiny ------------------------------------------------------------------


def isolated_here(maker, **arguments):
    """Do in this process what ``isolated`` does in another, which takes seconds to start."""
    module, function = maker.split(":")
    job = getattr(importlib.import_module(module), function)(**arguments)
    return measuring.Isolated(cpu_s=1.0, megabytes=1.0, result=job())


@pytest.mark.parametrize("name", ["attention_backends", "fused_loss", "importing", "tokenizing"])
def test_each_benchmark_runs(name, monkeypatch):
    for module in (attention_backends, fused_loss):
        monkeypatch.setattr(module, "isolated", isolated_here)
    monkeypatch.setattr(importing, "CALLS", dict.fromkeys(importing.CALLS, ("-c", "pass")))
    found = rows_of(name)
    assert found
    assert all(row.aim is None and row.ours > 0 < row.theirs for row in found)


@pytest.mark.slow  # it compiles
def test_blocks_are_skipped_and_the_result_is_the_same(monkeypatch):
    found = rows_of("skipped_blocks")
    assert [row.case.partition(",")[0] for row in found] == ["2 window", "3 documents"]
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert rows_of("skipped_blocks") == []


def test_a_kernel_that_computes_something_else_is_not_timed(monkeypatch):
    def wrong(query, key, value, *, mask, backend):
        return value * (1.01 if backend == "flex" else 1.0)

    monkeypatch.setattr(skipped_blocks, "attention", wrong)
    monkeypatch.setattr(skipped_blocks, "explain_no_compiler", lambda: None)
    with pytest.raises(AssertionError, match="flex computes something else"):
        rows_of("skipped_blocks")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["attention_backends", "fused_loss", "importing"])
def test_each_benchmark_runs_in_processes_of_its_own(name):
    assert all(row.ours > 0 < row.theirs for row in rows_of(name))


@pytest.mark.parametrize("name", NEEDS_TRANSFORMERS)
def test_without_transformers_its_rows_are_missing(name, monkeypatch):
    found = run(name, monkeypatch, transformers=False)
    assert found
    assert not any("Transformers" in row.peer for row in found)


@with_transformers
@pytest.mark.filterwarnings("default")  # other people's deprecations are theirs
@pytest.mark.parametrize("name", NEEDS_TRANSFORMERS)
def test_with_transformers_it_is_a_peer(name, monkeypatch):
    assert any("Transformers" in row.peer for row in run(name, monkeypatch, transformers=True))


def test_every_benchmark_is_tested_and_has_its_aims():
    assert tuple(TINY) == command.NAMES
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in command.NAMES}
    aims = {name: module.FULL.aims for name, module in modules.items()}
    assert aims == {
        "training_step": {"fp32": 1.05, "bf16": 2.9},
        "masked_step": {
            ("s", 8192): 1.5, ("s", 30_522): 3.0, ("MB", 8192): 1.6, ("MB", 30_522): 1.6,
        },
        "attention_backends": {("s", 1024): 1.3, ("s", 2048): 2.5, ("MB", 2048): 10.0},
        "skipped_blocks": {("window", 4096): 5.0, ("documents", 4096): 5.0},
        "fused_loss": {"s": 1.0, "MB": 10.0},
        "generation": {generation.NO_CACHE: 5.5, generation.GPT2: 1.3},
        "tokenizing": {"train": 1 / 1.5},
        "importing": {"import minillm": 0.1, "minillm --version": 0.1},
    }  # fmt: skip
    assert not any(module.QUICK.aims for module in modules.values())


def test_a_peer_that_is_another_function_is_not_timed(monkeypatch):
    def wrong(decoder):
        model = make_plain(decoder)
        model.stack[0].norm_1.weight.data.add_(3.0)
        return model

    make_plain = training_step.make_plain
    monkeypatch.setattr(training_step, "make_plain", wrong)
    with pytest.raises(AssertionError, match=r"plain .* not the same model"):
        run("training_step", monkeypatch, transformers=False)


def test_a_masked_step_of_another_function_is_not_timed(monkeypatch):
    def wrong(encoder, batch):
        return loss_of_all(encoder, batch) * 1.01  # such as a mean over other tokens

    loss_of_all = masked_step._loss_of_all
    monkeypatch.setattr(masked_step, "_loss_of_all", wrong)
    with pytest.raises(AssertionError, match=r"all tokens scored has loss .* another model"):
        run("masked_step", monkeypatch, transformers=False)


def test_a_masked_step_is_measured_with_its_optimizer_and_without_old_gradients():
    sizes = {name: TINY["masked_step"][name] for name in ("d_model", "n_heads", "n_layers")}
    sizes |= {"vocab_size": 29, "batch_size": 2, "context_length": 11}
    for kind in (measuring.OURS, masked_step.ALL_POSITIONS):
        job = masked_step.make_job(kind, **sizes)
        first, second = job(), job()
        assert second < first  # the steps train


def test_a_generator_that_writes_other_tokens_is_not_timed(monkeypatch):
    def wrong(model, prompts, *, use_cache, **options):
        return [[int(use_cache)]]

    monkeypatch.setattr(generation, "generate", wrong)
    with pytest.raises(AssertionError, match="no cache wrote"):
        run("generation", monkeypatch, transformers=False)


@pytest.mark.parametrize(("plain", "verdict"), [(1.06, "does not count"), (1.04, "counts")])
def test_the_plain_step_counts_only_beside_a_known_peer(plain, verdict):
    seconds = {training_step.ENCODER: [1.0, 2.0], training_step.PLAIN: [plain, 2 * plain]}
    assert training_step._plain_note(seconds).startswith(verdict)


# ---- the command ----------------------------------------------------------------------------


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    out = tmp_path / "bench.json"
    monkeypatch.setattr(generation, "QUICK", replace(generation.QUICK, **TINY["generation"]))
    monkeypatch.setattr(generation, "has_transformers", lambda: False)
    command.main(["generation", "--quick", "--out", str(out)])
    printed = capsys.readouterr().out
    assert f"torch: {torch.__version__}" in printed
    assert HEADER in printed
    report = json.loads(out.read_text("utf-8"))
    assert report["command"].startswith("python -m benchmarks generation --quick")
    described = {"cpu", "cores", "avx512", "avx512_bf16", "torch", "load_average"}
    assert described <= report["machine"].keys()
    (row,) = report["rows"]
    assert row["peer"] == generation.NO_CACHE
    assert row["least"] <= row["value"] <= row["greatest"]
    assert row["reached"] is None


def test_slowness_is_no_error(tmp_path, monkeypatch):
    hopeless = replace(generation.FULL, aims={generation.NO_CACHE: 1e9}, **TINY["generation"])
    monkeypatch.setattr(generation, "FULL", hopeless)
    monkeypatch.setattr(generation, "has_transformers", lambda: False)
    command.main(["generation", "--out", str(tmp_path / "bench.json")])
    report = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert [row["reached"] for row in report["rows"]] == [False]


def test_an_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["generatoin"])
    assert "there is no benchmark generatoin" in capsys.readouterr().err
