"""The third check of notebook 10: bits per byte of whole documents. B windows, T positions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same

BOS, EOS, NOWHERE = 0, 1, 7  # ids of the toy model; the last one never comes
N_IDS = 8
CONTEXT = 8


class ToyModel:
    """A model whose predictions are known, so that every scored token leaves a trace.

    It charges each token a whole number of bits; Where it reads
    too little of the document it is ``cold``, and after two documents in one window ``confused``:
    it then wastes half, or three quarters, of its probability, which costs 1 or 2 bits more.
    """

    context_length = CONTEXT

    def __init__(
        self,
        bits: tuple[float, ...],
        *,
        cold_outside: list[list[int]] | None = None,
        confused: bool = False,
    ) -> None:
        """Take the bits of each id, and the documents whose beginnings it recognizes, if any."""
        self.bits, self.cold_outside, self.confused = bits, cold_outside, confused

    def __call__(self, token_ids: Tensor) -> Tensor:
        """Return (B, T, V) log-probabilities, in nats, of the token after each position."""
        n_rows, n_positions = token_ids.shape
        if n_positions > CONTEXT:
            raise ValueError(
                f"{n_positions} tokens are more than context_length={CONTEXT}: read the document "
                "in several windows"
            )
        log2_probs = -torch.tensor(self.bits).repeat(n_rows, n_positions, 1)
        is_bos = token_ids == BOS
        if self.cold_outside is not None:
            begins = [self._begins_a_document(row) for row in token_ids.tolist()]
            n_read = torch.arange(1, n_positions + 1)
            is_cold = ~torch.tensor(begins)[:, None] & (n_read < CONTEXT // 2)
            log2_probs = log2_probs - is_cold[..., None].float()
        if self.confused:
            is_confused = is_bos[:, 1:].cumsum(1) > 0
            log2_probs = log2_probs - 2 * F.pad(is_confused, (1, 0))[..., None].float()
        rest = 1 - log2_probs[..., :NOWHERE].exp2().sum(-1, keepdim=True)
        return torch.cat([log2_probs[..., :NOWHERE].exp2(), rest], dim=-1).log()

    def _begins_a_document(self, row: list[int]) -> bool:
        """Look at the first tokens only: what follows may be padding."""
        lengths = [min(len(row), len(d) - 1, 4) for d in self.cold_outside or ()]
        return any(row[:n] == d[:n] for n, d in zip(lengths, self.cold_outside or (), strict=True))


def _document_bits(model: ToyModel, document: list[int], *, shift: int = 1) -> list[float]:
    """Return the bits of each target of a short document."""
    log_probs = model(torch.tensor([document[:-1]]))[0]
    targets = torch.tensor(document[shift : len(document) - 1 + shift])
    return [-x / math.log(2) for x in log_probs[range(len(targets)), targets].tolist()]


def _all_bits(model: ToyModel, documents: list[list[int]], **options: int) -> float:
    return math.fsum(x for d in documents for x in _document_bits(model, d, **options))


def _n_bytes(texts: list[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def _mean_loss(model: ToyModel, documents: list[list[int]]) -> float:
    """Average the documents' mean losses."""
    means = [math.fsum(bits) / len(bits) for bits in (_document_bits(model, d) for d in documents)]
    return math.fsum(means) / len(means)


BITS_PER_BYTE_MISTAKES: Mistakes = {
    "it divides nats by bytes: divide by ln 2 to get bits": lambda model, documents, texts: (
        _all_bits(model, documents) * math.log(2) / _n_bytes(texts)
    ),
    "it counts per token: a tokenizer with fewer tokens would look worse; divide by bytes": (
        lambda model, documents, texts: (
            _all_bits(model, documents) / sum(len(d) - 1 for d in documents)
        )
    ),
    "it counts per character: in UTF-8 a character may have several bytes": (
        lambda model, documents, texts: _all_bits(model, documents) / sum(map(len, texts))
    ),
    "it averages the documents' values: add all bits, add all bytes, then divide": (
        lambda model, documents, texts: (
            math.fsum(
                _all_bits(model, [document]) / _n_bytes([text])
                for document, text in zip(documents, texts, strict=True)
            )
            / len(texts)
        )
    ),
    "it averages the documents' mean losses: a short document then weighs as much as a long one": (
        lambda model, documents, texts: (
            _mean_loss(model, documents) * sum(len(d) - 1 for d in documents) / _n_bytes(texts)
        )
    ),
    "it returns a perplexity: bits per byte are not exponentiated": (
        lambda model, documents, texts: 2 ** (_all_bits(model, documents) / _n_bytes(texts))
    ),
    "it does not charge the end of the document: that it ends is information too": (
        lambda model, documents, texts: (
            _all_bits(model, [d[:-1] for d in documents]) / _n_bytes(texts)
        )
    ),
    "it scores each token on itself: position t predicts token t + 1": (
        lambda model, documents, texts: _all_bits(model, documents, shift=0) / _n_bytes(texts)
    ),
    "it charges the first token: nothing predicts bos, which opens every document": (
        lambda model, documents, texts: (
            (_all_bits(model, documents) + model.bits[BOS] * len(documents)) / _n_bytes(texts)
        )
    ),
    "it returns the sum: divide by the bytes of the texts": lambda model, documents, texts: (
        _all_bits(model, documents)
    ),
}


