"""Checks of notebook 12, sentence objectives; each stands in a file of its own."""

from exercises.checks_12_orders import check_shuffled_sentences
from exercises.checks_12_pairs import check_sentence_pairs

__all__ = ["check_sentence_pairs", "check_shuffled_sentences"]
