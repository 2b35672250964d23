"""Fine-tuned models as checkpoints, and what they say as records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minillm.checkpoint import model_tensors
from minillm.errors import ConfigError
from minillm.finetuning.examples import (
    ClassExample,
    Example,
    QuestionExample,
    TagExample,
    tags_of_entities,
)
from minillm.finetuning.metrics import bio_entities
from minillm.finetuning.model import FineTuned, TaskConfig
from minillm.finetuning.predicting import (
    AnswerPrediction,
    ClassPrediction,
    Prediction,
    TagPrediction,
)
from minillm.run.table import LoadedModel, build_described, open_checkpoint
from minillm.tokenizers import Tokenizer


def finetuned_files(
    model: FineTuned, tokenizer: Tokenizer, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the files of a checkpoint from which the model can be built again.

    Args:
        model: fine-tuned.
        tokenizer: its own.
        body: the description of the pretrained model, as ``LoadedModel`` has it.
    """
    kept = {key: body[key] for key in ("model", "objective", "architecture")}
    return {
        "model.safetensors": model_tensors(model),
        "config.json": kept | {"task": asdict(model.config)},
        "tokenizer.json": tokenizer.to_json(),
    }


def load_finetuned(path: Path | str, *, device: str = "cpu") -> LoadedModel[FineTuned]:
    """Open a fine-tuned model.

    Args:
        path: a run's folder of ``minillm finetune``, or one checkpoint.
        device: where the model shall be.

    Raises:
        ConfigError: there is no checkpoint at ``path``, or one that knows no task.
        CheckpointError: it is damaged, or of a model that this version does not know.

    Example:
        ``model, tokenizer, *_ = load_finetuned("runs/reviews")``
    """
    return open_checkpoint(path, _build, refuse=_refuse_taskless, device=device)


def _build(description: Mapping[str, Any]) -> FineTuned:
    return FineTuned(build_described(description), TaskConfig(**description["task"]))


def _refuse_taskless(folder: Path, description: Mapping[str, Any]) -> None:
    if "chat" in description:
        raise ConfigError(f"{folder} was fine-tuned for dialogue: talk to it with minillm chat")
    if "task" not in description:
        raise ConfigError(
            f"{folder} is a pretrained model, which knows no task: fine-tune it first "
            "(minillm finetune)"
        )


def prediction_record(example: Example, prediction: Prediction) -> dict[str, Any]:
    """Write a prediction as a labeled example of the same form, with how sure it is.

    Args:
        example: what was asked.
        prediction: the answer to it.

    Raises:
        ValueError: they are of different tasks.

    Example:
        >>> prediction_record(ClassExample(text="tea"), ClassPrediction(label="a", probability=0.5))
        {'text': 'tea', 'label': 'a', 'probability': 0.5}
    """
    if isinstance(example, ClassExample) and isinstance(prediction, ClassPrediction):
        return {"text": example.text, **asdict(prediction)}
    if isinstance(example, TagExample) and isinstance(prediction, TagPrediction):
        return _tag_record(example, prediction)
    if isinstance(example, QuestionExample) and isinstance(prediction, AnswerPrediction):
        answer = {"text": prediction.text, "start": prediction.start}
        return {
            "context": example.context,
            "question": example.question,
            "answers": [answer] if prediction.text else [],
            "margin": prediction.margin if math.isfinite(prediction.margin) else None,
        }
    raise ValueError(f"{type(prediction).__name__} answers no {type(example).__name__}")


def _tag_record(example: TagExample, prediction: TagPrediction) -> dict[str, Any]:
    entities = bio_entities(prediction.tags)
    spans = []
    for kind, first, end in entities:
        start, stop = example.word_spans[first][0], example.word_spans[end - 1][1]
        text = example.text[start:stop]
        spans.append({"start": start, "end": stop, "label": kind, "text": text})
    tags = tags_of_entities(entities, len(prediction.tags))
    return {"text": example.text, "words": example.words, "tags": list(tags), "spans": spans}


def prediction_line(example: Example, prediction: Prediction) -> str:
    """Write a prediction for people, on one line.

    Example:
        >>> prediction_line(ClassExample(text="tea"), ClassPrediction(label="a", probability=0.5))
        'a (0.50)'
    """
    record = prediction_record(example, prediction)
    if isinstance(prediction, ClassPrediction):
        return f"{prediction.label} ({prediction.probability:.2f})"
    if isinstance(prediction, TagPrediction):
        found = (f"{' '.join(span['text'].split())} {span['label']}" for span in record["spans"])
        return ", ".join(found) or "(no entity)"
    return " ".join(prediction.text.split()) or "(not said)"
