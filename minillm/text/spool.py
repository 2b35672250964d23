"""Documents kept aside to be read again: a corpus need not fit into memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType

from minillm.text.documents import Document


class Spool:
    """Documents that can be read again: kept in memory up to a size, beyond it in a file.

    The file has no name and is gone when the spool is closed or the process ends. It lies in
    ``TMPDIR``; it needs about as many bytes as the text, up to twice as many for Chinese.

    Args:
        documents: read once, at once.

    Example:
        >>> with Spool([Document("Tea for two", "a.txt")]) as spool:
        ...     [document.source for _ in range(2) for document in spool]
        ['a.txt', 'a.txt']
    """

    MEMORY_BYTES = 8 << 20

    def __init__(self, documents: Iterable[Document]) -> None:
        self._file = tempfile.SpooledTemporaryFile(self.MEMORY_BYTES)  # noqa: SIM115 - see close
        try:
            for document in documents:
                line = json.dumps([document.text, document.source, document.markup])
                self._file.write(line.encode() + b"\n")
        except BaseException:  # what is being read may fail
            self.close()
            raise

    def __iter__(self) -> Iterator[Document]:
        """Read from the start; one reader at a time."""
        self._file.seek(0)
        for line in self._file:
            yield Document(*json.loads(line))

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was kept."""
        self._file.close()
