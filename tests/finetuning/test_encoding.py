"""Rows hold what the example says: each word labeled once, each answer in its place."""

import pytest
import torch

from minillm.batch import IGNORE_INDEX
from minillm.errors import ConfigError, DataError
from minillm.finetuning.encoding import RowEncoder, make_batch
from minillm.finetuning.examples import Answer, ClassExample, QuestionExample, TagExample
from minillm.finetuning.model import TaskConfig
from minillm.finetuning.tuning import find_labels
from minillm.finetuning.world import load_examples
from minillm.text.world.documents import TinyWorld
from minillm.tokenizers import WordPieceTokenizer, train_tokenizer

KINDS = ("bytes", "bpe", "wordpiece")


@pytest.fixture(scope="module")
def tokenizers():
    texts = [document.text for document in TinyWorld("en").documents(60)]
    texts += [document.text for document in TinyWorld("zh").documents(60)]
    sizes = {"bytes": 260, "bpe": 600, "wordpiece": 760}
    return {kind: train_tokenizer(kind, texts, sizes[kind]) for kind in KINDS}


def test_a_class_is_that_of_the_beginning(tokenizer):
    config = TaskConfig(task="classify", labels=("x", "y"), max_tokens=7)
    encoder = RowEncoder(tokenizer, config)
    long, short, unknown = encoder.rows(
        [
            ClassExample(text="abcdefgh", label="y"),
            ClassExample(text="ab", label="x"),
            ClassExample(text="ab"),
        ]
    )
    assert long.token_ids == [256, *b"abcde", 257]
    assert (long.labels, long.n_cut, long.example) == (1, 3, 0)
    assert (short.labels, short.n_cut, short.example) == (0, 0, 1)
    assert unknown.labels is None
    with pytest.raises(
        DataError, match=r"here:3: the model does not know the label 'z', only x, y"
    ):
        encoder.rows([ClassExample(text="a", label="z", source="here:3")])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_word_is_labeled_once_at_its_first_token(tokenizers, kind, language):
    tokenizer = tokenizers[kind]
    examples = load_examples(f"world:{language},documents=3", "tag")
    labels = find_labels(examples)
    for max_tokens in (31, 512):
        config = TaskConfig(task="tag", labels=labels, max_tokens=max_tokens)
        rows = RowEncoder(tokenizer, config).rows(examples)
        assert max(len(row.token_ids) for row in rows) <= max_tokens
        for number, example in enumerate(examples):
            own = [row for row in rows if row.example == number]
            words = [word for row in own for _, word in row.word_positions]
            assert words == [*range(len(example.words))]  # each once, in order
            for row in own:
                at = dict(row.word_positions)
                for position, label in enumerate(row.labels):
                    if position not in at:
                        assert label == IGNORE_INDEX
                        continue
                    word = at[position]
                    assert labels[label] == example.tags[word]
                    token = tokenizer.decode_bytes([row.token_ids[position]]).strip()
                    wanted = example.words[word]
                    wanted = wanted.lower() if kind == "wordpiece" else wanted
                    assert wanted.encode().startswith(token)
            if tokenizer.is_lossless:
                ids = [token_id for row in own for token_id in row.token_ids[1:-1]]
                assert tokenizer.decode(ids) == example.text


