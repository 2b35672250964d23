"""Checks of notebook 06, recurrent networks; each exercise stands in a file of its own."""

from exercises.checks_06_cell import check_lstm_cell
from exercises.checks_06_truncation import check_truncated_bptt

__all__ = ["check_lstm_cell", "check_truncated_bptt"]
