"""The main job ends in a report that needs nothing else, and continues when it was interrupted."""

import json
import math
import re
import shutil
import signal
from dataclasses import replace

import pytest
import torch

from minillm.checkpoint import model_tensors
from minillm.config import TourConfig
from minillm.data import load_prepared
from minillm.finetuning import packages
from minillm.finetuning.examples import ClassExample
from minillm.finetuning.packages import PackageTask
from minillm.finetuning.predicting import predict
from minillm.finetuning.storing import load_finetuned
from minillm.plots.report import Report
from minillm.run import RunFolder, load_model
from minillm.tour import OURS, few_labels, recipe, take_tour
from minillm.tour.few_labels import BAG, CONTENDERS, PRETRAINED, SCRATCH, SEEDS, FewLabels
from minillm.tour.telling import SENTENCE
from minillm.tour.telling_labels import tell_labels


@pytest.fixture(scope="module")
def tour(library, tmp_path_factory):
    """A tour of four steps over a small standard library."""
    said = []
    config = TourConfig(out=tmp_path_factory.mktemp("tour") / "run", steps=4, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minillm.text.stdlib.sysconfig.get_path", lambda _: str(library))
        patch.setattr(packages, "MAX_TEST", 11)
        patch.setattr(packages, "N_VALIDATION", 3)
        yield config, take_tour(config, say=said.append), said


def test_the_report_tells_the_whole_way_and_loads_nothing(tour):
    _, result, _ = tour
    page = result.report.read_text("utf-8")
    assert re.findall(r"<h2><span>\d+</span>(.*?)</h2>", page) == [
        "Collect and clean", "Tokenize", "Make questions of it", "Pretrain", "Judge",
        "Fine-tune on few labels", "Write", "Look inside", "Go on",
    ]  # fmt: skip
    assert set(re.findall(r'(?:src|href)="(?!data:|#)([^"]*)', page)) == set()
    assert page.count("<img ") == 3
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


def test_interrupted_it_says_so_and_continues(tmp_path, signals_after):
    (tmp_path / "a.txt").write_text(f"{SENTENCE} Another one follows here.\n\n" * 200)
    config = TourConfig(out=tmp_path / "run", corpus=(str(tmp_path / "a.txt"),), steps=3, threads=1)
    said = []
    with signals_after(2, signal.SIGINT):
        result = take_tour(config, say=said.append)
    assert (result.report, result.exit_status) == (None, 130)
    assert "stopped after step 2; the same command continues" in said
    result = take_tour(config, say=said.append)
    assert any("continuing after step 2 of 3" in line for line in said)
    page = result.report.read_text("utf-8")
    assert "only one text" in page
    assert "minillm finetune --checkpoint" in page  # no docstrings here to try it on
    assert result.accuracies == {}


def test_each_contender_is_told_and_judged_on_the_test(tour):
    config, result, _ = tour
    task = packages.load_package_task()
    lines = RunFolder(config.out / "packages").read_metrics()
    assert [(line["seed"], line["name"]) for line in lines] == [
        (seed, name) for seed in SEEDS for name in CONTENDERS
    ]
    for line in lines:
        right = [a == one.label for a, one in zip(line["answers"], task.test, strict=True)]
        assert sum(right) / len(task.test) == result.accuracies[line["name"]][line["seed"]]
    page = result.report.read_text("utf-8")
    assert all(f"{sum(result.accuracies[name]) / 3:.1%}" in page for name in CONTENDERS)


def test_the_model_of_the_first_labels_is_kept(tour):
    config, _, _ = tour
    model, tokenizer, *_ = load_finetuned(config.out / "packages")
    answers = predict(model, tokenizer, packages.load_package_task().test)
    first = RunFolder(config.out / "packages").read_metrics()[CONTENDERS.index(PRETRAINED)]
    assert first["name"] == PRETRAINED
    assert [answer.label for answer in answers] == first["answers"]


@pytest.fixture
def again(tour, tmp_path):
    """The tour as it was before any fine-tuning."""
    config, result, _ = tour
    shutil.copytree(config.out, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "packages")
    return replace(config, out=tmp_path / "run"), result


def test_interrupted_while_fine_tuning_it_continues_to_the_same(again, signals_after):
    config, whole = again
    said = []
    with signals_after(5, signal.SIGINT, having="name"):
        result = take_tour(config, say=said.append)
    assert (result.report, result.exit_status) == (None, 130)
    assert "stopped after 5 of 9 fine-tunings; the same command continues" in said
    with (config.out / "packages" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "na')  # what a kill leaves
    assert take_tour(config, say=said.append).accuracies == whole.accuracies
    lines = (config.out / "packages" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [*range(1, 10)]


def test_contenders_begin_as_their_names_say(again, monkeypatch):
    config, _ = again
    began, finetune = [], few_labels.finetune

    def note(body, *args, **settings):
        began.append(model_tensors(body))
        return finetune(body, *args, **settings)

    monkeypatch.setattr(few_labels, "finetune", note)
    monkeypatch.setattr(few_labels, "ROUNDS", [(0, name) for name in CONTENDERS])
    assert take_tour(config, say=print).exit_status == 0
    trained = model_tensors(load_model(config.out).model)
    pretrained, scratch = began
    for name, tensor in trained.items():
        torch.testing.assert_close(pretrained[name], tensor, rtol=0, atol=0)
    assert any(not torch.equal(scratch[name], tensor) for name, tensor in trained.items())
    assert scratch["token_embedding.weight"].std() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((9, 9, 9), (8, 8, 8), "<strong>beats bag of words</strong> with every draw"),
        ((9, 9, 5), (8, 6, 6), "with only 2 of 3 draws"),
        ((8, 8, 8), (9, 9, 9), "<strong>does not beat bag of words</strong>: 80.0% against 90.0%"),
        ((8, 8, 8), (8, 8, 8), "<strong>does not beat bag of words</strong>"),
    ],
)
def test_the_verdict_is_what_the_draws_support(ours, theirs, verdict):
    test = [ClassExample(text=f"text {n}", label="ab"[n % 2], source="s") for n in range(10)]
    task = PackageTask(packages=("a", "b"), pool=(), validation=(), test=tuple(test))

    def answers(n_right):
        return [one.label if n < n_right else "c" for n, one in enumerate(test)]

    found = {PRETRAINED: [*map(answers, ours)], BAG: [*map(answers, theirs)]}
    page = tell_labels(
        Report("x"), FewLabels(task=task, answers=found | {SCRATCH: [answers(1)] * 3})
    )
    assert verdict in page.to_html()
    n_wrong = (10 - ours[0] + 1) // 2  # the last texts, of both packages in turn
    assert f"taken for <code>c</code>, {n_wrong} of 5 times" in page.to_html()
    beats_both = "callout result" in page.to_html()
    assert beats_both == (ours == (9, 9, 9))


def test_the_recipe_is_a_run_that_anyone_could_start(tmp_path):
    settings = recipe(TourConfig(out=tmp_path, seconds=9.0))
    assert (settings.seconds, settings.steps, settings.corpus) == (9.0, None, ("stdlib",))
    settings = recipe(TourConfig(out=tmp_path, steps=7, seed=3))
    assert (settings.seconds, settings.steps, settings.seed) == (None, 7, 3)
