"""Begin a run in an empty folder, or find out whether the one that is there may continue."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import minillm
from minillm.checkpoint import newest_valid, step_name
from minillm.config import FAMILIES, PretrainConfig
from minillm.data import PreparedData, Progress, load_prepared, prepare_data
from minillm.errors import ConfigError
from minillm.run.folder import DATA, FINAL, RunFolder
from minillm.run.judges import HeldOut
from minillm.run.saving import Say
from minillm.run.settings import (
    differences,
    from_json,
    last_stable_step,
    resolve_by_measuring,
    resolve_words,
    to_json,
)
from minillm.run.table import OBJECTIVES, Objective
from minillm.runtime import machine_signature, n_available_cores
from minillm.text.corpora import load_corpus
from minillm.text.documents import corpus_sha256
from minillm.tokenizers import (
    Tokenizer,
    TokenizerKind,
    train_tokenizer,
    usual_special_tokens,
)


def open_run(
    folder: RunFolder, config: PretrainConfig, *, say: Say, progress: Progress
) -> tuple[PretrainConfig, PreparedData]:
    """Return the settings of the run, nothing left open, and its prepared data.

    Args:
        folder: locked.
        config: as the user gave it.
        say: gets what was decided, and what the user should know.
        progress: wraps long loops.

    Raises:
        ConfigError: the folder holds a run with other settings or another text.
        DataError: the corpus cannot be used.
    """
    stored = folder.read_config()
    if stored is None:
        return _begin(folder, config, say=say, progress=progress)
    return _reopen(folder, config, stored, say=say)


def _begin(
    folder: RunFolder, config: PretrainConfig, *, say: Say, progress: Progress
) -> tuple[PretrainConfig, PreparedData]:
    words = resolve_words(config)
    objective = OBJECTIVES[config.objective]
    with warnings.catch_warnings(record=True) as found:  # such as a corpus too small for BPE
        warnings.simplefilter("always")
        data = prepare_data(
            folder.path / DATA,
            load_corpus(config.corpus, errors=config.errors),
            tokenizer=partial(_learn_tokenizer, words, objective),
            clean_steps=words.clean or (),
            sentences=objective.reads_sentences,
            threads=n_available_cores() if config.threads == "auto" else config.threads,
            progress=progress,
        )
    for warning in found:
        say(f"warning: {warning.message}")
    if data.manifest["notice"]:
        say(data.manifest["notice"])
    sample = HeldOut.of_run(
        data, with_sentences=objective.reads_sentences, max_tokens=config.eval_tokens
    )
    resolved = resolve_by_measuring(
        words,
        objective.batches(data, words),
        vocab_size=data.tokenizer.vocab_size,
        evaluate=lambda model: objective.judge(model, sample),
    )
    say(_decisions(resolved))
    folder.write_config(
        {
            "minillm_version": minillm.__version__,
            "asked": to_json(config),
            "resolved": to_json(resolved),
            "corpus_sha256": data.manifest["corpus_sha256"],
            "machine": machine_signature(),
        }
    )
    return resolved, data


def _learn_tokenizer(
    config: PretrainConfig, objective: Objective, texts: Iterable[str]
) -> Tokenizer:
    kind = cast(TokenizerKind, config.tokenizer)
    special_tokens = (*usual_special_tokens(kind), *objective.more_special_tokens)
    return train_tokenizer(kind, texts, config.vocab_size, special_tokens=special_tokens)


def _decisions(config: PretrainConfig) -> str:
    if FAMILIES[config.objective][config.model].counts:
        return f"{config.model} counts the training text; stored in {config.out}"
    threads = "1 thread" if config.threads == 1 else f"{config.threads} threads"
    is_study = config.dtype == "float16" and config.device == "cpu"
    dtype = "float16 (its numbers, not its speed)" if is_study else config.dtype
    return (
        f"{config.steps:,} steps of {config.model} on {config.device}, {threads}, {dtype}, "
        f"attention by {config.backend}; stored in {config.out}"
    )


def _reopen(
    folder: RunFolder, config: PretrainConfig, stored: dict[str, Any], *, say: Say
) -> tuple[PretrainConfig, PreparedData]:
    found = differences(config, stored["asked"], stored["resolved"])
    if found:
        raise ConfigError(
            f"{folder.path} holds a run with other settings: {'; '.join(found)}; repeat the first "
            "command to continue it, or choose another --out"
        )
    now = corpus_sha256(load_corpus(config.corpus, errors=config.errors))
    if now != stored["corpus_sha256"]:
        raise ConfigError(
            f"the text of {', '.join(config.corpus)} has changed since {folder.path} was begun "
            f"(SHA-256 {stored['corpus_sha256'][:12]}…, now {now[:12]}…); restore it, or choose "
            "another --out"
        )
    before = from_json(stored["resolved"], config)
    changed = {key: getattr(config, key) for key in ("save_every", "eval_every", "eval_tokens")}
    after = replace(before, patience=config.patience, **changed)
    if config.steps is not None and config.steps != before.steps:
        after = replace(after, steps=config.steps)
        _change_length(folder, before, after, say=say)
    if config.threads not in ("auto", before.threads):
        after = replace(after, threads=config.threads)
    warn_of_other_digits(
        {**stored["machine"], "threads": str(before.threads)},
        {**machine_signature(), "threads": str(after.threads)},
        say=say,
    )
    if after != before:
        folder.write_config(stored | {"resolved": to_json(after)})
    return after, load_prepared(folder.path / DATA)


def _change_length(
    folder: RunFolder, before: PretrainConfig, after: PretrainConfig, *, say: Say
) -> None:
    """Go back to where the old and the new schedule still agree; refuse where they never did."""
    if newest_valid(folder.path) is None:
        return  # no step is saved: there is no past to contradict
    if before.schedule == "warmup-cosine":
        raise ConfigError(
            f"{folder.path} was planned for {before.steps} steps: under a cosine schedule every "
            f"learning rate depends on that, so {after.steps} steps would have had another past; "
            "choose another --out (runs under warmup-stable-decay can be prolonged)"
        )
    limit = min(last_stable_step(before), last_stable_step(after))
    kept = newest_valid(folder.path, before=limit + 1)
    if kept is None:
        raise ConfigError(
            f"{folder.path} keeps no checkpoint up to step {limit}, where the learning rate of a "
            f"run of {after.steps} steps still equals that of {before.steps}; choose another --out"
        )
    shutil.rmtree(folder.path / FINAL, ignore_errors=True)
    for path in (folder.path / step_name(1)).parent.iterdir():
        if path.name > kept[0].name:
            shutil.rmtree(path)
    say(f"{before.steps:,} steps become {after.steps:,}, from {kept[0].name} on")


def warn_of_other_digits(was: Mapping[str, str], now: Mapping[str, str], *, say: Say) -> None:
    """Say which parts of a machine changed since a run was begun: other sums, other rounding.

    Args:
        was: the machine's signature and its threads, when the run was begun.
        now: the same today.
        say: gets a line if anything changed.
    """
    changed = [f"{key} {was[key]} → {now[key]}" for key in was if was[key] != now.get(key)]
    if changed:
        say(
            f"warning: {', '.join(changed)}: the run continues, but its last digits will differ "
            "from those of an uninterrupted one"
        )