def _toy_documents(lengths: list[int], generator: torch.Generator) -> list[list[int]]:
    """Draw documents of so many tokens, bos and eos included."""
    draws = [torch.randint(2, 6, (n - 2,), generator=generator).tolist() for n in lengths]
    return [[BOS, *tokens, EOS] for tokens in draws]


@exercise("bits per byte")
def check_bits_per_byte(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``bits_per_byte(model, documents, texts)``: a float, over whole documents.

    ``model(token_ids)`` turns (B, T) ids into (B, T, V) log-probabilities in nats and reads at
    most ``model.context_length`` tokens. A document is ``[bos, …, eos]``; its text is a string.
    Every token but bos is scored once, in the context of its own document: all that was read
    before it, or at least half a window.
    """
    short = [[BOS, 2, 4, 3, EOS], [BOS, 5, EOS], [BOS, 3, 3, 2, 5, 4, EOS]]
    texts = ["naïve", "é", "plain text"]
    model = ToyModel((6.0, 5.0, 2.0, 3.0, 4.0, 3.0, 7.0, 0.0))
    by_hand = (2 + 4 + 3 + 5) + (3 + 5) + (3 + 3 + 2 + 3 + 4 + 5)  # bits, from the line above
    expected = by_hand / (6 + 2 + 10)
    arguments = model, short, texts
    attempt.equals("three short documents", arguments, expected, BITS_PER_BYTE_MISTAKES)
    reverse = model, short[::-1], texts[::-1]
    attempt.equals("the same in another order", reverse, expected, BITS_PER_BYTE_MISTAKES)
    for lengths in ([CONTEXT + 1], [CONTEXT + 2], [2, 23, 5], [37, 12, 9]):
        _check_windows(attempt, _toy_documents(lengths, generator))


def _check_windows(attempt: Attempt, documents: list[list[int]]) -> None:
    """Count, bit by bit, what is scored and in which context."""
    n_targets = sum(len(document) - 1 for document in documents)
    texts = ["x" * 64 for _ in documents]
    lengths = " and ".join(str(len(document)) for document in documents)
    what = f"documents of {lengths} tokens, windows of {CONTEXT}"

    def total_bits(model: ToyModel) -> float:
        return attempt(model, documents, texts) * 64 * len(texts)

    n_scored = round(total_bits(ToyModel((3.0,) * N_IDS)) / 3)
    numbers = {"scored": n_scored, "targets": n_targets}
    mistake = f"{n_scored - n_targets} tokens too many are scored: overlaps count once, bos never"
    attempt.holds(what, n_scored <= n_targets, mistake, **numbers)
    mistake = f"{n_targets - n_scored} tokens are not scored: mind the last window and the seams"
    attempt.holds(what, n_scored >= n_targets, mistake, **numbers)

    plain = ToyModel((6.0, 5.0, 2.0, 3.0, 4.0, 3.0, 7.0, 0.0))
    bits = math.fsum(plain.bits[token] for document in documents for token in document[1:])
    got = total_bits(plain)
    mistake = "other tokens are charged than those of the documents: check the shift in each window"
    attempt.holds(what, same(got, bits), mistake, expected_bits=bits, got_bits=got)
    n_confused = round((total_bits(ToyModel(plain.bits, confused=True)) - bits) / 2)
    mistake = (
        f"{n_confused} tokens are read after another document: documents must not be joined, "
        "each begins its own window"
    )
    attempt.holds(what, n_confused == 0, mistake)
    n_cold = round(total_bits(ToyModel(plain.bits, cold_outside=documents)) - bits)
    mistake = (
        f"{n_cold} tokens lose their context at a window's border: let windows overlap, and score "
        f"only tokens with {CONTEXT // 2} or more before them"
    )
    attempt.holds(what, n_cold == 0, mistake)
