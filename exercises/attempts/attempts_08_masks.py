"""Right and wrong answers to the third exercise of notebook 08: mask puzzles."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_08 import (
    check_causal_mask,
    check_document_mask,
    check_padding_mask,
    check_prefix_mask,
)
from minillm.masking import causal_mask, combine_masks, document_mask, padding_mask, prefix_mask

# --- causal


def _causal_by_library(n_queries: int, n_keys: int) -> Tensor:
    return causal_mask(n_queries, n_past=n_keys - n_queries)


def _causal_by_positions(n_queries: int, n_keys: int) -> Tensor:
    positions = torch.arange(n_keys)
    return positions <= positions[n_keys - n_queries :, None]


def _causal_by_rows(n_queries: int, n_keys: int) -> Tensor:
    return torch.ones(n_keys, n_keys, dtype=torch.bool).tril()[-n_queries:]


def _hides_itself(n_queries: int, n_keys: int) -> Tensor:
    positions = torch.arange(n_keys)
    return positions < positions[n_keys - n_queries :, None]


def _reads_next(n_queries: int, n_keys: int) -> Tensor:
    positions = torch.arange(n_keys)
    return positions <= positions[n_keys - n_queries :, None] + 1


def _upper_triangle(n_queries: int, n_keys: int) -> Tensor:
    return torch.ones(n_queries, n_keys, dtype=torch.bool).triu()


def _true_hides(n_queries: int, n_keys: int) -> Tensor:
    return torch.ones(n_queries, n_keys, dtype=torch.bool).triu(n_keys - n_queries + 1)


def _top_left(n_queries: int, n_keys: int) -> Tensor:
    return torch.ones(n_queries, n_keys, dtype=torch.bool).tril()


def _hides_nothing(n_queries: int, n_keys: int) -> Tensor:
    return torch.full((n_queries, n_keys), True)


def _reads_itself_only(n_queries: int, n_keys: int) -> Tensor:
    return torch.eye(n_keys, dtype=torch.bool)[n_keys - n_queries :]


# --- padding


def _padding_by_library(is_padding: Tensor) -> Tensor:
    mask = combine_masks(causal_mask(is_padding.shape[1]), padding_mask(is_padding))
    assert mask is not None
    return mask


def _padding_by_filling(is_padding: Tensor) -> Tensor:
    n_rows, n = is_padding.shape
    mask = torch.ones(n, n, dtype=torch.bool).tril().repeat(n_rows, 1, 1, 1)
    return mask.masked_fill(is_padding[:, None, None, :], False)


def _padding_by_rows(is_padding: Tensor) -> Tensor:
    n = is_padding.shape[1]
    rows = [[torch.cat([~row[: t + 1], row.new_zeros(n - t - 1)]) for t in range(n)]
            for row in is_padding]  # fmt: skip
    return torch.stack([torch.stack(row) for row in rows])[:, None]


def _reads_padding(is_padding: Tensor) -> Tensor:
    return is_padding[:, None, None, :] & causal_mask(is_padding.shape[1])


def _hides_rows(is_padding: Tensor) -> Tensor:
    return ~is_padding[:, None, :, None] & causal_mask(is_padding.shape[1])


def _hides_both(is_padding: Tensor) -> Tensor:
    text = ~is_padding
    return (text[:, None, :] & text[:, :, None] & causal_mask(is_padding.shape[1]))[:, None]


def _forgets_future(is_padding: Tensor) -> Tensor:
    return padding_mask(is_padding).repeat(1, 1, is_padding.shape[1], 1)


def _forgets_padding(is_padding: Tensor) -> Tensor:
    return causal_mask(is_padding.shape[1]).repeat(len(is_padding), 1, 1, 1)


def _joins_by_or(is_padding: Tensor) -> Tensor:
    return padding_mask(is_padding) | causal_mask(is_padding.shape[1])


def _pads_like_first_row(is_padding: Tensor) -> Tensor:
    return _padding_by_library(is_padding[:1].expand_as(is_padding))


def _counts_from_the_left(is_padding: Tensor) -> Tensor:
    lengths = (~is_padding).sum(1, keepdim=True)
    return _padding_by_library(torch.arange(is_padding.shape[1]) >= lengths)


def _swaps_axes(is_padding: Tensor) -> Tensor:
    return _padding_by_library(is_padding).transpose(2, 3)


# --- prefix


def _prefix_by_library(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return prefix_mask(prefix_lengths, n_positions)


def _prefix_by_loop(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    mask = torch.ones(n_positions, n_positions, dtype=torch.bool).tril()
    mask = mask.repeat(len(prefix_lengths), 1, 1, 1)
    for row, length in zip(mask, prefix_lengths.tolist(), strict=True):
        row[..., :length] = True
    return mask


def _prefix_by_reach(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    """Query t reads the first max(t + 1, length) keys."""
    t = torch.arange(n_positions)
    reach = torch.maximum(t + 1, prefix_lengths[:, None])
    return (t < reach[:, :, None])[:, None]


def _is_only_causal(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return causal_mask(n_positions).repeat(len(prefix_lengths), 1, 1, 1)


def _opens_rows(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    mask = _is_only_causal(prefix_lengths, n_positions)
    for row, length in zip(mask, prefix_lengths.tolist(), strict=True):
        row[:, :length] = True
    return mask


def _is_only_prefix(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    inside = torch.arange(n_positions) < prefix_lengths[:, None]
    return inside[:, None, None].repeat(1, 1, n_positions, 1)


def _closes_prefix(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    inside = torch.arange(n_positions) < prefix_lengths[:, None]
    same = inside[:, :, None] == inside[:, None, :]
    return (same & (inside[:, None, :] | causal_mask(n_positions)))[:, None]


def _joins_prefix_by_and(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return _is_only_prefix(prefix_lengths, n_positions) & causal_mask(n_positions)


def _prefix_too_long(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    inside = torch.arange(n_positions) <= prefix_lengths[:, None]
    return (inside[:, None] | causal_mask(n_positions))[:, None]


def _prefix_too_short(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return prefix_mask((prefix_lengths - 1).clamp(min=0), n_positions)


def _prefix_of_first_row(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return prefix_mask(prefix_lengths[:1], n_positions).repeat(len(prefix_lengths), 1, 1, 1)


def _longest_prefix(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return prefix_mask(prefix_lengths.max().repeat(len(prefix_lengths)), n_positions)


def _prefix_turned_round(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    return ~prefix_mask(prefix_lengths, n_positions)


# --- packed documents


def _documents_by_library(document_ids: Tensor) -> Tensor:
    return document_mask(document_ids) & causal_mask(document_ids.shape[1])


def _documents_by_loop(document_ids: Tensor) -> Tensor:
    n_rows, n = document_ids.shape
    mask = torch.zeros(n_rows, 1, n, n, dtype=torch.bool)
    for b, t in torch.cartesian_prod(torch.arange(n_rows), torch.arange(n)).tolist():
        mask[b, 0, t, : t + 1] = document_ids[b, : t + 1] == document_ids[b, t]
    return mask


def _documents_by_blocks(document_ids: Tensor) -> Tensor:
    """Put one triangle for each document on the diagonal."""
    rows = []
    for ids in document_ids:
        _, lengths = torch.unique_consecutive(ids, return_counts=True)
        rows.append(torch.block_diag(*(torch.ones(n, n).tril() for n in lengths.tolist())))
    return torch.stack(rows)[:, None].bool()


def _forgets_order(document_ids: Tensor) -> Tensor:
    return document_mask(document_ids)


def _forgets_documents(document_ids: Tensor) -> Tensor:
    n_rows, n = document_ids.shape
    return torch.ones(n_rows, 1, n, n, dtype=torch.bool).tril()


def _compares_by_order(document_ids: Tensor) -> Tensor:
    is_older = document_ids[:, None, :] <= document_ids[:, :, None]
    return is_older[:, None] & causal_mask(document_ids.shape[1])


def _joins_documents_by_or(document_ids: Tensor) -> Tensor:
    return document_mask(document_ids) | causal_mask(document_ids.shape[1])


def _documents_of_first_row(document_ids: Tensor) -> Tensor:
    return _documents_by_library(document_ids[:1].expand_as(document_ids))


def _cuts_one_row(document_ids: Tensor) -> Tensor:
    n_rows, n = document_ids.shape
    mask = causal_mask(n).repeat(n_rows, 1, 1, 1)
    for b in range(n_rows):
        for t in range(1, n):
            if document_ids[b, t] != document_ids[b, t - 1]:
                mask[b, :, t, :t] = False
    return mask


def _reads_the_others(document_ids: Tensor) -> Tensor:
    is_other = document_ids[:, None, :, None] != document_ids[:, None, None, :]
    return is_other & causal_mask(document_ids.shape[1])


def _documents_without_itself(document_ids: Tensor) -> Tensor:
    return _documents_by_library(document_ids) & ~torch.eye(document_ids.shape[1]).bool()


def _documents_transposed(document_ids: Tensor) -> Tensor:
    return document_mask(document_ids).triu()


_IS_PADDING = torch.tensor([[False, False, True], [True, False, False]])
PLANTED = (
    Planted(
        check=check_causal_mask,
        arguments=(3, 5),
        right=(_causal_by_library, _causal_by_positions, _causal_by_rows),
        wrong={
            _hides_itself: "hides the position itself",
            _reads_next: "reads one position ahead",
            _upper_triangle: "it is transposed",
            _true_hides: "True means may read, not hidden",
            _top_left: "aligned top-left",
            _hides_nothing: "hides nothing",
            _reads_itself_only: "reads only itself",
        },
    ),
    Planted(
        check=check_padding_mask,
        arguments=(_IS_PADDING,),
        right=(_padding_by_library, _padding_by_filling, _padding_by_rows),
        wrong={
            _reads_padding: "padding is read, and text is hidden",
            _hides_rows: "it hides rows:",
            _hides_both: "hides rows and columns",
            _forgets_future: "the future is hidden too",
            _forgets_padding: "it forgets the padding",
            _joins_by_or: "with or:",
            _pads_like_first_row: "the padding of row 0",
            _counts_from_the_left: "it may stand at the beginning",
            _swaps_axes: "it is transposed",
        },
    ),
    Planted(
        check=check_prefix_mask,
        arguments=(torch.tensor([2, 0]), 4),
        right=(_prefix_by_library, _prefix_by_loop, _prefix_by_reach),
        wrong={
            _is_only_causal: "it is only causal",
            _opens_rows: "it opens whole rows",
            _is_only_prefix: "after the prefix it reads nothing else",
            _closes_prefix: "does not read the prefix",
            _joins_prefix_by_and: "prefix or past, either is enough",
            _prefix_too_long: "one too long",
            _prefix_too_short: "one too short",
            _prefix_of_first_row: "the prefix of row 0",
            _longest_prefix: "the longest prefix",
            _prefix_turned_round: "it is turned round",
        },
    ),
    Planted(
        check=check_document_mask,
        arguments=(torch.tensor([[1, 1, 0, 0], [2, 3, 3, 3]]),),
        right=(_documents_by_library, _documents_by_loop, _documents_by_blocks),
        wrong={
            _forgets_order: "the future is hidden too",
            _forgets_documents: "it is only causal",
            _compares_by_order: "compares ids with ≥",
            _joins_documents_by_or: "with or:",
            _documents_of_first_row: "the documents of row 0",
            _cuts_one_row: "closes only the first row",
            _reads_the_others: "reads all others and not itself",
            _documents_without_itself: "hides the position itself",
            _documents_transposed: "it is transposed",
        },
    ),
)
