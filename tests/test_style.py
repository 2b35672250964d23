"""What the house style asks of the code beyond what ruff and pyright see."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FUNCTION_LINES = 60  # without the docstring
FILES = sorted([*(ROOT / "minillm").rglob("*.py"), *(ROOT / "exercises").rglob("*.py")])


def public_functions(tree):
    """Yield (qualified name, node) of functions and methods that a reader may call."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                known = isinstance(method, ast.FunctionDef)
                if known and (not method.name.startswith("_") or method.name == "__init__"):
                    yield f"{node.name}.{method.name}", method


def unannotated(node):
    """Return the arguments without an annotation; self, cls, * and ** may go without."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [a.arg for a in arguments if a.annotation is None and a.arg not in {"self", "cls"}]


def unannotated_functions(text):
    """Name each public function with an argument or a result that is not annotated."""
    for name, node in public_functions(ast.parse(text)):
        if missing := unannotated(node):
            yield f"{name}: {', '.join(missing)}"
        if node.returns is None and node.name != "__init__":
            yield f"{name}: the result"


def long_functions(text):
    """Name each function that is too long to be read at once."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = (ast.get_docstring(node) or "").splitlines()
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1 - len(docstring)
            if n_lines > MAX_FUNCTION_LINES:
                yield f"{node.name} has {n_lines} lines"


def global_random(text):
    """Name each use of a global random state."""
    banned = {
        "torch.manual_seed",
        "torch.seed",
        "random.seed",
        "np.random.seed",
        "numpy.random.seed",
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in banned:
            yield f"line {node.lineno}: {ast.unparse(node.func)}"


@pytest.mark.parametrize("rule", [unannotated_functions, long_functions, global_random])
def test_every_file_keeps_the_rule(rule):
    found = {p.relative_to(ROOT).as_posix(): list(rule(p.read_text("utf-8"))) for p in FILES}
    assert {name: messages for name, messages in found.items() if messages} == {}


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (unannotated_functions, "def f(x) -> int: ...", ["f: x"]),
        (unannotated_functions, "def f(x: int): ...", ["f: the result"]),
        (unannotated_functions, "class A:\n def __init__(self, y): ...", ["A.__init__: y"]),
        (unannotated_functions, "class A:\n def g(self, *, y) -> int: ...", ["A.g: y"]),
        (unannotated_functions, "def _f(x): ...\nclass _A:\n def g(self, x): ...", []),
        (unannotated_functions, "def f(x: int, **kw) -> int: ...", []),
        (long_functions, "def f():\n" + " x = 1\n" * 60, ["f has 61 lines"]),
        (long_functions, "def f():\n" + " x = 1\n" * 59, []),
        (global_random, "def f():\n  torch.manual_seed(0)", ["line 2: torch.manual_seed"]),
        (global_random, "generator.manual_seed(0)", []),
    ],
)
def test_planted_faults_are_named(rule, text, expected):
    assert list(rule(text)) == expected
