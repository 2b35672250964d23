"""The command line: flags become a frozen configuration, failures one line and an exit status."""

from __future__ import annotations

import inspect
import json
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from minillm import __version__
from minillm.config import (
    ChatConfig,
    EvaluateConfig,
    ExportConfig,
    FinetuneConfig,
    GenerateConfig,
    ImportConfig,
    PredictConfig,
    PretrainConfig,
    TourConfig,
    WorldConfig,
)
from minillm.errors import ConfigError, MinillmError

FLOORS = {  # what the numbers of `evaluate` mean that tell the best possible
    "floor_bits_per_byte": "bits per byte is the least that any model of these documents can reach",
    "floor_bits_per_hidden_word": "bits per hidden word is the least that any model can reach",
    "best_sentence_accuracy": "is the best possible accuracy at such pairs",
    "best_sentence_accuracy_error": "is its standard error",
}
USER_ERROR, OTHER_ERROR, INTERRUPTED = 2, 1, 130


class Command(NamedTuple):
    """What a word after ``minillm`` means."""

    config: type
    call: Callable[[Any], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``minillm``; ``None`` takes the process's own.

    Returns:
        The exit status: 0; 1 any other failure; 2 a user's mistake or a damaged checkpoint; 3 a
        loss that is not finite; 130 and 143 after signals, with a checkpoint saved.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # LANG=C must not keep us from writing Chinese
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # pyright: ignore
    try:
        status = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `minillm generate … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain again at exit
        return OTHER_ERROR
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except MinillmError as error:
        return _fail(error, error.exit_status)
    except (OSError, MemoryError, RuntimeError) as error:
        return _fail(_explain(error), OTHER_ERROR)
    return status


def _dispatch(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        print(_overview())
        return 0 if arguments else USER_ERROR
    if name == "--version":
        print(f"minillm {__version__}")
        return 0
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}: choose from {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    config = _parse(command.config, arguments[1:], name)
    return command.call(config)


def _overview() -> str:
    usage = (
        "usage: minillm COMMAND [options]\n       minillm COMMAND --help\n       minillm --version"
    )
    about = {name: command.config.__doc__ or "" for name, command in COMMANDS.items()}
    lines = [f"  {name:<10} {text.splitlines()[0]}" for name, text in about.items()]
    return "\n".join([usage, "", *lines])


def _parse(config: type, arguments: list[str], name: str) -> Any:
    """Turn flags into the command's configuration; a malformed command ends here with status 2."""
    import tyro

    about = inspect.cleandoc(config.__doc__ or "")
    if config is PretrainConfig:
        arguments = _with_file(arguments)
        about += "\n\n--config FILE.toml reads options from a file; those given here win."
    markers = (tyro.conf.PositionalRequiredArgs,) if config is ImportConfig else ()
    try:
        return tyro.cli(
            config, args=arguments, prog=f"minillm {name}", description=about, config=markers
        )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        sys.exit(USER_ERROR)


def _with_file(arguments: list[str]) -> list[str]:
    """Replace ``--config FILE.toml`` by the flags that the file stands for; later flags win."""
    if "--config" not in arguments:
        return arguments
    place = arguments.index("--config")
    if place + 1 >= len(arguments):
        raise ConfigError("--config needs the path of a .toml file")
    path, rest = Path(arguments[place + 1]), arguments[:place] + arguments[place + 2 :]
    given = {word.split("=")[0] for word in rest if word.startswith("--")}
    flags: list[str] = []
    for key, value in _read_toml(path).items():
        flag = "--" + key.replace("_", "-")
        if flag not in given:
            values = value if isinstance(value, list) else [value]
            flags += [flag, *map(str, values)]
    return flags + rest


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--config {path} cannot be read: {error}") from error
    known = {field.name for field in fields(PretrainConfig)}
    unknown = sorted(key for key in settings if key.replace("-", "_") not in known)
    if unknown:
        raise ConfigError(f"{path} has settings that pretrain does not know: {', '.join(unknown)}")
    return settings


# --- the commands ---------------------------------------------------------------------------------


def _pretrain(config: PretrainConfig) -> int:
    from minillm.run import pretrain

    return pretrain(config, say=_say, show_bars=True).exit_status


def _evaluate(config: EvaluateConfig) -> int:
    from minillm.run import judge_checkpoint, load_model
    from minillm.runtime import resolve_device

    loaded = load_model(config.checkpoint, device=resolve_device(config.device))
    judgement = judge_checkpoint(loaded, corpus=config.corpus, errors=config.errors, show_bars=True)
    if config.json:
        print(json.dumps(judgement.to_json()))
        return 0
    numbers = judgement.to_json()
    print(
        f"{judgement.evaluation.summary()} ({numbers['n_tokens']:,} scored, {numbers['n_bytes']:,} "
        "bytes of text)"
    )
    for name, value in judgement.floors.items():
        print(f"{value:.4f}  {FLOORS[name]}")
    return 0


def _generate(config: GenerateConfig) -> int:
    from minillm.generation import stream
    from minillm.run import load_model, make_writer
    from minillm.runtime import resolve_device

    loaded = load_model(config.checkpoint, device=resolve_device(config.device))
    tokenizer = loaded.tokenizer
    prompt = sys.stdin.read() if config.prompt == "-" else config.prompt
    model, token_ids, repeats_prompt = make_writer(loaded, prompt)
    new_tokens = stream(
        model,
        token_ids,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        eos_id=tokenizer.eos_id,
        seed=config.seed,
    )
    silent = {tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id, tokenizer.mask_id}
    if config.json:
        token_ids = [*token_ids, *new_tokens]
        text = tokenizer.decode([token for token in token_ids if token not in silent])
        print(json.dumps({"text": text, "token_ids": token_ids}))
        return 0
    print(prompt if repeats_prompt else "", end="", flush=True)
    for piece in tokenizer.decode_stream(new_tokens, silent=silent):
        print(piece, end="", flush=True)
    print()
    return 0


def _export(config: ExportConfig) -> int:
    from minillm.run.exchange import export_checkpoint

    return _tell(export_checkpoint(config), as_json=config.json)


def _import(config: ImportConfig) -> int:
    from minillm.run.exchange import import_directory

    return _tell(import_directory(config), as_json=config.json)


def _finetune(config: FinetuneConfig) -> int:
    from minillm.finetuning.running import finetune_run

    return finetune_run(config, say=_say, show_bars=True).exit_status


def _predict(config: PredictConfig) -> int:
    from minillm.finetuning.predicting import is_labeled, predict, score_predictions
    from minillm.finetuning.storing import load_finetuned, prediction_line, prediction_record
    from minillm.finetuning.world import load_examples, make_example
    from minillm.runtime import resolve_device

    model, tokenizer, _, _ = load_finetuned(config.checkpoint, device=resolve_device(config.device))
    task = model.config.task
    if config.data is None:
        text = sys.stdin.read() if config.text == "-" else config.text or ""
        examples = [make_example(task, text, question=config.question)]
    else:
        options = {"labeled": False, "world_label": config.world_label}
        examples = load_examples(config.data, task, **options)
    predictions = predict(model, tokenizer, examples)
    for example, prediction in zip(examples, predictions, strict=True):
        if config.json:
            print(json.dumps(prediction_record(example, prediction), ensure_ascii=False))
        else:
            print(prediction_line(example, prediction))
    if all(map(is_labeled, examples)):
        scores = score_predictions(examples, predictions)
        _say(", ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    return 0


def _chat(config: ChatConfig) -> int:
    from minillm.finetuning.chatting import open_conversation
    from minillm.finetuning.terminal import talk

    return talk(open_conversation(config), say=_say)


def _tour(config: TourConfig) -> int:
    from minillm.tour import take_tour

    tour = take_tour(config, say=_say, show_bars=True)
    if tour.report is None:
        return tour.exit_status
    for name, value in tour.bits_per_byte.items():
        print(f"{value:6.2f} bits per byte  {name}")
    for name, shares in tour.accuracies.items():
        print(f"{sum(shares) / len(shares):6.1%} right, few labels  {name}")
    print(f"\nreport: {tour.report.resolve().as_uri()}")
    print("next:   make lab, then open notebooks/00_setup.ipynb")
    return 0


def _world(config: WorldConfig) -> int:
    from minillm.text.world import TinyWorld
    from minillm.text.world.report import entropy_report
    from minillm.text.world.showing import document_json, document_lines, entropy_lines

    world, n = TinyWorld(config.language, config.seed), config.documents
    split = config.split or "train+validation+test"
    if config.entropy:
        # so many that the error is a third of the 0.2 percent by which both entropies may differ
        drawn = world.documents(50_000 if n is None else n, split=split, first=config.first)
        told = [document.sentences_of_words for document in drawn]
        numbers = entropy_report(world.exact, told, seed=config.seed)
        print(json.dumps(numbers) if config.json else "\n".join(entropy_lines(numbers)))
        return 0
    for document in world.documents(10 if n is None else n, split=split, first=config.first):
        if config.json:
            print(json.dumps(document_json(document, views=config.views), ensure_ascii=False))
        else:
            colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            print(*document_lines(document, views=config.views, colored=colored), sep="\n")
    return 0


COMMANDS: Mapping[str, Command] = {
    "tour": Command(TourConfig, _tour),
    "pretrain": Command(PretrainConfig, _pretrain),
    "evaluate": Command(EvaluateConfig, _evaluate),
    "generate": Command(GenerateConfig, _generate),
    "export": Command(ExportConfig, _export),
    "import": Command(ImportConfig, _import),
    "finetune": Command(FinetuneConfig, _finetune),
    "predict": Command(PredictConfig, _predict),
    "chat": Command(ChatConfig, _chat),
    "world": Command(WorldConfig, _world),
}


def _tell(facts: Mapping[str, Any], *, as_json: bool) -> int:
    """Write what was done as one line of JSON, or as ``name: value`` lines."""
    lines = [json.dumps(facts)] if as_json else [f"{name}: {x}" for name, x in facts.items()]
    print(*lines, sep="\n")
    return 0


def _say(text: str) -> None:
    """Write a line to stderr, above the progress bar if one is shown."""
    from tqdm.auto import tqdm

    tqdm.write(text, file=sys.stderr)


def _fail(error: object, status: int) -> int:
    """Write one line to stderr and return the status."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"minillm: {text}", file=sys.stderr)
    return status


def _explain(error: OSError | MemoryError | RuntimeError) -> str:
    """Say what a failure of the machine means; a fault of ours keeps its traceback."""
    if isinstance(error, MemoryError) or "allocate" in str(error) or "out of memory" in str(error):
        return (
            "out of memory; try a smaller --batch-size (with --accumulate for the same step), "
            "--context-length or --d-model. What was saved is intact: the same command continues"
        )
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{place}; what was saved before is intact"
    raise error
