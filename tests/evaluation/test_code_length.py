"""Evaluation against a slow loop that scores one token at a time."""

import math
import random

import numpy as np
import pytest
import torch

from minillm.batch import IGNORE_INDEX
from minillm.config import DecoderConfig
from minillm.errors import ConfigError, DataError, NumericalError
from minillm.evaluation import (
    Evaluation,
    copied_shares,
    evaluate_documents,
    input_influence,
    uniform_bits_per_byte,
    unigram_bits_per_byte,
    xz_bits_per_byte,
)
from minillm.models.base import LanguageModel
from minillm.models.decoder import Decoder

V, BOS, EOS = 13, 11, 12
LENGTHS = [2, 3, 5, 7, 8, 9, 23, 41]


def documents(lengths=LENGTHS):
    generator = torch.Generator().manual_seed(0)
    inner = [torch.randint(BOS, (n - 2,), generator=generator).tolist() for n in lengths]
    return [[BOS, *ids, EOS] for ids in inner]


class Recorder(LanguageModel):
    """Scores each target by the number of its visible tokens, and remembers the batches."""

    def __init__(self, context_length=None, dtype=torch.float32):
        super().__init__()
        self.context_length = context_length
        self.batches = []
        self.dtype = dtype

    def loss_sums(self, batch):
        raise NotImplementedError

    def log_probs(self, batch):
        assert not self.training
        self.batches.append(batch)
        context = torch.arange(1, batch.inputs.shape[1] + 1).expand_as(batch.inputs)
        return -context.masked_fill(batch.targets == IGNORE_INDEX, 0).to(self.dtype)

    def next_log_probs(self, token_ids, state=None):
        raise NotImplementedError


@pytest.fixture(scope="module")
def decoder():
    config = DecoderConfig.gpt(vocab_size=V, context_length=8, d_model=12, n_layers=1, n_heads=2)
    model = Decoder(config, generator=torch.Generator().manual_seed(3))
    for parameter in model.parameters():
        parameter.data.mul_(5)
    return model


