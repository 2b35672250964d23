"""Pretraining under one owner: train, judge, log, save, and continue as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Any

import torch
from tqdm.auto import tqdm

from minillm.batch import Batch
from minillm.checkpoint import (
    model_tensors,
)
from minillm.config import FAMILIES, PretrainConfig
from minillm.data import PreparedData
from minillm.evaluation import Scores
from minillm.optim import LossScaler, make_optimizer
from minillm.run.counting import count_text
from minillm.run.folder import RunFolder
from minillm.run.judges import HeldOut, logged
from minillm.run.opening import Say, open_run
from minillm.run.result import RunResult
from minillm.run.saving import (
    read_finished,
    restore_newest,
    save_step,
    take_back_best,
    write_final,
)
from minillm.run.settings import last_stable_step, learning_rate_at
from minillm.run.signals import StopRequest
from minillm.run.table import OBJECTIVES, describe_model, make_first_model
from minillm.runtime import (
    preserved_process_state,
)
from minillm.training import StepResult, train


@dataclass(slots=True)
class _Position:
    """Where a run is, beside its weights; saved with every checkpoint."""

    step: int = 0
    n_tokens_seen: int = 0
    best_step: int | None = None
    best_validation_loss: float | None = None
    n_without_better: int = 0  # validations since then
    scaler: dict[str, Any] | None = None  # of the loss, in float16

    def note_validation(self, loss: float) -> bool:
        """Remember a validation; say whether it is the best so far."""
        if self.best_validation_loss is not None and loss >= self.best_validation_loss:
            self.n_without_better += 1
            return False
        self.best_step, self.best_validation_loss, self.n_without_better = self.step, loss, 0
        return True


def say_nothing(text: str) -> None:
    """Be quiet (the default ``say``)."""


def pretrain(
    config: PretrainConfig, *, say: Say = say_nothing, show_bars: bool = False
) -> RunResult:
    """Train a model on a corpus into a run's folder, or continue the run that is there.

    A run that was killed at any moment and continued equals the uninterrupted one bit for bit,
    on the same machine, torch and thread count. Ctrl-C and SIGTERM save a checkpoint first.

    Args:
        config: what to do. What it leaves open is decided at the start and stored.
        say: gets one line for each thing that the user should know.
        show_bars: progress bars on stderr (in a notebook: widgets).

    Returns:
        How it ended; ``final/`` holds the model if it is finished.

    Raises:
        ConfigError: the folder is in use, is no run, or is a run with other settings.
        DataError: the corpus cannot be used.
        CheckpointError: every checkpoint is damaged.
        NumericalError: a loss that is not finite; the last checkpoint is kept.

    Example:
        ``pretrain(PretrainConfig(out=Path("runs/notes"), corpus=("notes/",), steps=500))``
    """
    folder = RunFolder(config.out)
    progress = partial(tqdm, disable=not show_bars, leave=False)
    with folder.locked(), preserved_process_state():
        resolved, data = open_run(folder, config, say=say, progress=progress)
        if FAMILIES[resolved.objective][resolved.model].counts:
            return count_text(folder, resolved, data, say=say, progress=progress)
        run = _Run(folder, resolved, data, say=say, show_bars=show_bars)
        if run.is_finished():
            say(f"{config.out} is finished: {run.position.step:,} steps were taken")
            return run.result()
        run.restore()
        return run.advance()


class _Run:
    """A run while it is open: its settings, its data, its model and its position."""

    def __init__(
        self,
        folder: RunFolder,
        config: PretrainConfig,
        data: PreparedData,
        *,
        say: Say,
        show_bars: bool,
    ) -> None:
        self.folder, self.config, self.data, self.say = folder, config, data, say
        self.show_bars = show_bars
        self.n_steps, self.position = config.steps or 0, _Position()
        self.objective = OBJECTIVES[config.objective]
        self.batch_at = self.objective.batches(data, config)
        # Steps whose checkpoints stay: the last, and the one from which a run can be prolonged.
        self.kept_steps = {self.n_steps}
        if config.schedule == "warmup-stable-decay":
            self.kept_steps.add(last_stable_step(config))
        torch.set_num_threads(int(config.threads))
        self.model = make_first_model(config, vocab_size=data.tokenizer.vocab_size)
        self.model.to(config.device)
        self.optimizer = make_optimizer(
            self.model,
            name=config.optimizer,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.scaler = LossScaler() if config.dtype == "float16" else None

    def result(self, exit_status: int = 0) -> RunResult:
        """Say how the call ended."""
        at = self.position
        best = (at.best_step, at.best_validation_loss)
        return RunResult(self.folder.path, at.step, self.n_steps, *best, exit_status)

    # --- where the run is -----------------------------------------------------------------------

    def is_finished(self) -> bool:
        """Whether ``final/`` is intact and of the length that is asked for; then stand there."""
        remedy = "it is made again from the last checkpoint"
        about = read_finished(self.folder, say=self.say, remedy=remedy)
        if about is None:
            return False
        self.position = _Position(**about["position"])
        return about["n_steps"] == self.n_steps

    def restore(self) -> None:
        """Stand where the newest intact checkpoint was taken, or at the beginning."""
        self.position = _Position()
        saved = restore_newest(
            self.folder, self.model, self.optimizer, seed=self.config.seed, say=self.say
        )
        if saved is not None:
            self.position = _Position(**saved)
            if self.scaler is not None and self.position.scaler is not None:
                self.scaler.load_state(self.position.scaler)
            self.say(f"continuing after step {self.position.step:,} of {self.n_steps:,}")

    # --- training -------------------------------------------------------------------------------

    def advance(self) -> RunResult:
        """Take the steps that are left; stop early on a signal or when patience ends."""
        at = self.position
        bar = tqdm(
            total=self.n_steps,
            initial=at.step,
            desc="pretrain",
            unit=" steps",
            disable=not self.show_bars,
        )
        steps = train(
            self.model,
            self.optimizer,
            self._micro_batches(at.step + 1),
            max_grad_norm=self.config.max_grad_norm,
            learning_rate=learning_rate_at(self.config),
            first_step=at.step + 1,
            autocast_dtype=getattr(torch, self.config.dtype),
            weights={"labels": self.config.sentence_weight},
            scaler=self.scaler,
        )
        with StopRequest() as stop, bar:
            while not self._is_over():
                metrics = self._take(next(steps))
                _show(bar, metrics)
                if stop.signal_number is not None:
                    self._save()
                    self.say(f"stopped after step {at.step:,}; the same command continues")
                    return self.result(stop.exit_status)
        self._finish()
        return self.result()

    def _micro_batches(self, first_step: int) -> Iterator[list[Batch]]:
        for step in range(first_step, self.n_steps + 1):
            first = (step - 1) * self.config.accumulate
            numbers = range(first, first + self.config.accumulate)
            yield [self.batch_at(number).to(self.config.device) for number in numbers]

    def _is_over(self) -> bool:
        patience = self.config.patience
        is_patient = patience is None or self.position.n_without_better < patience
        return self.position.step >= self.n_steps or not is_patient

    def _take(self, result: StepResult) -> dict[str, Any]:
        """Log a step, validate and save where that is due; return the log's line."""
        at, config = self.position, self.config
        at.step, at.n_tokens_seen = result.step, at.n_tokens_seen + result.n_tokens
        metrics: dict[str, Any] = {
            "step": at.step,
            "loss": result.loss,
            "losses": result.losses,
            "n_tokens_seen": at.n_tokens_seen,
            "learning_rate": result.learning_rate,
            "grad_norm": None if result.is_skipped else result.grad_norm,
        }
        if self.scaler is not None:
            at.scaler = self.scaler.state()
            metrics |= {"loss_scale": result.loss_scale, "skipped": result.is_skipped}
        is_best = False
        if at.step % config.eval_every == 0 or at.step == self.n_steps:
            validation = self._validate()
            is_best = at.note_validation(validation.loss)
            metrics |= logged(validation)
        self.folder.log(metrics)
        if is_best or at.step % config.save_every == 0 or at.step in self.kept_steps:
            self._save()
        return metrics

    def _validate(self, *, on_all: bool = False) -> Scores:
        """Judge the model on the validation documents, or on the first ones of them."""
        held_out = self._held_out(None) if on_all else self._sample
        return self.objective.judge(self.model, held_out)

    @cached_property
    def _sample(self) -> HeldOut:
        """The first validation documents, which are judged again and again."""
        return self._held_out(self.config.eval_tokens)

    def _held_out(self, max_tokens: int | None) -> HeldOut:
        with_sentences = self.objective.reads_sentences
        return HeldOut.of_run(self.data, with_sentences=with_sentences, max_tokens=max_tokens)

    # --- saving ---------------------------------------------------------------------------------

    def _model_files(self) -> dict[str, Any]:
        about = describe_model(self.model, name=self.config.model, objective=self.config.objective)
        return {
            "model.safetensors": model_tensors(self.model),
            "config.json": about,
            "tokenizer.json": self.data.tokenizer.to_json(),
        }

    def _save(self) -> None:
        """Write a checkpoint to continue from, then remove those that nobody needs."""
        save_step(
            self.folder,
            self._model_files(),
            self.optimizer,
            step=self.position.step,
            position=asdict(self.position),
            kept_steps=(*self.kept_steps, self.position.best_step),
        )

    def _finish(self) -> None:
        """Write ``final/``: the last step, or under ``patience`` the best one."""
        if self.config.patience is not None and self.position.best_step is not None:
            take_back_best(self.folder, self.model, step=self.position.best_step, say=self.say)
        validation = self._validate(on_all=True)
        files = self._model_files()
        files["config.json"]["run"] = {
            "position": asdict(self.position),
            "n_steps": self.n_steps,
            "validation": validation.numbers(),
        }
        step = self.position.step
        final = write_final(self.folder, files, step=step)
        reached = validation.summary()
        if self.scaler is not None:
            self.say(
                f"float16: {self.scaler.n_skipped:,} updates were skipped, their gradient was not "
                f"finite; at the end the loss was scaled by {self.scaler.scale:,.6g}"
            )
        self.say(f"finished: {step:,} steps, validation {reached}; the model is in {final}")


def _show(bar: tqdm, metrics: dict[str, Any]) -> None:
    """Move the bar on by one step."""
    numbers = {"loss": f"{metrics['loss']:.3f}"}
    if "validation_loss" in metrics:
        numbers["validation"] = f"{metrics['validation_loss']:.3f}"
    bar.set_postfix(numbers, refresh=False)
    bar.update()
