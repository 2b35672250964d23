"""Checks of notebook 07, the bidirectional language model.

Dimension key: B sequences, T tokens, V vocabulary, L layers, C width.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same

Reader = Callable[[Tensor], Tensor]  # (B, T) ids → (B, T, V) logits; place t has read 0 … t


def _turned(token_ids: Tensor, is_padding: Tensor) -> Tensor:
    """Turn each row around within its tokens."""
    rows = []
    for row, hidden in zip(token_ids, is_padding, strict=True):
        n_tokens = int((~hidden).sum())
        rows.append(torch.cat([row[:n_tokens].flip(0), row[n_tokens:]]))
    return torch.stack(rows)


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _next(reader: Reader, token_ids: Tensor) -> Tensor:
    """Return the nats of every token but the first, (B, T − 1)."""
    return _nats(reader(token_ids)[:, :-1], token_ids[:, 1:])


def _mean(is_padding: Tensor, *directions: Tensor) -> Tensor:
    is_scored = ~is_padding[:, 1:]
    sums = [torch.where(is_scored, nats, 0).sum() for nats in directions]
    return torch.stack(sums).sum() / (len(directions) * is_scored.sum())


def _with_back(
    backward: Callable[[Tensor, Tensor, Reader], Tensor],
) -> Callable[[Tensor, Tensor, Reader, Reader], Tensor]:
    """Read forward rightly, backward as given."""

    def loss(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> Tensor:
        return _mean(is_padding, _next(ahead, token_ids), backward(token_ids, is_padding, back))

    return loss


def _one_step_off(token_ids: Tensor, is_padding: Tensor, back: Reader) -> Tensor:
    """Turn the logits back and score them like the forward ones: place t has read t + 1."""
    logits = _turned(back(_turned(token_ids, is_padding)), is_padding)
    return _nats(logits[:, :-1], token_ids[:, 1:])


def _unshifted(token_ids: Tensor, is_padding: Tensor, back: Reader) -> Tensor:
    turned = _turned(token_ids, is_padding)
    return _nats(back(turned), turned)[:, 1:]


def _forward_targets(token_ids: Tensor, is_padding: Tensor, back: Reader) -> Tensor:
    return _nats(back(_turned(token_ids, is_padding))[:, :-1], token_ids[:, 1:])


def _both(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> list[Tensor]:
    return [_next(ahead, token_ids), _next(back, _turned(token_ids, is_padding))]


def _row_means(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> Tensor:
    is_scored = ~is_padding[:, 1:]
    sums = sum(torch.where(is_scored, x, 0) for x in _both(token_ids, is_padding, ahead, back))
    return (torch.as_tensor(sums).sum(1) / (2 * is_scored.sum(1))).mean()


def _without_bos(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> Tensor:
    """Leave out the backward model's last target, which is the first token."""
    ahead_nats, back_nats = _both(token_ids, is_padding, ahead, back)
    is_scored = ~is_padding[:, 1:]
    still = is_scored & ~torch.cat([is_padding[:, 2:], torch.ones_like(is_padding[:, :1])], dim=1)
    total = torch.where(is_scored, ahead_nats, 0).sum() + torch.where(still, back_nats, 0).sum()
    return total / (is_scored.sum() + still.sum())


