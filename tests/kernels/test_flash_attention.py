"""Our Triton kernel, by Triton's interpreter (see tests/conftest.py): many blocks, and gradients.

What every backend promises is tested in tests/test_attention.py and test_attention_masks.py.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minillm.attention import attention
from minillm.errors import ConfigError
from minillm.kernels import flash_attention as module
from minillm.masking import MaskRule, causal_mask

pytest.importorskip("triton", reason="the extra [kernels], for Linux: the kernel is not tested")
ROOT = Path(__file__).parents[2]
B, H, T, S, D = 2, 3, 37, 53, 5  # with blocks of 16: three of queries, four of keys
BLOCK = 16


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def draw(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def kernel(*tensors, **options):
    return module.flash_attention(*tensors, block_size=BLOCK, **options)


@pytest.mark.parametrize("kind", ["full", "causal", "mask", "bias", "mask and bias", "scale"])
def test_many_blocks_equal_the_equation(generator, kind):
    n_keys = T if kind == "causal" else S
    query, key = draw(generator, B, H, T, D), draw(generator, B, H, n_keys, D)
    inputs = [query, key, draw(generator, B, H, n_keys, 3)]  # values of another width
    options = {"causal": {"is_causal": True}, "scale": {"scale": 0.3}}.get(kind, {})
    if "mask" in kind:
        mask = torch.rand(B, 1, T, S, generator=generator) < 0.5
        mask[:, :, 11] = False  # a query that reads nothing
        mask[:, :, 12:30, :BLOCK] = False  # rows whose first block of keys is hidden as a whole
        options["mask"] = mask
    if "bias" in kind:
        options["bias"] = draw(generator, H, T, S).requires_grad_()
        inputs.append(options["bias"])
    inputs = [x.requires_grad_() for x in inputs]
    expected = attention(*inputs[:3], backend="reference", **options)
    out = kernel(*inputs[:3], **options)
    torch.testing.assert_close(out, expected)
    direction = draw(generator, B, H, T, 3)
    wanted = torch.autograd.grad((expected * direction).sum(), inputs)
    for found, one in zip(
        torch.autograd.grad((out * direction).sum(), inputs), wanted, strict=True
    ):
        torch.testing.assert_close(found, one)


@pytest.mark.parametrize("size", [1.0, -1.0])
def test_the_running_maximum_may_rise_or_fall_by_hundreds(size):
    """exp of these scores overflows, and each block has another maximum."""
    key = torch.linspace(0, size * 2000, S, dtype=torch.float64).view(1, 1, S, 1)
    value = torch.arange(S, dtype=torch.float64).view(1, 1, S, 1)
    out = kernel(torch.ones(1, 1, 1, 1, dtype=torch.float64), key, value)
    expected = S - 1.0 if size > 0 else 0.0  # the next key is exp(-38) as likely
    assert out.item() == pytest.approx(expected, abs=1e-12)


def test_the_saved_number_is_the_logarithm_of_the_sum(generator):
    query, key, value = (draw(generator, B, H, n, D) for n in (T, S, S))
    mask = torch.rand(T, S, generator=generator) < 0.5
    mask[7] = False
    _, log_sums = module._forward(query, key, value, mask, None, False, 1.0, BLOCK)
    scores = (query @ key.mT).masked_fill(~mask, float("-inf"))
    expected = scores.logsumexp(dim=-1)
    assert (log_sums[:, :, 7] == float("inf")).all()  # so that exp(score - L) is 0
    kept = torch.arange(T) != 7
    torch.testing.assert_close(log_sums[:, :, kept], expected[:, :, kept])


@pytest.mark.parametrize("is_causal", [False, True])
def test_gradients_do_not_depend_on_how_many_rows_are_recomputed(generator, monkeypatch, is_causal):
    inputs = [draw(generator, B, 4, T, D).requires_grad_()]
    inputs += [draw(generator, B, 2, T, D).requires_grad_() for _ in range(2)]  # grouped heads
    expected = attention(*inputs, is_causal=is_causal, backend="reference").square().sum()
    monkeypatch.setattr(module, "_BACKWARD_ROWS", 11)
    found = kernel(*inputs, is_causal=is_causal).square().sum()
    for a, b in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_tensors_may_have_gaps(generator):
    """Heads come as a view of (B, T, H · D): strides must be followed, not assumed."""
    query, key, value = (draw(generator, B, T, H, 2 * D)[..., ::2].transpose(1, 2) for _ in "qkv")
    expected = attention(query, key, value, backend="reference")
    torch.testing.assert_close(kernel(query, key, value), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_formats_of_16_and_32_bits(generator, dtype):
    query, key, value = (draw(generator, B, H, n, D).to(dtype) for n in (T, S, S))
    expected = attention(*(x.double() for x in (query, key, value)), backend="reference")
    out = kernel(query, key, value)
    assert out.dtype == dtype
    tolerance = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)


def test_rules_become_masks(generator):
    x = draw(generator, B, H, T, D)
    rule = MaskRule(is_causal=True, window=5)
    expected = attention(x, x, x, mask=rule.matrix(T), backend="sdpa")
    torch.testing.assert_close(attention(x, x, x, mask=rule, backend="triton"), expected)


def test_it_can_be_differentiated_once(generator):
    x = draw(generator, 1, 1, 3, D).requires_grad_()
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        torch.autograd.grad(kernel(x, x, x).sum(), x, create_graph=True)


def test_what_it_cannot_do_is_refused(generator, monkeypatch):
    x = draw(generator, 1, 1, 3, D)
    with pytest.raises(ValueError, match=r"triton knows no dropout, got 0\.1"):
        attention(x, x, x, dropout=0.1, backend="triton")
    monkeypatch.setattr(module, "triton", None)
    with pytest.raises(ConfigError, match=r"pip install 'minillm\[kernels\]'"):
        attention(x, x, x, mask=causal_mask(3), backend="triton")


ON_A_GPU = """
import torch
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton.language as tl
from minillm.attention import attention
from minillm.errors import ConfigError
from minillm.kernels.flash_attention import _forward_kernel as kernel

try:
    attention(*torch.ones(3, 1, 1, 2, 2), backend="triton")
except ConfigError as error:
    print(error)

known = dict(key_dim=5, value_dim=3, KEY_WIDTH=16, VALUE_WIDTH=16, IS_CAUSAL=True, HAS_MASK=True,
             HAS_BIAS=True, FACTORS=tl.float16, EXACT=tl.float32, BLOCK=16)
kinds = dict(mask="*u8", log_sums="*fp32", scale="fp32")
kinds |= dict.fromkeys(("query", "key", "value", "bias", "output"), "*fp16")
kinds |= dict.fromkeys(known, "constexpr")
signature = {name: kinds.get(name, "i32") for name in kernel.arg_names}
places = {(kernel.arg_names.index(name),): value for name, value in known.items()}
compiled = compile(ASTSource(kernel, signature, places), target=GPUTarget("cuda", 80, 32))
print("mma.sync" in compiled.asm["ptx"], len(compiled.asm["cubin"]) > 0)
"""


@pytest.mark.slow
def test_it_compiles_for_a_gpu_that_is_not_there():
    """The interpreter runs what a GPU's compiler may refuse: compile it, for an A100."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_DEFAULT_FP_FUSION": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_A_GPU],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refusal, compiled = done.stdout.splitlines()
    assert "set TRITON_INTERPRET=1 before Python starts" in refusal
    assert compiled == "True True"
