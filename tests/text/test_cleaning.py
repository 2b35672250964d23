import json
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.errors import ConfigError, DataError
from minillm.text.cleaning import DEFAULT_STEPS, STEPS, CleaningReport, clean
from minillm.text.documents import Document
from minillm.text.spool import Spool

NOT_INSTALLED = set() if find_spec("datasketch") else {"near-duplicates"}  # an optional package
REAL_TEXT = [  # must leave the default steps as it came
    "“It’s an old—very old—story,” she said… naïve façade, 50 °C, x² ≤ y, £5, 10 000 €.",
    "他说：“你好，世界！”——然后走了。（全角标点要保留）",
    "می‌خواهم به خانه بروم و کتاب بخوانم",  # holds a zero-width non-joiner
    "The family emoji 👨‍👩‍👧 holds zero-width joiners inside one picture.",
    "def f(x):\n    return [[x, 1], [2, 3]]  # if a < b and c > d\n\nDoes this parse? Yes.",
    "Chapter I.\n\n\n    It was the best of times,\n    it was the worst of times,\n",
    "Tom & Jerry use <b> in HTML; AT&T does not. 3 < 4.",
    "- milk\n- eggs\n- two loaves of bread\n\n| a | b |\n|---|---|\n| x | y |\n",
    "Hello there!",
]


def cleaned(texts, *steps):
    report = CleaningReport()
    documents = [Document(text, str(i)) for i, text in enumerate(texts)]
    return [document.text for document in clean(documents, steps, report)], report


@pytest.mark.parametrize("text", REAL_TEXT)
def test_defaults_leave_real_text_alone(text):
    assert cleaned([text], *DEFAULT_STEPS)[0] == [text]


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("unicode", "cafÃ© and cafe\u0301 â€œquotedâ€\x9d", "café and café “quoted”"),
        ("unicode", "the ﬁrst\u2028line", "the first\nline"),
        ("control-characters", "a\x00b\u200bc\x1b[31mred\x1b[0m\x7f\u00ad", "abcred"),
        ("control-characters", "page\x0cpage\ttab\n", "page\npage\ttab\n"),
        ("html", "<p>Salt &amp; pepper</p><p>spices</p>", "Salt & pepper\n\nspices"),
        ("wiki", "'''Cat''' is an [[animal|beast]].", "Cat is an beast."),
        ("wiki", "#REDIRECT [[Cat]] '''x'''", None),
        ("whitespace", "a  \t\nb\u00a0\n\n\n\n\nc", "a\nb\n\n\nc"),
        ("length", "ok", None),
        ("length", "123 !!! 4567 ---- 2024-01-01", None),
        ("length", "abcdefghij", "abcdefghij"),
        ("length", "क्षत्रिय कविता", "क्षत्रिय कविता"),  # vowel signs count as letters
        ("symbol-ratio", "12 34 | 56 78 | x", None),
        ("symbol-ratio", "aGVsbG8gd29ybGQ" * 8, None),
        ("symbol-ratio", "A table of 12 numbers: 3, 4, 5.", "A table of 12 numbers: 3, 4, 5."),
        ("stop-words", "The cat is on the mat, isn't it? Theme.", "cat mat, isn't ? Theme."),
    ],
)
def test_one_step_by_hand(step, before, after):
    assert STEPS[step](before) == after


def test_boilerplate_goes_only_from_many_documents():
    footer, rare = "Subscribe to our newsletter today", "Written by the same two authors"
    texts = [f"Story number {i} is its own.\n{footer}\nExample:" for i in range(7)]
    texts[:4] = [f"{text}\n{rare}" for text in texts[:4]]
    after, report = cleaned(texts, "boilerplate-lines")
    assert not any(footer in text for text in after)
    assert sum(rare in text for text in after) == 4  # in fewer than five documents
    assert all("Example:" in text and "Story" in text for text in after)
    assert report.rows() == [("boilerplate-lines", 7, 7, 0, 7 * (len(footer) + 1))]


def test_boilerplate_counts_documents_not_lines():
    poem = "and the raven said nevermore\n" * 50
    assert cleaned([poem, "Another text of its own."], "boilerplate-lines")[0][0] == poem


