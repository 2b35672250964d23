"""MediaWiki dumps: articles and nothing else, one at a time, clean when they are cleaned."""

import bz2
import logging
import re
import tracemalloc

import pytest

from minillm.cli import main
from minillm.errors import DataError
from minillm.runtime import n_available_cores
from minillm.text.cleaning import DEFAULT_STEPS, CleaningReport, clean
from minillm.text.corpora import load_corpus
from minillm.text.documents import SECTION_BYTES
from minillm.text.dumps import is_dump, read_dump
from minillm.tokenizers.parallel import encode_documents

TITLES = ["Paris", "Tea & milk", "Ely", "北京", "Rivers"]


def write(path, text):
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(bz2.compress(raw) if path.suffix == ".bz2" else raw)
    return path


def read(path, **options):
    return list(load_corpus([str(path)], **options))


@pytest.fixture(params=["wiki.xml", "wiki.xml.bz2", "WIKI.XML.BZ2"])
def path(request, tmp_path, dump):
    file = tmp_path / request.param
    raw = dump.encode()
    file.write_bytes(bz2.compress(raw) if request.param.lower().endswith("bz2") else raw)
    return file


def test_articles_come_whole_and_the_rest_is_counted(path, caplog):
    with caplog.at_level(logging.WARNING):
        documents = read(path)
    assert [document.source for document in documents] == [f"{path.as_posix()}:{t}" for t in TITLES]
    assert documents[0].text.startswith("{{Infobox settlement\n| name = Paris")
    assert documents[0].text.count("&nbsp;river &amp;") == 1  # XML's own escapes are undone, once
    assert documents[4].n_bytes > 2 * SECTION_BYTES
    assert caplog.messages == [
        f"{path.as_posix()}: skipped 1 articles without text, 1 pages of another content model, "
        "3 pages outside the article namespace, 3 redirects"
    ]


def test_cleaning_leaves_what_a_reader_reads(path):
    report = CleaningReport()
    documents = list(clean(read(path), DEFAULT_STEPS, report))
    assert documents[0].text == (
        "Paris is the capital of France. It lies on the Seine river & its banks.\n\n"
        "History\n\nThe Parisii settled here. See\nthe archive."
    )
    assert documents[2].text == "Ely is a town of the Fens."  # known to be a wiki, not recognized
    assert documents[3].text == (
        "北京是中华人民共和国的首都。这座城市有三千多年的历史。\n\n"
        "历史\n元朝在这里建立了大都,后来的人们叫它北京。"
    )
    assert next(row for row in report.rows() if row[0] == "wiki")[1:4] == (5, 5, 0)
    for document in documents:
        assert not re.search(r"[\[\]{}|]|==|''|<ref|Valley", document.text)


def test_a_long_article_is_cut_after_its_table_is_gone(path):
    documents = list(clean(read(path), DEFAULT_STEPS, CleaningReport()))
    rivers = documents[4:]
    assert [d.source.rpartition(":")[2] for d in rivers] == ["Rivers", "Rivers#2"]
    assert all(document.n_bytes <= SECTION_BYTES for document in rivers)
    text = "".join(document.text for document in rivers)
    assert text.startswith("Rivers are long.\n\nThey all flow into the sea.\n\nA river runs")
    assert text.count("A river runs") == 700


def test_articles_are_cut_even_where_nothing_is_cleaned(path):
    documents = list(clean(read(path), (), CleaningReport()))
    assert "".join(d.text for d in documents) == "".join(d.text for d in read(path))
    assert max(document.n_bytes for document in documents) <= SECTION_BYTES


@pytest.mark.parametrize("n_characters", [1, 7, 1 << 16])
def test_where_the_parser_is_fed_changes_nothing(path, monkeypatch, n_characters):
    expected = read(path)
    monkeypatch.setattr("minillm.text.dumps._FED_CHARACTERS", n_characters)
    assert read(path) == expected


def test_the_last_revision_counts(tmp_path, dump):
    old = "<revision><text>An older text.</text></revision>"
    path = write(tmp_path / "a.xml", dump.replace("<revision>", f"{old}<revision>"))
    assert [d.text for d in read(path)] == [d.text for d in read(write(tmp_path / "b.xml", dump))]


def test_a_dump_without_namespaces_or_models_is_read(tmp_path, wrap_pages):
    xml = wrap_pages(("Tea", "Hot water and leaves."))
    bare = re.sub(r"<ns>.*</ns>|<model>.*</model>", "", xml)
    assert [d.text for d in read(write(tmp_path / "a.xml", bare))] == ["Hot water and leaves."]


