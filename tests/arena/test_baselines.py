"""Baselines against slow or other ways to the same answer."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from minillm.arena.baselines import (
    BagOfWords,
    SlidingWindow,
    WordTable,
    bag_of_words,
    sliding_window,
    word_table,
)
from minillm.arena.tasks import question_example, sentence_example, topic_example, world_held_out
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    QuestionExample,
    TagExample,
    find_words,
)


def tagged(text, tags):
    return TagExample(text=text, word_spans=find_words(text), tags=tuple(tags.split()))


def test_a_word_has_its_most_frequent_tag():
    training = [tagged("an orange hat", "O B-OBJ I-OBJ"), tagged("red orange", "B-X B-FOOD")]
    training += [tagged("an ORANGE", "O B-FOOD"), tagged("a hat", "O B-OBJ")]
    alone, context = WordTable(training), WordTable(training, in_context=True)
    asked = [tagged("an orange hat , red", "O O O O O")]
    # hat was once B and once I: of equally frequent tags the first in the alphabet
    assert alone.predict(asked)[0].tags == ("O", "B-FOOD", "B-OBJ", "O", "B-X")
    assert context.predict(asked)[0].tags == ("O", "B-FOOD", "I-OBJ", "O", "B-X")


def test_the_table_by_counting_tinyworld():
    training = world_held_out(sentence_example, split="validation", n=23)
    counts = Counter(
        (word.lower(), tag)
        for one in training
        for word, tag in zip(one.words, one.tags, strict=True)
    )
    for example in world_held_out(sentence_example, n=7):
        guess = WordTable(training).predict([example])[0].tags
        for word, tag in zip(example.words, guess, strict=True):
            found = {t: n for (w, t), n in counts.items() if w == word.lower()}
            assert found.get(tag, 0) == max(found.values(), default=0)
            assert found or tag == "O"


def asked(context, question, answer=None):
    answers = ()
    if answer is not None:
        answers = (Answer(text=answer, start=context.index(answer)),)
    return QuestionExample(context=context, question=question, answers=answers)


STORY = "Bo has a dog. Ann has a red cat. Eva sleeps."


def test_the_words_nearest_to_the_questions_win():
    window = SlidingWindow([])
    assert window.predict([asked(STORY, "Who sleeps?")])[0].text == "Eva"
    guess = window.predict([asked(STORY, "Which cat has Ann?")])[0]
    assert STORY[guess.start :].startswith(guess.text)
    assert not {"ann", "cat", "has"} & {*guess.text.lower().split()}
    assert window.predict([asked("Ann.", "Ann?")])[0].text == ""


def test_labels_teach_when_there_is_no_answer():
    training = [asked(STORY, "Who sleeps?", "Eva"), asked(STORY, "Why do fish swim?")]
    taught = SlidingWindow(training)
    assert taught.predict([asked(STORY, "Where do birds sing?")])[0].text == ""
    assert taught.predict(training[:1])[0].text == "Eva"
    assert SlidingWindow(training[:1]).predict(training[1:])[0].text != ""


def test_the_bag_is_at_the_bottom_of_its_loss():
    training = world_held_out(topic_example, split="validation", n=13)
    bag = BagOfWords(training, decay=0.01)
    x, weight = bag._features(training), bag._weight.detach().clone().requires_grad_()
    y = torch.tensor([bag.labels.index(one.label) for one in training])
    loss = F.cross_entropy(x @ weight, y) + 0.005 * weight[:-1].square().sum()
    loss.backward()
    assert float(weight.grad.abs().max()) < 1e-5


def test_a_bag_knows_no_order_and_no_new_words():
    training = [ClassExample(text="tea and rice", label="a"), ClassExample(text="mud", label="b")]
    bag = BagOfWords(training)
    one, other, more = bag.predict(
        [ClassExample(text=text) for text in ("rice tea", "TEA rice", "rice tea xyzzy")]
    )
    assert one == other == more
    assert one.label == "a"
    assert bag.predict([ClassExample(text="mud")])[0].label == "b"


@pytest.mark.parametrize(
    ("baseline", "view", "name"),
    [
        (bag_of_words, topic_example, "accuracy"),
        (word_table, sentence_example, "f1"),
        (sliding_window, question_example, "f1"),
    ],
)
def test_more_labels_help_on_tinyworld(baseline, view, name):
    training = world_held_out(view, split="validation", n=101)
    test = world_held_out(view, n=41)
    few, many = (baseline(training[:n], test)[name] for n in (3, 101))
    assert 0 <= few < many < 1
