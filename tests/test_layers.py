"""Data flows one way: ranks, torch-free modules and the size that "small" means."""

import ast
import io
import tokenize
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES, MAX_CODE_LINES = 350, 22_000  # the reason stands in docs/architecture.md
# One rank a line; a module imports only from ranks above its own.
RANKS = [
    {"errors"},
    {"batch", "config", "runtime"},
    {"text"},
    {"tokenizers"},
    {"data"},
    {"objectives"},
    {"kernels"},
    {"linear"},
    {"masking", "loss", "positions", "norms", "feed_forward", "kv_cache"},
    {"attention"},
    {"blocks"},
    {"models"},
    {"optim"},
    {"checkpoint", "distributed"},
    {"training"},
    {"evaluation", "generation", "compression", "health", "interop"},
    {"run"},
    {"finetuning"},
    {"arena"},
    {"plots"},
    {"tour", "speedrun"},
    {"cli"},
    {"__main__"},
]
RANK = {name: level for level, names in enumerate(RANKS) for name in names}
TORCH_FREE = {"__init__", "__main__", "errors", "config", "runtime", "cli"}  # and all of text/
HEAVY = {"torch", "transformers", "matplotlib"}
SKIPPED_TOKENS = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def sources(package):
    """Map ``text/documents`` and the like to the parsed files of a package."""
    return {
        path.relative_to(package).with_suffix("").as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


def at_import(tree):
    """Yield the nodes that run at import: no function bodies, nothing under TYPE_CHECKING."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def imported(nodes):
    """Yield the dotted names that import statements ask for; ``.name`` for a relative one."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from (f"{dots}{node.module or ''}.{alias.name}" for alias in node.names)


def file_of(name, files):
    """Return the file that ``minillm.text.documents.Document`` lives in, None for others."""
    parts = name.split(".")[1:]
    for end in range(len(parts), -1, -1):
        stem = "/".join(parts[:end])
        for candidate in (stem, f"{stem}/__init__".lstrip("/")):
            if candidate in files:
                return candidate
    return None


def own_imports(tree_nodes, files, package):
    """Yield the package's own files that are imported."""
    for name in imported(tree_nodes):
        if name.split(".")[0] == package and (found := file_of(name, files)) is not None:
            yield found


def misspelled_imports(stem, tree):
    """Name the imports of one file that are relative or of what imports minillm."""
    for name in imported(ast.walk(tree)):
        if name.startswith("."):
            yield f"{stem}: write the import of {name} in full"
        if name.split(".")[0] in {"exercises", "tests", "notebooks", "benchmarks"}:
            yield f"{stem} must not import {name}"


def refusal(stem, other):
    """Say why ``stem`` must not import ``other``, or return None."""
    module, above = stem.split("/")[0], other.split("/")[0]
    if above in {module, "__init__"} and module != "__init__":
        return None  # inside a folder, see test_no_file_of_a_folder_needs_itself
    if RANK.get(above, len(RANKS)) < RANK.get(module, -1):
        return None
    return f"{stem} must not import {above}"


def wrong_imports(package):
    """Name each import that is relative, upward or of what imports minillm."""
    files = sources(package)
    for stem, tree in files.items():
        module = stem.split("/")[0]
        if module != "__init__" and module not in RANK:
            yield f"{module} must be given a rank"
            continue
        yield from misspelled_imports(stem, tree)
        others = own_imports(ast.walk(tree), files, package.name)
        yield from filter(None, (refusal(stem, other) for other in others))


def cycles(package):
    """Name each file of a folder that needs itself through files of the same folder."""
    files = sources(package)
    needs = {
        stem: {
            other
            for other in own_imports(ast.walk(tree), files, package.name)
            if other != stem and other.split("/")[0] == stem.split("/")[0]
        }
        for stem, tree in files.items()
    }
    for stem in needs:
        reached, waiting = set(), list(needs[stem])
        while waiting:
            other = waiting.pop()
            if other not in reached:
                reached.add(other)
                waiting.extend(needs[other])
        if stem in reached:
            yield f"{stem} needs itself"


def with_parents(stem, files):
    """Yield a file and the ``__init__`` files that Python runs before it."""
    parts = stem.split("/")
    inits = ("/".join([*parts[:end], "__init__"]) for end in range(len(parts)))
    return [stem, *(init for init in inits if init in files)]


def heavy_imports(package):
    """Name each torch-free file that imports torch or its like, itself or through others."""
    files = sources(package)
    for stem in files:
        if stem.split("/")[0] not in TORCH_FREE | {"text"}:
            continue
        reached, waiting = set(), with_parents(stem, files)
        while waiting:
            other = waiting.pop()
            if other in reached:
                continue
            reached.add(other)
            nodes = list(at_import(files[other]))
            for name in imported(nodes):
                if name.split(".")[0] in HEAVY:
                    yield f"{stem} ← {name.split('.')[0]} in {other}"
            for needed in own_imports(nodes, files, package.name):
                waiting.extend(with_parents(needed, files))


def code_lines(text):
    """Count the lines that hold code: no blanks, comments or docstrings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED_TOKENS:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_constant and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def write(folder, files):
    """Write a package named minillm for a planted fault."""
    package = folder / "minillm"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


def test_modules_import_only_from_ranks_above():
    assert list(wrong_imports(ROOT / "minillm")) == []


def test_no_file_of_a_folder_needs_itself():
    assert list(cycles(ROOT / "minillm")) == []


def test_torch_free_modules_need_no_torch():
    assert list(heavy_imports(ROOT / "minillm")) == []


def test_small_means_small():
    texts = {path: path.read_text("utf-8") for path in (ROOT / "minillm").rglob("*.py")}
    long = {p.name: n for p, t in texts.items() if (n := len(t.splitlines())) > MAX_FILE_LINES}
    assert long == {}, f"no file above {MAX_FILE_LINES} lines"
    assert sum(map(code_lines, texts.values())) <= MAX_CODE_LINES


def test_no_file_is_named_after_nothing():
    empty_names = {"utils", "util", "common", "helpers", "misc"}
    paths = chain((ROOT / "minillm").rglob("*"), (ROOT / "exercises").rglob("*"))
    assert [path.name for path in paths if path.stem in empty_names] == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"loss.py": "from minillm.attention import attention"}, "loss must not import attention"),
        ({"loss.py": "from minillm import masking"}, "loss must not import masking"),
        ({"loss.py": "def f():\n    import minillm.run"}, "loss must not import run"),
        ({"data.py": "from . import batch"}, "data: write the import of ..batch in full"),
        ({"data.py": "from .batch import Batch"}, "data: write the import of .batch.Batch in full"),
        ({"run.py": "from exercises import checks"}, "run must not import exercises.checks"),
        ({"helpers.py": ""}, "helpers must be given a rank"),
        ({"__init__.py": "from minillm.batch import Batch"}, "__init__ must not import batch"),
    ],
)
def test_planted_imports_are_named(tmp_path, files, message):
    known = dict.fromkeys(("attention.py", "masking.py", "run.py", "batch.py"), "")
    package = write(tmp_path, {"__init__.py": "", **known, **files})
    assert list(wrong_imports(package)) == [message]


def test_allowed_imports_pass(tmp_path):
    loss = "from minillm import __version__\nfrom minillm.batch import Batch\nimport torch"
    gpt = "from minillm.models.base import Model\nfrom minillm.loss import f"
    files = {"__init__.py": "", "batch.py": "", "loss.py": loss, "models/gpt.py": gpt}
    package = write(tmp_path, files | {"models/base.py": "", "models/__init__.py": ""})
    assert list(chain(wrong_imports(package), cycles(package))) == []


def test_a_planted_cycle_is_named(tmp_path):
    files = {
        "text/a.py": "from minillm.text import b",
        "text/b.py": "def f():\n    from minillm.text.c import g",
        "text/c.py": "from minillm.text.a import h",
        "text/d.py": "from minillm.text.a import h",
    }
    found = list(cycles(write(tmp_path, files)))
    assert found == ["text/a needs itself", "text/b needs itself", "text/c needs itself"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config.py": "import torch"}, ["config ← torch in config"]),
        ({"text/a.py": "import torch.nn"}, ["text/a ← torch in text/a"]),
        ({"config.py": "def f():\n    import torch"}, []),
        ({"config.py": "if TYPE_CHECKING:\n    import torch"}, []),
        ({"cli.py": "try:\n    from torch import nn\nexcept E: pass"}, ["cli ← torch in cli"]),
        ({"cli.py": "import minillm.loss"}, ["cli ← torch in loss"]),
        ({"cli.py": "from minillm.plots.a import f"}, ["cli ← matplotlib in plots/__init__"]),
        ({"batch.py": "import torch"}, []),
    ],
)  # fmt: skip
def test_planted_torch_is_named(tmp_path, files, expected):
    plots = {"plots/__init__.py": "import matplotlib", "plots/a.py": ""}
    package = write(tmp_path, {"__init__.py": "", "loss.py": "import torch", **plots, **files})
    assert list(heavy_imports(package)) == expected


def test_code_lines_leave_out_docstrings_comments_and_blanks():
    head = '"""Doc\n\nstring."""\n# why\n\nx = [\n    1,  # one\n]\n'
    assert code_lines(head) == 3
    assert code_lines(head + 'def f():\n    """Do."""\n    return """a\nb"""\n') == 6
