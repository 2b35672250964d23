"""What notebook 14 says of a table follows from the table, and its pictures show what they get."""

import math

import pytest
import torch

from exercises.claims_14 import (
    Comparison,
    baseline_pairs,
    compare,
    compare_all,
    pretraining_pairs,
    sentence,
    tally,
)
from exercises.experiments_14 import (
    answer_log_probs,
    answer_view,
    best_possible,
    confusion,
    decoded_alone,
    exact_matches,
    from_scratch,
    mean_loss,
    short_questions,
    tagged_texts,
    without_adapters,
)
from exercises.figures_14 import (
    AnswerView,
    TaggedText,
    plot_answers,
    plot_confusions,
    plot_entities,
    plot_tunings,
)
from minillm.arena.intervals import Interval
from minillm.batch import Batch
from minillm.config import DecoderConfig, TuningConfig
from minillm.errors import ConfigError
from minillm.finetuning.examples import Answer, ClassExample, QuestionExample, TagExample
from minillm.finetuning.lora import add_adapters
from minillm.finetuning.tuning import finetune
from minillm.models.decoder import Decoder
from minillm.tokenizers import ByteTokenizer

LABELS = {"10": [0.5, 0.6, 0.7], "30": [0.5, 0.6, 0.7], "100": [0.5, 0.6, 0.7]}
OTHER = {"10": [0.3, 0.41, 0.5], "30": [0.4, 0.75, 0.65], "100": [0.71, 0.8, 0.92]}


@pytest.fixture
def bench():
    task = {"results": {"a": LABELS, "a scratch": OTHER, "count": LABELS}, "baselines": ["count"]}
    readers = {
        "a": {"kind": "pretrained", "scratch": "a scratch"},
        "a scratch": {"kind": "scratch"},
    }
    return {"tasks": {"t": task}, "readers": readers}


@pytest.fixture(scope="module")
def body():
    config = DecoderConfig.llama(
        vocab_size=258, context_length=64, d_model=8, n_heads=2, n_layers=1
    )
    return Decoder(config, generator=torch.Generator().manual_seed(0))


def tuned(body, examples, **changes):
    settings = TuningConfig(**{"steps": 2, "eval_every": 2, "batch_size": 3, **changes})
    return finetune(body, ByteTokenizer(), examples, settings=settings, show_bar=False)


# --- claims


def test_a_claim_is_made_where_the_interval_of_the_difference_excludes_zero(bench):
    row = compare(bench["tasks"], "t", "a", "a scratch")
    assert [one.n_labels for one in row] == [10, 30, 100], "by number, not by alphabet"
    assert [one.finding for one in row] == ["better", "open", "worse"]
    assert [round(one.difference.mean, 3) for one in row] == [0.197, 0.0, -0.21]
    assert all(one.finding == "open" for one in compare(bench["tasks"], "t", "a", "count"))


def test_the_difference_is_paired():
    """Two readers that vary together differ clearly, though their own intervals overlap."""
    seeds = [0.1, 0.5, 0.9]
    tasks = {"t": {"results": {"a": {"5": [x + 0.1 for x in seeds]}, "b": {"5": seeds}}}}
    (one,) = compare(tasks, "t", "a", "b")
    assert one.finding == "better"


def test_who_asks_for_more_certainty_claims_less(bench):
    strict = compare_all(bench, pretraining_pairs(bench), confidence=0.99999)
    assert tally(strict) == {"better": 0, "worse": 0, "open": 3}
    assert tally(compare_all(bench, pretraining_pairs(bench))) == {
        "better": 1,
        "worse": 1,
        "open": 1,
    }


def test_one_seed_claims_nothing():
    tasks = {"t": {"results": {"a": {"5": [0.9]}, "b": {"5": [0.1]}}}}
    assert [one.finding for one in compare(tasks, "t", "a", "b")] == ["open"]


def test_pairs_are_those_of_the_table(bench):
    assert [*pretraining_pairs(bench)] == [("t", "a", "a scratch")]
    assert [*baseline_pairs(bench)] == [("t", "a", "count")]


def test_sentences_name_every_number_of_labels_once(bench):
    text = sentence(compare(bench["tasks"], "t", "a", "a scratch"))
    assert text == (
        "**t**: *a* is better than *a scratch* with 10 labels (by 0.20); is worse than "
        "*a scratch* with 100 labels (by 0.21); with 30 it stays open."
    )
    text = sentence(compare(bench["tasks"], "t", "a", "count"))
    assert text == "**t**: *a* and *count* cannot be told apart, with 10, 30 and 100 labels."


def test_a_sentence_is_about_one_pair():
    interval = Interval(0.2, 0.1, 0.3)
    row = [
        Comparison(task=task, reader="a", other="b", n_labels=10, difference=interval)
        for task in ("s", "t")
    ]
    for wrong in (row, []):
        with pytest.raises(ValueError, match="one task and two readers"):
            sentence(wrong)


# --- experiments


def test_short_questions_keep_their_answers():
    examples = short_questions(3, split="train")
    assert any(not one.answers for one in examples)
    for one in examples:
        for answer in one.answers:
            assert one.context[answer.start :].startswith(answer.text)
    firsts = {one.answers[0].start > len(one.context) / 2 for one in examples if one.answers}
    assert firsts == {False, True}, "answers stand in either sentence"


def test_the_exact_reader_is_nearly_always_right():
    accuracy, loss = best_possible(12, split="validation")
    assert accuracy > 0.7
    assert 0 < loss < math.log(12)


def test_confusion_counts_each_example_once(body):
    examples = [ClassExample(text=text, label=text[0]) for text in ("aa", "ab", "bb", "cc")]
    counts = confusion(tuned(body, examples), examples, ("a", "b", "c"))
    assert [sum(row) for row in counts] == [2, 1, 1]


