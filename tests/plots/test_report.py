import re
from html.parser import HTMLParser

import pytest

from minillm.plots.curves import plot_bits_per_byte
from minillm.plots.page import escaped
from minillm.plots.report import Report, Sample

VOID = {"meta", "link", "img", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed wrongly; collects ids, links and visible text."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def parse(report):
    parser = Balanced()
    parser.feed(report.to_html())
    assert parser.open == []
    return parser


NASTY = "<script>alert('&')</script>\x00\x1b\ud800\u202e **bold** `code`"


def full_report():
    report = Report(f"Title {NASTY}", subtitle=NASTY, footer=NASTY)
    report.stats({f"label {NASTY}": 1})
    report.section(f"One {NASTY}", lead=NASTY).text(f"{NASTY}\n\nsecond")
    report.table([NASTY, "n"], [[NASTY, 1], ["b", 2000]], caption=NASTY)
    report.callout(NASTY, kind="warning").bars({NASTY: 2.0, "b": 1.0}, highlight="b", caption=NASTY)
    report.section("Two").figure(plot_bits_per_byte({"a": 1.0}), alt=NASTY, caption=NASTY)
    return report.samples([Sample(NASTY, NASTY, NASTY)]).command(NASTY)


def test_nothing_that_is_passed_in_becomes_markup():
    page = full_report().to_html()
    assert "<script" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e]", page)
    assert "alert(&#x27;&amp;&#x27;)" in page
    assert full_report().to_html() == page


def test_tags_are_balanced_and_the_head_links_to_every_section():
    parser = parse(full_report())
    ids = [value for tag, name, value in parser.attributes if (tag, name) == ("section", "id")]
    links = [value for tag, name, value in parser.attributes if (tag, name) == ("a", "href")]
    assert ids == ["section-1", "section-2"]
    assert links == ["#section-1", "#section-2"]
    parse(Report("empty"))
    parse(Report("no section").text("text"))


def test_the_page_fetches_nothing():
    page = full_report().to_html()
    found = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)|@import', page)
    assert all(link.startswith(("#", "data:")) for link, _ in found)
    assert not any(url for _, url in found)
    assert "http" not in re.sub(r'base64,[^"]*', "", page)


def test_every_picture_has_words_and_every_theme_its_colors():
    parser = parse(full_report())
    images = [name for tag, name, _ in parser.attributes if tag == "img"]
    assert images.count("alt") == images.count("src") == 1
    assert "prefers-color-scheme: dark" in full_report().to_html()


def test_samples_are_shown_to_the_letter():
    text = "  def f(x):\n\n    return '<|eos|>' & \"**no markup** `here`\"  "
    page = Report("r").samples([Sample("after", text, prompt="Say ")]).to_html()
    assert f'<div class="sample"><b>Say </b>{escaped(text)}</div>' in page
    assert text in parse(Report("r").samples([Sample("after", text)])).text


def test_markup_is_code_bold_and_paragraphs():
    page = Report("r").text("`a<b` and **bold**\n\nnext `x\ny` 2 * 3 ** 4").to_html()
    assert (
        "<p><code>a&lt;b</code> and <strong>bold</strong></p><p>next `x\ny` 2 * 3 ** 4</p>" in page
    )


def test_columns_of_numbers_stand_on_the_right():
    rows = [["unicode", 1282, "12.5 %", None], ["html", 3, "–", "x"]]
    page = Report("r").table(["step", "n", "share", "note"], rows).to_html()
    assert (
        '<th>step</th><th class="number">n</th><th class="number">share</th><th>note</th>' in page
    )
    assert '<td class="number">1,282</td><td class="number">12.5 %</td><td></td>' in page
    assert "<th>step</th>" in Report("r").table(["step"], []).to_html()


def test_bars_are_in_proportion():
    page = Report("r").bars({"a": 8.0, "b": 2.0}, highlight="b").to_html()
    assert [float(w) for w in re.findall(r"width:([\d.]+)%", page)] == [88.0, 22.0]
    assert '<span class="best">b</span>' in page
    assert "width:0.00%" in Report("r").bars({"a": 0.0}).to_html()


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="a row has 1 cells, the table 2 columns"):
        Report("r").table(["a", "b"], [[1]])
    with pytest.raises(ValueError, match="kind must be"):
        Report("r").callout("x", kind="danger")


def test_save_makes_folders_and_writes_utf8(tmp_path):
    path = Report("标题").save(tmp_path / "runs" / "tour" / "report.html")
    assert "<title>标题</title>" in path.read_text(encoding="utf-8")
