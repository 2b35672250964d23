"""How a call of ``pretrain`` ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a call of ``pretrain`` ended."""

    out: Path
    step: int  # optimizer updates that the run has taken
    n_steps: int  # that it was asked to take
    best_step: int | None  # of the lowest validation loss
    best_validation_loss: float | None  # nats per token
    exit_status: int = 0  # 130 or 143 after a signal, with a checkpoint saved

    @property
    def is_finished(self) -> bool:
        """Whether ``final/`` is there."""
        return self.exit_status == 0
