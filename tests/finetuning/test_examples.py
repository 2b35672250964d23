"""Files of examples are read exactly, and a line that does not fit is named with its field."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import (
    Answer,
    ClassExample,
    TagExample,
    find_words,
    hold_out,
    tags_of_entities,
)
from minillm.finetuning.metrics import bio_entities
from minillm.finetuning.reading import read_examples
from minillm.finetuning.world import load_examples
from minillm.text.world.documents import TinyWorld
from minillm.text.world.showing import document_json, entities

WORDS = {"words": ["Ann", "met", "Bo", "Li"], "tags": ["B-PER", "O", "B-PER", "I-PER"]}
SPANS = {"text": "Ann (met) Bo Li", "spans": [{"start": 10, "end": 15, "label": "PER"}]}
QA = {"context": "A cat. A cat ran.", "question": "Who?", "answers": [{"text": "cat", "start": 9}]}


@pytest.fixture
def write(tmp_path):
    def call(*lines):
        path = tmp_path / "data.jsonl"
        shown = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(shown), encoding="utf-8")
        return path

    return call


def test_each_form_is_read(write, tmp_path):
    path = write(
        {"text": "good \r\n tea", "label": "yes", "id": 3}, "", {"text": "a", "label": "no"}
    )
    first, second = read_examples(path, "classify")
    assert (first.text, first.label) == ("good \r\n tea", "yes")  # characters are never moved
    assert second.source == f"{path.as_posix()}:3"
    tagged, spanned, chinese = read_examples(
        write(
            WORDS, SPANS, {"text": "小静跑。", "words": ["小静", "跑。"], "tags": ["B-PER", "O"]}
        ),
        "tag",
    )
    assert (tagged.text, tagged.words) == ("Ann met Bo Li", WORDS["words"])
    assert tagged.tags == tuple(WORDS["tags"])
    assert spanned.words == ["Ann", "(", "met", ")", "Bo", "Li"]
    assert spanned.tags == ("O", "O", "O", "O", "B-PER", "I-PER")
    assert chinese.word_spans == ((0, 2), (2, 4))
    question, unsaid = read_examples(write(QA, QA | {"answers": []}), "qa")
    assert question.answers == (Answer(text="cat", start=9),)
    assert unsaid.answers == ()
    packed = tmp_path / "data.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(QA).encode()))
    assert read_examples(packed, "qa")[0].answers == question.answers


def test_without_labels_there_is_something_to_predict(write):
    assert read_examples(write({"text": "a"}), "classify", labeled=False)[0].label is None
    assert read_examples(write({"text": "a"}), "tag", labeled=False)[0].tags is None
    bare = {"context": "a", "question": "b"}
    assert read_examples(write(bare), "qa", labeled=False)[0].answers is None
    with pytest.raises(DataError, match="field label: expected a string"):
        read_examples(write({"text": "a", "label": 3}), "classify", labeled=False)


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        ("classify", "{", "not JSON"),
        ("classify", "[1]", r"expected a JSON object, got \[1\]"),
        ("classify", {"text": "a"}, r"field label: .* got no such field \(there are: 'text'\)"),
        ("classify", {"text": "a", "label": 1}, "field label: expected a string .*, got 1"),
        ("classify", {"text": "a", "label": None}, "field label: .* got None"),
        ("classify", {"text": " \n", "label": "b"}, "field text: expected a string that is not bl"),
        ("classify", '{"text": "\\ud800", "label": "b"}', r"field text: .* surrogate \(U\+D800\)"),
        ("tag", WORDS | {"tags": ["O"]}, "field tags: expected one tag for each of the 4 words"),
        ("tag", {"words": []}, "field words: expected at least one word"),
        ("tag", {"words": ["a", " b"]}, r"field words: .* got ' b' \(word 1\)"),
        ("tag", {"words": ["a", 1]}, "field words: expected a list of strings"),
        ("tag", {"words": ["a"], "tags": ["PER"]}, r"O, B-KIND or I-KIND, got 'PER' \(word 0\)"),
        ("tag", {"words": ["a"], "tags": ["I-PER"]}, "expected B-PER to begin .*'I-PER' after 'O'"),
        ("tag", WORDS | {"tags": ["B-LOC", "I-PER", "O", "O"]}, "'I-PER' after 'B-LOC'"),
        ("tag", WORDS | {"text": "Ann met Li"}, r"got 'Bo' \(word 2\) where the text goes on 'Li'"),
        ("tag", WORDS | {"text": "Ann met Bo Li !"}, "all words of the text, got none for '!'"),
        ("tag", {"text": "a"}, "field spans: expected a list of objects, got no such field"),
        ("tag", {"text": "a", "spans": [3]}, r"field spans\[0\]: expected a JSON object, got 3"),
        ("tag", {"text": "abc", "spans": [{"start": 0, "end": 2, "label": "X"}]}, "edge of a word"),
        ("tag", {"text": "abc", "spans": [{"start": 0, "end": 4, "label": "X"}]}, "at most 3, got"),
        ("tag", {"text": "abc", "spans": [{"start": -1}]}, r"spans\[0\].start: expected a whole"),
        ("tag", {"text": "a b", "spans": [
            {"start": 0, "end": 3, "label": "X"}, {"start": 2, "end": 3, "label": "Y"}]},
            "expected spans that do not overlap, got X and Y"),
        ("qa", QA | {"answers": "cat"}, "field answers: expected a list of objects, got 'cat'"),
        ("qa", QA | {"answers": [{"text": "cat", "start": 5}]}, r"answers\[0\].start: .* at 2"),
        ("qa", QA | {"answers": [{"text": "dog", "start": 5}]}, "stands nowhere in the context"),
        ("qa", QA | {"answers": [{"text": "", "start": 5}]}, r"field answers\[0\].text: expected"),
        ("qa", QA | {"answers": [{"text": "cat", "start": True}]}, r"\[0\].start: expected a w"),
    ],
)  # fmt: skip
def test_a_line_that_does_not_fit_is_named(write, task, line, message):
    good = {"classify": {"text": "a", "label": "b"}, "tag": WORDS, "qa": QA}[task]
    path = write(good, "", line, good)
    with pytest.raises(DataError, match=message) as caught:
        read_examples(path, task)
    assert str(caught.value).startswith(f"{path.as_posix()}:3: ")


def test_refusals_of_files(write, tmp_path):
    with pytest.raises(DataError, match="holds no example"):
        read_examples(write("", " "), "qa")
    with pytest.raises(ConfigError, match=r"is no file; name a \.jsonl"):
        read_examples(tmp_path, "qa")
    with pytest.raises(ConfigError, match="task must be one of classify, tag, qa, got 'ner'"):
        read_examples(write(QA), "ner")
    (tmp_path / "bad.jsonl").write_bytes(b'{"text": "a", "label": "b"}\n{"text": "\xff"}')
    with pytest.raises(DataError, match=r"bad\.jsonl:2: invalid UTF-8"):
        read_examples(tmp_path / "bad.jsonl", "classify")


@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), max_size=9))
def test_entities_come_back_from_their_tags(tags):
    found = bio_entities(tags)
    assert bio_entities(tags_of_entities(found, len(tags))) == found


@given(st.text(max_size=20))
def test_words_hold_every_visible_character(text):
    spans = find_words(text)
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())
    assert all(text[start:end].strip() for start, end in spans)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_tinyworlds_views_are_the_same_records(language):
    name = f"world:{language},documents=3,split=test"
    documents = list(TinyWorld(language).documents(3, split="test"))
    views = [document_json(document, views=True) for document in documents]
    topics = load_examples(name, "classify")
    assert [one.label for one in topics] == [view["labels"]["topic"] for view in views]
    endings = load_examples(name, "classify", world_label="ending")
    assert [one.label for one in endings] == [view["labels"]["ending"] for view in views]
    gap = " " if language == "en" else ""
    for document, view, one in zip(documents, views, load_examples(name, "tag"), strict=True):
        assert isinstance(one, TagExample)
        assert [list(pair) for pair in zip(one.words, one.tags, strict=True)] == view["tags"]
        found = [(gap.join(one.words[a:b]), kind) for kind, a, b in bio_entities(one.tags)]
        assert found == entities(document)
    questions = load_examples(name, "qa")
    wanted = [question for view in views for question in view["questions"]]
    assert [one.question for one in questions] == [question["text"] for question in wanted]
    for one, question in zip(questions, wanted, strict=True):
        texts = [one.context[a.start : a.start + len(a.text)] for a in one.answers]
        assert texts == ([] if question["answer"] is None else [question["answer"]])


def test_questions_about_one_text_stay_together():
    examples = load_examples("world:documents=13", "qa")
    train, validation = hold_out(examples, share=0.3)
    assert len({one.context for one in validation}) == 4
    assert not {one.context for one in train} & {one.context for one in validation}
    assert sorted(map(repr, [*train, *validation])) == sorted(map(repr, examples))
    assert {one.context for one in hold_out(examples[::-1], share=0.3)[1]} == {
        one.context for one in validation
    }
    two = [ClassExample(text=text, label="x") for text in "ab"]
    assert [len(side) for side in hold_out(two, share=0.99)] == [1, 1]
    with pytest.raises(DataError, match=r"1 different text\(s\)"):
        hold_out(two[:1])
    with pytest.raises(ConfigError, match="between 0 and 1"):
        hold_out(two, share=1.0)
