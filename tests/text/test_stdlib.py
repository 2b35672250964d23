import builtins
import inspect
import textwrap

import pytest

from minillm.errors import DataError
from minillm.text.cleaning import DEFAULT_STEPS, CleaningReport, clean
from minillm.text.corpora import load_corpus
from minillm.text.stdlib import stdlib_documents


@pytest.fixture(scope="module")
def documents():
    return list(load_corpus(["stdlib"]))


def test_there_is_enough_english(documents):
    assert sum(document.n_bytes for document in documents) > 1_000_000
    assert len(documents) > 300
    text = " ".join(document.text for document in documents[::10])
    words = text.lower().split()
    assert 0.03 < words.count("the") / len(words) < 0.12  # as in any English prose


def test_documents_are_unique_and_named(documents):
    assert len({document.text for document in documents}) == len(documents)
    assert len({document.source for document in documents}) == len(documents)
    assert all(document.source.startswith("stdlib:") for document in documents)
    assert not any(".test" in document.source for document in documents)


def test_docstrings_are_those_of_the_real_objects(documents):
    whole = {document.source: document.text for document in documents}
    text = whole["stdlib:shlex"]
    import shlex

    for heading, thing in (("split(s, comments, posix)", shlex.split), ("quote(s)", shlex.quote)):
        assert f"{heading}\n{inspect.getdoc(thing)}\n" in text
    assert "assert_stmt ::=" in whole["stdlib:topics.assert"]
    assert not [name for name in whole if name.startswith("stdlib:topics.customization")]


def test_default_cleaning_leaves_real_english_alone(documents):
    report = CleaningReport()
    after = list(clean(documents, DEFAULT_STEPS, report))
    assert len(after) >= len(documents) - 2
    n_bytes = sum(document.n_bytes for document in documents)
    assert sum(row[4] for row in report.rows()) < 0.001 * n_bytes  # 2 bytes on Python 3.11
    assert sum(row[2] for row in report.rows()) < 0.01 * len(documents)


@pytest.fixture
def library(tmp_path):
    """Return a tiny standard library; its modules would fail if they were imported."""
    files = {
        "pydoc_data/topics.py": """
            topics = {"long": "Alpha beta gamma.\\n\\nDelta epsilon zeta.\\n\\nEta theta iota.",
                      "inside": "Delta epsilon zeta.\\n", "own": "Something else here."}
        """,
        "one.py": '''
            """Say one thing."""
            raise SystemExit("imported")
            class Cat:
                """Sleep all day."""
                def purr(self, volume, *, long=True, **how):
                    """Make a low sound."""
                    def inner():
                        """Never shown to anyone."""
                if True:
                    @classmethod
                    def make(cls): """Build a new cat."""
            try:
                def f(a, /, b=1, *c): """Too short"""
                def h(a, /, *rest): """Work without it."""
            except ImportError:
                pass
            def g(): """Say  one
            thing."""
        ''',
        "package/__init__.py": '"""Hold the other modules."""',
        "broken.py": '"""A template, not Python."""\n$',
        "silent.py": "x = 1",
        "test/test_one.py": '"""Test one important thing."""',
        "site-packages/other.py": '"""Belong to somebody else."""',
    }
    for name, source in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source).lstrip("\n"))
    return tmp_path


def test_rule_on_a_tiny_library(library, monkeypatch):
    imported = []
    real_import = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: imported.append(name) or real_import(name, *a, **k),
    )
    documents = {document.source: document.text for document in stdlib_documents(library)}
    monkeypatch.undo()
    assert list(documents) == [
        "stdlib:topics.long", "stdlib:topics.own", "stdlib:one", "stdlib:package"
    ]  # fmt: skip
    assert documents["stdlib:one"] == (
        "one\nSay one thing.\n\n"
        "Cat\nSleep all day.\n\n"
        "Cat.purr(volume, long, **how)\nMake a low sound.\n\n"
        "Cat.make()\nBuild a new cat.\n\n"
        "h(a, *rest)\nWork without it.\n"
    )
    assert documents["stdlib:package"] == "package\nHold the other modules.\n"
    assert not {"one", "package"} & set(imported)


def test_no_library_is_explained(tmp_path):
    with pytest.raises(DataError, match="no Python source in"):
        list(stdlib_documents(tmp_path))
