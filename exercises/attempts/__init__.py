"""Right and wrong answers to the exercises: spoilers, and what the checks are tested with."""
