"""Checks of notebook 10, causal language modeling; each stands in a file of its own."""

from exercises.checks_10_bits import check_bits_per_byte
from exercises.checks_10_loss import check_causal_loss
from exercises.checks_10_sampling import check_sample

__all__ = ["check_bits_per_byte", "check_causal_loss", "check_sample"]
