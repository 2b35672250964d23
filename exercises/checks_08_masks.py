"""The third check of notebook 08: mask puzzles. B sequences, T queries, S keys; True = may read."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise
from minillm.attention import attention

Rows = list[list[int]]


def _triangle(n_queries: int, n_keys: int, diagonal: int = 0) -> Tensor:
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril(diagonal)


def _causal(n_positions: int) -> Tensor:
    return _triangle(n_positions, n_positions)


def _grid(rows: Rows | list[Rows]) -> Tensor:
    """Turn a picture of zeros and ones into a mask; one picture a sequence becomes (B, 1, T, S)."""
    mask = torch.tensor(rows, dtype=torch.bool)
    return mask if mask.ndim == 2 else rearrange(mask, "b t s -> b 1 t s")


def _check_leaks(
    attempt: Attempt, mask: Tensor, hidden: Tensor, generator: torch.Generator
) -> None:
    """Attend through the mask: no gradient may come from what the rule hides from a query.

    Args:
        attempt: counts the check.
        mask: what the student's function returned.
        hidden: (B, T, S) bool, True where a gradient would be a leak.
        generator: draws the queries, keys and values.
    """
    n_batch, n_queries, n_keys = hidden.shape
    shapes = (n_batch, 1, n_queries, 3), (n_batch, 1, n_keys, 3), (n_batch, 1, n_keys, 3)
    q, k, v = (torch.randn(shape, generator=generator) for shape in shapes)
    mixed = attention(q, k, v.requires_grad_(), mask=mask)
    leaks = []
    for t in range(n_queries):
        (gradient,) = torch.autograd.grad(mixed[:, :, t].sum(), v, retain_graph=True)
        reached = gradient.abs().sum((1, 3)) > 0  # (B, S)
        leaks += [[t, int(s)] for s in (reached & hidden[:, t]).nonzero()[:, 1]]
    what, mistake = "gradients through attention", "a query learns from a key that it must not see"
    attempt.holds(what, not leaks, mistake, query_and_key=leaks[:3])


CAUSAL_MISTAKES: Mistakes = {
    "it hides the position itself: query t reads the keys up to t, itself included": (
        lambda t, s: _triangle(t, s, s - t - 1)
    ),
    "it reads one position ahead: query t then sees the very token that it should predict": (
        lambda t, s: _triangle(t, s, s - t + 1)
    ),
    "it is transposed: rows are queries, columns are keys, and this reads the future": (
        lambda t, s: _triangle(s, t).mT
    ),
    "it is turned round: True means may read, not hidden": lambda t, s: ~_triangle(t, s, s - t),
    "it is aligned top-left: the T queries are the last of the S keys, so the first of them "
    "already reads S − T + 1": lambda t, s: _triangle(t, s),
    "it hides nothing": lambda t, s: torch.ones(t, s, dtype=torch.bool),
    "it reads only itself: the whole past is open": lambda t, s: (
        _triangle(t, s, s - t) & ~_triangle(t, s, s - t - 1)
    ),
}


@exercise("causal mask")
def check_causal_mask(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``causal(n_queries, n_keys)``: each query reads itself and what stands before it.

    The function takes two ints, T <= S: the queries are the last T of the S positions. It
    returns (T, S) bool.
    """
    mistakes = CAUSAL_MISTAKES
    square = _grid([[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    attempt.equals("T = S = 3", (3, 3), square, mistakes)
    attempt.equals("two new tokens after three", (2, 5), _grid([[1] * 4 + [0], [1] * 5]), mistakes)
    attempt.equals("one new token reads everything", (1, 4), _grid([[1] * 4]), mistakes)
    attempt.equals("a single position", (1, 1), _grid([[1]]), mistakes)
    n_keys = int(torch.randint(6, 9, (), generator=generator))
    for n_queries in (n_keys, 5):
        n_past = n_keys - n_queries
        rows = [[int(s <= n_past + t) for s in range(n_keys)] for t in range(n_queries)]
        what = f"{n_queries} queries, {n_keys} keys"
        attempt.equals(what, (n_queries, n_keys), _grid(rows), mistakes)
        _check_leaks(attempt, attempt(n_queries, n_keys), ~_grid(rows)[None], generator)


def _keys_of(is_padding: Tensor) -> Tensor:
    return rearrange(~is_padding, "b s -> b 1 1 s")


def _as_if_at_the_end(is_padding: Tensor) -> Tensor:
    """Count the text and hide as many positions at the end, wherever the padding stands."""
    n_text = (~is_padding).sum(1)
    keys = torch.arange(is_padding.shape[1])
    return _keys_of(keys >= n_text[:, None]) & _causal(is_padding.shape[1])


PADDING_MISTAKES: Mistakes = {
    "it is turned round: padding is read, and text is hidden": lambda pad: (
        ~_keys_of(pad) & _causal(pad.shape[1])
    ),
    "it hides rows: padding must not be read, so it is the keys, the columns, that are hidden": (
        lambda pad: rearrange(~pad, "b t -> b 1 t 1") & _causal(pad.shape[1])
    ),
    "it hides rows and columns: only the keys matter, no one looks at a padded query": (
        lambda pad: _keys_of(pad) & rearrange(~pad, "b t -> b 1 t 1") & _causal(pad.shape[1])
    ),
    "it forgets that the future is hidden too: and, not only one of the two": lambda pad: _keys_of(
        pad
    ).expand(-1, -1, pad.shape[1], -1),
    "it forgets the padding": lambda pad: _causal(pad.shape[1]).expand(len(pad), 1, -1, -1),
    "it joins the two rules with or: a key must be text and not in the future": lambda pad: (
        _keys_of(pad) | _causal(pad.shape[1])
    ),
    "it uses the padding of row 0 for every row": lambda pad: (
        _keys_of(pad)[:1] & _causal(pad.shape[1])
    ).expand(len(pad), -1, -1, -1),
    "it takes padding to stand at the end: it may stand at the beginning": _as_if_at_the_end,
    "it is transposed: rows are queries, columns are keys": lambda pad: (
        (_keys_of(pad) & _causal(pad.shape[1])).mT
    ),
}


@exercise("causal mask with padding")
def check_padding_mask(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``text_only(is_padding)``: no future, and no padding.

    The function takes a bool (B, T), True at padding, and returns (B, 1, T, T) bool.
    """
    mistakes = PADDING_MISTAKES
    is_padding = torch.tensor([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
    end, none = [[1, 0, 0], [1, 1, 0], [1, 1, 0]], [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    begin = [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    attempt.equals("padding on either side", (is_padding,), _grid([end, none, begin]), mistakes)
    attempt.equals("padding at the end", (is_padding[:2],), _grid([end, none]), mistakes)
    attempt.equals(
        "nothing but padding", (is_padding[:1] | True,), _grid([[[0] * 3] * 3]), mistakes
    )

    is_padding = torch.rand(5, 7, generator=generator) < 0.4
    is_padding[0] = False
    is_padding[1, -3:] = is_padding[2, :2] = True
    rows = [
        [[int(s <= t and not row[s]) for s in range(7)] for t in range(7)]
        for row in is_padding.tolist()
    ]
    attempt.equals("random padding against a slow loop", (is_padding,), _grid(rows), mistakes)
    _check_leaks(attempt, attempt(is_padding), ~_grid(rows).squeeze(1), generator)


def _is_prefix(lengths: Tensor, n_positions: int, axis: str = "s") -> Tensor:
    inside = torch.arange(n_positions) < lengths[:, None]
    return rearrange(inside, "b s -> b 1 1 s" if axis == "s" else "b s -> b 1 s 1")


PREFIX_MISTAKES: Mistakes = {
    "it is only causal: inside the prefix everyone reads everyone": lambda lengths, n: _causal(
        n
    ).expand(len(lengths), 1, -1, -1),
    "it opens whole rows: a prefix query may read the prefix, not what must be predicted": (
        lambda lengths, n: _is_prefix(lengths, n, "t") | _causal(n)
    ),
    "after the prefix it reads nothing else: what comes later also reads its own past": (
        lambda lengths, n: _is_prefix(lengths, n).expand(-1, -1, n, -1)
    ),
    "what comes after the prefix does not read the prefix": lambda lengths, n: (
        (_is_prefix(lengths, n) & _is_prefix(lengths, n, "t"))
        | (_causal(n) & ~_is_prefix(lengths, n) & ~_is_prefix(lengths, n, "t"))
    ),
    "it joins the rules with and: prefix or past, either is enough": lambda lengths, n: (
        _is_prefix(lengths, n) & _causal(n)
    ),
    "its prefix is one too long: positions count from 0, so the prefix is s < length": (
        lambda lengths, n: _is_prefix(lengths + 1, n) | _causal(n)
    ),
    "its prefix is one too short": lambda lengths, n: _is_prefix(lengths - 1, n) | _causal(n),
    "it uses the prefix of row 0 for every row": lambda lengths, n: (
        _is_prefix(lengths[:1], n) | _causal(n)
    ).expand(len(lengths), -1, -1, -1),
    "it uses the longest prefix for every row": lambda lengths, n: (
        _is_prefix(lengths.amax().expand(len(lengths)), n) | _causal(n)
    ),
    "it is turned round: True means may read": lambda lengths, n: (
        ~(_is_prefix(lengths, n) | _causal(n))
    ),
}


@exercise("prefix mask")
def check_prefix_mask(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``prefix(prefix_lengths, n_positions)``: all read the prefix, the rest is causal.

    The function takes int64 (B,) and an int T, and returns (B, 1, T, T) bool.
    """
    mistakes = PREFIX_MISTAKES
    three = [[1, 1, 1, 0, 0]] * 3 + [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    none = [[int(s <= t) for s in range(5)] for t in range(5)]
    lengths = torch.tensor([3])
    attempt.equals("a prefix of three", (lengths, 5), _grid([three]), mistakes)
    two = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], *none[2:]]
    lengths = torch.tensor([2, 3, 0])
    attempt.equals("prefixes of 2, 3 and 0", (lengths, 5), _grid([two, three, none]), mistakes)
    whole = torch.tensor([3])
    attempt.equals("nothing but prefix", (whole, 3), _grid([[[1] * 3] * 3]), mistakes)

    lengths = torch.randint(8, (5,), generator=generator)
    lengths[0], lengths[1] = 3, 5
    rows = [
        [[int(s < length or s <= t) for s in range(7)] for t in range(7)]
        for length in lengths.tolist()
    ]
    attempt.equals("random lengths against a slow loop", (lengths, 7), _grid(rows), mistakes)
    _check_leaks(attempt, attempt(lengths, 7), ~_grid(rows).squeeze(1), generator)


def _same_document(ids: Tensor) -> Tensor:
    return rearrange(ids, "b t -> b 1 t 1") == rearrange(ids, "b s -> b 1 1 s")


def _neighbors_only(ids: Tensor) -> Tensor:
    """Cut where a document begins, but let what follows read on beyond the cut."""
    begins = torch.zeros_like(ids, dtype=torch.bool)
    begins[:, 1:] = ids[:, 1:] != ids[:, :-1]
    return _causal(ids.shape[1]) & ~rearrange(begins, "b t -> b 1 t 1") | torch.eye(
        ids.shape[1], dtype=torch.bool
    )


DOCUMENT_MISTAKES: Mistakes = {
    "it forgets that the future is hidden too, also inside a document": _same_document,
    "it is only causal: the documents before are read as if they were this one's past": (
        lambda ids: _causal(ids.shape[1]).expand(len(ids), 1, -1, -1)
    ),
    "it compares ids with ≥: ids are names, not numbers in order; ask whether they are equal": (
        lambda ids: (
            (rearrange(ids, "b t -> b 1 t 1") >= rearrange(ids, "b s -> b 1 1 s"))
            & _causal(ids.shape[1])
        )
    ),
    "it joins the rules with or: a key must be of the same document and not in the future": (
        lambda ids: _same_document(ids) | _causal(ids.shape[1])
    ),
    "it uses the documents of row 0 for every row": lambda ids: (
        _same_document(ids[:1]) & _causal(ids.shape[1])
    ).expand(len(ids), -1, -1, -1),
    "it closes only the first row of a document: the rows below read across the border again": (
        _neighbors_only
    ),
    "it is turned round: a document reads all others and not itself": lambda ids: (
        ~_same_document(ids) & _causal(ids.shape[1])
    ),
    "it hides the position itself": lambda ids: (
        _same_document(ids) & _causal(ids.shape[1]).tril(-1)
    ),
    "it is transposed: rows are queries, columns are keys": lambda ids: (
        (_same_document(ids) & _causal(ids.shape[1])).mT
    ),
}


@exercise("packed documents")
def check_document_mask(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``packed(document_ids)``: each position reads the past of its own document.

    The function takes int64 (B, T), equal ids for the same document, and returns
    (B, 1, T, T) bool.
    """
    mistakes = DOCUMENT_MISTAKES
    ids = torch.tensor([[7, 7, 3, 3, 3], [4, 4, 4, 4, 9]])
    first = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    second = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]]
    attempt.equals("two rows of two documents", (ids,), _grid([first, second]), mistakes)
    one = torch.tensor([[5, 5, 5]])
    square = [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    attempt.equals("a single document", (one,), _grid([square]), mistakes)
    alone = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    attempt.equals("documents of one token", (torch.tensor([[2, 0, 1]]),), _grid([alone]), mistakes)

    ids = torch.rand(5, 3, generator=generator).argsort(1).repeat_interleave(3, 1)[:, 1:]
    rows = [
        [[int(s <= t and row[s] == row[t]) for s in range(8)] for t in range(8)]
        for row in ids.tolist()
    ]
    attempt.equals("random documents against a slow loop", (ids,), _grid(rows), mistakes)
    _check_leaks(attempt, attempt(ids), ~_grid(rows).squeeze(1), generator)
