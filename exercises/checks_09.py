"""Checks of notebook 09. B sequences, T positions, S keys, C d_model, H heads, D head_dim."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from exercises.harness import Attempt, Mistakes, exercise, same
from exercises.mistakes_09 import (
    BLOCK_MISTAKES,
    FLOPS_MISTAKES,
    PARAMETER_MISTAKES,
    ROTARY_MISTAKES,
    Weights,
)
from minillm.blocks import TransformerBlock
from minillm.config import DecoderConfig
from minillm.models.decoder import Decoder

_QKV = ("query", "key", "value")


def draw_block_weights(d_model: int, d_ff: int, generator: torch.Generator) -> Weights:
    """Draw every weight of a block, float64: the norms' and the biases too, so that each counts."""
    widths = dict.fromkeys(("query", "key", "value", "output"), (d_model, d_model))
    widths |= {"up": (d_ff, d_model), "down": (d_model, d_ff)}
    weights: Weights = {}
    for name, (n_out, n_in) in widths.items():
        matrix = torch.randn(n_out, n_in, generator=generator, dtype=torch.float64)
        weights[f"{name}.weight"] = matrix / math.sqrt(n_in)
        weights[f"{name}.bias"] = torch.randn(n_out, generator=generator, dtype=torch.float64) / 3
    for name in ("attention_norm", "feed_forward_norm"):
        for part, center in (("weight", 1.0), ("bias", 0.0)):
            noise = torch.randn(d_model, generator=generator, dtype=torch.float64) / 3
            weights[f"{name}.{part}"] = center + noise
    return weights


