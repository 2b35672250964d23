"""A Wikipedia in small: articles as they are written, and the pages around them."""

from xml.sax.saxutils import escape, quoteattr

import pytest

PARIS = """{{Infobox settlement
| name = Paris
| population = {{formatnum:2102650}} <!-- of 2023 -->
| motto = {{lang|la|[[Fluctuat nec mergitur]]}}
}}
[[File:Tour Eiffel.jpg|thumb|The [[Eiffel Tower]] in May]]
'''Paris''' is the [[capital city|capital]] of [[France]].<ref>{{cite web|url=https://example.org
|title=A city}}</ref> It lies on the [[Seine]]&nbsp;river &amp; its banks.<ref name="a" />

== History ==
{| class="wikitable"
! Year !! Inhabitants
|-
| 1801 || 546,856
|}
The [[Parisii (Gaul)|Parisii]] settled here.{{citation needed|date=May 2024}} See
[https://example.org the archive].

[[Category:Capitals in Europe]]
"""
TEA = """'''Tea''' is a drink made of leaves of ''[[Camellia sinensis]]'' and hot water.
It is drunk with milk by many, and with lemon by some.

== Kinds ==
* [[Green tea]], which is not fermented
* [[Black tea]], which is
"""
STUB = "[[Ely]] is a town of the [[Fens]]."  # one kind of markup: too little to recognize a wiki
BEIJING = """{{城市信息框|名称=北京}}
'''北京'''是[[中华人民共和国]]的[[首都]]。<ref>某书</ref>这座城市有三千多年的历史。

== 历史 ==
元朝在这里建立了[[大都]],后来的人们叫它[[北京市|北京]]。
[[分类:中国城市]]
"""
ROWS = "".join(f"|-\n| {n} || river number {n} || [[Valley {n}]]\n\n" for n in range(1200))
RIVERS = (
    "'''Rivers''' are long.\n\n{|\n! Number !! Name !! Place\n"
    f"{ROWS}|}}\n\nThey all flow into the [[sea]].\n\n"
    + "A river runs from its source to its mouth, as every child knows.\n\n"
    * 700
)


def page(title, text, *, namespace=0, redirect=None, model="wikitext"):
    target = "" if redirect is None else f"<redirect title={quoteattr(redirect)} />"
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{namespace}</ns>
    <id>7</id>{target}
    <revision>
      <id>11</id>
      <contributor><username>text</username></contributor>
      <comment>an older text</comment>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text.encode())}" xml:space="preserve">{escape(text)}</text>
      <sha1>0</sha1>
    </revision>
  </page>
"""


def wrap(*pages):
    return f"""<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <namespaces><namespace key="0" /><namespace key="1">Talk</namespace></namespaces>
  </siteinfo>
{"".join(pages)}</mediawiki>
"""


@pytest.fixture
def dump():
    """A dump of five articles and of eight pages that are none."""
    return wrap(
        page("Paris", PARIS),
        page("City of Light", "#WEITERLEITUNG [[Paris]]", redirect="Paris"),  # in other words
        page("Talk:Paris", "I think that '''Paris''' is [[nice]].", namespace=1),
        page("Tea & milk", TEA),
        page("Chai", "#redirect [[Tea]] {{R from other name}}"),  # dumps before 2011 say no more
        page("Template:Cite web", "{{{1}}}", namespace=10),
        page("Ely", STUB),
        page("北京", BEIJING),
        page("北平", "#重定向 [[北京]]"),
        page("Rivers", RIVERS),
        page("Numbers", '{"a": 1}', model="json"),
        page("User:Me", "A page of mine.", namespace=2),
        page("Empty", " \n"),
    )


@pytest.fixture
def wrap_pages():
    """Build other dumps."""
    return lambda *pages: wrap(*(page(*one) for one in pages))
