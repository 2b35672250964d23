"""Generation against a hand-made model whose prediction depends on every token of its window."""

import math

import pytest
import torch

from minillm.config import DecoderConfig
from minillm.errors import ConfigError, NumericalError
from minillm.generation import generate, sample, stream
from minillm.models.base import LanguageModel
from minillm.models.decoder import Decoder

V = 13


class Windowed(LanguageModel):
    """Its state is all it has read; scores change wildly with any token or position of it."""

    def __init__(self, context_length=None):
        super().__init__()
        self.context_length = context_length
        self.n_read = []  # tokens per call: shows what the cache saves
        self.modes = []

    def loss_sums(self, batch):
        raise NotImplementedError

    def log_probs(self, batch):
        raise NotImplementedError

    def next_log_probs(self, token_ids, state=None):
        window = token_ids if state is None else torch.cat([state, token_ids], dim=1)
        if self.context_length is not None and window.shape[1] > self.context_length:
            raise ValueError("too long")
        self.n_read.append(token_ids.shape[1])
        self.modes.append(self.training)
        places = torch.arange(1, window.shape[1] + 1)
        summary = ((window + 1) * places).sum(dim=1, keepdim=True)
        return (3 * torch.sin(summary * torch.arange(1.0, V + 1))).log_softmax(dim=-1), window


class Constant(Windowed):
    """Always predicts the same given probabilities."""

    def __init__(self, probs, context_length=None):
        super().__init__(context_length)
        self.log = torch.tensor(probs).log()

    def next_log_probs(self, token_ids, state=None):
        return self.log.expand(len(token_ids), -1), state


def draw(log_probs, n=1, seed=0, **settings):
    generator = torch.Generator().manual_seed(seed)
    rows = log_probs.expand(n, -1)
    return sample(rows, generators=[generator] * n, **settings)


