"""Write a checkpoint's folder so that it is complete or absent; read it so that damage is seen."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from minillm.checkpoint.manifest import (
    MANIFEST,
    Entry,
    Manifest,
    NewerFormatError,
    check_file_name,
)
from minillm.errors import CheckpointError, ConfigError

Content = Any
"""Of a .safetensors file: a mapping of tensors; of a .json file: what JSON can say, or its text;
of any other file: text."""

TEMPORARY, REPLACED = ".minillm.tmp", ".minillm.old"  # ends of names that we may delete
STEP_NAME = re.compile(r"step-(\d{8,})")


def write_checkpoint(
    folder: Path | str, files: Mapping[str, Content], *, step: int | None = None
) -> Path:
    """Write ``files`` and their manifest into ``folder``, all or nothing.

    Everything goes to a temporary sibling; each file and the folder are flushed to the disk
    (fsync) before one rename gives them their name. A folder of that name, damaged for example,
    steps aside to another temporary name and is deleted last; a crash between the two renames
    leaves it readable under that name, where ``read_checkpoint`` and the next write find it.
    What an earlier crash left behind is removed first. (What is not protected: a disk that says
    "flushed" before it is, and two writers at once; a run's lock keeps the second out.)

    Args:
        folder: where the checkpoint shall be; parents are made.
        files: name to content; the name's end decides how it is written: ``.safetensors`` takes
            a mapping of names to tensors, ``.json`` a string (kept as it is) or anything that
            JSON can say, every other end a string.
        step: the training step, for the manifest and its error messages.

    Returns:
        ``folder`` as a Path.

    Raises:
        ConfigError: ``folder`` is a file, or holds files that are not of a checkpoint.
        OSError: the disk refused (full, read-only, …); nothing is left behind and what was there
            before is intact.
        ValueError: a content that its file cannot hold, or a name that is not a plain file name.

    Example:
        >>> import tempfile, torch
        >>> with tempfile.TemporaryDirectory() as run:
        ...     path = write_checkpoint(
        ...         Path(run) / "final",
        ...         {"model.safetensors": {"gain": torch.ones(2)}, "config.json": {"n_layers": 1}},
        ...     )
        ...     print(sorted(file.name for file in path.iterdir()))
        ...     read_checkpoint(path)["config.json"]
        ['config.json', 'manifest.json', 'model.safetensors']
        {'n_layers': 1}
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 — a link in the path stays a link
    for name in files:
        check_file_name(name)
    _make_parent(folder)
    _remove_leftovers(folder)
    _check_replaceable(folder, files)
    temporary = folder.with_name(folder.name + TEMPORARY)
    try:
        temporary.mkdir()
        _fill(temporary, files, step)
        _swap_in(temporary, folder)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return folder


def _make_parent(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(f"cannot write {folder}: a part of that path is a file") from error


def _fill(temporary: Path, files: Mapping[str, Content], step: int | None) -> None:
    """Write every file, then the manifest, and flush all of it to the disk."""
    entries = {}
    for name, content in files.items():
        _write_file(temporary / name, content)
        entries[name] = Entry.measure(temporary / name)
    _write_file(temporary / MANIFEST, Manifest(entries, step).to_text())
    _flush(temporary)


def _swap_in(temporary: Path, folder: Path) -> None:
    """Give the complete ``temporary`` its name; what had it is gone only afterwards."""
    replaced = folder.with_name(folder.name + REPLACED)
    if folder.exists():
        folder.rename(replaced)
        try:
            temporary.rename(folder)
        except BaseException:
            replaced.rename(folder)
            raise
    else:
        temporary.rename(folder)
    _flush(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Clean up behind writers that were killed: this folder's name and all steps beside it."""
    for path in sorted(folder.parent.iterdir()):
        for end in (TEMPORARY, REPLACED):
            name = path.name.removesuffix(end)
            if name == path.name or not (name == folder.name or STEP_NAME.fullmatch(name)):
                continue
            if end == REPLACED and not (original := path.with_name(name)).exists():
                path.rename(original)  # killed between the two renames: the old one is all we have
            else:
                shutil.rmtree(path)


def _check_replaceable(folder: Path, files: Mapping[str, Content]) -> None:
    """Refuse to replace what is not ours: a user's folder of that name must survive."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"cannot write the checkpoint {folder}: a file has that name")
    ours = {MANIFEST, *files}
    try:
        ours.update(Manifest.read(folder).files)
    except NewerFormatError:
        raise
    except CheckpointError:
        pass  # damaged: it may be replaced, but only as far as its names are ours
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    if foreign:
        raise ConfigError(
            f"cannot replace {folder}: it holds {', '.join(foreign[:5])}, not of a checkpoint; "
            "move that away or choose another folder"
        )


def _write_file(path: Path, content: Content) -> None:
    """Write one file to the disk itself; an error names it."""
    try:
        if path.suffix == ".safetensors":
            _write_tensors(path, content)
        else:
            path.write_text(_as_text(path, content), encoding="utf-8", newline="")
        _flush(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write knows only its number
        raise


def _as_text(path: Path, content: Content) -> str:
    if path.suffix == ".json" and not isinstance(content, str):
        try:
            content = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path.name} cannot be written as JSON: {error}") from error
    if not isinstance(content, str):
        raise ValueError(f"{path.name} must be text, got {type(content).__name__}")
    return content


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        # One metadata entry only: the library writes several in a random order.
        safetensors.torch.save_file(plain, path, metadata={"format": "pt"})
    except SafetensorError as error:  # the library wraps the system's error in words
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    path.chmod(path.parent.stat().st_mode & 0o666)  # the library makes files private: follow umask


def _flush(path: Path) -> None:
    """Wait until ``path`` (a file, or a folder's list of names) is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders; its renames are journaled
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def present(folder: Path) -> Path:
    """Return ``folder``, or the name under which a crash between two renames left it."""
    replaced = folder.with_name(folder.name + REPLACED)
    return replaced if not folder.exists() and replaced.is_dir() else folder


def read_checkpoint(folder: Path | str, names: Iterable[str] | None = None) -> dict[str, Content]:
    """Read a checkpoint's files after comparing each with the manifest, byte by byte.

    Args:
        folder: one checkpoint (``find_checkpoint`` finds it in a run's folder).
        names: which files; None means all.

    Returns:
        File name to content: tensors (on the CPU), parsed JSON or text, as the name's end says.
        Tensors are views of the file until they are copied, so that memory holds them once.

    Raises:
        CheckpointError: something is missing, damaged, unreadable or of a newer format; the
            message names the file.

    Example:
        See ``write_checkpoint``.
    """
    folder = present(Path(folder))
    manifest = Manifest.read(folder)
    names = list(manifest.files) if names is None else list(names)
    verify_files(folder, manifest, names)
    return {name: _read_file(folder / name) for name in names}


def verify_files(folder: Path, manifest: Manifest, names: Iterable[str]) -> None:
    """Compare files with the manifest, the sizes first.

    Raises:
        CheckpointError: a file is not listed, missing or different.
    """
    for name in names:
        if name not in manifest.files:
            listed = ", ".join(manifest.files) or "no files"
            raise CheckpointError(f"{folder} holds no {name}: its manifest lists {listed}")
    for name in names:
        _verify_file(folder / name, manifest, manifest.files[name])


def _verify_file(path: Path, manifest: Manifest, expected: Entry) -> None:
    try:
        size_bytes = path.stat().st_size
        found = Entry.measure(path) if size_bytes == expected.size_bytes else None
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing from the checkpoint {manifest.label}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if found == expected:
        return
    if found is None:
        reason = f"{size_bytes:,} bytes instead of {expected.size_bytes:,}"
    else:
        reason = "its SHA-256 is not the manifest's"
    origin = _other_step(path)
    if origin is not None:
        raise CheckpointError(f"{path} is the file {origin}, not {manifest.label}: {reason}")
    raise CheckpointError(
        f"{path} is damaged or from another checkpoint: {reason} (checkpoint {manifest.label})"
    )


def _other_step(path: Path) -> str | None:
    """Tell which checkpoint beside this one has exactly this file, for the error message."""
    found = Entry.measure(path) if path.is_file() else None
    for sibling in sorted(path.parent.parent.iterdir()):
        try:
            manifest = Manifest.read(sibling) if sibling != path.parent else None
        except CheckpointError:
            continue
        if manifest and found and manifest.files.get(path.name) == found:
            return f"{manifest.label} ({sibling.name})"
    return None


def _read_file(path: Path) -> Content:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        text = path.read_bytes().decode("utf-8")
        return json.loads(text) if path.suffix == ".json" else text
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path} cannot be parsed: {error}") from error
