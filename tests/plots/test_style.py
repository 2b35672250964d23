import base64
import io
import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from minillm.plots import style
from minillm.plots.curves import plot_bits_per_byte
from minillm.plots.style import PALETTE, drawable, figure_to_html, make_figure, styled


def test_a_figure_shows_itself_in_a_notebook_without_pyplot():
    code = (
        "import sys, json; from minillm.plots.curves import plot_bits_per_byte as plot\n"
        "from IPython.core.formatters import DisplayFormatter\n"
        "bundle, metadata = DisplayFormatter().format(plot({'a': 1.0}))\n"
        "png = bundle['image/png']\n"
        "print(json.dumps([str(png[:8]), metadata, 'matplotlib.pyplot' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    png, metadata, has_pyplot = json.loads(done.stdout)
    assert "PNG" in png
    assert metadata == {"image/png": {"width": 730, "height": 130}}
    assert not has_pyplot


def test_the_stored_picture_is_sharp_and_small():
    data, shown = plot_bits_per_byte({"a": 1.0, "b": 2.0})._repr_png_()
    assert Image.open(io.BytesIO(data)).width == pytest.approx(1.5 * shown["width"], abs=2)
    assert len(data) < 100_000


def test_html_is_self_contained_repeatable_and_escapes_its_alt_text():
    figures = [plot_bits_per_byte({"a": 1.0}) for _ in range(2)]
    first, second = (figure_to_html(figure, 'a "bar" <b>') for figure in figures)
    assert first == second
    assert first.startswith('<img alt="a &quot;bar&quot; &lt;b&gt;"')
    svg = base64.b64decode(re.search(r"base64,([^\"]+)", first)[1]).decode()
    assert "<dc:date>" not in svg
    assert not re.search(r'(?:href|src)="(?!#|data:)', svg)


@pytest.mark.parametrize("alt", ["", " \n"], ids=repr)
def test_a_figure_needs_words(alt):
    with pytest.raises(ValueError, match="alt must say in words"):
        figure_to_html(make_figure(1, 1), alt)


def test_the_readers_settings_do_not_reach_a_figure_nor_ours_the_reader():
    import matplotlib as mpl

    @styled
    def plot():
        return mpl.rcParams["axes.facecolor"], mpl.rcParams["axes.spines.top"]

    with mpl.rc_context({"axes.facecolor": "red"}):
        assert plot() == ("white", False)
        assert mpl.rcParams["axes.facecolor"] == "red"
        assert mpl.rcParams["axes.spines.top"]


def test_what_no_font_draws_is_spelled_out():
    assert drawable("the") == "the"
    assert drawable("a\tb\n") == "a⇥b⏎"
    assert drawable("\x07\x7f\u200b") == r"\x07\x7f\u200b"
    assert drawable("\ufffd") == "\ufffd"
    assert drawable("\U0010fffd") == r"\U0010fffd"


def test_chinese_is_drawn_or_spelled_out_but_never_an_empty_box(monkeypatch):
    assert drawable("模型") in ("模型", r"\u6a21\u578b")
    monkeypatch.setattr(style, "_characters", lambda: frozenset(range(128)))
    assert drawable("a模型") == r"a\u6a21\u578b"


def luminance(color):
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colors_differ_and_weights_darken_steadily():
    assert len(set(PALETTE)) == len(PALETTE)
    shades = [style.WEIGHTS_COLORMAP(i / 20) for i in range(21)]
    gray = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in shades]
    assert gray == sorted(gray, reverse=True)
    assert gray[0] == pytest.approx(1.0)
    assert abs(luminance(style.BLUE) - luminance(style.VERMILLION)) > 0.02
