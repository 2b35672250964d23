"""Right and wrong answers to the exercise "bits per byte" of notebook 10."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from exercises.attempts.planted import Planted
from exercises.checks_10 import check_bits_per_byte
from exercises.checks_10_bits import ToyModel

Documents = list[list[int]]


def _bytes(texts: list[str]) -> int:
    return sum(len(text.encode("utf-8")) for text in texts)


# --- right


def _by_half_windows(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    size, nats = model.context_length, 0.0
    for document in documents:
        inputs, targets = document[:-1], document[1:]
        done = 0
        while done < len(targets):
            start = max(done - size // 2, 0)
            log_probs = model(torch.tensor([inputs[start : start + size]]))[0]
            stop = start + len(log_probs)
            for t in range(done, stop):
                nats -= float(log_probs[t - start, targets[t]])
            done = stop
    return nats / math.log(2) / _bytes(texts)


def _by_sliding(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    bits = 0.0
    for document in documents:
        for t in range(1, len(document)):
            visible = document[max(0, t - model.context_length) : t]
            bits -= float(model(torch.tensor([visible]))[0, -1, document[t]]) / math.log(2)
    return bits / sum(map(len, map(str.encode, texts)))


def _by_batches(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    size, rows, targets = model.context_length, [], []
    for document in documents:
        n_done, last = 0, len(document) - 1
        while n_done < last:
            start = 0 if last <= size else min(max(n_done - size // 2, 0), last - size)
            window = document[start : start + size + 1]
            pad = [0] * (size + 1 - len(window))
            rows.append(window[:-1] + pad)
            ignored = [-100] * (n_done - start)
            targets.append(ignored + window[1 + n_done - start :] + [-100] * len(pad))
            n_done = start + len(window) - 1
    logits = model(torch.tensor(rows))
    nats = F.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten(), reduction="sum")
    return nats.item() / math.log(2) / _bytes(texts)


# --- wrong


def _spans(length: int, size: int, *, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield (start, first scored) of windows over ``length`` targets."""
    n_done = 0
    while n_done < length:
        start = max(n_done - overlap, 0)
        yield start, n_done
        n_done = start + size


def _document_nats(model: ToyModel, document: list[int], *, overlap: int | None = None) -> float:
    size = model.context_length
    overlap = size // 2 if overlap is None else overlap
    nats = 0.0
    for start, first in _spans(len(document) - 1, size, overlap=overlap):
        window = torch.tensor([document[start : start + size + 1]])
        log_probs = model(window[:, :-1])[0].gather(1, window[0, 1:, None])[:, 0]
        nats -= log_probs[first - start :].sum().item()
    return nats


