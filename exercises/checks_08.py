"""Checks of notebook 08, attention and masks; each exercise stands in a file of its own."""

from exercises.checks_08_attention import check_attention
from exercises.checks_08_heads import check_heads
from exercises.checks_08_masks import (
    check_causal_mask,
    check_document_mask,
    check_padding_mask,
    check_prefix_mask,
)

__all__ = [
    "check_attention",
    "check_causal_mask",
    "check_document_mask",
    "check_heads",
    "check_padding_mask",
    "check_prefix_mask",
]
