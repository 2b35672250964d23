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
from minillm.interop import bert, gpt2, llama, t5
from minillm.interop.names import to_ours, to_theirs
from minillm.interop.tokenizer_files import read_tokenizer, save_tokenizer
from minillm.models.base import Model
from minillm.models.decoder import Decoder
from minillm.models.encoder import Encoder
from minillm.models.encoder_decoder import EncoderDecoder
from minillm.tokenizers.base import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel  # pyright: ignore[reportMissingImports]

__all__ = [
    "ARCHITECTURES",
    "check_new",
    "from_transformers",
    "read_tokenizer",
    "to_transformers",
]

ARCHITECTURES: Mapping[str, ModuleType] = {
    module.MODEL_TYPE: module for module in (bert, gpt2, llama, t5)
}
_CLASSES = {bert.CONFIG: Encoder, gpt2.CONFIG: Decoder, t5.CONFIG: EncoderDecoder}


def from_transformers(source: Path | str | PreTrainedModel, *, fresh_heads: bool = False) -> Model:
    """Build our model with the weights of one of theirs.

    Args:
        source: a directory as their ``save_pretrained`` writes it, or a model of theirs.
        fresh_heads: give a bare model (``BertModel``) untrained heads instead of refusing it;
            what it predicts means nothing before it is trained.

    Returns:
        An ``Encoder`` (BERT), a ``Decoder`` (GPT-2, Llama) or an ``EncoderDecoder`` (T5), in
        evaluation mode, in the dtype of the source.

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
    except TypeError as error:
        raise CheckpointError(f"the config.json of {name} is damaged: {error}") from error
    table = module.name_table(ours)
    named = to_ours(tensors, table, source=name, may_lack_heads=fresh_heads)
    model = _CLASSES[module.CONFIG](ours)
    model.to(next(iter(named.values())).dtype)
    load_weights(model, (model_tensors(model) | named) if fresh_heads else named)
    return model.eval()


def to_transformers(model: Model, directory: Path | str, *, tokenizer: Tokenizer) -> Path:
    """Write our model as a directory that their ``AutoModel`` and ``AutoTokenizer`` open.

    Args:
        model: an ``Encoder``, a ``Decoder`` that is a GPT-2 or a Llama, or an ``EncoderDecoder``
            that is a T5.
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
    check_new(folder)
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
    save_tokenizer(
        tokenizer,
        folder,
        context_length=model.config.context_length,
        model_inputs=module.MODEL_INPUTS,
        frame=module.FRAME,
    )
    return folder


def check_new(folder: Path) -> None:
    """Refuse to write into a directory that holds something.

    Raises:
        ConfigError: it does, or it is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} must be a new or empty directory")


def _read_directory(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is no directory: give one that save_pretrained wrote (config.json and "
            "model.safetensors); nothing is downloaded"
        )
    try:
        files = _weight_files(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors: dict[str, Tensor] = {}
        for path in files:
            tensors |= safetensors.torch.load_file(path)
    except ConfigError:
        raise
    except (OSError, ValueError, LookupError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{folder} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{folder} cannot be read: its config.json is no object")
    return config, tensors


def _weight_files(folder: Path) -> list[Path]:
    """Return the file of the weights, or all of them where a large model is kept in several."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / Path(name).name for name in sorted(set(names))]
    weights = folder / "model.safetensors"
    if weights.exists():
        return [weights]
    pickled = (folder / "pytorch_model.bin").exists()
    hint = (
        "its weights are pickled, which may run code: save it again with save_pretrained"
        if pickled
        else "it holds no model.safetensors"
    )
    raise ConfigError(f"{folder} cannot be read: {hint}")


def _own_names(module: ModuleType, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Name the tensors, for an architecture that is told by them without copies of others."""
    return getattr(module, "own_names", frozenset)(tensors)


def _module_of(config: Mapping[str, Any], name: str) -> ModuleType:
    kind = config.get("model_type")
    if kind is None:
        raise CheckpointError(
            f"the config.json of {name} names no model_type: it is not Transformers' (a checkpoint "
            "of minillm needs no import)"
        )
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{name} is a model of type {kind!r}: minillm reads {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[str(kind)]


def _module_for(model: Model) -> ModuleType:
    config = model.config
    modules = [module for module in ARCHITECTURES.values() if type(config) is module.CONFIG]
    if not modules:
        raise CheckpointError(
            f"Transformers has no {type(model).__name__}: minillm writes {', '.join(ARCHITECTURES)}"
        )
    if len(modules) == 1:
        return modules[0]
    fitting = [module for module in modules if config.positions == module.POSITIONS]
    return (fitting or modules)[0]  # where none fits, it says which parts are others


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
