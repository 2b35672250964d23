"""The metrics are the field's: against its published examples and naive copies of its scripts."""

import random
import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.finetuning.metrics import (
    accuracy,
    answer_f1,
    answer_scores,
    bio_entities,
    exact_match,
    macro_f1,
    normalize_answer,
    span_scores,
)

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def conll_chunks(tags):
    """Chunks by the two questions that conlleval.pl asks between any two tags."""
    chunks, begin = set(), None
    for place, (before, now) in enumerate(zip(["O", *tags], [*tags, "O"], strict=True)):
        before_part, before_kind = before[0], before[2:]
        part, kind = now[0], now[2:]
        ends = before_part in "BI" and (part in "BO" or before_kind != kind)
        starts = part == "B" or (part == "I" and (before_part == "O" or before_kind != kind))
        if ends:
            chunks.add((before_kind, begin, place))
        if starts:
            begin = place
    return chunks


def reference_f1(predicted, true):
    found = {(n, *chunk) for n, tags in enumerate(predicted) for chunk in conll_chunks(tags)}
    wanted = {(n, *chunk) for n, tags in enumerate(true) for chunk in conll_chunks(tags)}
    n_correct = len(found & wanted)
    precision = n_correct / len(found) if found else 0
    recall = n_correct / len(wanted) if wanted else 0
    f1 = 2 * precision * recall / (precision + recall) if n_correct else 0
    return precision, recall, f1


def squad_normalize(s):
    """SQuAD's evaluate-v2.0.py, word for word in its order."""
    s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    s = re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", s)
    return " ".join(s.split())


def squad_f1(a_gold, a_pred):
    gold_toks, pred_toks = squad_normalize(a_gold).split(), squad_normalize(a_pred).split()
    num_same = sum((Counter(gold_toks) & Counter(pred_toks)).values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = num_same / len(pred_toks), num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


@given(st.lists(st.sampled_from(TAGS), max_size=13))
def test_entities_are_conlls_chunks(tags):
    assert set(bio_entities(tags)) == conll_chunks(tags)


@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=7), min_size=1, max_size=5), st.integers())
def test_span_scores_are_conlls(true, seed):
    draw = random.Random(seed)
    predicted = [[draw.choice([tag, *TAGS]) for tag in tags] for tags in true]
    score = span_scores(predicted, true)["all"]
    assert (score.precision, score.recall, score.f1) == pytest.approx(reference_f1(predicted, true))


def test_the_example_of_seqevals_readme():
    true = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    predicted = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    scores = span_scores(predicted, true)
    assert scores["all"].f1 == 0.5
    assert {kind: score.f1 for kind, score in scores.items()} == {"all": 0.5, "MISC": 0, "PER": 1}
    flat = [[tag for tags in side for tag in tags] for side in (predicted, true)]
    assert accuracy(*flat) == pytest.approx(0.8)


def test_kinds_add_up_and_equal_spans_of_other_sentences_do_not_help():
    true = [["B-PER", "O"], ["O", "B-LOC"], ["B-LOC", "I-LOC"]]
    predicted = [["B-LOC", "O"], ["O", "B-LOC"], ["B-LOC", "O"]]
    scores = span_scores(predicted, true)
    assert [*scores] == ["all", "LOC", "PER"]
    assert (scores["all"].n_correct, scores["all"].n_predicted, scores["all"].n_true) == (1, 3, 3)
    assert (scores["LOC"].precision, scores["LOC"].recall) == (1 / 3, 1 / 2)
    assert (scores["PER"].precision, scores["PER"].recall, scores["PER"].f1) == (0, 0, 0)


def test_no_entity_anywhere_is_no_success():
    assert span_scores([["O"]], [["O"]])["all"].f1 == 0.0


ANSWERS = st.lists(
    st.sampled_from(["the", "a", "An", "cat", "Cat", "dog.", "dog", "-", "ate", "well-known", ""])
).map(" ".join)


@given(ANSWERS, ANSWERS)
def test_answers_are_scored_as_squads_script_does(predicted, true):
    assert normalize_answer(true) == squad_normalize(true)
    assert exact_match(predicted, true) == int(squad_normalize(predicted) == squad_normalize(true))
    assert answer_f1(predicted, true) == pytest.approx(squad_f1(true, predicted))


def test_the_best_true_answer_counts():
    answers = ["Santa Clara, California", "Levi's Stadium"]
    assert answer_scores("levis stadium", answers) == (1.0, 1.0)
    assert answer_scores("the Stadium in Santa Clara", answers) == (0.0, pytest.approx(4 / 7))


@pytest.mark.parametrize(
    ("predicted", "answers", "expected"),
    [
        ("", [], (1, 1)),
        ("cat", [], (0, 0)),
        ("", ["cat"], (0, 0)),
        ("the", [""], (1, 1)),
        ("cat", ["the", "cat"], (1, 1)),
        ("", ["the", "cat"], (0, 0)),
    ],
)
def test_no_answer_is_an_answer(predicted, answers, expected):
    assert answer_scores(predicted, answers) == expected


def test_ideographs_are_words():
    assert answer_f1("水井后面", "在水井") == pytest.approx(4 / 7)


def test_macro_f1_by_hand():
    # class a: 2 right, 3 guessed, 2 true; b: 0 of 0 and 1; c: 1 of 1 and 1
    assert macro_f1(["a", "a", "a", "c"], ["a", "a", "b", "c"]) == pytest.approx((0.8 + 0 + 1) / 3)


def test_refusals():
    for metric in (accuracy, macro_f1, span_scores):
        with pytest.raises(ValueError, match="got 1 and 2"):
            metric(["a"], ["a", "b"])
        with pytest.raises(ValueError, match="at least one"):
            metric([], [])
    with pytest.raises(ValueError, match="sentence 1 has 2 tags, got 1"):
        span_scores([["O"], ["O"]], [["O"], ["O", "O"]])
    for tag in ("PER", "B-", "E-PER", "b-PER", ""):
        with pytest.raises(ValueError, match="at place 1"):
            bio_entities(["O", tag])