def test_a_word_without_a_token_and_one_longer_than_a_row():
    tokenizer = WordPieceTokenizer(["a", "##a", "b"])
    config = TaskConfig(task="tag", labels=("O", "B-X", "I-X"), max_tokens=5)
    text = "b \u200b aaaaa b"
    example = TagExample(
        text=text, word_spans=((0, 1), (2, 3), (4, 9), (10, 11)), tags=("O", "B-X", "B-X", "O")
    )
    rows = RowEncoder(tokenizer, config).rows([example])
    assert [row.word_positions for row in rows] == [[(1, 0)], [(1, 2)], [(1, 3)]]
    assert [len(row.token_ids) for row in rows] == [3, 5, 3]
    assert [row.n_cut for row in rows] == [0, 0, 2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("summary", ["first", "last"])
def test_the_labels_of_a_question_are_its_answer(tokenizers, kind, language, summary):
    tokenizer = tokenizers[kind]
    examples = load_examples(f"world:{language},documents=2", "qa")
    for max_tokens in (97, 1024):
        config = TaskConfig(task="qa", max_tokens=max_tokens)
        rows = RowEncoder(tokenizer, config, summary=summary).rows(examples)
        found = [0] * len(examples)
        for row in rows:
            example = examples[row.example]
            assert len(row.token_ids) == len(row.segment_ids) == len(row.char_spans) <= max_tokens
            n_question = row.segment_ids.index(1)
            assert row.token_ids[1 : n_question - 1] == tokenizer.encode(example.question)
            assert all(span is None for span in row.char_spans[:n_question])
            none = 0 if summary == "first" else len(row.token_ids) - 1
            if row.labels == [none, none]:
                continue
            first, last = (row.char_spans[place] for place in row.labels)
            text = example.context[first[0] : last[1]].strip()
            assert example.answers[0].text in text
            if language == "en":  # tokens of Chinese text cross words
                assert text == example.answers[0].text
            found[row.example] += 1
        for example, n_found in zip(examples, found, strict=True):
            assert bool(n_found) == bool(example.answers)
            if max_tokens == 1024:
                assert n_found <= 1


def test_windows_overlap_by_half_and_cover_the_context(tokenizer):
    context = "".join(chr(97 + i % 26) for i in range(50))
    example = QuestionExample(
        context=context, question="why?", answers=(Answer(text="yzab", start=24),)
    )
    rows = RowEncoder(tokenizer, TaskConfig(task="qa", max_tokens=27)).rows([example])
    starts = [row.char_spans[6][0] for row in rows]
    assert starts == [0, 10, 20, 30]  # 27 - 3 - 4 tokens of room
    assert [row.labels for row in rows] == [[0, 0], [20, 23], [10, 13], [0, 0]]
    assert [len(row.token_ids) for row in rows] == [27] * 4
    covered = {span[0] for row in rows for span in row.char_spans if span}
    assert covered == {*range(50)}


def test_a_long_question_is_cut_and_counted(tokenizer):
    example = QuestionExample(context="ab", question="x" * 100, answers=())
    config = TaskConfig(task="qa", max_tokens=30, max_question_tokens=64)
    (row,) = RowEncoder(tokenizer, config).rows([example])
    assert row.token_ids == [256, *b"x" * 13, 257, *b"ab", 257]
    assert (row.n_cut, row.labels) == (87, [0, 0])
    config = TaskConfig(task="qa", max_tokens=5, max_question_tokens=64)
    rows = RowEncoder(tokenizer, config).rows([example])
    assert [row.token_ids for row in rows] == [[256, 120, 257, c, 257] for c in b"ab"]


def test_an_answer_that_the_tokenizer_does_not_see():
    example = QuestionExample(
        context="a \u200b b", question="a", answers=(Answer(text="\u200b", start=2),), source="f:2"
    )
    encoder = RowEncoder(WordPieceTokenizer(["a", "b"]), TaskConfig(task="qa"))
    with pytest.raises(DataError, match="f:2: the tokenizer sees nothing of the answer"):
        encoder.rows([example])


def test_examples_of_another_task_are_refused(tokenizer):
    encoder = RowEncoder(tokenizer, TaskConfig(task="qa"))
    with pytest.raises(ConfigError, match="the model's task is qa, got a ClassExample"):
        encoder.rows([ClassExample(text="a", label="b")])


def test_rows_become_a_batch(tokenizer):
    config = TaskConfig(task="tag", labels=("O", "B-X", "I-X"))
    examples = [
        TagExample(text="a bc", word_spans=((0, 1), (2, 4)), tags=("O", "B-X")),
        TagExample(text="a", word_spans=((0, 1),), tags=("B-X",)),
    ]
    batch = make_batch(RowEncoder(tokenizer, config).rows(examples), pad_id=258)
    assert batch.inputs.tolist() == [[256, 97, 32, 98, 99, 257], [256, 97, 257, 258, 258, 258]]
    assert batch.is_padding.tolist() == [[False] * 6, [False] * 3 + [True] * 3]
    ignored = IGNORE_INDEX
    assert batch.labels.tolist() == [
        [ignored, 0, ignored, 1, ignored, ignored],
        [ignored, 1, ignored, ignored, ignored, ignored],
    ]
    question = QuestionExample(context="ab", question="c", answers=())
    rows = RowEncoder(tokenizer, TaskConfig(task="qa"), summary="last").rows([question])
    batch = make_batch(rows, pad_id=258)
    assert batch.is_padding is None
    assert batch.segment_ids.tolist() == [[0, 0, 0, 1, 1, 1]]
    assert torch.equal(batch.labels, torch.tensor([[5, 5]]))
    unlabeled = QuestionExample(context="ab", question="c")
    mixed = RowEncoder(tokenizer, TaskConfig(task="qa")).rows([question, unlabeled])
    assert make_batch(mixed, pad_id=258).labels is None
