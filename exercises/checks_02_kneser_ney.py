"""The second check of notebook 02: bigrams with Kneser–Ney. V token ids."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor

from exercises.bigrams_02 import BOS, EOS, Documents, count_pairs, draw_documents, slow_table
from exercises.harness import Attempt, Mistakes, exercise, same


def _interpolated(counts: Tensor, discount: float, lower: Tensor, freed: Tensor) -> Tensor:
    """Return max(c − D, 0) / c(h) + freed(h) · lower, the lower order alone where c(h) = 0."""
    totals = counts.sum(1, keepdim=True)
    table = (counts - discount).clamp(min=0) / totals + freed * lower
    return torch.where(totals > 0, table, lower.expand_as(table))


def _kneser_ney(
    documents: Documents,
    vocab_size: int,
    discount: float,
    *,
    lower: Callable[[Tensor], Tensor] | None = None,
    freed: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Compute the table with one part replaced, of which both take the counts."""
    counts = count_pairs(documents, vocab_size)
    n_before = (counts > 0).double().sum(0)
    base = n_before if lower is None else lower(counts)
    share = discount * (counts > 0).sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    freed_share = share if freed is None else freed(counts)
    return _interpolated(counts, discount, base / base.sum(), freed_share)


def _not_clamped(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    n_before, totals = (counts > 0).double().sum(0), counts.sum(1, keepdim=True)
    share = discount * (counts > 0).sum(1, keepdim=True) / totals
    lower = n_before / n_before.sum()
    table = (counts - discount) / totals + share * lower
    return torch.where(totals > 0, table, lower.expand_as(table))


def _backed_off(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    """Use the lower order for unseen pairs only, which leaves rows below 1."""
    counts = count_pairs(documents, vocab_size)
    table = _kneser_ney(documents, vocab_size, discount)
    totals = counts.sum(1, keepdim=True)
    return torch.where(counts > 0, (counts - discount) / totals, table)


def _zero_unseen(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    table = _kneser_ney(documents, vocab_size, discount)
    return torch.where(counts.sum(1, keepdim=True) > 0, table, 0.0)


def _not_discounted(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    plain = _kneser_ney(documents, vocab_size, 0.0)
    totals = counts.sum(1, keepdim=True)
    extra = _kneser_ney(documents, vocab_size, discount) - (counts - discount).clamp(min=0) / totals
    return torch.where(totals > 0, plain + extra, plain)


def _kinds_after(counts: Tensor) -> Tensor:
    return (counts > 0).sum(1, keepdim=True)


KNESER_NEY_MISTAKES: Mistakes = {
    "it backs off to raw counts: ask in how many contexts a token was seen, not how often": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents, vocab_size, discount, lower=lambda counts: counts.sum(0)
        )
    ),
    "it counts different tokens after, not before: N₁₊(• w) is a column's count": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents, vocab_size, discount, lower=lambda counts: (counts > 0).double().sum(1)
        )
    ),
    "its lower order is uniform: that is absolute discounting, without the continuations": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents, vocab_size, discount, lower=lambda counts: torch.ones_like(counts[0])
        )
    ),
    "its λ is D alone: D is taken once from each kind of token after h, and divided by c(h)": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents,
            vocab_size,
            discount,
            freed=lambda counts: torch.full_like(counts[:, :1], discount),
        )
    ),
    "its λ is not divided by c(h): a row must sum to 1": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents, vocab_size, discount, freed=lambda counts: discount * _kinds_after(counts)
        )
    ),
    "its λ forgets the number of kinds: D is taken from each kind of token after h": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents,
            vocab_size,
            discount,
            freed=lambda counts: discount / counts.sum(1, keepdim=True),
        )
    ),
    "its λ counts the tokens before h: it must count the different tokens after h": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents,
            vocab_size,
            discount,
            freed=lambda counts: discount * _kinds_after(counts.T) / counts.sum(1, keepdim=True),
        )
    ),
    "its λ takes D from all V tokens: only from those that were seen after h": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents,
            vocab_size,
            discount,
            freed=lambda counts: discount * len(counts) / counts.sum(1, keepdim=True),
        )
    ),
    "it takes D from counts of 0 as well: max(c − D, 0)": _not_clamped,
    "it frees mass but does not take it: subtract D from each count above": _not_discounted,
    "it adds the lower order to unseen pairs only: in the interpolated form seen ones get it too": (
        _backed_off
    ),
    "it leaves rows of unseen contexts at 0: the lower order decides there": _zero_unseen,
    "it ignores D: nothing is freed for what was not seen": (
        lambda documents, vocab_size, discount: _kneser_ney(documents, vocab_size, 0.0)
    ),
    "it is transposed: rows are the tokens before, columns the tokens after": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents, vocab_size, discount
        ).T.contiguous()
    ),
    "it joins the documents: eos of one and bos of the next are no pair": (
        lambda documents, vocab_size, discount: _kneser_ney(
            [[token for document in documents for token in document]], vocab_size, discount
        )
    ),
    "it does not count eos: that a text ends here is an outcome too": (
        lambda documents, vocab_size, discount: _kneser_ney(
            [document[:-1] for document in documents], vocab_size, discount
        )
    ),
    "it does not count bos as a token before: that a text can begin so is a context too": (
        lambda documents, vocab_size, discount: _kneser_ney(
            documents,
            vocab_size,
            discount,
            lower=lambda counts: (counts[1:] > 0).double().sum(0),
        )
    ),
}


