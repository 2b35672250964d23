"""The command line: what it prints, where, and with which exit status."""

import errno
import importlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minillm.cli import main
from minillm.run import RunFolder, load_model

ROOT = Path(__file__).parents[1]
WORDS = "the a cat dog bird tree house sees finds likes under over red blue small large"
TINY = (
    "--vocab-size 277 --d-model 6 --n-layers 1 --n-heads 3 --context-length 13 --batch-size 5 "
    "--threads 1 --dtype float32 --backend sdpa --save-every 4 --eval-every 4"
)
TINY = TINY.split()


def write_corpus(folder):
    draw = random.Random(3)
    folder.mkdir()
    for number in range(6):
        text = "\n".join(" ".join(draw.choices(WORDS.split(), k=9)) + "." for _ in range(9))
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A corpus and a finished run."""
    folder = tmp_path_factory.mktemp("cli")
    corpus = write_corpus(folder / "notes")
    arguments = ["--corpus", str(corpus), *TINY, "--out", str(folder / "run"), "--steps", "8"]
    assert main(["pretrain", *arguments]) == 0
    return {"corpus": corpus, "run": folder / "run", "arguments": arguments}


def command(*arguments, **options):
    """Start the command as a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment |= options.pop("environment", {})
    return subprocess.Popen(
        [sys.executable, "-m", "minillm", *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def refused(arguments, capsys, *, status=2):
    """Run a command that must fail; return its one line."""
    try:
        code = main([str(word) for word in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == status, captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


# --- what it does --------------------------------------------------------------------------------


def test_a_finished_run_says_so_and_exits_0_row62(world, capsys):
    assert main(["pretrain", *world["arguments"]]) == 0
    captured = capsys.readouterr()
    assert "is finished: 8 steps were taken" in captured.err
    assert captured.out == ""


def test_evaluate_prints_one_line_of_json(world, capsys):
    assert main(["evaluate", "--checkpoint", str(world["run"]), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    numbers = json.loads(line)
    assert {"bits_per_byte", "loss", "n_bytes", "n_tokens"} <= set(numbers)
    stored = load_model(world["run"]).description["run"]["validation"]
    assert numbers["loss"] == pytest.approx(stored["loss"], rel=1e-6)


def test_evaluate_reads_any_text_and_speaks_to_people(world, capsys):
    arguments = ["evaluate", "--checkpoint", str(world["run"] / "final"), "--corpus"]
    assert main([*arguments, str(world["corpus"] / "0.txt")]) == 0
    out = capsys.readouterr().out
    n_bytes = (world["corpus"] / "0.txt").stat().st_size
    assert f"{n_bytes:,} bytes" in out
    assert "bits a byte" in out


def test_generate_streams_what_json_says(world, capsys):
    arguments = ["generate", "--checkpoint", str(world["run"]), "--prompt", "the cat"]
    arguments += ["--max-new-tokens", "40", "--seed", "5"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("the cat")
    assert main([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] + "\n" == text
    tokenizer = load_model(world["run"]).tokenizer
    assert answer["token_ids"][0] == tokenizer.bos_id
    assert tokenizer.decode(answer["token_ids"], skip_special=True) == answer["text"]
    assert main([*arguments[:-1], "6"]) == 0
    assert capsys.readouterr().out != text


def test_generate_reads_a_prompt_from_stdin(world, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("the red"))
    arguments = ["generate", "--checkpoint", str(world["run"]), "--prompt", "-"]
    assert main([*arguments, "--max-new-tokens", "0"]) == 0
    assert capsys.readouterr().out == "the red\n"


def test_the_text_of_a_special_token_is_plain_text(world, capsys):
    arguments = ["generate", "--checkpoint", str(world["run"]), "--prompt", "<|eos|>", "--json"]
    assert main([*arguments, "--max-new-tokens", "0"]) == 0
    ids = json.loads(capsys.readouterr().out)["token_ids"]
    assert load_model(world["run"]).tokenizer.eos_id not in ids


def test_settings_come_from_a_file_and_flags_win(world, tmp_path):
    file = tmp_path / "small.toml"
    file.write_text(
        f'corpus = ["{world["corpus"].as_posix()}"]\nvocab_size = 277\nd-model = 6\nn_layers = 1\n'
        "n-heads = 3\ncontext_length = 13\nsteps = 3\nlearning_rate = 1e-3\n"
    )
    out = ["--out", str(tmp_path / "run")]
    assert main(["pretrain", "--config", str(file), *out, "--steps=2", "--threads", "1"]) == 0
    stored = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))["asked"]
    assert (stored["steps"], stored["d_model"], stored["learning_rate"]) == (2, 6, 1e-3)


def test_version_and_help(capsys):
    import minillm

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minillm {minillm.__version__}\n"
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(name in overview for name in ("tour", "pretrain", "evaluate", "generate"))
    assert main([]) == 2
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", "--help"])
    assert stop.value.code in (0, None)
    assert "--config FILE.toml" in capsys.readouterr().out


# --- a user's mistakes: status 2, nothing changed ------------------------------------------------

MISTAKES = {
    "no such command": (["learn"], "unknown command 'learn': choose from tour, pretrain"),
    "no such option": (["pretrain", "--out", "x", "--lr", "1"], "--lr"),
    "out is missing": (["pretrain"], "--out"),
    "a bad number": (["pretrain", "--out", "x", "--steps", "many"], "many"),
    "steps -1": (["pretrain", "--out", "x", "--steps", "-1"], "steps must be positive, got -1"),
    "no such corpus": (["pretrain", "--out", "x", "--corpus", "nowhere"], "unknown corpus"),
    "no such objective": (["pretrain", "--out", "x", "--objective", "maskd"], "maskd"),
    "no such step": (["pretrain", "--out", "x", "--clean", "soap"], "cleaning step 'soap'"),
    "heads": (["pretrain", "--out", "x", "--n-heads", "7"], "n_heads=7 must divide d_model=128"),
    "vocabulary": (["pretrain", "--out", "x", "--vocab-size", "100"], "must be at least 260"),
    "no checkpoint": (["generate", "--checkpoint", "nowhere"], "there is no such folder"),
    "no file": (["pretrain", "--config", "no.toml", "--out", "x"], "no.toml cannot be read"),
    "two lengths": (["pretrain", "--out", "x", "--steps", "1", "--seconds", "1"], "not both"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_without_a_traceback_row61(mistake, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = MISTAKES[mistake]
    assert message in " ".join(refused(arguments, capsys).split())
    assert not list(tmp_path.rglob("config.json"))


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--temperature", "-1", "temperature must be 0 (greedy) or a positive number"),
        ("--temperature", "nan", "temperature must be 0 (greedy) or a positive number"),
        ("--top-k", "0", "top_k must be 1 or more"),
        ("--top-p", "1.5", "top_p must be in (0, 1]"),
        ("--max-new-tokens", "-3", "max_new_tokens must be 0 or more"),
    ],
)
def test_a_wrong_setting_of_generate_is_refused(world, capsys, flag, value, message):
    error = refused(["generate", "--checkpoint", world["run"], flag, value], capsys)
    assert message in error


def test_an_unknown_setting_in_a_file_is_named(capsys, tmp_path):
    (tmp_path / "a.toml").write_text("lr = 0.1")
    arguments = ["pretrain", "--config", tmp_path / "a.toml", "--out", tmp_path / "run"]
    assert "settings that pretrain does not know: lr" in refused(arguments, capsys)


def test_a_run_with_other_settings_names_the_keys_row62(world, capsys):
    changed = [*world["arguments"], "--seed", "5", "--dropout", "0.5"]
    error = refused(["pretrain", *changed], capsys)
    assert "dropout (the run has 0.0, now 0.5); seed (the run has 0, now 5)" in error


def test_a_folder_that_is_no_run_is_refused_row62(world, capsys):
    arguments = world["arguments"].copy()
    arguments[arguments.index("--out") + 1] = str(world["corpus"])
    assert "is no run: it holds 0.txt" in refused(["pretrain", *arguments], capsys)
    assert len(list(world["corpus"].iterdir())) == 6


def test_a_damaged_model_is_refused(world, capsys, tmp_path):
    final = tmp_path / "final"
    shutil.copytree(world["run"] / "final", final)
    damaged = bytearray((final / "model.safetensors").read_bytes())
    damaged[-9] ^= 1
    (final / "model.safetensors").write_bytes(damaged)
    error = refused(["generate", "--checkpoint", final], capsys)
    assert "model.safetensors is damaged" in error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text"),
        (b"\n\n \n", "no text"),
        (b"caf\xe9 au lait", "invalid UTF-8 at byte 3 (0xe9"),
        (b"long enough to be a text", "the text has"),
    ],
)
def test_text_that_cannot_be_used_is_named_row20_row21_row22(content, message, capsys, tmp_path):
    (tmp_path / "a.txt").write_bytes(content)
    arguments = ["--corpus", tmp_path / "a.txt", *TINY, "--out", tmp_path / "run"]
    assert message in refused(["pretrain", *arguments], capsys)


def test_a_corpus_too_small_for_its_vocabulary_is_a_line_on_stderr(capsys, tmp_path):
    (tmp_path / "a.txt").write_text("aa bb cc dd " * 40)
    arguments = ["--corpus", str(tmp_path), *TINY, "--out", str(tmp_path / "run"), "--steps", "1"]
    assert main(["pretrain", *arguments]) == 0
    assert "warning: the corpus is too small for vocab_size=277" in capsys.readouterr().err


def test_invalid_utf_8_is_replaced_when_asked(tmp_path):
    text = WORDS * 30
    (tmp_path / "a.txt").write_bytes(text.encode() + b"\xff" + text.encode())
    arguments = ["--corpus", str(tmp_path), *TINY, "--out", str(tmp_path / "run"), "--steps", "1"]
    assert main(["pretrain", *arguments, "--errors", "replace"]) == 0


# --- failures of the machine ---------------------------------------------------------------------


def test_a_loss_that_is_not_finite_exits_3_and_keeps_the_checkpoint_row50(world, capsys, tmp_path):
    arguments = ["--corpus", world["corpus"], *TINY, "--out", tmp_path / "run", "--steps", "40"]
    wild = ["--optimizer", "sgd", "--learning-rate", "1e38", "--max-grad-norm", "1e38"]
    error = refused(["pretrain", *arguments, *wild, "--warmup-steps", "40"], capsys, status=3)
    assert "the weights are those of step" in error
    assert not (tmp_path / "run" / "final").exists()
    for folder in (tmp_path / "run").glob("checkpoints/step-*"):
        for parameter in load_model(folder).model.parameters():
            assert parameter.isfinite().all()


@pytest.mark.parametrize("name", ["log", "write_checkpoint"])
def test_a_full_disk_is_one_line_and_the_old_checkpoint_holds_row54(
    world, capsys, tmp_path, monkeypatch, name
):
    owner = RunFolder if name == "log" else importlib.import_module("minillm.run.saving")
    original, calls = getattr(owner, name), []

    def full(*arguments, **options):
        calls.append(1)
        if len(calls) > (1 if name == "write_checkpoint" else 6):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the/disk")
        return original(*arguments, **options)

    arguments = ["--corpus", world["corpus"], *TINY, "--out", tmp_path / "run", "--steps", "8"]
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, full)
        error = refused(["pretrain", *arguments], capsys, status=1)
    assert "No space left on device (the/disk); what was saved before is intact" in error
    saved = {"log": "step-00000006", "write_checkpoint": "step-00000004"}
    assert load_model(tmp_path / "run").folder.name == saved[name]
    assert main([str(word) for word in ["pretrain", *arguments]]) == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_too_little_memory_is_one_line_with_advice_row53(
    world, capsys, tmp_path, monkeypatch, error
):
    def too_large(*_, **__):
        raise error

    monkeypatch.setattr(importlib.import_module("minillm.run.pretrain"), "train", too_large)
    arguments = ["--corpus", world["corpus"], *TINY, "--out", tmp_path / "run", "--steps", "8"]
    line = refused(["pretrain", *arguments], capsys, status=1)
    assert "out of memory; try a smaller --batch-size" in line


def test_a_fault_of_ours_keeps_its_traceback(world, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("minillm.run.load_model", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["generate", "--checkpoint", str(world["run"])])


# --- as processes --------------------------------------------------------------------------------


def wait_for_steps(process, log, n_steps):
    """Wait until the run has logged some steps."""
    for _ in range(6000):
        if log.exists() and log.read_bytes().count(b"\n") >= n_steps:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("the run took no steps for a minute")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_with_its_status_and_a_checkpoint_row51_row52(
    world, tmp_path, number
):
    out = tmp_path / "run"
    arguments = ["--corpus", world["corpus"], *TINY, "--out", out, "--steps", "100000"]
    process = command("pretrain", *arguments)
    wait_for_steps(process, out / "metrics.jsonl", 7)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert stdout == b""
    assert b"the same command continues" in stderr
    assert b"Traceback" not in stderr
    step = int(load_model(out).folder.name.removeprefix("step-"))
    assert len(RunFolder(out).read_metrics()) == step


@pytest.mark.slow
def test_kill_minus_9_at_random_moments_row13(world, tmp_path):
    """Five kills; then the final weights and the log are those of an uninterrupted run."""
    common = ["--corpus", world["corpus"], *TINY, "--steps", "400", "--dropout", "0.1"]
    assert main([str(w) for w in ["pretrain", *common, "--out", tmp_path / "whole"]]) == 0
    out, draw = tmp_path / "killed", random.Random(11)
    for number in range(1, 6):
        process = command("pretrain", *common, "--out", out)
        wait_for_steps(process, out / "metrics.jsonl", number * 60 + draw.randrange(20))
        process.kill()
        process.communicate()
    assert not (out / "final").exists()
    assert main([str(w) for w in ["pretrain", *common, "--out", out]]) == 0
    for name in ("final/model.safetensors", "metrics.jsonl"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS limits memory on Linux only")
def test_a_process_that_runs_out_of_memory_says_so_row53(world, tmp_path):
    import resource

    def little_memory():
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

    arguments = ["--corpus", world["corpus"], *TINY, "--out", tmp_path / "run", "--steps", "2"]
    process = command("pretrain", *arguments, "--batch-size", "300000", preexec_fn=little_memory)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"out of memory; try a smaller --batch-size" in stderr
    assert b"Traceback" not in stderr


@pytest.mark.slow
def test_a_closed_pipe_and_a_plain_locale_end_quietly_row63(world):
    arguments = ["generate", "--checkpoint", world["run"], "--max-new-tokens", "100000"]
    plain = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    process = command(*arguments, "--prompt", "雨 ", environment=plain)
    assert process.stdout.read(4) == "雨 ".encode()
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert b"Traceback" not in stderr
    assert b"BrokenPipe" not in stderr


@pytest.mark.slow
def test_the_core_needs_no_other_library_and_no_network_row64(world, tmp_path):
    blocked = """
import socket, sys
sys.modules |= dict.fromkeys(["transformers", "datasets", "triton", "nbgrader", "sklearn"])
class NoNetwork(socket.socket):
    def connect(self, *_):
        raise AssertionError("a connection was opened")
socket.socket = NoNetwork
from minillm.cli import main
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["--corpus", world["corpus"], *TINY, "--out", tmp_path / "run", "--steps", "2"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, "pretrain", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
