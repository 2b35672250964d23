"""Pairs of a source and a target, and TinyWorld told in both languages."""

import pytest
import torch

from minillm.errors import ConfigError, DataError
from minillm.objectives.source_target import shift_right, source_target_batch
from minillm.objectives.translation import TranslationFrame, translation_batch
from minillm.text.world import TinyWorld, document_pairs, sentence_pairs

FRAME = TranslationFrame(start_id=3, eos_id=2, pad_id=0, max_tokens=7)
PAIRS = [([11, 12, 13], [21]), ([14], [22, 23, 24, 25, 26, 27])]


def test_every_position_predicts_the_token_after_those_it_reads():
    batch = translation_batch(PAIRS, frame=FRAME)
    assert batch.inputs.tolist() == [[11, 12, 13, 2], [14, 2, 0, 0]]
    assert batch.is_padding.tolist() == [[False] * 4, [False, False, True, True]]
    for row, (_, target) in enumerate(PAIRS):
        n_scored = len(target) + 1
        assert batch.targets[row].tolist() == [*target, 2] + [-100] * (7 - n_scored)
        assert batch.decoder_inputs[row, :n_scored].tolist() == [3, *target]
    assert batch.n_scored() == {"tokens": 9}


def test_equal_lengths_have_no_padding():
    assert translation_batch(PAIRS[:1] * 2, frame=FRAME).is_padding is None


def test_shifting_leaves_the_targets_alone():
    targets = torch.tensor([[5, 6, -100]])
    assert shift_right(targets, start_id=3, pad_id=0).tolist() == [[3, 5, 6]]
    assert targets.tolist() == [[5, 6, -100]]
    assert shift_right(torch.tensor([[5, -100, -100]]), start_id=3, pad_id=0).tolist() == [
        [3, 5, 0]
    ]


def test_what_cannot_be_a_pair_is_refused():
    with pytest.raises(DataError, match="a text has 8 tokens with its end, more than"):
        translation_batch([([1] * 7, [5])], frame=FRAME)
    with pytest.raises(DataError, match="each source needs a target, got 2 and 1"):
        source_target_batch([[1], [2]], [[3]], start_id=3, pad_id=0)
    for sources, targets in (([], []), ([[]], [[1]]), ([[1]], [[]])):
        with pytest.raises(DataError, match="needs a token on both sides"):
            source_target_batch(sources, targets, start_id=3, pad_id=0)
    with pytest.raises(ConfigError, match="max_tokens must be 2 or more"):
        TranslationFrame(start_id=3, eos_id=2, pad_id=0, max_tokens=1)


@pytest.mark.parametrize(("source", "target", "space"), [("en", "zh", " "), ("zh", "en", "")])
def test_sentences_join_to_the_documents(source, target, space):
    pairs = list(sentence_pairs(3, source=source, target=target, split="validation"))
    documents = list(document_pairs(3, source=source, target=target, split="validation"))
    assert space.join(pair.source for pair in pairs) == " ".join(
        document.source for document in documents
    ).replace(" " if not space else "", "")
    assert "".join(pair.target for pair in pairs).replace(" ", "") == "".join(
        document.target for document in documents
    ).replace(" ", "")


def test_both_sides_tell_the_same_scene():
    """The facts of a scene are those of both documents, in the words of each language."""
    english, chinese = TinyWorld("en"), TinyWorld("zh")
    for number in range(5):
        documents = english.document(number), chinese.document(number)
        assert documents[0].derivation == documents[1].derivation
    first = next(iter(document_pairs(1)))
    assert first == (english.document(0).text, chinese.document(0).text)
    with pytest.raises(ConfigError, match="language must be one of en, zh"):
        document_pairs(1, target="de")
