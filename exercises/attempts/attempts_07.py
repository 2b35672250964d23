"""Right and wrong answers to the exercises of notebook 07."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from exercises.attempts.planted import Planted
from exercises.checks_07 import check_bidirectional_loss, check_scalar_mix

# --- loss in both directions: right


def _turn(x, is_padding):
    """Turn rows around by an index: place t takes what stands at length − 1 − t."""
    lengths = (~is_padding).sum(1, keepdim=True)
    t = torch.arange(x.shape[1])
    return x.gather(1, torch.where(t < lengths, lengths - 1 - t, t))


def _loss_by_gather(token_ids, is_padding, ahead, back):
    loss = 0.0
    for model, ids in ((ahead, token_ids), (back, _turn(token_ids, is_padding))):
        targets = ids.masked_fill(is_padding, -100)[:, 1:]
        loss = loss + F.cross_entropy(
            model(ids)[:, :-1].flatten(0, 1), targets.flatten(), reduction="sum"
        )
    return loss / (2 * (~is_padding[:, 1:]).sum())


def _loss_row_by_row(token_ids, is_padding, ahead, back):
    nats = []
    for ids, hidden in zip(token_ids, is_padding, strict=True):
        text = ids[~hidden]
        for model, tokens in ((ahead, text), (back, text.flip(0))):
            log_probs = model(tokens[None])[0, :-1].log_softmax(-1)
            nats.append(-log_probs[torch.arange(len(tokens) - 1), tokens[1:]])
    return torch.cat(nats).mean()


def _loss_by_rolling(token_ids, is_padding, ahead, back):
    """Flip everything, then roll the padding back to the end."""
    n_padding = is_padding.sum(1)
    rows = [row.flip(0).roll(-int(n)) for row, n in zip(token_ids, n_padding, strict=True)]
    losses = []
    for model, ids in ((ahead, token_ids), (back, torch.stack(rows))):
        nats = F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
        losses.append(nats[~is_padding[:, 1:]])
    return torch.cat(losses).mean()


# --- loss in both directions: wrong


def _crossed(logits, targets, is_padding):
    """Return the summed nats of the targets that are no padding."""
    targets = targets.masked_fill(is_padding, -100)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def _joined(token_ids, is_padding, ahead, backward):
    forward = _crossed(ahead(token_ids)[:, :-1], token_ids[:, 1:], is_padding[:, 1:])
    return (forward + backward) / (2 * (~is_padding[:, 1:]).sum())


def _padding_turned_too(token_ids, is_padding, ahead, back):
    ids, hidden = token_ids.flip(1), is_padding.flip(1)
    hidden = hidden[:, 1:] | hidden[:, :-1]
    return _joined(token_ids, is_padding, ahead, _crossed(back(ids)[:, :-1], ids[:, 1:], hidden))


def _whole_rows_flipped(token_ids, is_padding, ahead, back):
    ids = token_ids.flip(1)
    backward = _crossed(back(ids)[:, :-1], ids[:, 1:], is_padding[:, 1:])
    return _joined(token_ids, is_padding, ahead, backward)


def _not_shifted(token_ids, is_padding, ahead, back):
    ids = _turn(token_ids, is_padding)
    backward = _crossed(back(ids)[:, 1:], ids[:, 1:], is_padding[:, 1:])
    return _joined(token_ids, is_padding, ahead, backward)


def _shifted_the_wrong_way(token_ids, is_padding, ahead, back):
    logits = back(_turn(token_ids, is_padding))
    order = _turn(torch.arange(logits.shape[1]).expand_as(token_ids), is_padding)
    logits = logits.gather(1, order[..., None].expand_as(logits))
    backward = _crossed(logits[:, :-1], token_ids[:, 1:], is_padding[:, 1:])
    return _joined(token_ids, is_padding, ahead, backward)


def _targets_not_turned(token_ids, is_padding, ahead, back):
    logits = back(_turn(token_ids, is_padding))
    backward = _crossed(logits[:, :-1], token_ids[:, 1:], is_padding[:, 1:])
    return _joined(token_ids, is_padding, ahead, backward)


def _never_turned(token_ids, is_padding, ahead, back):
    backward = _crossed(back(token_ids)[:, :-1], token_ids[:, 1:], is_padding[:, 1:])
    return _joined(token_ids, is_padding, ahead, backward)


def _shared_states(token_ids, is_padding, ahead, back):
    return _loss_by_gather(token_ids, is_padding, ahead, ahead)


def _exchanged(token_ids, is_padding, ahead, back):
    return _loss_by_gather(token_ids, is_padding, back, ahead)


def _forward_only(token_ids, is_padding, ahead, back):
    forward = _crossed(ahead(token_ids)[:, :-1], token_ids[:, 1:], is_padding[:, 1:])
    return forward / (~is_padding[:, 1:]).sum()


def _added(token_ids, is_padding, ahead, back):
    return 2 * _loss_by_gather(token_ids, is_padding, ahead, back)


def _padding_scored(token_ids, is_padding, ahead, back):
    nats = []
    for model, ids in ((ahead, token_ids), (back, _turn(token_ids, is_padding))):
        nats.append(F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten()))
    return (nats[0] + nats[1]) / 2


def _bos_not_scored(token_ids, is_padding, ahead, back):
    losses = []
    for row, hidden in zip(token_ids, is_padding, strict=True):
        text = row[~hidden]
        for model, tokens in ((ahead, text), (back, text.flip(0)[:-1])):
            losses.append(
                F.cross_entropy(model(tokens[None])[0, :-1], tokens[1:], reduction="none")
            )
    return torch.cat(losses).mean()


def _mean_of_means(token_ids, is_padding, ahead, back):
    rows = zip(token_ids.split(1), is_padding.split(1), strict=True)
    return torch.stack([_loss_by_gather(*row, ahead, back) for row in rows]).mean()


def _wrong_sign(token_ids, is_padding, ahead, back):
    return -_loss_row_by_row(token_ids, is_padding, ahead, back)


def _some_model(token_ids):
    return F.one_hot(token_ids, 5).double()


# --- scalar mix


def _mix_by_einsum(layers, scores, scale):
    return scale * torch.einsum("l,lbtc->btc", torch.softmax(scores, 0), layers)


def _mix_by_loop(layers, scores, scale):
    weights = (scores - scores.max()).exp()
    mixed = torch.zeros_like(layers[0])
    for weight, layer in zip(weights / weights.sum(), layers, strict=True):
        mixed = mixed + weight * layer
    return mixed * scale


def _mix_raw(layers, scores, scale):
    return scale * (scores[:, None, None, None] * layers).sum(0)


def _mix_divided(layers, scores, scale):
    return scale * torch.tensordot(scores / scores.sum(), layers, 1)


def _mix_sigmoid(layers, scores, scale):
    return scale * torch.tensordot(torch.sigmoid(scores), layers, 1)


def _mix_exponential(layers, scores, scale):
    return scale * torch.tensordot(scores.exp(), layers, 1)


def _mix_unscaled(layers, scores, scale):
    return torch.tensordot(scores.softmax(0), layers, 1)


def _mix_scaled_scores(layers, scores, scale):
    return torch.tensordot((scores * scale).softmax(0), layers, 1)


def _mix_mean(layers, scores, scale):
    return scale * torch.tensordot(scores.softmax(0), layers, 1) / len(layers)


def _mix_hardest(layers, scores, scale):
    return scale * layers[int(scores.argmax())]


def _mix_top(layers, scores, scale):
    return layers[-1] * scale


def _mix_plain(layers, scores, scale):
    return layers.mean(dim=0) * scale


def _mix_reversed(layers, scores, scale):
    return scale * torch.tensordot(scores.softmax(0), layers.flip(0), 1)


def _mix_detached(layers, scores, scale):
    return scale * torch.tensordot(scores.softmax(0).detach(), layers, 1)


_IDS = torch.tensor([[0, 3, 4, 1], [0, 2, 1, 2]])
_LAYERS = torch.arange(24, dtype=torch.float64).view(3, 2, 1, 4)
PLANTED = (
    Planted(
        check=check_bidirectional_loss,
        arguments=(_IDS, torch.zeros(2, 4).bool(), _some_model, _some_model),
        right=(_loss_by_gather, _loss_row_by_row, _loss_by_rolling),
        wrong={
            _padding_turned_too: "turns the padding around too",
            _whole_rows_flipped: "turn each row within its length",
            _not_shifted: "that it has just read",
            _shifted_the_wrong_way: "scores them like the forward ones",
            _targets_not_turned: "not what it must predict",
            _never_turned: "does not turn the text around",
            _shared_states: "forward model for both directions",
            _exchanged: "exchanges the two models",
            _forward_only: "reads forward only",
            _added: "adds the two directions",
            _padding_scored: "scores padding",
            _bos_not_scored: "does not score the first token backward",
            _mean_of_means: "mean of each row's mean",
            _wrong_sign: "sign is wrong",
        },
    ),
    Planted(
        check=check_scalar_mix,
        arguments=(_LAYERS, torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor(2.0).double()),
        right=(_mix_by_einsum, _mix_by_loop),
        wrong={
            _mix_raw: "uses the scores as they are",
            _mix_divided: "divides the scores by their sum",
            _mix_sigmoid: "sigmoid of each score",
            _mix_exponential: "does not normalize",
            _mix_unscaled: "forgets the scale",
            _mix_scaled_scores: "scales the scores, not the mixture",
            _mix_mean: "mean of the weighted layers",
            _mix_hardest: "highest score",
            _mix_top: "only the last layer",
            _mix_plain: "ignores the scores",
            _mix_reversed: "from the wrong end",
            _mix_detached: "none flows to the scores",
        },
    ),
)