def test_scratch_has_the_shape_and_not_the_weights(body):
    same, other = (from_scratch(body, seed) for seed in (0, 1))
    pairs = [*zip(same.parameters(), other.parameters(), strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_adapters_come_off_and_leave_the_body_as_it_was(body):
    batch = Batch(inputs=torch.tensor([[5, 7, 11]]), targets=torch.tensor([[7, 11, 2]]))
    before = mean_loss(body, batch)
    adapted = Decoder(body.config)
    adapted.load_state_dict(body.state_dict())
    add_adapters(adapted, rank=2, alpha=4.0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if name.endswith("up"):
                parameter.add_(0.5)
    assert mean_loss(adapted, batch) != before
    assert mean_loss(without_adapters(adapted), batch) == before
    assert mean_loss(adapted, batch) != before, "the adapted model keeps them"


def test_tagged_texts_have_a_tag_for_each_word(body):
    example = TagExample(text="Ann hums", word_spans=((0, 3), (4, 8)), tags=("B-PER", "O"))
    (text,) = tagged_texts(tuned(body, [example]), [example])
    assert (text.words, text.true) == (["Ann", "hums"], ("B-PER", "O"))
    assert len(text.predicted) == 2


@pytest.fixture(scope="module")
def answering(body):
    example = QuestionExample(
        context="Ann has a cat.", question="What?", answers=(Answer(text="cat", start=10),)
    )
    return tuned(body, [example], steps=60, eval_every=60, learning_rate=0.02), example


def test_an_answer_view_puts_all_probability_on_words(answering):
    result, example = answering
    view = answer_view(result, example)
    assert view.words == ["(none)", "Ann", "has", "a", "cat."]
    assert view.true == (4, 4)
    for probabilities in (view.starts, view.ends):
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert view.chosen == (4, 4), "one example is learned by heart"
    assert view.starts[4] > 0.5


def test_an_untold_answer_stands_at_the_first_place(answering):
    result, _ = answering
    untold = QuestionExample(context="Ann has a cat.", question="Who?", answers=())
    assert answer_view(result, untold).true == (0, 0)
    with pytest.raises(ConfigError, match="rows: give a shorter one"):
        answer_log_probs(result, QuestionExample(context="Ann has a cat. " * 9, question="Who?"))


def test_two_maxima_may_be_no_answer(answering, monkeypatch):
    result, example = answering
    assert decoded_alone(result, [example]) == ["cat"]
    spans = [None, (0, 3), (4, 7)]
    rows = {"": (0, 0), "Ann has": (1, 2), "has": (2, 2), "turned": (2, 1), "half": (0, 2)}
    found = []
    for first, last in rows.values():
        scores = torch.full((2, 3), -9.0)
        scores[0, first] = scores[1, last] = 0.0
        monkeypatch.setattr(
            "exercises.experiments_14.answer_log_probs", lambda *_, s=scores: (s, spans)
        )
        found += decoded_alone(result, [example])
    assert found == ["", "Ann has", "has", None, None]
    assert exact_matches(["a cat", None], [example, example]) == 0.5


# --- pictures


def test_entities_show_found_and_true_ones():
    one = TaggedText(
        words=["Ann", "met", "Bo"], predicted=["B-PER", "O", "O"], true=["B-PER", "O", "B-PER"]
    )
    (axes,) = plot_entities({"a": [one], "b": [one]}, title="t").axes
    assert [text.get_text() for text in axes.texts].count("Bo") == 2
    boxes = len(axes.patches)
    assert boxes == 1 + 2 * (1 + 2), "the legend; for each reader one found, two true"
    with pytest.raises(ValueError, match="as many tags as words"):
        plot_entities({"a": [TaggedText(words=["Ann"], predicted=[], true=["O"])]}, title="t")


def test_an_entity_over_the_end_of_a_line_is_drawn_in_both_lines():
    n = 40
    tags = ["B-LOC", *["I-LOC"] * (n - 1)]
    text = TaggedText(words=["word"] * n, predicted=tags, true=["O"] * n)
    (axes,) = plot_entities({"a": [text]}, title="t").axes
    assert len(axes.patches) > 2


def test_confusions_say_the_share_of_right_ones():
    figure = plot_confusions({"a": [[3, 1], [0, 4]]}, ["no", "yes"], title="t")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "a: 88% right"
    assert [text.get_text() for text in axes.texts] == ["3", "1", "4"]
    with pytest.raises(ValueError, match="2 × 2"):
        plot_confusions({"a": [[1]]}, ["no", "yes"], title="t")


def test_answers_draw_a_bar_for_each_start_and_end():
    view = AnswerView(
        question="Who?", words=["(none)", "Ann"], starts=[0.25, 0.75], ends=[0.5, 0.5],
        chosen=(1, 1), true=(0, 0),
    )  # fmt: skip
    (axes,) = plot_answers([view], title="t").axes
    shade, *bars = axes.patches
    heights = [abs(bar.get_height()) / 0.24 for bar in bars]
    assert heights == pytest.approx([0.25, 0.5, 0.75, 0.5])
    assert shade.get_x() > bars[0].get_x(), "the answer given is Ann"
    with pytest.raises(ValueError, match="two numbers for each word"):
        plot_answers([], title="t")


def test_tunings_draw_each_run_in_both_panels():
    runs = {"head": [(9, 0.5, 2.0), (9, 0.6, 2.0)], "all": [(99, 0.7, 5.0)]}
    left, right = plot_tunings(runs, before=2.0, title="t").axes
    assert [len(line.get_xdata()) for line in left.lines] == [2, 1]
    assert [line.get_ydata()[0] for line in right.lines] == [2.0, 5.0, 2.0]
