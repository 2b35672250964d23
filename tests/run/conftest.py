"""A corpus and a model so small that a whole run takes a fraction of a second."""

import importlib
import random
from pathlib import Path

import pytest

from minillm.config import PretrainConfig
from minillm.run import RunFolder, pretrain

saving_module = importlib.import_module("minillm.run.saving")
WORDS = "the a cat dog bird tree house sees finds likes under over red blue small large"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Nine little files of several kinds, read twice by a run of 12 steps."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = random.Random(7)
    for number in range(9):
        sentences = [" ".join(draw.choices(WORDS.split(), k=7)) + "." for _ in range(4)]
        text = "\n\n".join(sentences)
        if number % 3 == 2:
            line = '{"text": "' + text.replace("\n", "\\n") + '"}\n'
            (folder / f"{number}.jsonl").write_text(line, encoding="utf-8")
        else:
            suffix = ".md" if number % 3 else ".txt"
            (folder / f"{number}{suffix}").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(corpus, tmp_path):
    """Settings of a run of 12 steps; every kind of randomness is in it."""
    return {
        "out": tmp_path / "run",
        "corpus": (str(corpus),),
        "vocab_size": 277,
        "d_model": 6,
        "n_layers": 2,
        "n_heads": 3,
        "context_length": 13,
        "dropout": 0.1,
        "batch_size": 5,
        "accumulate": 2,
        "steps": 12,
        "warmup_steps": 3,
        "save_every": 5,
        "eval_every": 4,
        "eval_tokens": 200,
        "threads": 1,
        "dtype": "float32",
        "backend": "sdpa",
    }


@pytest.fixture
def run(settings):
    """Call ``pretrain`` with changed settings."""

    def call(**changes):
        said = []
        result = pretrain(PretrainConfig(**(settings | changes)), say=said.append)
        return result, said

    return call


@pytest.fixture
def contents():
    """All that a run computed: the model, the optimizer and the log, byte by byte."""

    def read(folder: Path):
        newest = max((folder / "checkpoints").iterdir())
        files = [*(folder / "final").iterdir(), *newest.iterdir(), folder / "metrics.jsonl"]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return read


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing that would have followed is done."""


@pytest.fixture
def die(run, kill_at):
    """Return a call that runs until the process dies, and says whether it died of that."""

    def call(moment, step, **changes):
        live = kill_at(moment, step)
        with pytest.raises(BaseException) as raised:  # noqa: PT011 — told apart below
            run(**changes)
        live()
        return type(raised.value) is Killed

    return call


@pytest.fixture
def check_killed_is_whole(run, settings, contents, die):
    """Kill a run of six steps, continue it, and compare it with one that was left alone."""

    def check(**changes):
        changes |= {"steps": 6, "save_every": 2}
        whole = settings["out"].with_name("whole")
        run(out=whole, **changes)
        assert die("before log", 5, **changes)
        run(**changes)
        assert contents(settings["out"]) == contents(whole)

    return check


@pytest.fixture
def kill_at(monkeypatch):
    """Make the process die at a moment of step k; return how to let it live again.

    The moments: before its line is logged, after it, before its checkpoint, after it.
    """

    def plan(moment, step):
        owner, name = {"log": (RunFolder, "log"), "save": (saving_module, "write_checkpoint")}[
            moment.split()[1]
        ]
        original = getattr(owner, name)

        def dying(*arguments, **options):
            found = arguments[1]["step"] if name == "log" else options["step"]
            if found >= step and moment.startswith("before"):
                raise Killed
            result = original(*arguments, **options)
            if found >= step:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, dying)
        return lambda: monkeypatch.setattr(owner, name, original)

    return plan