@pytest.mark.parametrize("n_documents", [4, 5, 99, 100, 101, 119, 120, 121])
def test_boilerplate_is_what_five_documents_and_five_percent_share(n_documents):
    """Each line i stands in the first i documents; a slow count says which ones must go."""
    lines = [f"this line stands in {i} documents" for i in range(1, 9)]
    texts = [f"Document {n} of them all.\n" + "\n".join(lines[n:]) for n in range(n_documents)]
    n_holding = {line: sum(line in text.split("\n") for text in texts) for line in lines}
    gone = {line for line, n in n_holding.items() if n >= 5 and n >= 0.05 * n_documents}
    after = cleaned(texts, "boilerplate-lines")[0]
    assert {line for line in lines if not any(line in text for text in after)} == gone
    assert len(gone) == {4: 0, 5: 4, 99: 4, 100: 4, 101: 3, 119: 3, 120: 3, 121: 2}[n_documents]


def test_boilerplate_survives_a_corpus_larger_than_memory(monkeypatch):
    monkeypatch.setattr(Spool, "MEMORY_BYTES", 10)
    texts = [f"Line {i}\u2028\x00 é\r\nSubscribe to our newsletter" for i in range(5)]
    after, _ = cleaned(texts, "boilerplate-lines")
    assert after == [text.split("\nSub")[0] for text in texts]


def test_exact_duplicates_row26():
    texts = ["Tea for two.", "tea  for\nTWO.", "Tea for three.", "Tea for two."]
    after, report = cleaned(texts, "exact-duplicates")
    assert after == ["Tea for two.", "Tea for three."]
    assert report.rows() == [("exact-duplicates", 4, 0, 2, 25)]
    assert cleaned(texts, "exact-duplicates")[0] == after  # each pass starts afresh


def test_steps_apply_in_the_given_order_and_the_report_adds_up():
    texts = [
        "<p>Tea for\x00 two</p><p>é</p>",
        "Tea for two\n\né",
        "no",
        "<html><nav>menu only</nav>",
    ]
    steps = ["control-characters", "html", "length", "exact-duplicates"]
    documents = [Document(text, str(i)) for i, text in enumerate(texts)]
    report = CleaningReport()
    after = list(clean(documents, steps, report))
    assert after == [Document("Tea for two\n\né", "0")]
    assert report.rows() == [
        ("control-characters", 4, 1, 0, 1),
        ("html", 4, 1, 1, 12 + 26),  # a page that held only a menu is dropped by this step
        ("length", 3, 0, 1, 2),
        ("exact-duplicates", 2, 0, 1, 15),
    ]
    n_removed = sum(d.n_bytes for d in documents) - sum(d.n_bytes for d in after)
    assert sum(row[-1] for row in report.rows()) == n_removed
    assert json.loads(json.dumps(report.to_json()))[0]["name"] == "control-characters"


KEEPS_ENGLISH = sorted({*STEPS} - {"chinese"} - NOT_INSTALLED)


@settings(deadline=None)  # the first text waits until datasketch is imported
@given(texts=st.lists(st.text(max_size=60), max_size=8), steps=st.permutations(KEEPS_ENGLISH))
def test_any_text_and_any_order_of_steps(texts, steps):
    texts = ["A sentence that always stays whole.", *texts]
    after, report = cleaned(texts, *steps)
    n_in = len(texts)
    for row in report.rows():
        assert row[1] == n_in
        n_in -= row[3]
    assert n_in == len(after) >= 1
    n_bytes = sum(len(text.encode()) for text in texts) - sum(row[4] for row in report.rows())
    assert sum(len(text.encode()) for text in after) == n_bytes


def test_cleaning_streams():
    def endless():
        while True:
            yield Document("Never the end of it.", "s")

    assert next(clean(endless(), ["unicode", "length"], CleaningReport())).source == "s"


def test_unknown_step_is_refused_at_once():
    with pytest.raises(ConfigError, match=r"unknown cleaning step 'htlm'.*unicode.*stop-words"):
        clean([], ["unicode", "htlm"], CleaningReport())


def test_nothing_left_is_an_error_that_says_who_took_it():
    with pytest.raises(DataError, match=r"left of 2 documents.*length 2"):
        cleaned(["ok", "no"], *DEFAULT_STEPS)
    assert cleaned([], *DEFAULT_STEPS)[0] == []
    assert cleaned(["ok"])[0] == ["ok"]  # no steps: nothing is cleaned


def test_every_step_gives_its_reason_and_stop_words_are_optional():
    assert all(len(step.reason.split()) >= 5 for step in STEPS.values())
    optional = {"stop-words", "near-duplicates", "english", "chinese"}
    assert set(STEPS) - set(DEFAULT_STEPS) == optional
