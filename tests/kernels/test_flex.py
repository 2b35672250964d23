"""FlexAttention: its rules, its refusals, and (slow: it compiles) its numbers on a CPU."""

import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from minillm.attention import attention, attention_weights
from minillm.errors import ConfigError
from minillm.kernels import flex
from minillm.masking import MaskRule, causal_mask

B, H, T, S, D = 2, 6, 7, 11, 5
IDS = torch.tensor([[4, 4, 9, 9, 9, 4, 4], [1, 2, 2, 2, 2, 2, 3]])
RULES = {
    "nothing": MaskRule(),
    "causal": MaskRule(is_causal=True),
    "window": MaskRule(window=3),
    "documents": MaskRule(document_ids=IDS),
    "all": MaskRule(is_causal=True, window=2, document_ids=IDS),
    "one row of documents": MaskRule(is_causal=True, document_ids=IDS[:1]),
}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def draw(generator, *shape):
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_allows_what_its_matrix_allows(name):
    rule = RULES[name]
    blocks = flex.blocks_of_rule(
        T,
        is_causal=rule.is_causal,
        window=rule.window,
        document_ids=rule.document_ids,
        device=torch.device("cpu"),
    )
    n_batch = 1 if rule.document_ids is None else len(rule.document_ids)
    found = create_mask(blocks.mask_mod, n_batch, 1, T, T, device="cpu")
    assert torch.equal(found, rule.matrix(T).expand(n_batch, 1, T, T))


def test_blocks_that_a_rule_hides_are_skipped():
    n = 1024  # 8 × 8 blocks
    blocks = flex.blocks_of_rule(
        n, is_causal=True, window=128, document_ids=None, device=torch.device("cpu")
    )
    assert blocks.sparsity() == pytest.approx(100 * (1 - 15 / 64))  # a diagonal and the one below


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
@pytest.mark.parametrize("name", RULES)
def test_other_backends_take_the_matrix(generator, backend, name):
    query, key, value = (draw(generator, B, H, T, D) for _ in range(3))
    matrix = RULES[name].matrix(T)
    out = attention(query, key, value, mask=RULES[name], backend=backend)
    torch.testing.assert_close(out, attention(query, key, value, mask=matrix, backend=backend))
    weights = attention_weights(query, key, mask=RULES[name])
    torch.testing.assert_close(weights, attention_weights(query, key, mask=matrix))


@pytest.mark.parametrize("backend", ["reference", "sdpa", "flex"])
def test_rules_that_do_not_fit_are_refused(generator, backend):
    x, y = draw(generator, B, H, T, D), draw(generator, B, H, S, D)
    with pytest.raises(ValueError, match="a MaskRule needs T == S, got 7 and 11"):
        attention(x, y, y, mask=MaskRule(), backend=backend)
    for ids in (IDS[:, 1:], IDS.repeat(2, 1)):
        with pytest.raises(ValueError, match=r"do not fit query \(2, 6, 7, 5\)"):
            attention(x, x, x, mask=MaskRule(document_ids=ids), backend=backend)
    with pytest.raises(ValueError, match="is_causal stands alone"):
        attention(x, x, x, mask=MaskRule(), is_causal=True, backend=backend)


def test_impossible_rules_are_refused():
    with pytest.raises(ValueError, match="window must be positive"):
        MaskRule(window=0)
    with pytest.raises(ValueError, match="document_ids must be a"):
        MaskRule(document_ids=torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"\(2, 7\) do not fit 5 positions"):
        MaskRule(document_ids=IDS).matrix(5)


def test_what_flex_cannot_do_on_a_cpu_is_refused_before_it_begins(generator, monkeypatch):
    def never(*_arguments, **_options):
        raise AssertionError("it began to compute")

    monkeypatch.setattr("minillm.attention.flex_attention", never)
    monkeypatch.setattr("minillm.attention.blocks_of_rule", never)
    x = draw(generator, B, H, T, D)
    with pytest.raises(ConfigError, match="flex computes gradients only on a GPU"):
        attention(x, x, x.clone().requires_grad_(), is_causal=True, backend="flex")
    with pytest.raises(ConfigError, match="flex computes gradients only on a GPU"):
        attention(x, x, x, bias=torch.zeros(T, T, requires_grad=True), backend="flex")
    with pytest.raises(ValueError, match=r"flex knows no dropout, got 0\.5"):
        attention(x, x, x, dropout=0.5, backend="flex")
    with pytest.raises(ValueError, match=r"flex takes 32 or 16 bits, got torch\.float64"):
        attention(x.double(), x.double(), x.double(), backend="flex")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="found no no-such-compiler: install it"):
        attention(x, x, x, backend="flex")


def test_layers_share_the_blocks_of_their_rule(generator, monkeypatch):
    asked = []
    monkeypatch.setattr("minillm.attention.blocks_of_rule", lambda *a, **_: asked.append(a))
    monkeypatch.setattr("minillm.attention.flex_attention", lambda query, *_a, **_o: query)
    rule, other = (MaskRule(is_causal=True, document_ids=IDS) for _ in range(2))
    x = draw(generator, B, H, T, D)
    for mask in (rule, rule, rule, other):
        attention(x, x, x, mask=mask, backend="flex")
    assert len(asked) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "mask", "padding", "mask and bias", "rule", "causal"])
def test_compiled_on_a_cpu_it_equals_the_equation(generator, kind):
    n_keys = T if kind in ("rule", "causal") else S
    query, key = draw(generator, B, H, T, D), draw(generator, B, 2, n_keys, D)  # grouped heads
    value = draw(generator, B, 2, n_keys, D)
    mask = torch.rand(B, H, T, n_keys, generator=generator) < 0.5
    mask[:, :, 3] = False  # a query that reads nothing
    options = {
        "plain": {"scale": 0.3},
        "mask": {"mask": mask},
        "padding": {"mask": mask[:, :1, :1]},
        "mask and bias": {"mask": mask, "bias": draw(generator, H, T, n_keys)},
        "rule": {"mask": RULES["all"]},
        "causal": {"is_causal": True},
    }[kind]
    if kind == "padding":  # a NaN that nobody may read reaches nobody
        options["mask"][:, :, :, 8:] = False
        value[:, :, 8:] = key[:, :, 8:] = float("nan")
    expected = attention(query, key, value, backend="reference", **options)
    out = attention(query, key, value, backend="flex", **options)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    if kind == "mask":
        assert out[:, :, 3].abs().max() == 0


@pytest.mark.slow
def test_one_tensor_may_be_query_key_and_value(generator):
    x = draw(generator, B, H, T, D).to(torch.bfloat16)
    out = attention(x, x, x, mask=causal_mask(T), backend="flex")
    expected = attention(*(x.float(),) * 3, is_causal=True, backend="reference")
    torch.testing.assert_close(out.float(), expected, atol=0.03, rtol=0.03)


def test_nothing_is_compiled_for_empty_tensors():
    for shape in ((0, H, T, D), (B, H, 0, D)):
        x = torch.ones(shape)
        assert attention(x, x, x, is_causal=True, backend="flex").shape == shape
