"""Checks of notebook 13: span corruption, and what an encoder–decoder's decoder reads."""

from exercises.checks_13_corruption import check_corrupt
from exercises.checks_13_wiring import check_wire

__all__ = ["check_corrupt", "check_wire"]