def _slow_kneser_ney(documents: Documents, vocab_size: int, discount: Fraction) -> Tensor:
    """Follow the formula in exact fractions, one pair at a time."""
    kinds = {pair for d in documents for pair in pairwise(d)}
    lower = [Fraction(sum(b == token for _, b in kinds), len(kinds)) for token in range(vocab_size)]

    def prob(row: list[int], token: int) -> Fraction:
        if not row:
            return lower[token]
        kept = max(row.count(token) - discount, Fraction(0))
        return (kept + discount * len(set(row)) * lower[token]) / len(row)

    return slow_table(documents, vocab_size, prob)


@exercise("Kneser–Ney")
def check_kneser_ney(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``kneser_ney(documents, vocab_size, discount)``: a (V, V) float64 table.

    p(w | h) = max(c(h w) − D, 0) / c(h) + λ(h) · N₁₊(• w) / N₁₊(• •), with λ(h) such that rows sum
    to 1; a context that was never seen has the lower order alone.
    """
    mistakes = KNESER_NEY_MISTAKES
    san, francisco, my, the, glasses, lost = range(2, 8)
    texts = [[BOS, san, francisco, EOS]] * 5
    texts += [[BOS, my, glasses, EOS], [BOS, the, glasses, EOS], [BOS, lost, glasses, EOS]]
    after_my = attempt(texts, 9, 0.75)[my]
    odds = after_my[francisco] / after_my[the] if after_my[the] != 0 else torch.tensor(torch.inf)
    expected = _slow_kneser_ney(texts, 9, Fraction(3, 4))
    attempt.equals("San Francisco", (texts, 9, 0.75), expected, mistakes)
    mistake = "francisco, five times after san alone, must be no likelier after my than the"
    attempt.holds("San Francisco", abs(float(odds) - 1) < 1e-9, mistake)

    one = [[BOS, 2, 3, 2, EOS]]  # pairs: bos 2, 2 3, 3 2, 2 eos: four kinds, 2 has two before it
    lower = [0, 1 / 4, 2 / 4, 1 / 4]
    rows = [[x / 2 for x in lower], lower, [x / 2 for x in lower], [x / 2 for x in lower]]
    by_hand = torch.tensor(rows, dtype=torch.float64)
    by_hand[0, 2] += 0.5
    by_hand[2, 3] += 0.25
    by_hand[2, 1] += 0.25
    by_hand[3, 2] += 0.5
    attempt.equals("one document, D = 1/2", (one, 4, 0.5), by_hand, mistakes)

    vocab_size = 7
    documents = draw_documents(23, vocab_size, generator)
    for discount in (0.75, 0.5):
        expected = _slow_kneser_ney(documents, vocab_size, Fraction(discount))
        what = f"23 documents, D = {discount:g}, against a slow loop"
        attempt.equals(what, (documents, vocab_size, discount), expected, mistakes)
    table = attempt(documents, vocab_size, 0.75)
    is_one = same(table.sum(1), torch.ones(vocab_size, dtype=torch.float64))
    attempt.holds("rows, unseen contexts too", is_one, "a row does not sum to 1")
    plain = _slow_kneser_ney(documents, vocab_size, Fraction(0))
    attempt.equals("D = 0, the plain estimate", (documents, vocab_size, 0.0), plain, mistakes)
