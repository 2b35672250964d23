"""Checks of notebook 04, neural language models; each exercise stands in a file of its own."""

from exercises.checks_04_cross_entropy import check_cross_entropy
from exercises.checks_04_initial import check_initial_loss, check_output_weights

__all__ = ["check_cross_entropy", "check_initial_loss", "check_output_weights"]
