"""The main job ends in a report that needs nothing else, and continues when it was interrupted."""

import math
import random
import re
import signal

import pytest

from minillm.config import TourConfig
from minillm.data import load_prepared
from minillm.run import RunFolder
from minillm.tour import OURS, SENTENCE, recipe, take_tour


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """A tour of four steps over thirty short files."""
    folder = tmp_path_factory.mktemp("tour")
    draw, words = random.Random(5), SENTENCE.lower().removesuffix(".").split()
    (folder / "notes").mkdir()
    for number in range(30):
        lines = [" ".join(draw.choices(words, k=9)) + "." for _ in range(12)]
        (folder / "notes" / f"{number}.md").write_text("\n".join(lines), "utf-8")
    said = []
    config = TourConfig(out=folder / "run", corpus=(str(folder / "notes"),), steps=4, threads=1)
    return config, take_tour(config, say=said.append), said


def test_the_report_tells_the_whole_way_and_loads_nothing(tour):
    _, result, _ = tour
    page = result.report.read_text("utf-8")
    assert re.findall(r"<h2><span>\d</span>(.*?)</h2>", page) == [
        "Collect and clean", "Tokenize", "Pretrain", "Judge", "Write", "Look inside", "Go on",
    ]  # fmt: skip
    assert set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)', page)) == set()
    assert page.count("<img ") == 2
    assert "url(" not in page
    assert "None" not in re.sub(r'<div class="sample">.*?</div>', "", page, flags=re.DOTALL)
    assert result.report.stat().st_size < 2_000_000


def test_the_baselines_are_those_of_the_held_out_text(tour):
    config, result, _ = tour
    bits = result.bits_per_byte
    assert list(bits.values()) == sorted(bits.values(), reverse=True)
    assert len(bits) == 5
    data = load_prepared(config.out / "data")
    documents = data.documents("validation")
    n_scored = sum(len(document) - 1 for document in documents)
    uniform = n_scored * math.log2(data.tokenizer.vocab_size) / data.n_bytes(documents)
    assert bits["every token equally likely"] == pytest.approx(uniform)
    assert bits["minillm, untrained"] == pytest.approx(uniform, rel=0.02)
    assert bits[OURS] < bits["minillm, untrained"]


def test_taken_again_it_trains_nothing_and_writes_the_same_report(tour):
    config, result, _ = tour
    page = result.report.read_bytes()
    result.report.unlink()
    said = []
    again = take_tour(config, say=said.append)
    assert any("is finished: 4 steps" in line for line in said)
    assert again == result
    assert again.report.read_bytes() == page


def test_interrupted_it_says_so_and_continues(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text(f"{SENTENCE} Another one follows here.\n\n" * 200)
    config = TourConfig(out=tmp_path / "run", corpus=(str(tmp_path / "a.txt"),), steps=3, threads=1)
    log = RunFolder.log

    def log_and_signal(self, metrics):
        log(self, metrics)
        if metrics["step"] == 2:
            signal.raise_signal(signal.SIGINT)

    said = []
    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "log", log_and_signal)
        result = take_tour(config, say=said.append)
    assert (result.report, result.exit_status) == (None, 130)
    assert "stopped after step 2; the same command continues" in said
    result = take_tour(config, say=said.append)
    assert any("continuing after step 2 of 3" in line for line in said)
    assert "only one text" in result.report.read_text("utf-8")


def test_the_recipe_is_a_run_that_anyone_could_start(tmp_path):
    settings = recipe(TourConfig(out=tmp_path, seconds=9.0))
    assert (settings.seconds, settings.steps, settings.corpus) == (9.0, None, ("stdlib",))
    settings = recipe(TourConfig(out=tmp_path, steps=7, seed=3))
    assert (settings.seconds, settings.steps, settings.seed) == (None, 7, 3)
