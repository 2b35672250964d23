"""Docstrings by package: held out of pretraining, their names hidden, the labeled few drawn."""

import re
from collections import Counter

import pytest

from minillm.data import prepare_data
from minillm.errors import ConfigError, DataError
from minillm.finetuning import packages
from minillm.finetuning.packages import MAX_TEST, MIN_WORDS, N_VALIDATION, load_package_task
from minillm.finetuning.world import load_examples
from minillm.text.cleaning import DEFAULT_STEPS
from minillm.text.corpora import load_corpus

CODE = re.compile(r"code\d+")


@pytest.fixture
def patched(library, monkeypatch):
    """Let the library stand where Python's own does."""
    monkeypatch.setattr("minillm.text.stdlib.sysconfig.get_path", lambda _: str(library))


@pytest.fixture(scope="module")
def task(library):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minillm.text.stdlib.sysconfig.get_path", lambda _: str(library))
        return load_package_task()


def codes(examples):
    return {code for example in examples for code in CODE.findall(example.text)}


def test_the_test_is_text_that_a_pretraining_run_holds_out(patched, task, tmp_path):
    data = prepare_data(
        tmp_path / "data", load_corpus(["stdlib"]), tokenizer="bytes", clean_steps=DEFAULT_STEPS
    )
    read, held_out = (set(CODE.findall(data.text(split))) for split in ("train", "validation"))
    assert codes(task.test) <= held_out
    assert not codes(task.test) & read
    assert codes(task.pool) | codes(task.validation) <= read


def test_packages_with_enough_are_taken_and_counted(task):
    assert task.packages == ("_pycharlie", "alpha", "bravo", "deltalib")
    assert set(Counter(one.label for one in task.validation).values()) == {N_VALIDATION}
    assert max(Counter(one.label for one in task.test).values()) <= MAX_TEST
    everything = [one.text for part in (task.pool, task.validation, task.test) for one in part]
    assert len(everything) == len(set(everything)) > 600
    assert all(len(text.replace("___", "").split()) >= MIN_WORDS for text in everything)


def test_only_the_most_and_the_largest_are_taken(patched, task, monkeypatch):
    held_out = Counter(one.label for one in task.test)
    monkeypatch.setattr(packages, "N_PACKAGES", 2)
    monkeypatch.setattr(packages, "MAX_TEST", 3)
    fewer = load_package_task()
    assert sorted(held_out[name] for name in fewer.packages) == sorted(held_out.values())[-2:]
    assert set(Counter(one.label for one in fewer.test).values()) == {3}


def test_names_are_hidden_in_every_text_alike(task):
    shown = [one.text for part in (task.pool, task.validation, task.test) for one in part]
    for text in shown:
        assert not re.search(r"alpha|bravo|charlie|delta|\bpart5\b", text, re.IGNORECASE), text
    assert any("___.Thing" in text for text in shown)
    assert any("part77" in text for text in shown)  # no module is called so
    hidden = {one.label for one in task.pool if "___" in one.text}
    assert hidden == set(task.packages)


def test_more_labels_contain_the_fewer_and_seeds_differ(task):
    few, more = task.draw(3, seed=1), task.draw(7, seed=1)
    assert Counter(one.label for one in few) == dict.fromkeys(task.packages, 3)
    assert codes(few) < codes(more) <= codes(task.pool)
    assert not codes(few) & codes(task.validation)
    assert codes(few) != codes(task.draw(3, seed=2))
    with pytest.raises(ConfigError, match=r"999 labels of each package: \w+ has only \d+"):
        task.draw(999)
    with pytest.raises(ConfigError, match="1 or more"):
        task.draw(0)


def test_parts_have_names(patched, task):
    assert load_examples("stdlib", "classify") == task.draw(20)
    assert load_examples("stdlib:labels=5,seed=2", "classify") == task.draw(5, seed=2)
    assert load_examples("stdlib:split=validation", "classify") == list(task.validation)
    assert load_examples("stdlib:split=test", "classify") == list(task.test)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("stdlib:split=all", "split must be train, validation or test, got 'all'"),
        ("stdlib:split=test,labels=2", "labels and seed are of the split train alone"),
        ("stdlib:size=3", "cannot use 'size=3'"),
        ("stdlib:seed=1,seed=2", "cannot use 'seed=2'"),
        ("stdlib:labels", "cannot use 'labels'"),
        ("stdlib:labels=-3", "must be whole numbers"),
    ],
)
def test_other_options_are_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        load_examples(data, "classify")


def test_other_tasks_are_refused():
    with pytest.raises(ConfigError, match="labels to classify by, not for tag"):
        load_examples("stdlib:split=test", "tag")


def test_a_library_too_small_is_explained(patched, monkeypatch):
    monkeypatch.setattr(packages, "MIN_TEST", 10_000)
    with pytest.raises(DataError, match="only 0 packages of this Python have 30 docstrings"):
        load_package_task()


def test_every_python_has_packages_enough():
    task = load_package_task()
    assert 4 <= len(task.packages) <= 8
    assert len(task.draw(20)) == 20 * len(task.packages)