def test_memory_is_that_of_a_page_not_of_the_dump(tmp_path, wrap_pages):
    text = "Some words of an article about nothing.\n" * 500  # 20 kB
    path = write(tmp_path / "a.xml", wrap_pages(*((f"Page {n}", text) for n in range(400))))
    tracemalloc.start()
    try:
        n_read = sum(document.n_bytes for document in read_dump(path, "strict"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == 400 * len(text)
    assert peak < 0.6 * path.stat().st_size  # two pieces of 1 MB are decoded at a time


# Damage.


def test_a_packed_file_that_is_cut_short_is_named(tmp_path, dump):
    raw = bz2.compress(dump.encode())
    for n in (3, 100, len(raw) // 2, len(raw) - 1):
        path = tmp_path / "wiki.xml.bz2"
        path.write_bytes(raw[:n])
        with pytest.raises(DataError, match=r"wiki\.xml\.bz2: damaged or not a \.bz2 file"):
            read(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda xml: xml[: len(xml) // 2], r"damaged XML \(no element found: line \d+, column"),
        (lambda xml: xml.replace("</title>", "</titel>", 1), r"damaged XML \(mismatched tag: line"),
        (lambda xml: xml.replace("&amp;", "&tea;", 1), r"damaged XML \(undefined entity.*: line"),
        (lambda _: "<html><body>Tea</body></html>", "the first element is <html>; expected a Medi"),
        (lambda _: "Just text.", "damaged XML"),
        (
            lambda xml: '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + xml,
            "it declares the entity 'a'",
        ),
    ],
)
def test_damaged_xml_says_where(tmp_path, dump, damage, message):
    with pytest.raises(DataError, match=rf"wiki\.xml: {message}"):
        read(write(tmp_path / "wiki.xml", damage(dump)))


def test_invalid_utf8_names_the_byte_row22(tmp_path, dump):
    raw = dump.encode().replace("北京".encode(), b"\xe5\x8c\xff", 1)
    path = write(tmp_path / "wiki.xml", raw)
    offset = raw.index(b"\xe5\x8c\xff")
    with pytest.raises(DataError, match=rf"wiki\.xml: invalid UTF-8 at byte {offset} \(0xe5"):
        read(path)
    assert "\ufffd" in read(path, errors="replace")[3].source


def test_a_folder_takes_dumps_and_leaves_other_xml(tmp_path, dump, caplog):
    write(tmp_path / "wiki.xml.bz2", dump)
    write(tmp_path / "drawing.xml", "<svg></svg>")
    write(tmp_path / "empty.xml", "")
    write(tmp_path / "notes.txt", "A note of my own.")
    with caplog.at_level(logging.WARNING):
        documents = read(tmp_path)
    assert documents[0].text == "A note of my own."
    assert [d.source.rpartition(":")[2] for d in documents[1:]] == TITLES
    assert "skipped files of kinds that are not read: 2 × .xml" in caplog.messages[0]
    assert not is_dump(tmp_path / "drawing.xml")
    assert is_dump(tmp_path / "wiki.xml.bz2")


@pytest.mark.parametrize("threads", ["2", "1", "auto"])
def test_pretraining_on_a_dump(dump, tmp_path, monkeypatch, capsys, caplog, threads):
    used = set()

    def watched(*arguments, **options):
        used.add(options["threads"])
        return encode_documents(*arguments, **options)

    monkeypatch.setattr("minillm.data.prepared.encode_documents", watched)
    path, out = write(tmp_path / "wiki.xml.bz2", dump), str(tmp_path / "run")
    tiny = (
        "--vocab-size 277 --d-model 6 --n-layers 1 --n-heads 3 --context-length 13 --batch-size 5 "
        f"--threads {threads} --dtype float32 --backend sdpa --steps 3"
    )
    assert main(["pretrain", "--corpus", str(path), "--out", out, *tiny.split()]) == 0
    assert used == {n_available_cores() if threads == "auto" else int(threads)}
    assert "3 redirects" in caplog.text
    capsys.readouterr()
    words = ["--checkpoint", out, "--prompt", "Paris is", "--max-new-tokens", "5"]
    assert main(["generate", *words]) == 0
    assert capsys.readouterr().out.startswith("Paris is")
