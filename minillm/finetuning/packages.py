"""Real labels for real text: which package of the standard library does a docstring come from?

The rule, so that anyone can collect it again:

1. An example is one docstring below its heading (``TestCase.skipTest(reason)``), see `stdlib`.
2. *Held out*: the corpus is cleaned and split exactly as a pretraining run on ``stdlib`` does, by
   the hash of each document. Test examples come only from documents held out of pretraining,
   so that neither pretraining nor fine-tuning saw them; all others only from the rest.
3. *Masked*, in every text alike: a word that is the name of one of the packages or of a module in
   one of them, or that contains what is telling in a package's name, becomes ``___``; in a dotted
   name neighbors become one (``email.message.Message`` → ``___.Message``).
4. Left out: texts of fewer than `MIN_WORDS` words after that, and all but the first of equal ones.
5. *Which packages*: those with at least `MIN_TRAINING` examples to learn from and `MIN_TEST` held
   out; of these the `N_PACKAGES` with the most held out. A tenth of the documents is held out and a
   document is a whole module, so that most packages have none there, or a tiny one. Other Pythons
   therefore give other packages.
6. At most `MAX_TEST` test and `N_VALIDATION` validation examples of each package, those of the
   lowest hash; which of the rest are the labeled few depends on a seed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from minillm.errors import ConfigError, DataError
from minillm.finetuning.examples import ClassExample
from minillm.text.cleaning import DEFAULT_STEPS, CleaningReport, clean
from minillm.text.corpora import load_corpus
from minillm.text.documents import Document, split_documents, stable_hash
from minillm.text.stdlib import stdlib_docstrings

NAME = "stdlib"
BLANK = "___"
N_PACKAGES = 8  # at most: enough that guessing is poor, few enough for a figure
MIN_WORDS = 5  # "Return a new object." could come from anywhere
N_VALIDATION = 10  # of a package
MIN_TRAINING = 30  # 20 labels, which is what few means here, beside the validation
MIN_TEST = 8  # fewer would judge a package by chance
MAX_TEST = 40  # of a package: one large module must not be the whole test
_MIN_CORE = 4  # letters: the "url" of urllib is a word of its own
_TOPICS = "topics"  # documents of the corpus that are no docstrings
_DOTTED_NAME = re.compile(r"\w+(?:\.\w+)*")
_Entries = Mapping[str, list[tuple[str, str]]]  # package → docstrings and where they stand


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageTask:
    """Docstrings of some packages: those to draw labels from, to validate and to test with."""

    packages: tuple[str, ...]
    pool: tuple[ClassExample, ...]  # of documents that pretraining reads, as the next
    validation: tuple[ClassExample, ...]
    test: tuple[ClassExample, ...]  # of documents that pretraining holds out

    def draw(self, n_labels: int, *, seed: int = 0) -> list[ClassExample]:
        """Draw the labeled few of each package; more labels contain the fewer of the same seed.

        Args:
            n_labels: of each package.
            seed: other seeds draw others.

        Raises:
            ConfigError: a package has fewer; with how many there are.
        """
        if n_labels < 1:
            raise ConfigError(f"labels must be 1 or more of each package, got {n_labels}")
        drawn = []
        for package in self.packages:
            own = [example for example in self.pool if example.label == package]
            if len(own) < n_labels:
                raise ConfigError(
                    f"{n_labels} labels of each package: {package} has only {len(own)} examples"
                )
            own.sort(key=lambda example: stable_hash(f"{seed} {example.text}"))
            drawn += own[:n_labels]
        return drawn


def load_package_task() -> PackageTask:
    """Collect the task from the running Python, in seconds and the same every time.

    Raises:
        DataError: fewer than two packages have enough examples, or there is no source to read.

    Example:
        ``training = load_package_task().draw(20, seed=1)``
    """
    documents = clean(load_corpus([NAME]), DEFAULT_STEPS, CleaningReport())
    split = split_documents(documents)
    modules = dict(stdlib_docstrings())
    held_out, others = _find(split.validation, modules), _find(split.train, modules)
    candidates = sorted(
        (p for p in held_out if len(held_out[p]) >= MIN_TEST and len(others[p]) >= MIN_TRAINING),
        key=lambda package: (-len(held_out[package]), package),
    )
    while True:  # what is hidden depends on the packages, and what is long enough on that
        packages = tuple(sorted(candidates[:N_PACKAGES]))
        if len(packages) < 2:
            raise DataError(
                f"only {len(packages)} packages of this Python have {MIN_TRAINING} docstrings to "
                f"learn from and {MIN_TEST} held out, 2 are needed: label examples of your own"
            )
        mask, used = name_mask(packages, modules), set()
        test = _examples(held_out, packages, mask, used)
        rest = _examples(others, packages, mask, used)
        too_few = {p for p in packages if len(rest[p]) < MIN_TRAINING or len(test[p]) < MIN_TEST}
        if not too_few:
            break
        candidates = [package for package in candidates if package not in too_few]
    return PackageTask(
        packages=packages,
        pool=_join(rest, slice(N_VALIDATION, None)),
        validation=_join(rest, slice(N_VALIDATION)),
        test=_join(test, slice(MAX_TEST)),
    )


def is_stdlib(data: str) -> bool:
    """Tell whether the name of examples means this task."""
    return data == NAME or data.startswith(f"{NAME}:")


def stdlib_examples(data: str) -> list[ClassExample]:
    """Read the name of a part of the task, and collect it.

    Args:
        data: ``"stdlib"``, or after a colon options joined by commas: ``split`` (train, validation
            or test), and for train ``labels`` of each package (20) and ``seed``.

    Raises:
        ConfigError: an option that is unknown or out of range.
        DataError: as `load_package_task`.

    Example:
        ``stdlib_examples("stdlib:labels=5,seed=1")``
    """
    options: dict[str, str] = {"split": "", "labels": "", "seed": ""}
    for option in data.partition(":")[2].split(",") if ":" in data else ():
        key, _, value = option.strip().partition("=")
        if options.get(key) != "" or not value:
            raise ConfigError(
                f"{data}: cannot use {option!r}: write NAME=VALUE, each name once, with a name "
                f"among {', '.join(options)}"
            )
        options[key] = value
    split = options["split"] or "train"
    if split not in ("train", "validation", "test"):
        raise ConfigError(f"{data}: split must be train, validation or test, got {split!r}")
    if split != "train" and (options["labels"] or options["seed"]):
        raise ConfigError(f"{data}: labels and seed are of the split train alone: leave them out")
    numbers = [options["labels"] or "20", options["seed"] or "0"]
    if not all(number.isdecimal() for number in numbers):
        raise ConfigError(f"{data}: labels and seed must be whole numbers, got {numbers}")
    n_labels, seed = map(int, numbers)
    task = load_package_task()
    return task.draw(n_labels, seed=seed) if split == "train" else [*getattr(task, split)]


def name_mask(packages: Collection[str], modules: Iterable[str]) -> Callable[[str], str]:
    """Return what hides the names of packages and of the modules in them.

    Args:
        packages: hidden wherever a word contains what is telling in one, in any case:
            ``XMLParser``; "decimal" of ``_pydecimal``, "idle" of ``idlelib``.
        modules: dotted names; each part of those in the packages is hidden as a word of its own.

    Example:
        >>> mask = name_mask(["email"], ["email", "email.mime.text", "json.tool"])
        >>> mask("Read it: email.mime.text.MIMEText, an EmailMessage; text of a tool.")
        'Read it: ___.MIMEText, an ___; ___ of a tool.'
    """
    own = [name.split(".") for name in modules if name.partition(".")[0] in packages]
    hidden = {part for parts in own for part in parts}
    contained = re.compile("|".join(re.escape(_core(name)) for name in packages), re.IGNORECASE)

    def hide(found: re.Match[str]) -> str:
        parts = found[0].split(".")
        shown = [BLANK if part in hidden or contained.search(part) else part for part in parts]
        runs = [[*run] for _, run in groupby(shown)]
        return ".".join(part for run in runs for part in (run[:1] if run[0] == BLANK else run))

    return lambda text: _DOTTED_NAME.sub(hide, text)


def _core(package: str) -> str:
    """Return what is telling in a name."""
    name = package.strip("_")
    core = name.removeprefix("py").removesuffix("lib")
    return core if len(core) >= _MIN_CORE else name


def _find(documents: Iterable[Document], modules: Mapping[str, list[str]]) -> _Entries:
    """Find the docstrings that stand whole in documents.

    Cleaning may have changed one, and the edge of a section may cut one: such are nowhere.
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for document in documents:
        module = document.source.partition(":")[2].partition("#")[0]
        package = module.partition(".")[0]
        if package != _TOPICS:
            entries = (entry.strip() for entry in modules.get(module, ()))
            found[package] += [(one, document.source) for one in entries if one in document.text]
    return found


def _examples(
    entries: _Entries, packages: Sequence[str], mask: Callable[[str], str], used: set[str]
) -> dict[str, list[ClassExample]]:
    """Make examples by package, in the order of their hash, and note every text in ``used``."""
    examples: dict[str, list[ClassExample]] = {package: [] for package in packages}
    for package in packages:
        for entry, source in entries.get(package, ()):
            text = mask(entry)
            key = " ".join(text.split())
            if len(text.replace(BLANK, "").split()) >= MIN_WORDS and key not in used:
                used.add(key)
                examples[package].append(ClassExample(text=text, label=package, source=source))
        examples[package].sort(key=lambda example: stable_hash(example.text))
    return examples


def _join(examples: Mapping[str, list[ClassExample]], part: slice) -> tuple[ClassExample, ...]:
    return tuple(one for own in examples.values() for one in own[part])