def _padding_first(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> Tensor:
    """Score what is no padding, after reading padding."""
    turned = is_padding.flip(1)
    nats = torch.where(turned[:, 1:] | turned[:, :-1], 0, _next(back, token_ids.flip(1)))
    forward = torch.where(is_padding[:, 1:], 0, _next(ahead, token_ids))
    return (forward.sum() + nats.sum()) / (2 * (~is_padding[:, 1:]).sum())


LOSS_MISTAKES: Mistakes = {
    "it turns the padding around too, so that the backward model reads padding before the text: "
    "turn each row within its own length": _padding_first,
    "it flips whole rows, but looks for padding where it was: turn each row within its length": (
        _with_back(lambda ids, pad, back: _next(back, ids.flip(1)))
    ),
    "it scores the backward model on the token that it has just read: shift after turning too": (
        _with_back(_unshifted)
    ),
    "it turns the backward logits around, but scores them like the forward ones: the logits at t "
    "have read token t + 1 already; they may score t − 1 only": _with_back(_one_step_off),
    "it turns what the backward model reads, but not what it must predict": _with_back(
        _forward_targets
    ),
    "it does not turn the text around: the backward model reads it from the front": _with_back(
        lambda ids, pad, back: _next(back, ids)
    ),
    "it uses the forward model for both directions: each has states of its own": (
        lambda ids, pad, ahead, back: _mean(pad, *_both(ids, pad, ahead, ahead))
    ),
    "it uses the backward model for both directions: each has states of its own": (
        lambda ids, pad, ahead, back: _mean(pad, *_both(ids, pad, back, back))
    ),
    "it exchanges the two models": lambda ids, pad, ahead, back: _mean(
        pad, *_both(ids, pad, back, ahead)
    ),
    "it reads forward only": lambda ids, pad, ahead, back: _mean(pad, _next(ahead, ids)),
    "it reads backward only": lambda ids, pad, ahead, back: _mean(
        pad, _next(back, _turned(ids, pad))
    ),
    "it adds the two directions: divide by the number of tokens scored in both": (
        lambda ids, pad, ahead, back: 2 * _mean(pad, *_both(ids, pad, ahead, back))
    ),
    "it scores padding": lambda ids, pad, ahead, back: _mean(
        torch.zeros_like(pad), *_both(ids, pad, ahead, back)
    ),
    "it does not score the first token backward: it ends that reading as the last one ends the "
    "other, so both directions pay for as many": _without_bos,
    "it takes the mean of each row's mean: a short row then weighs as much as a long one": (
        _row_means
    ),
    "its sign is wrong: a loss is −log p": lambda ids, pad, ahead, back: (
        -_mean(pad, *_both(ids, pad, ahead, back))
    ),
}


def _make_reader(generator: torch.Generator, n_ids: int) -> Reader:
    """Draw a causal model: a state that forgets half of the past at each token."""
    embedding = torch.randn(n_ids, 3, generator=generator, dtype=torch.float64)
    output = 2 * torch.randn(3, n_ids, generator=generator, dtype=torch.float64)

    def read(token_ids: Tensor) -> Tensor:
        state, logits = torch.zeros(len(token_ids), 3, dtype=torch.float64), []
        for ids in token_ids.unbind(dim=1):
            state = 0.5 * state + embedding[ids]
            logits.append(state.tanh() @ output)
        return torch.stack(logits, dim=1)

    return read


def _repeat(token_ids: Tensor) -> Tensor:
    """Predict, nearly surely, the token that was just read: who leaks it gets a loss of 0."""
    return 20.0 * torch.nn.functional.one_hot(token_ids, 7).double()


def _slow_loss(token_ids: Tensor, is_padding: Tensor, ahead: Reader, back: Reader) -> Tensor:
    """Walk over every text in both directions, one prediction at a time."""
    nats = []
    for row, hidden in zip(token_ids.tolist(), is_padding.tolist(), strict=True):
        text = [token for token, skip in zip(row, hidden, strict=True) if not skip]
        for reader, tokens in ((ahead, text), (back, text[::-1])):
            for t in range(1, len(tokens)):
                logits = reader(torch.tensor([tokens[:t]]))[0, -1].tolist()
                total = math.fsum(map(math.exp, logits))
                nats.append(math.log(total) - logits[tokens[t]])
    return torch.tensor(math.fsum(nats) / len(nats), dtype=torch.float64)


@exercise("loss in both directions")
def check_bidirectional_loss(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``bidirectional_loss(token_ids, is_padding, ahead, back)``: mean nats, a scalar.

    Of (B, T) ids, a (B, T) mask (True: padding, on the right) and two causal models (B, T) →
    (B, T, V) logits: the mean over all tokens scored forward by ``ahead`` and backward by
    ``back``.
    """
    mistakes = LOSS_MISTAKES
    text = torch.tensor([[0, 5, 5, 2, 1]])
    nothing = torch.zeros_like(text, dtype=torch.bool)
    one = text, nothing, _repeat, _repeat
    attempt.equals("models that repeat what they read", one, _slow_loss(*one), mistakes)

    ahead, back = (_make_reader(generator, 7) for _ in range(2))
    token_ids = torch.randint(2, 7, (3, 6), generator=generator)
    token_ids[:, 0], token_ids[:, -1] = 0, 1
    nothing = torch.zeros_like(token_ids, dtype=torch.bool)
    full = token_ids, nothing, ahead, back
    attempt.equals("full rows against a slow loop", full, _slow_loss(*full), mistakes)
    is_padding = torch.arange(6) >= torch.tensor([[6], [3], [5]])
    token_ids[1, 2] = token_ids[2, 4] = 1
    ragged = token_ids, is_padding, ahead, back
    attempt.equals("rows of 6, 3 and 5 tokens", ragged, _slow_loss(*ragged), mistakes)

    other = token_ids.masked_fill(is_padding, 3)
    is_blind = same(attempt(other, is_padding, ahead, back), _slow_loss(*ragged))
    attempt.holds("other ids in the padding", is_blind, "the loss changes: padding is read")
    left, right = (attempt(*full[:2], *models) for models in ((ahead, back), (back, ahead)))
    mirrored = attempt(token_ids.flip(1), nothing, back, ahead)
    fits = same(attempt(token_ids, nothing, ahead, back), mirrored) and not same(left, right)
    mistake = "to turn the text around and to exchange the models must change nothing"
    attempt.holds("the mirror image", fits, mistake)


MIX_MISTAKES: Mistakes = {
    "it uses the scores as they are: softmax makes shares of them": lambda layers, scores, scale: (
        scale * torch.einsum("l,l...->...", scores, layers)
    ),
    "it takes the softmax over something else than the layers": lambda layers, scores, scale: (
        scale * (layers.softmax(0) * scores.view(-1, 1, 1, 1)).sum(0)
    ),
    "it divides the scores by their sum: take the softmax": lambda layers, scores, scale: (
        scale * torch.einsum("l,l...->...", scores / scores.sum(), layers)
    ),
    "it takes a sigmoid of each score: shares must sum to 1, take the softmax": (
        lambda layers, scores, scale: scale * torch.einsum("l,l...->...", scores.sigmoid(), layers)
    ),
    "it exponentiates but does not normalize": lambda layers, scores, scale: (
        scale * torch.einsum("l,l...->...", scores.exp(), layers)
    ),
    "it forgets the scale γ": lambda layers, scores, scale: torch.einsum(
        "l,l...->...", scores.softmax(0), layers
    ),
    "it scales the scores, not the mixture: γ stands before the sum": (
        lambda layers, scores, scale: torch.einsum(
            "l,l...->...", (scale * scores).softmax(0), layers
        )
    ),
    "it takes the mean of the weighted layers: the shares sum to 1 already, so add": (
        lambda layers, scores, scale: scale * (layers * scores.softmax(0).view(-1, 1, 1, 1)).mean(0)
    ),
    "it takes only the layer with the highest score": lambda layers, scores, scale: (
        scale * layers[scores.argmax()]
    ),
    "it takes only the last layer": lambda layers, scores, scale: scale * layers[-1],
    "it ignores the scores: that is the plain mean of the layers": lambda layers, scores, scale: (
        scale * layers.mean(0)
    ),
    "it counts the layers from the wrong end": lambda layers, scores, scale: (
        scale * torch.einsum("l,l...->...", scores.softmax(0).flip(0), layers)
    ),
}


@exercise("scalar mix")
def check_scalar_mix(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``scalar_mix(layers, scores, scale)``: γ Σ softmax(s)_l h_l.

    Of (L, B, T, C) layers, (L,) scores and a scalar scale; (B, T, C).
    """
    mistakes = MIX_MISTAKES
    layers = torch.tensor([[8.0, 0.0], [0.0, 8.0], [8.0, 8.0]], dtype=torch.float64)[:, None, None]
    scores = torch.tensor([5.0, 1.0, 2.0], dtype=torch.float64).log()  # shares 5/8, 1/8, 2/8
    by_hand = torch.tensor([[[14.0, 6.0]]], dtype=torch.float64)
    scale = torch.tensor(2.0, dtype=torch.float64)
    attempt.equals("three layers by hand", (layers, scores, scale), by_hand, mistakes)

    layers = torch.randn(3, 2, 5, 7, generator=generator, dtype=torch.float64)
    scores = torch.randn(3, generator=generator, dtype=torch.float64)
    exps = [math.exp(score) for score in scores.tolist()]
    expected = sum(0.5 * e / math.fsum(exps) * h for e, h in zip(exps, layers, strict=True))
    scale = torch.tensor(0.5, dtype=torch.float64)
    attempt.equals("three random layers", (layers, scores, scale), expected, mistakes)
    attempt.equals("scores shifted by 7", (layers, scores + 7, scale), expected, mistakes)
    far = torch.tensor([1000.0, 0.0, -1000.0], dtype=torch.float64)
    attempt.equals("scores of a thousand", (layers, far, scale), 0.5 * layers[0], mistakes)
    scores = scores.requires_grad_()
    mixed = attempt(layers, scores, scale)
    attempt.holds("the gradient", mixed.requires_grad, "none flows to the scores: they must learn")
    (gradient,) = torch.autograd.grad(mixed.sum(), scores)
    is_zero = same(gradient.sum(), torch.zeros((), dtype=torch.float64))
    attempt.holds("the gradient", is_zero, "it must sum to zero over the layers: shares compete")
