"""Checkpoints written for Hugging Face Transformers, and theirs made into checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minillm.checkpoint import model_tensors, write_checkpoint
from minillm.config import FAMILIES, ExportConfig, ImportConfig
from minillm.errors import CheckpointError, ConfigError
from minillm.interop import check_new, from_transformers, read_tokenizer, to_transformers
from minillm.interop.verifying import verify_export
from minillm.run.folder import FINAL
from minillm.run.table import describe_model, load_model

# Of two logits, relative to the largest: some hundred times what float32 rounds away.
MAX_DIFFERENCE = 1e-4


def export_checkpoint(config: ExportConfig) -> dict[str, Any]:
    """Write a model and its tokenizer as ``save_pretrained`` would.

    Args:
        config: which checkpoint, where to, and whether Transformers shall check it.

    Returns:
        What was written: ``out``, ``architecture`` (their class), ``n_parameters``, and
        ``largest_difference`` where it was verified.

    Raises:
        ConfigError: there is no checkpoint, ``out`` holds something, or Transformers is missing.
        CheckpointError: Transformers has no such architecture, or computes something else.

    Example:
        ``export_checkpoint(ExportConfig(checkpoint=Path("runs/tour"), out=Path("exported")))``
    """
    check_new(config.out)
    loaded = load_model(config.checkpoint)
    folder = to_transformers(loaded.model, config.out, tokenizer=loaded.tokenizer)
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    facts: dict[str, Any] = {
        "out": str(folder),
        "architecture": about["architectures"][0],
        "n_parameters": loaded.model.n_parameters(),
    }
    if config.verify:
        difference = verify_export(loaded.model, folder, tokenizer=loaded.tokenizer)
        if not difference <= MAX_DIFFERENCE:
            raise CheckpointError(
                f"{folder} computes something else in Transformers: logits differ by "
                f"{difference:.2g} of the largest"
            )
        facts["largest_difference"] = difference
    return facts


def import_directory(config: ImportConfig) -> dict[str, Any]:
    """Make a checkpoint of a directory of theirs, in ``final/`` of a folder of its own.

    Args:
        config: which directory, and where to.

    Returns:
        What was made: ``out``, ``objective``, ``model``, ``n_parameters``, ``vocab_size``.

    Raises:
        ConfigError: there is no such directory, or ``out`` holds something.
        CheckpointError: another architecture, or tensors that do not fit it.
        DataError: a tokenizer that works otherwise than ours.

    Example:
        ``import_directory(ImportConfig(source=Path("exported")))``
    """
    out = Path("runs") / config.source.resolve().name if config.out is None else config.out
    check_new(out)
    model = from_transformers(config.source, fresh_heads=config.fresh_heads).float()
    tokenizer = read_tokenizer(config.source)
    if tokenizer.vocab_size != model.config.vocab_size:
        raise CheckpointError(
            f"{config.source}: the tokenizer has {tokenizer.vocab_size} ids, the model "
            f"{model.config.vocab_size}"
        )
    objective, name = _family_of(model.config)
    description = describe_model(model, name=name, objective=objective)
    write_checkpoint(
        out / FINAL,
        {
            "model.safetensors": model_tensors(model),
            "config.json": description | {"imported_from": config.source.resolve().name},
            "tokenizer.json": tokenizer.to_json(),
        },
    )
    return {
        "out": str(out),
        "objective": objective,
        "model": name,
        "n_parameters": model.n_parameters(),
        "vocab_size": tokenizer.vocab_size,
    }


def _family_of(architecture: Any) -> tuple[str, str]:
    """Name the objective and the family whose usual parts agree most with an architecture's."""
    parts = asdict(architecture)

    def n_equal(choice: tuple[str, str]) -> int:
        family = FAMILIES[choice[0]][choice[1]]
        usual = asdict(family.make(vocab_size=architecture.vocab_size))
        return sum(usual[name] == part for name, part in parts.items())

    choices = [
        (objective, name)
        for objective, families in FAMILIES.items()
        for name, family in families.items()
        if family.config is type(architecture)
    ]
    if not choices:
        raise ConfigError(
            f"no command of minillm runs a {type(architecture).__name__}: read it in Python with "
            "minillm.interop.from_transformers"
        )
    return max(choices, key=n_equal)
