"""Checks of notebook 05, optimizers; each stands in a file of its own."""

from exercises.checks_05_adamw import check_adamw
from exercises.checks_05_clipping import check_clipping
from exercises.checks_05_schedule import check_schedule

__all__ = ["check_adamw", "check_clipping", "check_schedule"]
