"""Checks of notebook 02, n-gram models and smoothing; they stand in files of their own."""

from exercises.checks_02_add_k import check_add_k
from exercises.checks_02_kneser_ney import check_kneser_ney
from exercises.checks_02_perplexity import check_perplexity

__all__ = ["check_add_k", "check_kneser_ney", "check_perplexity"]