def slow_loss_sum(model, documents, limit):
    """Score target by target with ``next_log_probs``; windows step by half their length."""
    total = 0.0
    for ids in documents:
        n = len(ids) - 1  # targets 1 .. n
        starts = {}
        for target in range(1, n + 1):
            if target <= limit or n <= limit:
                starts[target] = 0
            else:  # windows begin every limit - limit // 2; the last one ends with the document
                stride = limit - limit // 2
                window = -(-(target - limit) // stride)
                starts[target] = min(window * stride, n - limit)
            context = torch.tensor([ids[starts[target] : target]])
            with torch.no_grad():
                total -= model.next_log_probs(context)[0][0, ids[target]].item()
    return total


@pytest.mark.parametrize("limit", [1, 2, 7, 8])
def test_agrees_with_a_slow_loop(decoder, limit):
    result = evaluate_documents(decoder, documents(), n_bytes=83, context_length=limit)
    expected = slow_loss_sum(decoder, documents(), limit)
    assert result.loss_sum == pytest.approx(expected, rel=1e-5)
    assert result.n_tokens == sum(LENGTHS) - len(LENGTHS)
    assert result.n_bytes == 83
    assert result.loss == pytest.approx(expected / result.n_tokens, rel=1e-5)
    assert result.bits_per_byte == pytest.approx(expected / math.log(2) / 83, rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(expected / result.n_tokens), rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing(decoder, batch_size):
    kept = evaluate_documents(decoder, documents(), n_bytes=83, batch_size=5)
    other = evaluate_documents(decoder, documents(), n_bytes=83, batch_size=batch_size)
    assert other.loss_sum == pytest.approx(kept.loss_sum, rel=1e-5)
    assert other.n_tokens == kept.n_tokens


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, None])
def test_each_token_is_scored_once_with_half_a_window_of_context(limit):
    # distinct ids within a document let us name each target by its id
    docs = [list(range(100 * i, 100 * i + n)) for i, n in enumerate([1, 2, 8, 9, 10, 41, 0], 1)]
    model = Recorder(limit)
    evaluate_documents(model, docs, n_bytes=1, batch_size=3)
    seen = {}
    for batch in model.batches:
        for inputs, targets, is_padding in zip(
            batch.inputs, batch.targets, batch.is_padding, strict=True
        ):
            for place, target in enumerate(targets.tolist()):
                if target == IGNORE_INDEX:
                    continue
                assert target not in seen
                assert inputs[place] == target - 1  # aligned: the input before its target
                assert not is_padding[place]
                seen[target] = place + 1
    assert sorted(seen) == sorted(target for ids in docs for target in ids[1:])
    for target, context in seen.items():
        assert context >= min(target % 100, (limit or 41) // 2)
        assert context <= (limit or 41)


def test_padding_is_on_the_right_and_windows_of_similar_length_share_a_batch():
    model = Recorder(8)
    evaluate_documents(model, documents(), n_bytes=1, batch_size=4)
    for batch in model.batches:
        widths = (~batch.is_padding).sum(dim=1)
        assert torch.equal(batch.is_padding, torch.arange(batch.inputs.shape[1]) >= widths[:, None])
        assert (batch.targets[batch.is_padding] == IGNORE_INDEX).all()
    sizes = [batch.inputs.shape[1] for batch in model.batches]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 8


def test_sums_are_kept_in_float64():
    class Big(Recorder):
        def log_probs(self, batch):
            scored = batch.targets != IGNORE_INDEX
            values = torch.where(batch.targets == EOS, -1.0, -(2.0**24))
            return values.masked_fill(~scored, 0.0)

    # 2^24 + 1 is not a float32: a float32 sum would lose every eos
    result = evaluate_documents(Big(), [[BOS, 3, EOS]] * 7, n_bytes=1, batch_size=2)
    assert result.loss_sum == 7 * (2.0**24 + 1)


def test_half_precision_models_are_summed_exactly():
    result = evaluate_documents(Recorder(dtype=torch.bfloat16), [[BOS] + [3] * 200], n_bytes=1)
    assert result.loss_sum == 200 * 201 / 2


def test_dropout_is_off_and_the_mode_comes_back(decoder):
    decoder.train()
    first = evaluate_documents(decoder, documents(), n_bytes=83)
    assert decoder.training
    assert evaluate_documents(decoder.eval(), documents(), n_bytes=83) == first
    assert not decoder.training
    assert all(parameter.grad is None for parameter in decoder.parameters())


def test_progress_sees_every_batch():
    seen = []

    def progress(batches):
        seen.append(len(batches))
        return iter(batches)

    plain = evaluate_documents(Recorder(), documents(), n_bytes=9, batch_size=3)
    assert evaluate_documents(
        Recorder(), documents(), n_bytes=9, batch_size=3, progress=progress
    ) == (plain)
    assert seen == [math.ceil(len(LENGTHS) / 3)]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_bytes": 0}, "n_bytes must be positive"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"context_length": 0}, "context_length must be positive"),
        ({"context_length": 9}, "context_length=9 is more than the model's 8"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused(changes, match):
    with pytest.raises(ConfigError, match=match):
        evaluate_documents(Recorder(8), documents(), **({"n_bytes": 83} | changes))


@pytest.mark.parametrize("nothing", [[], [[]], [[BOS]]], ids=str)
def test_nothing_to_score_is_refused(nothing):
    with pytest.raises(DataError, match="nothing to score"):
        evaluate_documents(Recorder(), nothing, n_bytes=1)
    with pytest.raises(DataError, match="nothing to score"):
        unigram_bits_per_byte([1], nothing, n_bytes=1, vocab_size=V)


def test_a_damaged_model_is_named_and_an_impossible_token_is_infinite():
    class Damaged(Recorder):
        value = math.nan

        def log_probs(self, batch):
            return torch.full(batch.inputs.shape, self.value)

    model = Damaged()
    with pytest.raises(NumericalError, match="NaN"):
        evaluate_documents(model.train(), documents(), n_bytes=1)
    assert model.training
    Damaged.value = -math.inf  # an unsmoothed n-gram may say so
    assert evaluate_documents(model, documents(), n_bytes=1).perplexity == math.inf


def test_a_uniform_model_needs_log2_v_bits(decoder):
    result = Evaluation.from_sums(loss_sum=10 * math.log(V), n_tokens=10, n_bytes=4)
    assert result.perplexity == pytest.approx(V)
    docs = documents([12])
    assert uniform_bits_per_byte(docs, n_bytes=4, vocab_size=V) == pytest.approx(
        11 * math.log2(V) / 4
    )
    assert result.bits_per_byte == pytest.approx(10 * math.log2(V) / 4)


def test_unigram_equals_counting_by_hand():
    train = [BOS, 1, 1, 2, EOS, BOS, 1, EOS]  # n = 6 without bos: 1 three times, 2 once, eos twice
    docs = [[BOS, 1, 5, EOS], [BOS, EOS]]
    p = {1: (3 + 1) / (6 + V), 5: 1 / (6 + V), EOS: (2 + 1) / (6 + V)}
    expected = -(math.log2(p[1]) + math.log2(p[5]) + 2 * math.log2(p[EOS])) / 3
    assert unigram_bits_per_byte(train, docs, n_bytes=3, vocab_size=V) == pytest.approx(expected)
    tensor = torch.tensor(train, dtype=torch.int32)
    assert unigram_bits_per_byte(tensor, docs, n_bytes=3, vocab_size=V) == pytest.approx(expected)


def test_xz_charges_only_what_is_new():
    numbers = random.Random(0)
    words = " ".join(str(numbers.randrange(1000)) for _ in range(4000))
    first, second = words[:6000], words[6000:12000]
    fresh = xz_bits_per_byte("", first)
    assert xz_bits_per_byte(first, first) < 0.1 * fresh  # read before: almost free
    assert 1.0 < fresh < 4.0  # digits and spaces: log2(11) = 3.5 bits at most, plus headers
    # random digits teach nothing about others: the price of the second half stays what it was
    assert xz_bits_per_byte(first, second) == pytest.approx(xz_bits_per_byte("", second), rel=0.1)
    # per byte, not per character: the same text in characters of three bytes is less dense
    chinese = first.translate(str.maketrans("0123456789 ", "零一二三四五六七八九，"))
    assert xz_bits_per_byte("", chinese) < 0.6 * fresh
    with pytest.raises(DataError, match="nothing to compress"):
        xz_bits_per_byte("abc", "")


def test_read_only_memory_maps_are_read_without_a_warning(decoder, tmp_path):
    """torch warns when it shares such memory, and warnings are errors here."""
    stream = np.array([token for document in documents() for token in document], dtype="<u2")
    stream.tofile(tmp_path / "ids.bin")
    mapped = np.memmap(tmp_path / "ids.bin", dtype="<u2", mode="r")
    chosen = np.split(mapped, np.cumsum(LENGTHS)[:-1])
    assert evaluate_documents(decoder, chosen, n_bytes=7) == evaluate_documents(
        decoder, documents(), n_bytes=7
    )
    settings = {"n_bytes": 7, "vocab_size": V}
    assert unigram_bits_per_byte(mapped, chosen, **settings) == unigram_bits_per_byte(
        stream.tolist(), documents(), **settings
    )


def test_copied_bytes_are_counted_one_by_one():
    train = "".join(chr(97 + (7 * i * i + i // 3) % 26) for i in range(300))
    text = "0" * 11 + train[40:90] + "é" + train[100:131] + train[200:232]
    data, seen = text.encode(), {train[i : i + 32].encode() for i in range(300)}
    is_copied = [False] * len(data)
    for i in range(len(data) - 31):
        if data[i : i + 32] in seen:
            is_copied[i : i + 32] = [True] * 32
    assert 0 < sum(is_copied) < len(data)
    expected = [sum(is_copied) / len(data), 0.0, 0.0, 1.0]
    assert copied_shares(train, [text, "", "short", train]) == pytest.approx(expected)
    assert copied_shares("", [text, ""]) == [0.0, 0.0]


@pytest.mark.parametrize("family", [DecoderConfig.gpt, DecoderConfig.llama])
def test_influence_equals_the_gradients_of_a_slow_loop(family):
    config = family(vocab_size=V, context_length=8, d_model=12, n_layers=2, n_heads=2)
    model = Decoder(config, generator=torch.Generator().manual_seed(3))
    token_ids = torch.tensor([[1, 4, 2, 8, 5]])
    found = input_influence(model, token_ids)
    assert torch.equal(found, found.tril())
    assert (found.diagonal() > 0).all()
    embedded = model.token_embedding(token_ids).detach()
    for s in range(5):  # by a step in the direction of the gradient: no autograd
        model.token_embedding.register_forward_hook(lambda *_: embedded)
        values = torch.zeros(5, 12)
        for c in range(12):
            for sign in (1, -1):
                embedded[0, s, c] += sign * 1e-2
                values[:, c] += sign * model(token_ids)[0].detach().square().sum(-1) / 2e-2
                embedded[0, s, c] -= sign * 1e-2
        assert torch.allclose(found[:, s], values.norm(dim=-1), rtol=0.05, atol=1e-6)
        model.token_embedding._forward_hooks.clear()