def _nats(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return sum(_document_nats(model, d) for d in documents) / _bytes(texts)


def _per_token(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    n_tokens = sum(len(d) - 1 for d in documents)
    return sum(_document_nats(model, d) for d in documents) / math.log(2) / n_tokens


def _per_character(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return sum(_document_nats(model, d) for d in documents) / math.log(2) / len("".join(texts))


def _mean_of_documents(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    values = [_by_half_windows(model, [d], [t]) for d, t in zip(documents, texts, strict=True)]
    return sum(values) / len(values)


def _mean_of_mean_losses(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    losses = [_document_nats(model, d) / (len(d) - 1) for d in documents]
    loss = sum(losses) / len(losses)
    return loss / math.log(2) * sum(len(d) - 1 for d in documents) / _bytes(texts)


def _perplexity(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return math.exp(sum(_document_nats(model, d) for d in documents) / _bytes(texts))


def _end_not_charged(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return _by_half_windows(model, [d[:-1] for d in documents], texts)


def _unshifted(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    nats = 0.0
    for document in documents:
        for start in range(0, len(document) - 1, model.context_length):
            ids = torch.tensor([document[:-1][start : start + model.context_length]])
            nats -= model(ids)[0].gather(1, ids[0, :, None]).sum().item()
    return nats / math.log(2) / _bytes(texts)


def _first_charged(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return _by_half_windows(model, [[d[0], *d] for d in documents], texts)


def _only_summed(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return _by_half_windows(model, documents, texts) * _bytes(texts)


def _context_lost(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    nats = sum(_document_nats(model, d, overlap=0) for d in documents)
    return nats / math.log(2) / _bytes(texts)


def _context_too_short(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    nats = sum(_document_nats(model, d, overlap=1) for d in documents)
    return nats / math.log(2) / _bytes(texts)


def _begins_again(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    """Put bos before every piece of a document."""
    size = model.context_length - 1
    nats = 0.0
    for document in documents:
        for start in range(1, len(document), size):
            piece = document[start : start + size]
            log_probs = model(torch.tensor([[document[0], *piece[:-1]]]))[0]
            nats -= log_probs.gather(1, torch.tensor(piece)[:, None]).sum().item()
    return nats / math.log(2) / _bytes(texts)


def _tail_dropped(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    size, nats = model.context_length, 0.0
    for document in documents:
        n_whole = (len(document) - 1) // size * size or len(document) - 1
        nats += _document_nats(model, document[: n_whole + 1])
    return nats / math.log(2) / _bytes(texts)


def _cut_short(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    return _by_half_windows(model, [d[: model.context_length + 1] for d in documents], texts)


def _overlap_twice(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    size, nats = model.context_length, 0.0
    for document in documents:
        for start in range(0, max(len(document) - 1 - size // 2, 1), size // 2):
            window = torch.tensor([document[start : start + size + 1]])
            nats -= model(window[:, :-1])[0].gather(1, window[0, 1:, None]).sum().item()
    return nats / math.log(2) / _bytes(texts)


def _seams_dropped(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    """Cut into blocks before shifting: the first token of each block is never a target."""
    size, nats = model.context_length, 0.0
    for document in documents:
        blocks = [document[i : i + size] for i in range(0, len(document), size)]
        for block in blocks if len(document) > size else [document]:
            ids = torch.tensor([block])
            if len(block) > 1:
                nats -= model(ids[:, :-1])[0].gather(1, ids[0, 1:, None]).sum().item()
    return nats / math.log(2) / _bytes(texts)


def _documents_joined(model: ToyModel, documents: Documents, texts: list[str]) -> float:
    stream = [token for document in documents for token in document]
    bos, size, nats = documents[0][0], model.context_length, 0.0
    for start, first in _spans(len(stream) - 1, size, overlap=size // 2):
        window = torch.tensor([stream[start : start + size + 1]])
        log_probs = model(window[:, :-1])[0].gather(1, window[0, 1:, None])[:, 0]
        is_scored = window[0, 1:] != bos
        nats -= log_probs[first - start :][is_scored[first - start :]].sum().item()
    return nats / math.log(2) / _bytes(texts)


PLANTED = (
    Planted(
        check=check_bits_per_byte,
        arguments=(ToyModel((6.0, 5.0, 2.0, 3.0, 4.0, 3.0, 7.0)), [[0, 2, 3, 1]], ["text"]),
        right=(_by_half_windows, _by_sliding, _by_batches),
        wrong={
            _nats: "divide by ln 2",
            _per_token: "counts per token",
            _per_character: "counts per character",
            _mean_of_documents: "averages the documents' values",
            _mean_of_mean_losses: "averages the documents' mean losses",
            _perplexity: "returns a perplexity",
            _end_not_charged: "does not charge the end",
            _unshifted: "scores each token on itself",
            _first_charged: "charges the first token",
            _only_summed: "returns the sum",
            _context_lost: "lose their context at a window's border",
            _context_too_short: "lose their context at a window's border",
            _begins_again: "lose their context at a window's border",
            _tail_dropped: "are not scored",
            _cut_short: "are not scored",
            _overlap_twice: "too many are scored",
            _seams_dropped: "are not scored",
            _documents_joined: "documents must not be joined",
        },
    ),
)
