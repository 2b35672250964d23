"""The run of a model that counts: no steps, but the same folder, judgement and final model."""

from __future__ import annotations

from typing import cast

from minillm.checkpoint import model_tensors
from minillm.config import PretrainConfig
from minillm.data import PreparedData, Progress
from minillm.models.base import CountedModel
from minillm.run.folder import RunFolder
from minillm.run.judges import HeldOut, logged
from minillm.run.opening import Say
from minillm.run.result import RunResult
from minillm.run.saving import read_finished, write_final
from minillm.run.table import OBJECTIVES, describe_model, make_first_model


def count_text(
    folder: RunFolder, config: PretrainConfig, data: PreparedData, *, say: Say, progress: Progress
) -> RunResult:
    """Count the training documents, judge, and write ``final/``; begun again if it was killed.

    Args:
        folder: locked.
        config: the run's settings, nothing left open.
        data: its prepared corpus.
        say: gets one line for each thing that the user should know.
        progress: wraps the orders that are counted.

    Returns:
        One step, which read all the text.
    """
    stored = read_finished(folder, say=say, remedy="it is made again")
    if stored is not None:
        say(f"{folder.path} is finished: the text was counted")
        return RunResult(folder.path, 1, 1, 1, stored["validation"]["loss"])
    model = cast(CountedModel, make_first_model(config, vocab_size=data.tokenizer.vocab_size))
    model.fit(data.train, bos_id=data.tokenizer.bos_id, progress=progress)
    held_out = HeldOut.of_run(data, with_sentences=False)
    validation = OBJECTIVES[config.objective].judge(model, held_out)
    folder.rewind_metrics(0)
    folder.log({"step": 1, "n_tokens_seen": len(data.train)} | logged(validation))
    about = describe_model(model, name=config.model, objective=config.objective)
    files = {
        "model.safetensors": model_tensors(model),
        "config.json": about | {"run": {"n_steps": 1, "validation": validation.numbers()}},
        "tokenizer.json": data.tokenizer.to_json(),
    }
    folder.sync_log()
    final = write_final(folder, files, step=1)
    n_tokens, reached = len(data.train), validation.summary()
    say(f"finished: {n_tokens:,} tokens counted, validation {reached}; the model is in {final}")
    return RunResult(folder.path, 1, 1, 1, validation.loss)
