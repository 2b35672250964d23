"""A training run: its folder, what it may train, and how it stops and continues.

``table`` lists objectives and models, with their ``batches``, ``judges`` and ``floors``;
``settings`` decides what the user left open; ``folder`` owns the files; ``opening`` begins or
continues; ``pretrain`` is the run itself.
"""

from minillm.run.folder import RunFolder
from minillm.run.judging import Judgement, evaluate_checkpoint, floor_bits, judge_checkpoint
from minillm.run.pretrain import pretrain
from minillm.run.result import RunResult
from minillm.run.settings import from_json
from minillm.run.table import (
    OBJECTIVES,
    LoadedModel,
    build_model,
    load_model,
    make_first_model,
    make_model,
)
from minillm.run.writing import Writer, make_writer

__all__ = [
    "OBJECTIVES",
    "Judgement",
    "LoadedModel",
    "RunFolder",
    "RunResult",
    "Writer",
    "build_model",
    "evaluate_checkpoint",
    "floor_bits",
    "from_json",
    "judge_checkpoint",
    "load_model",
    "make_first_model",
    "make_model",
    "make_writer",
    "pretrain",
]
