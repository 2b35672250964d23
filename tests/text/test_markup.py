import time

import pytest

from minillm.text.markup import html_to_text, is_html, is_wiki, wiki_to_text

PAGE = """<!DOCTYPE html><html><head><title>T</title><style>p > b {x: y}</style></head>
<body><NAV><ul><li>Home<li>About</ul></NAV>
<h1>Cats &amp; dogs</h1>
<p>They  sleep <b>a lot</b>,
and <a href="x" title="a > b">purr</a>. List<int> stays; 3&lt;4.<br/>New&nbsp;line</p>
<pre>def f():
    return 1
</pre><script>if (a<b) { x = "<p>wrong</p>" }</script><!-- hidden <p> -->
<table><tr><td>1</td><td>2</td></tr></table><footer>(c)</footer></body></html>"""

ARTICLE = """{{Infobox|name={{small|x}}|[[a]]}}
'''Paris''' is the [[Capital city|capital]]<ref name="a">Smith [http://x y]</ref> of [[France]].
[[File:x.jpg|thumb|A [[cat]] sits]]
== History ==
* It's ''old''.<ref name=b />
{| class=x
|-
| 1
|}
See [https://x.org the site].<!-- no --> __NOTOC__
[[Category:Cities]]"""

ABOUT_MARKUP = [
    "The <p> element opens a paragraph, and </p> closes it. Use <b> with care: " + "words " * 200,
    "A value of type List<int> or Map<String, List<int>> is returned if a < b and c > d.",
    'Replace special characters "&", "<" and ">" to HTML-safe sequences, such as &amp; and &gt;.',
    "In HTML the sign < is written &lt; to be shown.",
    "Tom & Jerry; AT&T; if (a && b) x = &y;",
    "matrix = [[1, 2], [3, 4]]; rows = [[a, b], [c, d]]; f'{{literal}}'",
    "Use '''triple quotes''' for strings.\n\nHeading\n=======\n\nText == more text ==",
    "email <ann@example.org> wrote on 5 < 6 days. :-> <3",
]


def test_html_page_by_hand():
    assert is_html(PAGE)
    assert html_to_text(PAGE) == (
        "Cats & dogs\n\nThey sleep a lot, and purr. List<int> stays; 3<4.\nNew line\n\n"
        "def f():\n    return 1\n\n1 2"
    )


def test_wiki_page_by_hand():
    assert is_wiki(ARTICLE)
    assert wiki_to_text(ARTICLE) == (
        "Paris is the capital of France.\n\nHistory\n* It's old.\n\nSee the site."
    )


@pytest.mark.parametrize("text", ABOUT_MARKUP)
def test_english_about_markup_is_not_markup(text):
    assert not is_html(text)
    assert not is_wiki(text)


@pytest.mark.parametrize(
    "text", ["Tom &amp; Jerry&#39;s", "<html>x", "<p>a</p><p>b</p>", "a<br>" * 4, "&nbsp;x"]
)
def test_fragments_are_recognized(text):
    assert is_html(text)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<nav>never closed <p>but text", "never closed\n\nbut text"),
        ("<script>never closed", "never closed"),
        ("a <!-- never closed", "a never closed"),
        ("<p title=don't>kept</p>", "kept"),
        ("&#0; &#xD800; &#99999999; &copy &copy;", "\ufffd \ufffd &#99999999; &copy ©"),
        ("", ""),
        ("<nav>a</nav></nav></footer>b", "b"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"),
    ],
)
def test_broken_html_loses_no_text(source, shown):
    assert html_to_text(source) == shown


def test_long_digits_do_not_raise():  # html.unescape refuses more than 4300 digits
    text = "&#" + "1" * 5000 + ";"
    assert html_to_text(text) == text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{never [[closed]] '''", "{{never closed"),
        ("]] }} |} text", "]] }} |} text"),
        ("#REDIRECT [[Paris]]", None),
        ("[[:Category:Cats]]", "Category:Cats"),
        ("[http://x.org]", ""),
        ("[[a|b|c]]", "c"),
        ("a{{b|{{c}}|[[d]]}}e", "ae"),
    ],
)
def test_wiki_details(source, shown):
    assert wiki_to_text(source) == shown


@pytest.mark.parametrize(
    "unit",
    ["<", "<!--", "<a ", "<a '", '<p a="', "<script>", "</", "<![", "<?", "&#1", "&amp",
     "[[", "{{", "{{a|", "[[a|", "[http://", "'''", "==\n", "<ref>", "__A", "<p><nav>"],
)  # fmt: skip
def test_hostile_input_takes_linear_time(unit):
    """Read 200 kB in well under a second; one quadratic pattern took 20 s, an exponential never."""
    text = (unit * 200_000)[:200_000]
    start = time.process_time()
    for function in (is_html, html_to_text, is_wiki, wiki_to_text):
        function(text)
    assert time.process_time() - start < 10
