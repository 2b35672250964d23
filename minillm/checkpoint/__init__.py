"""Checkpoints: folders that are complete or absent, and that notice when a bit of them changed.

A checkpoint holds tensors (safetensors), JSON and text, and a ``manifest.json`` with the size and
the SHA-256 of each file and of itself. Nothing is ever unpickled: opening a checkpoint runs no
code. The same contents give the same bytes: no times, no host names.

``files.py`` writes and reads such folders, ``finding.py`` chooses one of a run, ``state.py`` turns
models and optimizers into tensors and back.
"""

from minillm.checkpoint.files import Content, NewerFormatError, read_checkpoint, write_checkpoint
from minillm.checkpoint.finding import find_checkpoint, newest_valid, step_name
from minillm.checkpoint.state import (
    load_optimizer,
    load_weights,
    model_tensors,
    optimizer_tensors,
)

__all__ = [
    "Content",
    "NewerFormatError",
    "find_checkpoint",
    "load_optimizer",
    "load_weights",
    "model_tensors",
    "newest_valid",
    "optimizer_tensors",
    "read_checkpoint",
    "step_name",
    "write_checkpoint",
]
