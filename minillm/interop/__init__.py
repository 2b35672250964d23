"""Models exchanged with Hugging Face Transformers, in both directions (extra ``interop``).

Reading needs only their files: ``config.json`` and ``model.safetensors``. Nothing is unpickled
and nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
from torch import Tensor

from minillm.checkpoint import load_weights, model_tensors
from minillm.errors import CheckpointError, ConfigError
from minillm.interop import bert, gpt2, t5
from minillm.interop.names import to_ours, to_theirs
from minillm.models.base import Model
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel  # pyright: ignore[reportMissingImports]

ARCHITECTURES: Mapping[str, ModuleType] = {module.MODEL_TYPE: module for module in (bert, gpt2, t5)}
_CLASSES = {bert.CONFIG: Encoder, gpt2.CONFIG: Decoder, t5.CONFIG: EncoderDecoder}


def from_transformers(source: Path | str | PreTrainedModel) -> Model:
    """Build our model with the weights of one of theirs.

    Args:
        source: a directory as their ``save_pretrained`` writes it, or a model of theirs.

    Returns:
        An ``Encoder`` (BERT), a ``Decoder`` (GPT-2) or an ``EncoderDecoder`` (T5), in evaluation
        mode, in the dtype of the source.

    Raises:
        ConfigError: there is no such directory, or it is no model of theirs.
        CheckpointError: another architecture, or tensors that are missing, unexpected or of
            another shape than the configuration says, by name.

    Example:
        ``model = from_transformers("bert-base-uncased/")``
    """
    if isinstance(source, str | Path):
        config, tensors = _read_directory(Path(source))
        name = str(source)
    else:
        config, tensors = source.config.to_dict(), dict(source.state_dict())
        name = type(source).__name__
    module = _module_of(config, name)
    try:
        ours = module.read_config(config, _own_names(module, tensors))
    except KeyError as error:
        raise CheckpointError(f"the config.json of {name} lacks {error}") from error
    named = to_ours(tensors, module.name_table(ours), source=name)
    model = _CLASSES[module.CONFIG](ours)
    model.to(next(iter(named.values())).dtype)
    load_weights(model, named)
    return model.eval()


def to_transformers(model: Model, directory: Path | str, *, tokenizer: Tokenizer) -> Path:
    """Write our model as a directory that their ``AutoModel`` and ``AutoTokenizer`` open.

    Args:
        model: an ``Encoder``, a ``Decoder`` that is a GPT-2, or an ``EncoderDecoder`` that is a T5.
        directory: new or empty.
        tokenizer: of the model.

    Returns:
        The directory.

    Raises:
        ConfigError: the directory holds something.
        CheckpointError: an architecture that theirs does not have.

    Example:
        ``to_transformers(model, "exported/", tokenizer=tokenizer)``
    """
    folder = Path(directory)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} must be a new or empty directory")
    module = _module_for(model)
    special_ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_id") for name in ("bos", "eos", "pad")
    }
    config = module.write_config(model.config, special_ids)
    tensors = to_theirs(model_tensors(model), module.name_table(model.config))
    about = {
        "model_type": module.MODEL_TYPE,
        "architectures": [module.class_name(model.config)],
        "dtype": str(next(iter(tensors.values())).dtype).removeprefix("torch."),
    }
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", about | config)
    tokenizer.save(folder / "tokenizer.json")
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(tokenizer, model))
    return folder


def _tokenizer_config(tokenizer: Tokenizer, model: Model) -> dict[str, Any]:
    """Say which class reads ``tokenizer.json`` and what the special tokens are called."""
    names = {token_id: token for token, token_id in tokenizer.special_tokens.items()}
    roles = ("bos", "eos", "pad", "unk", "mask", "cls", "sep")
    tokens = {}
    for role in roles:
        token_id = getattr(tokenizer, f"{role}_id", None)
        if token_id is not None and token_id in names:
            tokens[f"{role}_token"] = names[token_id]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "clean_up_tokenization_spaces": False,
        **tokens,
    }


def _read_directory(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is no directory: give one that save_pretrained wrote (config.json and "
            "model.safetensors); nothing is downloaded"
        )
    weights = folder / "model.safetensors"
    if not weights.exists():
        pickled = (folder / "pytorch_model.bin").exists()
        hint = (
            "its weights are pickled, which may run code: save it again with save_pretrained"
            if pickled
            else "it holds no model.safetensors"
        )
        raise ConfigError(f"{folder} cannot be read: {hint}")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config, safetensors.torch.load_file(weights)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be read: {error}") from error


def _own_names(module: ModuleType, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Name the tensors, for an architecture that is told by them without copies of others."""
    return getattr(module, "own_names", frozenset)(tensors)


def _module_of(config: Mapping[str, Any], name: str) -> ModuleType:
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{name} is a model of type {kind!r}: minillm reads {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[str(kind)]


def _module_for(model: Model) -> ModuleType:
    for module in ARCHITECTURES.values():
        if type(model.config) is module.CONFIG:
            return module
    raise CheckpointError(
        f"Transformers has no {type(model).__name__}: minillm writes {', '.join(ARCHITECTURES)}"
    )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
