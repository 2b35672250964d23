"""The manifest: what a checkpoint's folder must hold, down to the last bit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minillm
from minillm.errors import CheckpointError

MANIFEST = "manifest.json"
FORMAT = "minillm-checkpoint"
FORMAT_VERSION = 1
MAX_MANIFEST_BYTES = 1_000_000  # ours have about 1 kB; nobody's folder may fill the memory


class NewerFormatError(CheckpointError):
    """A checkpoint that only a later minillm can read: complete, so never to be replaced."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the manifest says of one file."""

    size_bytes: int
    sha256: str

    @classmethod
    def measure(cls, path: Path) -> Entry:
        """Measure the file at ``path``, in pieces: memory stays small."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(file.tell(), digest)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one checkpoint and the step it was taken at (None where not told)."""

    files: dict[str, Entry]
    step: int | None = None

    @property
    def label(self) -> str:
        """Name the checkpoint's step for a message."""
        return "of an unnamed step" if self.step is None else f"of step {self.step}"

    def to_text(self) -> str:
        """Write the manifest, its own SHA-256 included.

        The hash is that of the text with the hash's own place left empty.
        """
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "minillm_version": minillm.__version__,
            "step": self.step,
            "files": {
                name: {"size_bytes": entry.size_bytes, "sha256": entry.sha256}
                for name, entry in sorted(self.files.items())
            },
        }
        empty = json.dumps({**content, "manifest_sha256": ""}, indent=2, ensure_ascii=False) + "\n"
        digest = hashlib.sha256(empty.encode()).hexdigest()
        return (
            json.dumps({**content, "manifest_sha256": digest}, indent=2, ensure_ascii=False) + "\n"
        )

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check the manifest of ``folder``.

        Raises:
            CheckpointError: it is missing, damaged, or of a newer format.
        """
        path = folder / MANIFEST
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_MANIFEST_BYTES + 1)
        except OSError as error:
            raise CheckpointError(
                f"{path} cannot be read ({error.strerror or error}): "
                f"{folder} is not a complete checkpoint"
            ) from error
        if len(raw) > MAX_MANIFEST_BYTES:
            raise CheckpointError(f"{path} is damaged: more than {MAX_MANIFEST_BYTES:,} bytes")
        try:
            return cls._parse(path, raw)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path} is damaged: {error!r}") from error

    @classmethod
    def _parse(cls, path: Path, raw: bytes) -> Manifest:
        content: dict[str, Any] = json.loads(raw)
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path} is not the manifest of a minillm checkpoint")
        if content["format_version"] > FORMAT_VERSION:
            raise NewerFormatError(
                f"{path.parent} was made by minillm {content['minillm_version']} with checkpoint "
                f"format {content['format_version']}; this is minillm {minillm.__version__} with "
                f"format {FORMAT_VERSION}: update minillm"
            )
        claimed: str = content["manifest_sha256"]
        rest = raw.replace(claimed.encode(), b"")
        if hashlib.sha256(rest).hexdigest() != claimed:
            raise CheckpointError(f"{path} is damaged: it does not match its own SHA-256")
        files = {name: Entry(**entry) for name, entry in content["files"].items()}
        for name in files:
            check_file_name(name)
        return cls(files, content["step"])


def check_file_name(name: str) -> None:
    """Refuse what is not a plain file name: a checkpoint reaches nothing outside its folder."""
    if name in ("", ".", "..", MANIFEST) or "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a name for a file of a checkpoint")
