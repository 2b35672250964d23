"""Fine-tuning into a run's folder: it stops, continues and logs as pretraining does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import torch
from tqdm.auto import tqdm

import minillm
from minillm.config import FinetuneConfig
from minillm.errors import ConfigError
from minillm.finetuning.conversations import DialogueExample, load_conversations
from minillm.finetuning.dialogue import DialogueTuning, add_chat_template
from minillm.finetuning.examples import Example, hold_out
from minillm.finetuning.steps import Position, Tuning, show_line
from minillm.finetuning.tuning import LabelTuning, find_labels, make_model, task_of
from minillm.finetuning.world import load_examples
from minillm.run import LoadedModel, RunFolder, RunResult, load_model
from minillm.run.opening import warn_of_other_digits
from minillm.run.pretrain import say_nothing
from minillm.run.saving import (
    Say,
    read_finished,
    restore_newest,
    save_step,
    take_back_best,
    write_final,
)
from minillm.run.signals import StopRequest
from minillm.runtime import (
    file_sha256,
    machine_signature,
    preserved_process_state,
    resolve_device,
)

_NOT_COMPARED = {"out", "checkpoint", "device"}  # where things lie; contents are compared by hash


def finetune_run(
    config: FinetuneConfig, *, say: Say = say_nothing, show_bars: bool = False
) -> RunResult:
    """Fine-tune a stored model into a run's folder, or continue the run that is there.

    A run that was killed at any moment and continued equals the uninterrupted one bit for bit, on
    the same machine, torch and thread count. Ctrl-C and SIGTERM save a checkpoint first.

    Args:
        config: what to do.
        say: gets one line for each thing that the user should know.
        show_bars: a progress bar on stderr (in a notebook: a widget).

    Returns:
        How it ended; ``final/`` holds the model of the best validation if it is finished.

    Raises:
        ConfigError: the folder is in use, is no run, or is a run of other settings, examples or
            another pretrained model.
        DataError: examples that cannot be used.
        CheckpointError: the pretrained model, or every checkpoint of the run, is damaged.
        NumericalError: a loss that is not finite; the last checkpoint is kept.

    Example:
        ``finetune_run(FinetuneConfig(out=Path("runs/tags"), checkpoint=Path("runs/world"),
        task="tag", data="world:documents=100"))``
    """
    folder = RunFolder(config.out)
    with folder.locked(), preserved_process_state():
        device = resolve_device(config.device)
        body = load_model(config.checkpoint, device=device)
        training, validation = _examples(config)
        tuning = _TASKS[config.task].begin(body, training, validation, config)
        _open(folder, config, body, [*training, *validation], say=say)
        run = _Run(folder, tuning, body.description, say=say)
        if run.is_finished():
            say(f"{config.out} is finished: {tuning.position.step:,} steps were taken")
            return run.result()
        run.restore()
        return run.advance(show_bars=show_bars)


class _Task(NamedTuple):
    """How a task reads its data, and how its training begins."""

    load: Callable[[str, FinetuneConfig], Sequence[Any]]
    begin: Callable[[LoadedModel, Sequence[Any], Sequence[Any], FinetuneConfig], Tuning[Any, Any]]


def _load_labeled(data: str, config: FinetuneConfig) -> Sequence[Example]:
    options: dict[str, Any] = {"task": config.task, "world_label": config.world_label}
    return load_examples(data, **options)


def _begin_labels(
    body: LoadedModel,
    training: Sequence[Example],
    validation: Sequence[Example],
    config: FinetuneConfig,
) -> LabelTuning:
    task, labels = task_of([*training, *validation]), find_labels([*training, *validation])
    device = next(body.model.parameters()).device
    model = make_model(body.model, task, labels, config).to(device)
    return LabelTuning(model, body.tokenizer, training, validation, config)


def _begin_dialogue(
    body: LoadedModel,
    training: Sequence[DialogueExample],
    validation: Sequence[DialogueExample],
    config: FinetuneConfig,
) -> DialogueTuning:
    model, tokenizer = add_chat_template(body.model, body.tokenizer)
    return DialogueTuning(model, tokenizer, training, validation, config)


_LABELS = _Task(_load_labeled, _begin_labels)
# A task of another kind needs one line here.
_TASKS: Mapping[str, _Task] = {
    "classify": _LABELS,
    "tag": _LABELS,
    "qa": _LABELS,
    "dialogue": _Task(lambda data, _: load_conversations(data), _begin_dialogue),
}


def _examples(config: FinetuneConfig) -> tuple[Sequence[Any], Sequence[Any]]:
    """Read training and validation examples, all with their labels."""
    load = _TASKS[config.task].load
    given = load(config.data, config)
    if config.validation_data is None:
        return hold_out(given)
    return given, load(config.validation_data, config)


def _open(
    folder: RunFolder,
    config: FinetuneConfig,
    body: LoadedModel,
    examples: Sequence[Any],
    *,
    say: Say,
) -> None:
    """Write what the run is begun with, or compare it with what it was begun with."""
    plain = {f.name: getattr(config, f.name) for f in fields(config) if f.name not in _NOT_COMPARED}
    machine = {**machine_signature(), "threads": str(torch.get_num_threads())}
    now = {
        "minillm_version": minillm.__version__,
        "asked": plain,
        "checkpoint": str(config.checkpoint),
        "checkpoint_sha256": file_sha256(body.folder / "model.safetensors"),
        "examples_sha256": hashlib.sha256(repr(_contents(examples)).encode()).hexdigest(),
        "machine": machine,
    }
    stored = folder.read_config()
    if stored is None:
        folder.write_config(now)
        say(f"{config.steps:,} steps on {len(examples):,} examples; stored in {config.out}")
        return
    _compare(folder, stored, now)
    warn_of_other_digits(stored["machine"], machine, say=say)


def _compare(folder: RunFolder, stored: dict[str, Any], now: dict[str, Any]) -> None:
    asked = stored.get("asked", {})
    if "task" not in asked:
        raise ConfigError(f"{folder.path} holds a run of another kind; choose another --out")
    found = [
        f"{key.replace('_', '-')} (the run has {asked.get(key)}, now {value})"
        for key, value in now["asked"].items()
        if value != asked.get(key)
    ]
    if found:
        raise ConfigError(
            f"{folder.path} holds a run with other settings: {'; '.join(found)}; repeat the first "
            "command to continue it, or choose another --out"
        )
    for key, what in (
        ("examples", "the examples have"),
        ("checkpoint", "the pretrained model has"),
    ):
        if now[f"{key}_sha256"] != stored[f"{key}_sha256"]:
            raise ConfigError(
                f"{what} changed since {folder.path} was begun; restore it, or choose another --out"
            )


def _contents(examples: Sequence[Any]) -> list[dict[str, Any]]:
    """Return examples without where they come from."""
    return [{**asdict(example), "source": ""} for example in examples]


class _Run:
    """A run while it is open."""

    def __init__(
        self, folder: RunFolder, tuning: Tuning[Any, Any], body: dict[str, Any], *, say: Say
    ) -> None:
        self.folder, self.tuning, self.body, self.say = folder, tuning, body, say

    def result(self, exit_status: int = 0) -> RunResult:
        """Say how the call ended."""
        at, n_steps = self.tuning.position, self.tuning.settings.steps
        best = (at.best_step, at.scores.get("loss"))
        return RunResult(self.folder.path, at.step, n_steps, *best, exit_status)

    def is_finished(self) -> bool:
        """Whether ``final/`` is intact; then stand there."""
        remedy = "it is made again from the last checkpoint"
        about = read_finished(self.folder, say=self.say, remedy=remedy)
        if about is None:
            return False
        self.tuning.position = Position(**about["position"])
        return True

    def restore(self) -> None:
        """Stand where the newest intact checkpoint was taken, or at the beginning."""
        tuning = self.tuning
        saved = restore_newest(
            self.folder, tuning.model, tuning.optimizer, seed=tuning.settings.seed, say=self.say
        )
        if saved is not None:
            tuning.position = Position(**saved)
            step, n_steps = tuning.position.step, tuning.settings.steps
            self.say(f"continuing after step {step:,} of {n_steps:,}")
        elif n_cut := tuning.n_cut_tokens:
            self.say(f"{n_cut:,} tokens of the training examples are cut off: rows are too short")

    def advance(self, *, show_bars: bool) -> RunResult:
        """Take the steps that are left; save after each validation; stop early on a signal."""
        at, settings = self.tuning.position, self.tuning.settings
        bar = tqdm(
            total=settings.steps,
            initial=at.step,
            desc="finetune",
            unit=" steps",
            disable=not show_bars,
        )
        with StopRequest() as stop, bar:
            for line in self.tuning.lines():
                self.folder.log(line)
                show_line(bar, line)
                if at.step % settings.eval_every == 0 or self.tuning.is_over:
                    self._save()
                if stop.signal_number is not None:
                    self._save()
                    self.say(f"stopped after step {at.step:,}; the same command continues")
                    return self.result(stop.exit_status)
        self._finish()
        return self.result()

    def _files(self) -> dict[str, Any]:
        return self.tuning.files(self.body)

    def _save(self) -> None:
        """Write a checkpoint to continue from; keep the newest two and the best."""
        at = self.tuning.position
        save_step(
            self.folder,
            self._files(),
            self.tuning.optimizer,
            step=at.step,
            position=asdict(at),
            kept_steps=(at.best_step,),
        )

    def _finish(self) -> None:
        """Write ``final/``: the model of the best validation."""
        at = self.tuning.position
        if at.best_step is not None and at.best_step != at.step:
            take_back_best(self.folder, self.tuning.model, step=at.best_step, say=self.say)
        files = self._files()
        files["config.json"]["run"] = {"position": asdict(at)}
        final = write_final(self.folder, files, step=at.step)
        name = self.tuning.main_score
        self.say(
            f"finished: {at.step:,} steps, validation {name} {at.scores[name]:.3f} at step "
            f"{at.best_step:,}; the model is in {final}"
        )
