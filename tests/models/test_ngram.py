"""The counted model against a slow dictionary that follows the formulas, and against the hand."""

import dataclasses
import itertools
import json
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import safetensors.torch
import torch

from minillm.batch import IGNORE_INDEX, Batch
from minillm.checkpoint.state import load_weights, model_tensors
from minillm.config import NgramConfig
from minillm.errors import ConfigError, DataError
from minillm.evaluation import evaluate_documents
from minillm.generation import generate
from minillm.models.ngram import Ngram
from minillm.models.ngram_counts import FALLBACK_DISCOUNTS, count_ngrams, estimate_discounts

V, BOS, EOS = 7, 5, 6
WAYS = [
    {"smoothing": "kneser-ney"},
    {"smoothing": "kneser-ney", "discount": 0.7},
    {"smoothing": "interpolated"},
    {"smoothing": "add-k", "k": 0.3},
]


class SlowNgram:
    """Every formula on dictionaries of tuples, one probability at a time."""

    def __init__(self, documents, *, order, smoothing="kneser-ney", k=0.1, discount=None):
        self.order, self.smoothing, self.k = order, smoothing, k
        self.counts = defaultdict(Counter)  # context → token → how often
        before = defaultdict(set)  # n-gram → tokens that were seen before it
        for document in documents:
            for t, n in itertools.product(range(1, len(document)), range(order)):
                if n <= t:
                    self.counts[tuple(document[t - n : t])][document[t]] += 1
                if n < t:
                    before[tuple(document[t - n : t + 1])].add(document[t - n - 1])
        if smoothing == "kneser-ney":
            self._count_neighbors(before)
        self.discounts = [(discount,) * 3 if discount is not None else self._estimated(n)
                          for n in range(order)]  # fmt: skip

    def _count_neighbors(self, before):
        for context, row in self.counts.items():
            if len(context) < self.order - 1 and context[:1] != (BOS,):
                for token in row:
                    row[token] = len(before[(*context, token)])

    def _estimated(self, length):
        rows = [row for context, row in self.counts.items() if len(context) == length]
        n = Counter(count for row in rows for count in row.values())
        if not (n[1] and n[2] and n[3]):
            return FALLBACK_DISCOUNTS
        y = n[1] / (n[1] + 2 * n[2])
        found = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
        return found if all(0 <= d <= i for i, d in enumerate(found, 1)) else FALLBACK_DISCOUNTS

    def prob(self, token, context):
        if BOS in context:  # nothing stands before the last bos
            context = context[len(context) - 1 - context[::-1].index(BOS) :]
        return self._prob(token, context[max(len(context) - self.order + 1, 0) :])

    def _prob(self, token, context):
        row = self.counts.get(context, {})
        total = sum(row.values())
        if self.smoothing == "add-k":
            if len(context) < self.order - 1 and context[:1] != (BOS,):
                return 1 / V
            return (row.get(token, 0) + self.k) / (total + self.k * V)
        shorter = self._prob(token, context[1:]) if context else 1 / V
        if not row:
            return shorter
        if self.smoothing == "interpolated":
            return (row.get(token, 0) + len(row) * shorter) / (total + len(row))
        discounts = self.discounts[len(context)]
        taken = {key: discounts[min(count, 3) - 1] for key, count in row.items()}
        freed = sum(taken.values()) / total
        return (row.get(token, 0) - taken.get(token, 0)) / total + freed * shorter


def drawn_documents(seed=0, n=60):
    """Documents of a source with memory, so that n-grams repeat; token 4 never comes."""
    generator = np.random.default_rng(seed)
    documents = []
    for _ in range(n):
        document = [BOS]
        for _ in range(generator.integers(0, 13)):
            document.append(int((document[-1] + generator.integers(0, 3)) % 4))
        documents.append([*document, EOS])
    return documents


def stream_of(documents):
    return np.array([token for document in documents for token in document], dtype=np.uint16)


def fitted(documents, **settings):
    return Ngram(NgramConfig(vocab_size=V, **settings)).fit(stream_of(documents), bos_id=BOS)


def batch_of(row, **fields):
    ids = torch.tensor([row])
    return Batch(inputs=ids[:, :-1], targets=ids[:, 1:], **fields)


