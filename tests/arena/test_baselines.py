"""Baselines against slow or other ways to the same answer."""

from collections import Counter

import pytest

from minillm.arena.baselines import (
    SlidingWindow,
    WordTable,
    bag_of_words,
    sliding_window,
    word_table,
)
from minillm.arena.tasks import question_example, sentence_example, topic_example, world_held_out
from minillm.finetuning.examples import (
    Answer,
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


@pytest.mark.parametrize(
    ("baseline", "view", "name"),
    [
        (bag_of_words, topic_example, "accuracy"),
        (word_table, sentence_example, "f1"),
        (sliding_window, question_example, "f1"),
    ],
)
def test_more_labels_help_on_tinyworld(baseline, view, name):
    training = world_held_out(view, split="validation", n=53)
    test = world_held_out(view, n=29)
    few, many = (baseline(training[:n], test)[name] for n in (3, 53))
    assert 0 <= few < many < 1
