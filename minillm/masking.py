"""Which position may read which: boolean masks, True = may attend.

Masks are small and broadcast over batch and heads; ``combine_masks`` joins them.
Dimension key: B sequences, T query positions, S key positions.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor


def causal_mask(
    n_positions: int, *, n_past: int = 0, device: torch.device | str | None = None
) -> Tensor:
    """Return a mask that hides the future: query t reads the keys s <= n_past + t.

    The mask of an autoregressive model (Vaswani et al. 2017, §3.2.3, arXiv:1706.03762).
    With a key/value cache, the T new queries stand after ``n_past`` keys that are already
    there: all of those are visible, and the triangle begins behind them.

    Args:
        n_positions: T, the number of (new) query positions.
        n_past: number of keys before the first query.
        device: where the mask is made; ``None`` means torch's default.

    Returns:
        (T, n_past + T) bool, True where the query may read the key.

    Raises:
        ValueError: if a count is negative.

    Example:
        >>> causal_mask(2, n_past=1).int().tolist()
        [[1, 1, 0], [1, 1, 1]]
    """
    if n_positions < 0 or n_past < 0:
        raise ValueError(
            f"n_positions and n_past must not be negative, got {n_positions} and {n_past}"
        )
    full = torch.ones(n_positions, n_past + n_positions, dtype=torch.bool, device=device)
    return full.tril(diagonal=n_past)


def sliding_window_mask(
    n_positions: int, window: int, *, n_past: int = 0, device: torch.device | str | None = None
) -> Tensor:
    """Return a mask that lets query t read only the keys less than ``window`` positions away.

    Local attention (Longformer, Beltagy et al. 2020, §3.1, arXiv:2004.05150). It looks both
    ways; with ``causal_mask`` it leaves each position itself and the ``window - 1`` before it,
    as in Mistral 7B (arXiv:2310.06825, §2). L layers carry information L times as far.

    Args:
        n_positions: T, the number of (new) query positions.
        window: the least distance that is hidden.
        n_past: number of keys before the first query.
        device: where the mask is made; ``None`` means torch's default.

    Returns:
        (T, n_past + T) bool, True where the query may read the key.

    Raises:
        ValueError: if a count is negative or the window is not positive.

    Example:
        >>> combine_masks(causal_mask(3), sliding_window_mask(3, window=2)).int().tolist()
        [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """
    if window < 1:
        raise ValueError(f"window must be positive (1 reads only itself), got {window}")
    near = torch.ones_like(causal_mask(n_positions, n_past=n_past, device=device))
    return near.tril(n_past + window - 1).triu(n_past - window + 1)


def prefix_mask(prefix_lengths: Tensor, n_positions: int) -> Tensor:
    """Return a mask with full attention to the prefix and causal attention after it.

    The mask of a prefix language model (Raffel et al. 2020, §3.2.1 and figure 3,
    arXiv:1910.10683): what is given is read in both directions, what is predicted in one.

    Args:
        prefix_lengths: (B,) int64, the number of positions that all others may read; 0 is a
            plain causal mask.
        n_positions: T.

    Returns:
        (B, 1, T, T) bool, True where the query may read the key.

    Raises:
        ValueError: if ``prefix_lengths`` is no integer vector or a length is not in 0 … T.

    Example:
        >>> prefix_mask(torch.tensor([2]), 3).int().tolist()
        [[[[1, 1, 0], [1, 1, 0], [1, 1, 1]]]]
    """
    if prefix_lengths.ndim != 1 or prefix_lengths.is_floating_point():
        raise ValueError(
            f"prefix_lengths must be a (B,) integer tensor, got {prefix_lengths.dtype} "
            f"of shape {tuple(prefix_lengths.shape)}"
        )
    wrong = (prefix_lengths < 0) | (prefix_lengths > n_positions)
    if wrong.any():
        raise ValueError(
            f"prefix length {int(prefix_lengths[wrong][0])} is not in 0 … {n_positions}"
        )
    keys = torch.arange(n_positions, device=prefix_lengths.device)
    is_prefix = keys < prefix_lengths[:, None, None, None]
    return is_prefix | causal_mask(n_positions, device=prefix_lengths.device)


def padding_mask(is_padding: Tensor) -> Tensor:
    """Return a mask that hides padding from every query and every head.

    Args:
        is_padding: (B, S) bool, True at padding.

    Returns:
        (B, 1, 1, S) bool, True where the key is text.

    Raises:
        ValueError: if ``is_padding`` is not a boolean matrix.

    Example:
        >>> padding_mask(torch.tensor([[False, False, True]])).int().tolist()
        [[[[1, 1, 0]]]]
    """
    if is_padding.dtype != torch.bool or is_padding.ndim != 2:
        raise ValueError(
            f"is_padding must be a (B, S) boolean tensor, got {is_padding.dtype} "
            f"of shape {tuple(is_padding.shape)}"
        )
    return ~is_padding[:, None, None, :]


def document_mask(document_ids: Tensor) -> Tensor:
    """Return a mask that lets each position read only its own document.

    Documents packed into one window must not see each other (Llama 3, §3.2, arXiv:2407.21783).
    GPT-3 packed without such a mask (appendix B, arXiv:2005.14165) and left it to the
    end-of-text token; with it, a document's predictions do not depend on its neighbors.

    Args:
        document_ids: (B, T) int64; equal ids mean the same document.

    Returns:
        (B, 1, T, T) bool, True where query and key share a document.

    Raises:
        ValueError: if ``document_ids`` is not an integer matrix.

    Example:
        >>> document_mask(torch.tensor([[7, 7, 9]])).int().tolist()
        [[[[1, 1, 0], [1, 1, 0], [0, 0, 1]]]]
    """
    if document_ids.ndim != 2 or document_ids.is_floating_point():
        raise ValueError(
            f"document_ids must be a (B, T) integer tensor, got {document_ids.dtype} "
            f"of shape {tuple(document_ids.shape)}"
        )
    return (document_ids[:, :, None] == document_ids[:, None, :])[:, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskRule:
    """A mask that is known as a rule: what it hides can be skipped without reading a matrix.

    ``attention`` takes it wherever it takes a mask of T queries and the same T positions as
    keys. The backend ``flex`` compiles the rule; for the others it becomes a matrix.

    Attributes:
        is_causal: position t reads positions <= t only.
        window: as in ``sliding_window_mask``; ``None`` is no limit.
        document_ids: (B, T) int64, as in ``document_mask``; ``None`` is no limit.

    Raises:
        ValueError: for a window or document ids that those functions refuse.

    Example:
        >>> MaskRule(is_causal=True, window=2).matrix(3).int().tolist()
        [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    """

    is_causal: bool = False
    window: int | None = None
    document_ids: Tensor | None = None

    def __post_init__(self) -> None:
        if self.window is not None:
            sliding_window_mask(1, self.window)
        if self.document_ids is not None:
            document_mask(self.document_ids[..., :1])

    def matrix(self, n_positions: int, *, device: torch.device | str | None = None) -> Tensor:
        """Return the rule as a boolean mask, broadcastable to (B, H, T, T).

        Args:
            n_positions: T.
            device: where the mask is made; ``None`` means torch's default.

        Raises:
            ValueError: if there are not T document ids.
        """
        ids, window = self.document_ids, self.window
        if ids is not None and ids.shape[-1] != n_positions:
            raise ValueError(f"document_ids {tuple(ids.shape)} do not fit {n_positions} positions")
        mask = combine_masks(
            causal_mask(n_positions, device=device) if self.is_causal else None,
            None if window is None else sliding_window_mask(n_positions, window, device=device),
            None if ids is None else document_mask(ids),
        )
        everything = torch.ones(n_positions, n_positions, dtype=torch.bool, device=device)
        return everything if mask is None else mask


def combine_masks(*masks: Tensor | None) -> Tensor | None:
    """Return the mask that allows what every given mask allows.

    Args:
        masks: bool, each broadcastable to (B, H, T, S); ``None`` hides nothing.

    Returns:
        bool, the logical AND; ``None`` when no mask is given.

    Raises:
        ValueError: if a mask is not boolean.

    Example:
        >>> padding = padding_mask(torch.tensor([[False, True]]))
        >>> combine_masks(causal_mask(2), None, padding).int().tolist()
        [[[[1, 0], [1, 0]]]]
    """
    given = [mask for mask in masks if mask is not None]
    for mask in given:
        if mask.dtype != torch.bool:
            raise ValueError(f"a mask must be boolean (True = may attend), got {mask.dtype}")
    return reduce(torch.logical_and, given) if given else None
