r"""The corpus inside every Python: its documentation topics and its docstrings.

The rule, so that anyone can collect it again:

1. *Topics*: each entry of ``pydoc_data/topics.py`` is a document (what ``help("assert")`` shows).
   A topic that repeats a longer one is left out: when more than half of its characters are
   paragraphs seen before ("customization" lies word for word inside "specialnames").
2. *Docstrings*: each module of the library is one document: its name, its docstring, then
   its classes and functions in the order of the file, each headed by its call (``run(main)``).
   A docstring alone is a sentence or two (median 90 characters); a module's together read like a
   chapter of a reference, and a model sees a name introduced before it is used.
3. Left out: tests, installed packages, the generated codec tables; docstrings of fewer than three
   words; docstrings already seen (compared with white space collapsed).
4. Files are read with ``ast`` and never imported: importing would run them (``this`` prints a poem,
   ``antigravity`` opens a browser). Order: topics, then modules, each sorted by name.

The text differs between Python versions; a run therefore stores the corpus's hash.
"""

from __future__ import annotations

import ast
import os
import re
import sysconfig
import warnings
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

from minillm.errors import DataError
from minillm.text.documents import Document

_LEFT_OUT = {
    *("test", "tests", "idle_test"),  # their docstrings describe test cases, in fragments
    *("site-packages", "dist-packages"),  # not the standard library: differs from reader to reader
    "encodings",  # 120 generated tables that share one sentence
    "pydoc_data",  # the topics are read in their own way
}
_MIN_WORDS = 3  # "Helper." says nothing
_MAX_REPEATED = 0.5  # measured on 3.11: a topic repeats < 0.1 or > 0.7 of its text, nothing between
_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
_Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def stdlib_documents(root: Path | None = None) -> Iterator[Document]:
    """Yield the English of the running Python's standard library, uncut.

    Args:
        root: Folder of a standard library; the running Python's by default.

    Yields:
        Documents named ``stdlib:topics.assert`` or ``stdlib:asyncio.tasks``.

    Raises:
        DataError: The folder holds no Python source (some embedded Pythons keep it in a zip file).

    Example:
        >>> next(stdlib_documents()).text.splitlines()[0]
        'The "assert" statement'
    """
    root = Path(sysconfig.get_path("stdlib")) if root is None else root
    paths = _source_files(root)
    topics = root / "pydoc_data" / "topics.py"
    if not paths and not topics.exists():
        raise DataError(
            f"no Python source in {root}; name your own text files as the corpus instead"
        )
    if topics.exists():  # a few distributions leave it out
        yield from _topic_documents(topics)
    for name, entries in _modules(root, paths):
        yield Document("\n".join(entries), f"stdlib:{name}")


def stdlib_docstrings(root: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield each documented module's name and its docstrings, each below its heading.

    Joined they are the module's document, see `stdlib_documents`.

    Args:
        root: as for `stdlib_documents`.

    Example:
        >>> name, entries = next(stdlib_docstrings())
        >>> name, entries[0].splitlines()[0]
        ('__future__', '__future__')
    """
    root = Path(sysconfig.get_path("stdlib")) if root is None else root
    yield from _modules(root, _source_files(root))


def _modules(root: Path, paths: list[Path]) -> Iterator[tuple[str, list[str]]]:
    seen: set[str] = set()
    for path in paths:
        name = _module_name(path.relative_to(root))
        if entries := _module_entries(path, name, seen):
            yield name, entries


def _source_files(root: Path) -> list[Path]:
    """List the modules to read; what is left out is not entered (site-packages can be huge)."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    return sorted(found)


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _topic_documents(path: Path) -> Iterator[Document]:
    """Read the one dictionary of the file as a literal; longest first decides what repeats."""
    assignment = next(node for node in ast.parse(path.read_bytes()).body if _has_value(node))
    topics: dict[str, str] = ast.literal_eval(assignment.value)  # pyright: ignore[reportAttributeAccessIssue]
    seen: set[str] = set()
    kept: dict[str, str] = {}
    for name, text in sorted(topics.items(), key=lambda item: (-len(item[1]), item[0])):
        paragraphs = {" ".join(part.split()) for part in _PARAGRAPH_BREAK.split(text)}
        n_repeated = sum(len(paragraph) for paragraph in paragraphs & seen)
        if n_repeated <= _MAX_REPEATED * sum(map(len, paragraphs)):
            kept[name] = text.strip() + "\n"
            seen |= paragraphs
    for name in sorted(kept):
        yield Document(kept[name], f"stdlib:topics.{name}")


def _has_value(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)


def _module_entries(path: Path, name: str, seen: set[str]) -> list[str]:
    """List a module's docstrings, each under its heading; none where nothing is documented."""
    source = path.read_bytes()
    if (
        b'"""' not in source and b"'''" not in source
    ):  # parsing is what costs: skip where it is vain
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's files
        try:
            module = ast.parse(source)
        except (SyntaxError, ValueError):  # templates and deliberately broken examples
            return []
    entries = [(name, module), *_named_nodes(module, "")]
    parts = []
    for heading, node in entries:
        docstring = _docstring(node)
        key = " ".join(docstring.split())
        if key.count(" ") + 1 >= _MIN_WORDS and key not in seen:
            seen.add(key)
            parts.append(f"{heading}\n{docstring}\n")
    return parts


def _named_nodes(parent: ast.AST, prefix: str) -> Iterator[tuple[str, _Named]]:
    """Yield classes and functions with their headings, also those under ``if`` and ``try``.

    Functions inside functions are details, and expressions hold no docstrings: neither is entered,
    which is several times faster than ``ast.walk``.
    """
    for node in getattr(parent, "body", []) + getattr(parent, "orelse", []):
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from _named_nodes(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}({_call(node.args, is_method=bool(prefix))})", node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _named_nodes(node, prefix)


def _call(arguments: ast.arguments, *, is_method: bool) -> str:
    """Write the names of the arguments as a caller thinks of them."""
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    if is_method and names[:1] in (["self"], ["cls"]):
        del names[0]
    if arguments.vararg:
        names.append("*" + arguments.vararg.arg)
    names += [argument.arg for argument in arguments.kwonlyargs]
    if arguments.kwarg:
        names.append("**" + arguments.kwarg.arg)
    return ", ".join(names)


def _docstring(node: ast.Module | _Named) -> str:
    first = node.body[0] if node.body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return ""
    value = first.value.value
    return cleandoc(value).strip() if isinstance(value, str) else ""
