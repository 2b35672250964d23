"""The report's section on few labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from minillm.plots.comparison import plot_scores
from minillm.plots.report import Report
from minillm.run import RunFolder
from minillm.tour.few_labels import BAG, N_LABELS, PRETRAINED, SCRATCH, SEEDS, FewLabels

Accuracies = Mapping[str, tuple[float, ...]]
_SHOWN = 110  # characters of a docstring in a table


def tell_labels(report: Report, labeled: FewLabels) -> Report:
    """Tell who did best with few labels, and whether that decides anything."""
    task, accuracies = labeled.task, labeled.accuracies
    n_packages, n_test = len(task.packages), len(task.test)
    report.section(
        "Fine-tune on few labels",
        lead="Now someone says, for a few texts, what they are. Does it help to have read?",
    )
    report.text(
        "The task: from which package of the standard library does a docstring come? The names of "
        f"packages and modules are hidden. The {n_packages} packages are "
        f"{', '.join(f'`{name}`' for name in task.packages)}; each contender learns from "
        f"{N_LABELS} labeled docstrings of each, and chooses its best moment or setting by "
        f"{len(task.validation)} others. The test has {n_test} docstrings, from "
        f"{len({one.source for one in task.test})} documents that neither the pretraining nor the "
        "fine-tuning saw."
    )
    frequent = max(sum(one.label == name for one in task.test) for name in task.packages)
    report.figure(
        plot_scores(
            accuracies,
            xlabel="right answers on the test (percent)",
            title=f"{n_packages} packages, {N_LABELS} labels each",
            highlight=PRETRAINED,
            lines={"always the most frequent": frequent / n_test},
        ),
        alt="The share of right answers of each contender: "
        + "; ".join(f"{name} {_mean(found):.0%}" for name, found in accuracies.items()),
        caption=f"Each point is one of {len(accuracies[PRETRAINED])} draws of the labels, the bar "
        f"their mean. By chance alone, a share measured on {n_test} texts is off by up to "
        f"{2 * _standard_error(_mean(accuracies[PRETRAINED]), n_test):.0%} (two standard errors), "
        "and by more where many texts come from one module.",
    )
    others = (BAG, SCRATCH)
    beats_both = all(_n_better(accuracies, other) == len(SEEDS) for other in others)
    verdicts = "\n\n".join(_verdict(accuracies, other) for other in others)
    report.callout(verdicts, kind="result" if beats_both else "note")
    return _tell_answers(report, labeled)


def _n_better(accuracies: Accuracies, other: str) -> int:
    """Count the draws of the labels from which the pretrained model learned more."""
    pairs = zip(accuracies[PRETRAINED], accuracies[other], strict=True)
    return sum(ours > theirs for ours, theirs in pairs)


def _verdict(accuracies: Accuracies, other: str) -> str:
    """Say whether the pretrained model is better, by draws of the labels that both had."""
    ours, theirs = accuracies[PRETRAINED], accuracies[other]
    n_better = _n_better(accuracies, other)
    means = f"{_mean(ours):.1%} against {_mean(theirs):.1%}"
    if n_better == len(ours):
        return f"The pretrained model **beats {other}** with every draw of the labels: {means}."
    if _mean(ours) > _mean(theirs):
        return (
            f"The pretrained model is better than {other} with only {n_better} of {len(ours)} "
            f"draws of the labels: {means}. **That decides nothing.**"
        )
    return (
        f"The pretrained model **does not beat {other}**: {means}. It has read for a "
        "minute or two, and a few labels of some modules must do for others."
    )


def _tell_answers(report: Report, labeled: FewLabels) -> Report:
    """Show one test docstring of each package: the first, as the task orders them."""
    texts = [example.text for example in labeled.task.test]
    labels = [example.label for example in labeled.task.test]
    rows = []
    for name in labeled.task.packages:
        place = labels.index(name)
        said = (labeled.answers[contender][0][place] for contender in (PRETRAINED, BAG))
        words = " ".join(texts[place].split())
        shown = words if len(words) <= _SHOWN else words[:_SHOWN].rsplit(" ", 1)[0] + " …"
        rows.append((shown, name, *(f"{one} {'✓' if one == name else '✗'}" for one in said)))
    mistakes = Counter(
        (true, answer)
        for true, answer in zip(labels, labeled.answers[PRETRAINED][0], strict=True)
        if true != answer
    )
    note = ""
    if mistakes:
        (true, answer), n = mistakes.most_common(1)[0]
        note = (
            f" The pretrained model's most frequent mistake: `{true}` taken for `{answer}`, {n} of "
            f"{labels.count(true)} times. The test comes from other modules than the labels."
        )
    return report.table(
        ("docstring", "package", "pretrained", "bag of words"),
        rows,
        caption="The first test docstring of each package, and what was answered to it." + note,
    )


def tell_own_labels(report: Report, folder: RunFolder) -> None:
    """Tell how to fine-tune, where the tour's own labels do not fit the corpus."""
    report.section(
        "Fine-tune on few labels",
        lead="What a model learned by reading is of use where only a few texts have labels.",
    )
    report.text(
        "The tour's own task needs the standard library's docstrings, which this corpus does not "
        "hold. With a file of labeled texts of your own, one JSON object a line:"
    )
    report.command(
        f"minillm finetune --checkpoint {folder.path} --task classify --data labeled.jsonl "
        "--out runs/labeled"
    )


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _standard_error(share: float, n: int) -> float:
    """Return that of a share of n independent texts."""
    return math.sqrt(share * (1 - share) / n)