CONTEXTS = [
    (BOS,), (BOS, 0), (BOS, 0, 1, 2), (BOS, 4), (4, 4, 4), (0,), (3, 0, 1, 1),
    (BOS, 3, 3, 3, 2), (EOS,), (0, 1, EOS), (1, EOS, BOS, 2),
]  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("settings", WAYS)
def test_every_row_equals_the_slow_dictionary_and_sums_to_one(settings, order):
    documents = drawn_documents()
    model = fitted(documents, order=order, **settings)
    slow = SlowNgram(documents, order=order, **settings)
    for context in CONTEXTS:  # seen, half seen, never seen, at the beginning, after the end
        expected = torch.tensor([slow.prob(token, context) for token in range(V)])
        log_probs, _ = model.next_log_probs(torch.tensor([context]))
        assert log_probs.dtype == torch.float32
        assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-6)
        torch.testing.assert_close(log_probs[0].exp(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("settings", WAYS)
def test_log_probs_of_unseen_documents_equal_the_slow_dictionary(settings):
    documents, unseen = drawn_documents(), drawn_documents(seed=1, n=11)
    model, slow = fitted(documents, order=4, **settings), SlowNgram(documents, order=4, **settings)
    for document in unseen:
        expected = [math.log(slow.prob(document[t], tuple(document[:t])))
                    for t in range(1, len(document))]  # fmt: skip
        got = model.log_probs(batch_of(document))[0]
        torch.testing.assert_close(got, torch.tensor(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_scoring_and_writing_agree_in_chunks_of_any_size(order):
    model = fitted(drawn_documents(), order=order)
    row = [BOS, 0, 1, 1, 2, EOS, BOS, 3, 0, 2, 1]  # two documents
    scored = model.log_probs(batch_of(row))[0]
    for chunk in (1, 2, 3):
        state = None
        for start in range(0, len(row) - chunk, chunk):
            new = torch.tensor([row[start : start + chunk]])
            log_probs, state = model.next_log_probs(new, state)
            end = start + chunk
            assert log_probs[0, row[end]] == scored[end - 1]


def test_san_francisco_by_hand():
    """ "Francisco" is frequent but follows one word only: backing off must not choose it."""
    the, san, francisco, glasses, my = range(5)
    pairs = 3 * [[san, francisco]] + [[the, glasses], [my, glasses]]
    documents = [[BOS, *pair, EOS] for pair in pairs]
    model = fitted(documents, order=2, discount=0.5)
    # Different tokens before: the 1, san 1, francisco 1, glasses 2, my 1, eos 2; together 8, and
    # 6 kinds give 6 * 0.5 to all seven tokens alike.
    lower = {francisco: 0.5 / 8 + 3 / 8 / 7, glasses: 1.5 / 8 + 3 / 8 / 7}
    probs = model.next_log_probs(torch.tensor([[francisco]]))[0].exp()[0]
    # "francisco" was followed by eos alone, 3 times: it keeps 2.5 of 3 and frees 0.5 / 3.
    assert probs[glasses].item() == pytest.approx(0.5 / 3 * lower[glasses], rel=1e-5)
    assert probs[francisco].item() == pytest.approx(0.5 / 3 * lower[francisco], rel=1e-5)
    assert probs[glasses] > 2 * probs[francisco]
    interpolated = fitted(documents, order=2, smoothing="interpolated")
    wrong = interpolated.next_log_probs(torch.tensor([[francisco]]))[0][0]
    assert wrong[francisco] > wrong[glasses]  # by raw counts it is the more frequent


def test_add_k_by_hand():
    model = fitted([[BOS, 0, 1, 0, 2, EOS]], order=2, smoothing="add-k", k=0.5)
    probs = model.next_log_probs(torch.tensor([[0], [1], [4], [BOS]]))[0].exp()
    half = 0.5 * V
    after_0 = torch.tensor([0.5, 1.5, 1.5, 0.5, 0.5, 0.5, 0.5]) / (2 + half)
    torch.testing.assert_close(probs[0], after_0)
    torch.testing.assert_close(probs[2], torch.full((V,), 1 / V))  # never seen: uniform
    assert probs[3, 0].item() == pytest.approx(1.5 / (1 + half))  # the beginning is a context


def test_nothing_discounted_is_the_plain_estimate():
    documents = drawn_documents()
    model = fitted(documents, order=3, discount=0.0)
    row = Counter(d[t] for d in documents for t in range(2, len(d)) if d[t - 2 : t] == [1, 2])
    probs = model.next_log_probs(torch.tensor([[1, 2]]))[0][0].exp()
    expected = torch.tensor([row[token] / row.total() for token in range(V)])
    torch.testing.assert_close(probs, expected)
    plain = fitted(documents, order=3, smoothing="add-k", k=0.0)
    torch.testing.assert_close(plain.next_log_probs(torch.tensor([[1, 2]]))[0][0].exp(), expected)
    impossible = plain.loss_sums(batch_of([BOS, 4]))["tokens"]
    assert impossible.item() == math.inf  # and not NaN


def test_the_plain_estimate_is_the_likeliest_table():
    documents = drawn_documents()

    def loss(model, texts):
        return sum(model.loss_sums(batch_of(text))["tokens"].item() for text in texts)

    plain = loss(fitted(documents, order=3, smoothing="add-k", k=0.0), documents)
    others = [fitted(documents, order=3, **settings) for settings in WAYS]
    others.append(fitted(drawn_documents(seed=3), order=3))
    assert all(loss(other, documents) > plain for other in others)


def test_discounts_by_hand_and_where_they_cannot_be_computed():
    counts = np.repeat([0, 1, 2, 3, 4, 9], [5, 8, 4, 2, 1, 3])  # Y = 8 / (8 + 2 · 4) = 1/2
    by_hand = 1 - 2 * 0.5 * 4 / 8, 2 - 3 * 0.5 * 2 / 4, 3 - 4 * 0.5 * 1 / 2
    assert estimate_discounts(counts) == pytest.approx(by_hand)
    assert estimate_discounts(np.array([1, 1, 2, 7])) == FALLBACK_DISCOUNTS  # no n3
    uneven = np.repeat([1, 2, 3, 4], [9, 1, 9, 1])
    assert estimate_discounts(uneven) == FALLBACK_DISCOUNTS  # D2 would be negative


def test_before_counting_every_token_is_equally_likely():
    model = Ngram(NgramConfig(vocab_size=V, order=3))
    torch.testing.assert_close(
        model.log_probs(batch_of([BOS, 1, 2, 3])), torch.full((1, 3), -math.log(V))
    )
    assert model.context_length is None


def test_the_future_and_other_rows_change_nothing():
    model = fitted(drawn_documents(), order=4)
    rows = torch.tensor([[BOS, 0, 1, 2, 3, 3, 0, 1, 2], [BOS, 3, 0, 0, 1, 1, 2, 2, 3]])
    before = model.log_probs(Batch(inputs=rows[:, :-1], targets=rows[:, 1:]))
    changed = rows.clone()
    changed[1], changed[0, 6:] = 4, 4
    after = model.log_probs(Batch(inputs=changed[:, :-1], targets=changed[:, 1:]))
    assert torch.equal(before[0, :5], after[0, :5])
    assert not torch.equal(before[0, 5:], after[0, 5:])


def test_padding_and_neighbors_in_a_row_are_not_read():
    model = fitted(drawn_documents(), order=4)
    first, second = [BOS, 0, 1, 2, EOS], [BOS, 3, 0, 1, EOS]
    alone = [model.log_probs(batch_of(document))[0] for document in (first, second)]
    both = model.log_probs(batch_of(first + second))[0]  # bos itself is charged in between
    torch.testing.assert_close(torch.cat([both[:4], both[5:]]), torch.cat(alone))

    tail = [0, 1, 2, EOS]  # without bos: nothing is known before it
    expected = model.log_probs(batch_of(tail))[0]
    padding = torch.tensor([[True, True, False, False, False]])
    padded = model.log_probs(batch_of([3, 3, *tail], is_padding=padding))[0]
    torch.testing.assert_close(padded[2:], expected)
    packed = batch_of([3, 3, *tail], document_ids=torch.tensor([[0, 0, 1, 1, 1]]))
    torch.testing.assert_close(model.log_probs(packed)[0, 2:], expected)
    assert not torch.allclose(model.log_probs(batch_of([3, 3, *tail]))[0, 2:], expected)


def test_evaluation_scores_every_token_but_bos():
    documents, unseen = drawn_documents(), drawn_documents(seed=2, n=13)
    model, slow = fitted(documents, order=3), SlowNgram(documents, order=3)
    nats = [-math.log(slow.prob(d[t], tuple(d[:t]))) for d in unseen for t in range(1, len(d))]
    arrays = [np.array(document) for document in unseen]
    for window in (None, 6):  # a window's later half knows more than the two tokens it needs
        evaluation = evaluate_documents(
            model, arrays, n_bytes=100, context_length=window, batch_size=3
        )
        assert evaluation.n_tokens == len(nats)
        assert evaluation.loss_sum == pytest.approx(math.fsum(nats), rel=1e-5)


def test_generated_text_comes_from_what_was_counted():
    documents = drawn_documents()
    model = fitted(documents, order=3, smoothing="add-k", k=0.0)  # draws nothing unseen
    texts = generate(model, [[BOS]] * 17, max_new_tokens=40, eos_id=EOS)
    seen = {tuple(d[t : t + 3]) for d in documents for t in range(len(d) - 2)}
    written = {tuple(text[t : t + 3]) for text in texts for t in range(len(text) - 2)}
    assert written
    assert written <= seen
    again = generate(model, [[BOS]] * 17, max_new_tokens=40, eos_id=EOS, use_cache=False)
    assert texts == again


def test_a_fitted_model_is_rebuilt_from_its_config_and_its_tensors():
    model = fitted(drawn_documents(), order=4)
    stored = json.dumps(dataclasses.asdict(model.config))
    tensors = safetensors.torch.load(safetensors.torch.save(model_tensors(model)))
    again = Ngram(NgramConfig(**json.loads(stored)))
    load_weights(again, tensors)
    assert again.config == model.config
    batch = batch_of([BOS, 0, 1, 2, 4, 3, EOS])
    assert torch.equal(again.log_probs(batch), model.log_probs(batch))
    assert model.n_parameters() == sum(
        tensor.numel() for name, tensor in tensors.items() if "keys" not in name
    )


def test_fitting_again_forgets_the_first_text():
    first, second = drawn_documents(), drawn_documents(seed=4)
    model = fitted(first, order=3).fit(stream_of(second), bos_id=BOS)
    fresh = fitted(second, order=3)
    batch = batch_of(first[0])
    assert torch.equal(model.log_probs(batch), fresh.log_probs(batch))


def test_keys_of_a_large_vocabulary_do_not_collide():
    """65,536 to the fifth power is far beyond 64 bits; numbers of n-grams are not."""
    size = 65_536
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, size - 1, 997)
    alike_in_32_bits = [100, 7, 100 + 2**15, 7]
    documents = [[size - 1, *tokens, 17], [size - 1, *tokens[500:], *alike_in_32_bits]]
    counts = count_ngrams(stream_of(documents), vocab_size=size, order=5, bos_id=size - 1)
    for n in range(1, 5):
        seen = Counter(
            tuple(map(int, d[t - n : t + 1])) for d in documents for t in range(n, len(d))
        )
        assert len(counts[n].keys) == len(seen)
        assert sorted(counts[n].counts.tolist()) == sorted(seen.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, "order must be from 1 to 16, got 0"),
        ({"order": 17}, "order must be from 1 to 16, got 17"),
        ({"smoothing": "good-turing"}, "smoothing must be kneser-ney or interpolated or add-k"),
        ({"k": -0.1}, "k must be 0 or a positive finite number, got -0.1"),
        ({"k": math.nan}, "k must be 0 or a positive finite number, got nan"),
        ({"discount": 1.5}, "discount must be from 0 to 1 .*, got 1.5"),
        ({"order": 3, "table_sizes": (4,)}, r"table_sizes must hold 2 sizes.*got \[4\]"),
        ({"order": 2, "table_sizes": (-4,)}, r"table_sizes must not be negative, got \[-4\]"),
        ({"vocab_size": 0}, "vocab_size must be positive, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        NgramConfig(**({"vocab_size": V} | settings))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ([], "nothing to count: 0 tokens"),
        ([BOS, BOS], "nothing to count: 2 tokens, none but bos"),
        ([BOS, V], f"from 0 to {V - 1} .* got 5 to {V}"),
        ([BOS, -1], "got -1 to 5"),
        ([[BOS, 1]], r"must be \(N,\) integers, got shape \(1, 2\)"),
        ([0.5, 1.0], "got shape .* of float64"),
    ],
)
def test_what_is_no_stream_of_documents_is_refused(stream, message):
    model = fitted([[BOS, 0, EOS]], order=2)
    before = model.next_log_probs(torch.tensor([[0]]))[0]
    ids = np.array(stream) if stream else np.array([], dtype=np.int64)
    with pytest.raises(DataError, match=message):
        model.fit(ids, bos_id=BOS)
    assert torch.equal(model.next_log_probs(torch.tensor([[0]]))[0], before)


def test_ids_outside_the_vocabulary_are_refused():
    model = fitted(drawn_documents(), order=3)
    for inputs, targets, name in (([BOS, V], [0, 0], "inputs"), ([BOS, 0], [0, V], "targets")):
        batch = Batch(inputs=torch.tensor([inputs]), targets=torch.tensor([targets]))
        with pytest.raises(ValueError, match=rf"{name} must be from 0 to 6, got \d to 7"):
            model.log_probs(batch)
    with pytest.raises(ValueError, match=r"needs batch\.targets"):
        model.log_probs(Batch(inputs=torch.tensor([[BOS]])))
    for ids in (torch.zeros(2, 0, dtype=torch.int64), torch.tensor([BOS])):
        with pytest.raises(ValueError, match=r"\(B, T\) with at least one token"):
            model.next_log_probs(ids)


def test_ignored_targets_cost_nothing():
    model = fitted(drawn_documents(), order=3)
    inputs = torch.tensor([[BOS, 0, 1]])
    batch = Batch(inputs=inputs, targets=torch.tensor([[0, IGNORE_INDEX, 2]]))
    log_probs = model.log_probs(batch)
    assert log_probs[0, 1] == 0
    full = model.log_probs(Batch(inputs=inputs, targets=torch.tensor([[0, 1, 2]])))
    assert torch.equal(log_probs[0, [0, 2]], full[0, [0, 2]])
    nothing = Batch(inputs=inputs, targets=torch.full((1, 3), IGNORE_INDEX))
    assert model.loss_sums(nothing)["tokens"].item() == 0
