"""Find the checkpoint that a path means, and the newest one of a run that is not damaged."""

from __future__ import annotations

import warnings
from pathlib import Path

from minillm.checkpoint.files import REPLACED, STEP_NAME, present, verify_files
from minillm.checkpoint.manifest import MANIFEST, Manifest, NewerFormatError
from minillm.errors import CheckpointError, ConfigError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")


def step_name(step: int) -> str:
    """Return where a run keeps the checkpoint of ``step``, relative to its folder.

    Args:
        step: counted from 1; eight digits, so that names sort like numbers.

    Returns:
        The relative path, with a forward slash.

    Example:
        >>> step_name(120)
        'checkpoints/step-00000120'
    """
    return f"checkpoints/step-{step:08d}"


def find_checkpoint(path: Path | str) -> Path:
    """Return the checkpoint that ``path`` means.

    Args:
        path: a checkpoint (``final/`` or ``checkpoints/step-…``); a run's folder, which means its
            ``final/`` or, before there is one, its newest step that is not damaged; or the run's
            ``checkpoints/``. A damaged newer step is named in a warning.

    Returns:
        A folder for ``read_checkpoint``.

    Raises:
        ConfigError: there is no such folder, or no checkpoint in it.
        CheckpointError: it is a pickle, or every checkpoint in it is damaged.

    Example:
        >>> find_checkpoint("no/such/run")
        Traceback (most recent call last):
        minillm.errors.ConfigError: no/such/run: there is no such folder
    """
    path = present(Path(path))
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise CheckpointError(_pickle_message(path))
    if path.is_file():
        raise ConfigError(f"{path} is a file: give the checkpoint's folder, {path.parent}")
    if not path.is_dir():
        raise ConfigError(f"{path}: there is no such folder")
    if (path / MANIFEST).exists():
        return path
    final = present(path / "final")
    if final.is_dir():
        return final
    newest = newest_valid(path.parent if path.name == "checkpoints" else path)
    if newest is None:
        raise _nothing_found(path)
    for message in newest[1]:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return newest[0]


def newest_valid(
    run_folder: Path | str, before: int | None = None
) -> tuple[Path, list[str]] | None:
    """Return the newest checkpoint under ``checkpoints/`` whose every file matches its hash.

    Args:
        run_folder: the run, which has a folder ``checkpoints``.
        before: look only at steps below this one.

    Returns:
        The checkpoint and one warning for each newer one that is damaged; None where there is no
        checkpoint at all.

    Raises:
        CheckpointError: there are checkpoints and every one is damaged (a run must not start
            again from nothing in silence), or a newer one needs a newer minillm.

    Example:
        >>> newest_valid("no/such/run") is None
        True
    """
    problems = []
    found = _steps(Path(run_folder) / "checkpoints")
    for step in sorted(found, reverse=True):
        if before is not None and step >= before:
            continue
        try:
            manifest = Manifest.read(found[step])
            verify_files(found[step], manifest, manifest.files)
        except NewerFormatError:
            raise
        except CheckpointError as error:
            problems.append(str(error))
            continue
        return found[step], [f"{text}; using {found[step].name} instead" for text in problems]
    if problems:
        raise CheckpointError(
            f"{run_folder}: no checkpoint is intact; delete them to start anew: "
            + "; ".join(problems)
        )
    return None


def _steps(folder: Path) -> dict[int, Path]:
    """Map each step to its folder; leftovers of a crash count only where they are all there is."""
    found: dict[int, Path] = {}
    if folder.is_dir():
        for path in folder.iterdir():
            match = STEP_NAME.fullmatch(path.name.removesuffix(REPLACED))
            if match and path.is_dir():
                found[int(match[1])] = present(folder / match[0])
    return found


def _nothing_found(path: Path) -> Exception:
    names = sorted(child.name for child in path.iterdir())
    pickles = [name for name in names if name.lower().endswith(PICKLES)]
    if STEP_NAME.fullmatch(path.name) or "model.safetensors" in names:
        return CheckpointError(f"{path / MANIFEST} is missing: {path} is not a complete checkpoint")
    if pickles:
        return CheckpointError(_pickle_message(path / pickles[0]))
    held = ", ".join(names[:5]) + (", …" if len(names) > 5 else "") if names else "nothing"
    return ConfigError(
        f"{path} holds no checkpoint: expected {MANIFEST}, final/ or checkpoints/step-…, "
        f"found {held}"
    )


def _pickle_message(path: Path) -> str:
    return (
        f"{path} is refused: a {path.suffix} file is a pickle, which can run any program when it "
        "is opened; minillm reads folders with safetensors"
    )
