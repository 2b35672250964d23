"""Checks of notebook 11, masked language modeling; each stands in a file of its own."""

from exercises.checks_11_collator import check_hide_tokens
from exercises.checks_11_words import check_choose_words

__all__ = ["check_choose_words", "check_hide_tokens"]
