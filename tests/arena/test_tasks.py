"""What is learned, what is judged and what was pretrained on are disjoint; labels are right."""

import itertools

import pytest

from minillm.arena.benches import WORLD
from minillm.arena.tasks import (
    BETWEEN_SEEDS,
    FIRST_LABELED,
    sentence_example,
    world_training,
)
from minillm.finetuning.encoding import RowEncoder
from minillm.finetuning.metrics import bio_entities
from minillm.finetuning.model import TaskConfig
from minillm.finetuning.tuning import find_labels
from minillm.text.corpora import load_corpus
from minillm.text.world import TinyWorld
from minillm.tokenizers import ByteTokenizer

TASKS = {task.name: task for task in WORLD.tasks}


def number(source):
    return int(source.rpartition("/")[2])


def test_the_pretraining_text_ends_far_below_the_labels():
    last = max(number(document.source) for document in load_corpus(["world"]))
    assert last < 25_000 < FIRST_LABELED


@pytest.mark.parametrize("name", TASKS)
def test_labels_and_tests_are_of_different_documents(name):
    task = TASKS[name]
    test = task.test()
    assert len(test) == 400
    assert test == task.test()
    for example in test[:20]:
        assert TinyWorld().document(number(example.source)).split == "test"
    few, many, other = task.training(0, 3), task.training(0, 11), task.training(1, 11)
    assert few == many[:3]
    for seed, examples in ((0, many), (1, other)):
        first = FIRST_LABELED + seed * BETWEEN_SEEDS
        for example in examples:
            assert first <= number(example.source) < first + BETWEEN_SEEDS
            assert TinyWorld().document(number(example.source)).split == "train"
    groups = [{one.group for one in examples} for examples in (test, task.training(0, 300), other)]
    if name != "entities":  # a short sentence can occur in two stories
        for one, two in itertools.combinations(groups, 2):
            assert not one & two


def test_a_seed_has_labels_enough():
    documents = world_training(lambda document: document, 0)
    numbers = [document.number for document in itertools.islice(documents, 300)]
    assert max(numbers) < FIRST_LABELED + BETWEEN_SEEDS


@pytest.mark.parametrize("name", TASKS)
def test_all_labels_are_known(name):
    task = TASKS[name]
    if task.kind != "qa":
        assert {*find_labels(task.test())} <= {*task.labels}
    if task.kind == "classify":
        assert {*find_labels(task.test())} == {*task.labels}
    config = TaskConfig(task=task.kind, labels=task.labels)
    assert RowEncoder(ByteTokenizer(), config).rows(task.test()[:20])


def test_a_sentence_is_cut_with_its_tags():
    for document in itertools.islice(TinyWorld().documents(30), 30):
        example = sentence_example(document)
        assert example.text in document.text
        assert example.text[-1] in '.!?"'
        assert example.words == [example.text[a:b] for a, b in example.word_spans]
        assert len(example.words) == len(example.tags)
        for kind, start, end in bio_entities(example.tags):
            if kind == "PER":
                assert all(word[0].isupper() for word in example.words[start:end])


def test_questions_are_answered_where_they_say():
    test = TASKS["questions"].test()
    n_without = sum(not one.answers for one in test)
    assert 0.08 < n_without / len(test) < 0.25
    for one in test:
        for answer in one.answers:
            assert one.context[answer.start :].startswith(answer.text)
    assert len({one.context for one in test}) == len(test)
