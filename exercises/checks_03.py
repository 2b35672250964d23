"""Checks of notebook 03, tokenizers; each exercise stands in a file of its own."""

from exercises.checks_03_bits import check_bits_of_texts
from exercises.checks_03_encoding import check_encode
from exercises.checks_03_training import check_train_bpe

__all__ = ["check_bits_of_texts", "check_encode", "check_train_bpe"]