def slow_generate(model, prompt, n, limit):
    """The window rule in plain words, greedy."""
    text, window = list(prompt), list(prompt)[-limit:]
    for _ in range(n):
        if len(window) > limit:
            window = window[len(window) - max(limit // 2, 1) :]
        log_probs, _ = model.next_log_probs(torch.tensor([window]))
        token = int(log_probs.argmax())
        text.append(token)
        window.append(token)
    return text


# ---- row 45: the window -------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize("n_prompt", [1, 4, 5, 6, 7, 17])
def test_prompts_around_the_context_length_row45(limit, n_prompt):
    prompt = [(3 * i) % V for i in range(n_prompt)]
    expected = slow_generate(Windowed(limit), prompt, 19, limit)
    assert expected[:n_prompt] == prompt  # the output holds the full prompt, also a long one
    for use_cache in (True, False):
        model = Windowed(limit)
        out = generate(model, [prompt], max_new_tokens=19, temperature=0, use_cache=use_cache)
        assert out == [expected]


def test_cache_reads_each_token_once_row45():
    model = Windowed(6)
    generate(model, [[1, 2, 3]], max_new_tokens=6)
    assert model.n_read == [3, 1, 1, 1, 3, 1]  # at the 7th token: again from the last 6 // 2
    model = Windowed(6)
    generate(model, [[1, 2, 3]], max_new_tokens=6, use_cache=False)
    assert model.n_read == [3, 4, 5, 6, 3, 4]


@pytest.mark.parametrize("family", [DecoderConfig.gpt, DecoderConfig.llama])
def test_cache_and_no_cache_agree_for_the_decoder_row45(family):
    config = family(vocab_size=V, context_length=7, d_model=20, n_layers=2, n_heads=2)
    model = Decoder(config, generator=torch.Generator().manual_seed(1))
    for parameter in model.parameters():  # larger weights: confident, varied predictions
        parameter.data.mul_(4)
    prompts = [[1, 2, 3], [4], list(range(11))]
    runs = [
        generate(model, prompts, max_new_tokens=23, seed=3, use_cache=use_cache)
        for use_cache in (True, False)
    ]
    assert runs[0] == runs[1]
    assert len({tuple(row[-23:]) for row in runs[0]}) == 3


# ---- row 46: temperature ------------------------------------------------------------------


def test_temperature_zero_is_argmax_and_ties_go_to_the_lowest_id_row46():
    log_probs = torch.randn(37, V, generator=torch.Generator().manual_seed(0))
    log_probs[5, 3] = log_probs[5, 11] = 9.0
    picked = sample(log_probs, temperature=0, generators=[torch.Generator()] * 37)
    assert picked.tolist() == [row.index(max(row)) for row in log_probs.tolist()]
    assert picked[5] == 3


def test_small_temperature_tends_to_argmax_row46():
    log_probs = torch.tensor([0.3, 0.31, 0.39]).log()
    for temperature in (1e-3, 1e-12, 1e-300):
        assert (draw(log_probs, n=50, temperature=temperature) == 2).all()


@pytest.mark.parametrize("temperature", [-1.0, -1e-9, math.nan, math.inf])
def test_temperature_out_of_range_is_refused_row46(temperature):
    with pytest.raises(ConfigError, match="temperature must be 0"):
        draw(torch.zeros(V), temperature=temperature)
    with pytest.raises(ConfigError, match="temperature must be 0"):
        generate(Windowed(), [[1]], max_new_tokens=0, temperature=temperature)


# ---- row 47: top-k, top-p -----------------------------------------------------------------

PROBS = torch.tensor([0.05, 0.4, 0.1, 0.25, 0.2])


@pytest.mark.parametrize(
    ("settings", "support"),
    [
        ({"top_k": 1}, {1}),
        ({"top_k": 3}, {1, 3, 4}),
        ({"top_k": 5}, {0, 1, 2, 3, 4}),
        ({"top_k": 10**6}, {0, 1, 2, 3, 4}),
        ({"top_p": 1e-9}, {1}),
        ({"top_p": 0.39}, {1}),
        ({"top_p": 0.41}, {1, 3}),  # the token that crosses p stays
        ({"top_p": 0.7}, {1, 3, 4}),
        ({"top_p": 0.96}, {0, 1, 2, 3, 4}),
        ({"top_p": 1.0}, {0, 1, 2, 3, 4}),
        ({"top_k": 2, "top_p": 0.6}, {1}),  # normalized after top-k: 0.4 / 0.65 = 0.615
        ({"temperature": 0.1, "top_p": 0.95}, {1}),  # after the temperature
    ],
    ids=str,
)
def test_support_set_row47(settings, support):
    assert set(draw(PROBS.log(), n=2000, **settings).tolist()) == support


def test_top_k_keeps_exactly_k_of_equals_row47():
    assert set(draw(torch.zeros(V), n=500, top_k=2).tolist()) == {0, 1}
    assert set(draw(torch.zeros(V), n=500, top_p=2.5 / V).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("top_k", [0, -1])
def test_top_k_below_one_is_refused_row47(top_k):
    with pytest.raises(ConfigError, match="top_k must be 1 or more"):
        draw(PROBS.log(), top_k=top_k, temperature=0)


@pytest.mark.parametrize("top_p", [0.0, -0.1, 1.01, math.nan])
def test_top_p_out_of_range_is_refused_row47(top_p):
    with pytest.raises(ConfigError, match=r"top_p must be in \(0, 1\]"):
        draw(PROBS.log(), top_p=top_p)


# χ² of the counts against the exact probabilities. The bound is the mean k − 1 plus five standard
# deviations sqrt(2 (k − 1)); a first-order wrong rule gives hundreds at 20,000 draws.
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, PROBS),
        ({"temperature": 2.0}, PROBS.sqrt()),
        ({"temperature": 0.5}, PROBS**2),
        ({"top_k": 3}, PROBS * torch.tensor([0, 1, 0, 1, 1])),
        ({"top_p": 0.5}, PROBS * torch.tensor([0, 1, 0, 1, 0])),
        ({"temperature": 2.0, "top_k": 4, "top_p": 0.7}, PROBS.sqrt() * PROBS.gt(0.15)),
    ],
    ids=str,
)
def test_draws_follow_the_distribution(settings, expected):
    n = 20_000
    counts = torch.bincount(draw(PROBS.log(), n=n, **settings), minlength=5).double()
    expected = expected.double() / expected.sum() * n
    kept = expected > 0
    assert counts[~kept].sum() == 0
    chi_squared = ((counts - expected)[kept] ** 2 / expected[kept]).sum().item()
    freedom = int(kept.sum()) - 1
    assert chi_squared < freedom + 5 * math.sqrt(2 * freedom)


def test_draws_of_a_row_are_independent_of_its_shift_and_its_neighbors():
    log_probs = torch.randn(3, V, generator=torch.Generator().manual_seed(2))
    generators = [torch.Generator().manual_seed(i) for i in range(3)]
    together = sample(log_probs, generators=generators)
    alone = [draw(log_probs[i : i + 1] + 70.0, seed=i).item() for i in range(3)]
    assert together.tolist() == alone


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53], ids=["lowest", "highest"])
def test_a_token_of_probability_zero_is_never_drawn(monkeypatch, uniform):
    extreme = torch.tensor([uniform], dtype=torch.float64)  # where comparing or rounding may slip
    monkeypatch.setattr(torch, "rand", lambda *args, **settings: extreme)
    impossible = -math.inf
    assert draw(torch.tensor([impossible, 0.0, impossible])).item() == 1
    assert draw(torch.tensor([impossible, impossible, 0.0])).item() == 2
    assert draw(torch.tensor([0.3, 0.3, 0.4, 0.0]).log(), top_k=2).item() in (0, 2)
    for n in range(2, 40):  # sums of n equal parts round up or down
        log_probs = torch.full((n + 2,), -math.log(n))
        log_probs[[0, -1]] = impossible
        assert draw(log_probs).item() == (1 if uniform == 0.0 else n)


