"""The main job: raw text to a trained and fine-tuned model once, and a report that tells it.

``taking`` does it, ``few_labels`` is its fine-tuning; ``telling``, and ``telling_labels`` for that
part, write the report.
"""

from minillm.tour.taking import OURS, TourResult, recipe, take_tour

__all__ = ["OURS", "TourResult", "recipe", "take_tour"]