def _torch_block(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    """Return what PyTorch's own encoder layer gives with these weights, pre-norm and causal."""
    d_ff, d_model = weights["up.weight"].shape
    layer = nn.TransformerEncoderLayer(
        d_model, n_heads, d_ff, 0.0, F.gelu, batch_first=True, norm_first=True, dtype=x.dtype
    )
    state = {
        f"self_attn.in_proj_{part}": torch.cat([weights[f"{n}.{part}"] for n in _QKV])
        for part in ("weight", "bias")
    }
    names = {"self_attn.out_proj": "output", "linear1": "up", "linear2": "down"}
    names |= {"norm1": "attention_norm", "norm2": "feed_forward_norm"}
    for theirs, ours in names.items():
        state |= {f"{theirs}.{part}": weights[f"{ours}.{part}"] for part in ("weight", "bias")}
    layer.load_state_dict(state)
    n_tokens = x.shape[1]
    hidden = torch.ones(n_tokens, n_tokens, dtype=torch.bool).triu(1)  # theirs: True = hidden
    return layer(x, src_mask=hidden).detach()


@exercise("a pre-norm block")
def check_block(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``block(x, weights, n_heads)``: one causal pre-norm block with given weights.

    ``x`` is (B, T, C) float; ``weights`` are named as in ``draw_block_weights``. Returns (B, T, C).
    """
    mistakes = BLOCK_MISTAKES
    _check_block_by_hand(attempt, mistakes)
    weights = draw_block_weights(6, 11, generator)
    x = 2 * torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)
    expected = _torch_block(x, weights, 2)
    attempt.equals("2 heads, against torch's encoder layer", (x, weights, 2), expected, mistakes)
    expected = _torch_block(x, weights, 3)
    attempt.equals("3 heads, against torch's encoder layer", (x, weights, 3), expected, mistakes)
    single, singles = x.float(), {name: w.float() for name, w in weights.items()}
    expected = _torch_block(x, weights, 3).float()
    attempt.equals("float32", (single, singles, 3), expected, mistakes)

    silent = weights | {
        f"{name}.{part}": torch.zeros_like(weights[f"{name}.{part}"])
        for name in ("output", "down")
        for part in ("weight", "bias")
    }
    what = "both branches end in zeros"
    attempt.equals(what, (x, silent, 2), x, mistakes)
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(attempt(x, silent, 2).sum(), x)
    is_whole = same(gradient, torch.ones_like(gradient))
    attempt.holds(what, is_whole, "the gradient must pass unchanged, it does not")

    before = attempt(x, weights, 2)
    changed = x.detach().clone()
    changed[:, 3:] += 100 * torch.randn(3, 2, 6, generator=generator, dtype=torch.float64)
    is_blind = same(attempt(changed, weights, 2)[:, :3], before[:, :3])
    attempt.holds("changing positions 3 and 4", is_blind, "the positions before them change too")


def _check_block_by_hand(attempt: Attempt, mistakes: Mistakes) -> None:
    """Two channels, one position: a norm gives (1, −1), attention reads itself only.

    x = (300, 100): its norm is (1, −1), up to 1e-9. The values (2, −3) pass the output matrix as
    (2 − 3, −3) and the stream is (299, 97), whose norm is (1, −1) again. ``up`` makes (40, −40)
    of it, the GELU (40, 0), and ``down`` (40, 80): the end is (339, 177).
    """
    matrices = {
        "query": [[1, 2], [0, 1]],
        "key": [[1, 0], [3, 1]],
        "value": [[2, 0], [0, 3]],
        "output": [[1, 1], [0, 1]],
        "up": [[40, 0], [0, 40]],
        "down": [[1, 5], [2, 7]],
    }
    weights = {f"{n}.weight": torch.tensor(m, dtype=torch.float64) for n, m in matrices.items()}
    weights |= {f"{name}.bias": torch.zeros(2, dtype=torch.float64) for name in matrices}
    for name in ("attention_norm", "feed_forward_norm"):
        weights[f"{name}.weight"] = torch.ones(2, dtype=torch.float64)
        weights[f"{name}.bias"] = torch.zeros(2, dtype=torch.float64)
    x = torch.tensor([[[300.0, 100]]], dtype=torch.float64)
    result = attempt(x, weights, 1)
    expected = torch.tensor([[[339.0, 177]]], dtype=torch.float64)
    what, is_tensor = "one position, by hand", isinstance(result, Tensor)
    attempt.holds(what, is_tensor and result.shape == x.shape, "it must return a tensor (B, T, C)")
    is_near = bool((result - expected).abs().max() < 1e-6)  # eps moves the norm by 1e-9 of 40
    mistake = next(
        (name for name, wrong in mistakes.items() if same(wrong(x, weights, 1), result)),
        "the numbers are wrong",
    )
    attempt.holds(what, is_near, mistake, input=x, expected=expected, got=result)


def _slow_rotary(query: Tensor, key: Tensor, value: Tensor, places: Tensor, keys: Tensor) -> Tensor:
    """Weigh by complex numbers, one pair of positions at a time, from their distance alone."""
    n_pairs = query.shape[-1] // 2
    result = torch.zeros(*query.shape[:-1], value.shape[-1], dtype=torch.float64)
    for b, h, t in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        q, scores = query[b, h, t].tolist(), []
        for s, k in enumerate(key[b, h].tolist()):
            distance = int(places[t] - keys[s])
            score = sum(
                complex(q[i], q[i + n_pairs])
                * complex(k[i], -k[i + n_pairs])
                * cmath.exp(1j * distance * 10_000 ** (-i / n_pairs))
                for i in range(n_pairs)
            ).real
            scores.append(score / math.sqrt(2 * n_pairs) if distance >= 0 else -math.inf)
        weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
        result[b, h, t] = weights @ value[b, h].double()
    return result


@exercise("rotary attention")
def check_rotary(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``rotary_attention(query, key, value, query_positions, key_positions)``.

    Queries (B, H, T, D), keys and values (B, H, S, D), positions (T,) and (S,) int64; a query reads
    the keys whose position is at most its own. Returns (B, H, T, D).
    """
    mistakes = ROTARY_MISTAKES
    # One pair, which turns by one radian a step. The query 2 meets the key 2i at 7 with 4 sin(d),
    # the key 2 at 4 with 4 cos(d), over √2; the key at 9 is still to come.
    query = torch.tensor([[[[2.0, 0], [2, 0]]]], dtype=torch.float64)
    key = torch.tensor([[[[0.0, 2], [2, 0], [1, 1]]]], dtype=torch.float64)
    value = torch.tensor([[[[1.0, 0], [0, 1], [5, 7]]]], dtype=torch.float64)
    places, keys = torch.tensor([7, 8]), torch.tensor([7, 4, 9])
    scores = [[4 * math.sin(t - 7), 4 * math.cos(t - 4)] for t in (7, 8)]
    expected = (torch.tensor([[scores]], dtype=torch.float64) / math.sqrt(2)).softmax(-1)
    attempt.equals("one pair, by hand", (query, key, value, places, keys), expected, mistakes)

    query, key, value = (
        torch.randn(2, 3, 5, 6, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    query, places = 2 * query, torch.arange(5)
    expected = _slow_rotary(query, key, value, places, places)
    given = query, key, value, places, places
    attempt.equals("five positions against complex numbers", given, expected, mistakes)
    single = tuple(x.float() for x in given[:3])
    attempt.equals("float32", (*single, places, places), expected.float(), mistakes)

    last = query[:, :, 3:], key, value, places[3:], places
    attempt.equals("the last two, with a cache", last, expected[:, :, 3:], mistakes)
    order = torch.tensor([3, 0, 4, 2, 1])
    moved = query, key[:, :, order], value[:, :, order], places, places[order]
    attempt.equals("keys in another order, with their positions", moved, expected, mistakes)
    far = query, key, value, places + 1000, places + 1000
    what = "the whole text 1000 positions later"
    attempt.equals(what, far, expected, mistakes)


@exercise("parameters of GPT-2")
def check_parameters(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``gpt_parameters(vocab_size, context_length, d_model, n_layers)``, a number of ints.

    GPT-2: learned positions, biases, LayerNorm before each branch and at the end, tied embeddings,
    d_ff = 4 d_model.
    """
    mistakes = PARAMETER_MISTAKES
    # Two channels, three blocks: 48 weights, 18 biases and two norms of 4 in each; one more norm.
    by_hand = (5 + 3) * 2 + 3 * (48 + 18 + 8) + 4
    attempt.equals("two channels, by hand", (5, 3, 2, 3), by_hand, mistakes)
    attempt.equals("no block at all", (7, 5, 3, 0), 7 * 3 + 5 * 3 + 2 * 3, mistakes)
    sizes = torch.randint(1, 9, (3, 4), generator=generator)
    for vocab_size, context_length, half_width, n_layers in sizes.tolist():
        config = DecoderConfig.gpt(
            vocab_size=vocab_size + 11,
            context_length=context_length + 5,
            d_model=2 * half_width,
            n_layers=n_layers % 3 + 2,
            n_heads=2,
        )
        given = config.vocab_size, config.context_length, config.d_model, config.n_layers
        counted = sum(p.numel() for p in Decoder(config).parameters())
        attempt.equals("a real model, counted", given, counted, mistakes)
    attempt.equals("GPT-2 small, as published", (50257, 1024, 768, 12), 124_439_808, mistakes)


class _Products(TorchFunctionMode):
    """Count the multiply-adds of the matrix products that run under it.

    ``FlopCounterMode`` would do, but its first use takes a second or more to load.
    """

    n_multiply_adds = 0

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.linear:
            self.n_multiply_adds += args[0].numel() * args[1].shape[0]
        elif func is torch.einsum:  # every combination of the letters is one
            letters = args[0].partition("->")[0].split(",")
            sizes = {
                letter: size
                for names, x in zip(letters, args[1:], strict=True)
                for letter, size in zip(names.strip(), x.shape, strict=True)
            }
            self.n_multiply_adds += math.prod(sizes.values())
        return func(*args, **(kwargs or {}))


@exercise("FLOPs of a Llama block")
def check_flops(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``block_flops(d_model, d_ff, n_heads, n_kv_heads, n_tokens)``, an int.

    Matrix products of the forward pass of one text through one block: grouped queries, SwiGLU, no
    biases, the whole T × T matrix of scores.
    """
    mistakes = FLOPS_MISTAKES
    # C = 12, F = 7, 6 heads of D = 2, keys and values of 2 heads, 5 tokens. Multiply-adds a token:
    # query and output 2 · 144, key and value 2 · 48, scores and mixing 2 · 60, three times 84.
    by_hand = 2 * 5 * (288 + 96 + 120 + 252)
    attempt.equals("twelve channels, by hand", (12, 7, 6, 2, 5), by_hand, mistakes)
    attempt.equals("one token", (6, 10, 3, 1, 1), 2 * (96 + 12 + 180), mistakes)
    sizes = torch.randint(1, 8, (3, 3), generator=generator)
    groups = ((6, 2), (4, 4), (3, 1))
    for (n_heads, n_kv_heads), (half, d_ff, n_tokens) in zip(groups, sizes.tolist(), strict=True):
        c, f, t = 2 * half * n_heads, d_ff + 16, n_tokens + 2
        config = DecoderConfig.llama(
            vocab_size=2, d_model=c, d_ff=f, n_heads=n_heads, n_kv_heads=n_kv_heads
        )
        block = TransformerBlock(config, backend="reference")
        with _Products() as products, torch.no_grad():
            block(torch.zeros(1, t, c), is_causal=True)
        counted, given = 2 * products.n_multiply_adds, (c, f, n_heads, n_kv_heads, t)
        attempt.equals("a real block, counted while it runs", given, counted, mistakes)