# ---- row 48: prompts and stopping ---------------------------------------------------------


def test_empty_prompt_is_refused_row48():
    with pytest.raises(ConfigError, match=r"prompt 1 is empty.*bos_id"):
        generate(Windowed(), [[1], []], max_new_tokens=3)
    with pytest.raises(ConfigError, match="prompt 0 is empty"):
        stream(Windowed(), [], max_new_tokens=3)  # at the call, not at the first token


def test_no_new_tokens_returns_the_prompts_row48():
    model = Windowed()
    prompts = [[1, 2], [3]]
    out = generate(model, prompts, max_new_tokens=0)
    assert out == prompts
    assert out[0] is not prompts[0]  # a copy: the caller's lists stay theirs
    assert model.n_read == []
    assert generate(model, [], max_new_tokens=5) == []
    with pytest.raises(ConfigError, match="max_new_tokens must be 0 or more"):
        generate(model, prompts, max_new_tokens=-1)


def test_eos_stops_a_row_and_is_kept_row48():
    certain = Constant([0.0, 0.0, 1.0])
    assert generate(certain, [[0], [1, 1]], max_new_tokens=9, eos_id=2) == [[0, 2], [1, 1, 2]]
    assert generate(certain, [[2]], max_new_tokens=3, eos_id=1) == [[2, 2, 2, 2]]
    # eos inside the prompt is text like any other
    assert generate(certain, [[2, 2]], max_new_tokens=3, eos_id=2) == [[2, 2, 2]]


@pytest.mark.parametrize("limit", [None, 6])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0}, {"top_k": 5, "top_p": 0.9}], ids=str)
def test_each_row_of_a_batch_equals_the_row_alone_row48(settings, limit):
    prompts = [[5, 1, 2, 3, 9], [7], [4, 4], list(range(11))]
    settings = {"max_new_tokens": 17, "eos_id": 0, **settings}
    together = generate(Windowed(limit), prompts, seed=41, **settings)
    for row, prompt in enumerate(prompts):
        assert together[row] == generate(Windowed(limit), [prompt], seed=41 + row, **settings)[0]
        assert together[row][: len(prompt)] == prompt
    if not settings.get("top_k"):  # negative control: some row stopped early
        assert len({len(out) - len(p) for out, p in zip(together, prompts, strict=True)}) > 1


def test_stream_yields_what_generate_returns():
    for limit in (None, 5):
        whole = generate(Windowed(limit), [[1, 2, 3]], max_new_tokens=20, seed=5, top_p=0.9)
        parts = stream(Windowed(limit), [1, 2, 3], max_new_tokens=20, seed=5, top_p=0.9)
        assert [1, 2, 3, *parts] == whole[0]


def test_seeds_decide_the_text_and_the_global_generator_is_untouched():
    before = torch.get_rng_state()
    texts = [generate(Windowed(), [[1]], max_new_tokens=20, seed=seed)[0] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_model_predicts_in_evaluation_mode_and_gets_its_mode_back():
    model = Windowed()
    for _ in stream(model, [1], max_new_tokens=3):
        assert model.training  # also between two tokens
    assert model.modes == [False] * 3
    generate(model.eval(), [[1]], max_new_tokens=1)
    assert not model.training


# ---- row 49: broken predictions -----------------------------------------------------------


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("bad", [[0.0, math.nan], [-math.inf] * 2, [0.0, math.inf]], ids=str)
def test_broken_log_probs_are_refused_row49(bad, temperature):
    log_probs = torch.tensor([[0.0, 0.0], bad])
    with pytest.raises(NumericalError, match=r"rows \[1\].*NaN"):
        sample(log_probs, temperature=temperature, generators=[torch.Generator()] * 2)


def test_a_damaged_model_does_not_write_row49():
    with pytest.raises(NumericalError, match="cannot choose"):
        generate(Constant([math.nan, 1.0]), [[0]], max_new_tokens=1)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(B, V\) with B generators"):
        sample(torch.zeros(2, V), generators=[torch.Generator()])
    with pytest.raises(ValueError, match=r"\(B, V\) with B generators"):
        sample(torch.zeros(V), generators=[torch.Generator()])
