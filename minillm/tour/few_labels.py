"""The tour's fine-tuning: does it help to have read, when only a few texts have labels?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from minillm.config import TuningConfig
from minillm.finetuning.baselines import bag_of_words_classifier
from minillm.finetuning.metrics import accuracy
from minillm.finetuning.packages import PackageTask, load_package_task
from minillm.finetuning.predicting import ClassPrediction, predict
from minillm.finetuning.storing import finetuned_files
from minillm.finetuning.tuning import finetune
from minillm.models.decoder import Decoder
from minillm.run import LoadedModel, RunFolder
from minillm.run.saving import Say, write_final
from minillm.run.signals import StopRequest
from minillm.runtime import file_sha256, preserved_process_state

PRETRAINED = "pretrained, then fine-tuned"
SCRATCH = "the same model from scratch"
BAG = "bag of words"
CONTENDERS = (PRETRAINED, BAG, SCRATCH)
N_LABELS = 20  # of each package
SEEDS = (0, 1, 2)  # each draws other labels
ROUNDS = [(seed, name) for seed in SEEDS for name in CONTENDERS]
FOLDER = "packages"  # in the tour's
# Chosen by the validation examples, for both models: see docs/finetuning.md.
SETTINGS = TuningConfig(steps=100, learning_rate=1e-3, pooling="mean", eval_every=20, patience=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class FewLabels:
    """What each contender answered on the same test examples, by the labels of each seed."""

    task: PackageTask
    answers: dict[str, list[list[str]]]  # contender → seed → test example → package

    @property
    def accuracies(self) -> dict[str, tuple[float, ...]]:
        """The share of right answers, by contender, for each seed."""
        true = [example.label for example in self.task.test]
        return {
            name: tuple(accuracy(answers, true) for answers in of_seeds)
            for name, of_seeds in self.answers.items()
        }


def compare_with_few_labels(
    folder: Path,
    *,
    pretrained: LoadedModel[Decoder],
    untrained: Decoder,
    threads: int,
    most_steps: int | None = None,
    say: Say,
    show_bars: bool = False,
) -> tuple[FewLabels | None, int]:
    """Teach docstrings' packages to all contenders with the labels of each seed.

    Each result is kept as soon as it is there; interrupted, the same call continues after it.

    Args:
        folder: where the results go, and the pretrained model as fine-tuned with the first seed.
        pretrained: the model that has read.
        untrained: the same before its first step.
        threads: of torch.
        most_steps: of a fine-tuning; ``None``: those of ``SETTINGS``.
        say: gets what the user should know.
        show_bars: a progress bar on stderr.

    Returns:
        The results, or ``None`` if a signal came, and the exit status.

    Raises:
        DataError: as ``load_package_task``.
    """
    task = load_package_task()
    settings = replace(SETTINGS, steps=min(SETTINGS.steps, most_steps or SETTINGS.steps))
    contest = _Contest(task, settings, pretrained, untrained, RunFolder(folder))
    with contest.run.locked(), preserved_process_state(), StopRequest() as stop:
        torch.set_num_threads(threads)
        lines = contest.begin()
        bar = tqdm(total=len(ROUNDS), initial=len(lines), desc="fine-tune", disable=not show_bars)
        with bar:
            for seed, name in ROUNDS[len(lines) :]:
                lines.append(contest.take(seed, name, step=len(lines) + 1))
                bar.update()
                if stop.signal_number is not None:
                    n = f"{len(lines)} of {len(ROUNDS)}"
                    say(f"stopped after {n} fine-tunings; the same command continues")
                    return None, stop.exit_status
    answers = {name: [x["answers"] for x in lines if x["name"] == name] for name in CONTENDERS}
    return FewLabels(task=task, answers=answers), 0


class _Contest:
    """Who has what to learn from, and where the results are kept."""

    def __init__(
        self,
        task: PackageTask,
        settings: TuningConfig,
        pretrained: LoadedModel[Decoder],
        untrained: Decoder,
        run: RunFolder,
    ) -> None:
        self.task, self.settings, self.run = task, settings, run
        self.pretrained, self.untrained = pretrained, untrained

    def begin(self) -> list[dict[str, Any]]:
        """Return the results that are there already, unless they are of something else."""
        examples = repr((self.task.pool, self.task.validation, self.task.test))
        now = {
            "settings": asdict(self.settings),
            "rounds": [list(one) for one in ROUNDS],
            "n_labels": N_LABELS,
            "checkpoint_sha256": file_sha256(self.pretrained.folder / "model.safetensors"),
            "examples_sha256": hashlib.sha256(examples.encode()).hexdigest(),
        }
        lines = self.run.read_metrics() if self.run.read_config() == now else []
        self.run.write_config(now)
        self.run.rewind_metrics(len(lines))
        return lines

    def take(self, seed: int, name: str, *, step: int) -> dict[str, Any]:
        """Let one contender learn from the labels of a seed, and keep what it answers."""
        task = self.task
        training = task.draw(N_LABELS, seed=seed)
        if name == BAG:
            answers = bag_of_words_classifier(training, task.validation).predict(task.test)
        else:
            body = self.pretrained.model if name == PRETRAINED else self.untrained
            tuned = finetune(
                body,
                self.pretrained.tokenizer,
                training,
                task.validation,
                settings=replace(self.settings, seed=seed),
                show_bar=False,
            )
            answers = predict(tuned.model, tuned.tokenizer, task.test)
            if (seed, name) == (SEEDS[0], PRETRAINED):
                files = finetuned_files(tuned.model, tuned.tokenizer, self.pretrained.description)
                write_final(self.run, files, step=tuned.best_step)
        labels = [answer.label for answer in answers if isinstance(answer, ClassPrediction)]
        line = {"step": step, "name": name, "seed": seed, "answers": labels}
        self.run.log(line)
        return line
