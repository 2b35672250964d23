"""Checks of notebook 14: pooling, entities, answers, and low-rank adapters."""

from exercises.checks_14_answers import check_best_answer
from exercises.checks_14_entities import check_entity_f1
from exercises.checks_14_lora import check_adapt
from exercises.checks_14_pooling import check_pool

__all__ = ["check_adapt", "check_best_answer", "check_entity_f1", "check_pool"]
