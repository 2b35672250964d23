"""Surprisal as a picture and as HTML: each token once, in its color, safe to show."""

import pytest
from matplotlib.colors import to_hex

from minillm.plots.surprisal import SURPRISAL_COLORMAP, plot_surprisal, surprisal_html

TOKENS = ["The", " cat", "\n", " sat", "<b>"]
BITS = [0.0, 6.0, 1.0, 12.0, 99.0]


def test_every_token_stands_in_its_color():
    figure = plot_surprisal(TOKENS, BITS)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["The", " cat", "⏎", " sat", "<b>"]
    colors = [to_hex(patch.get_facecolor()) for patch in axes.patches]
    dark = to_hex(SURPRISAL_COLORMAP(1.0))
    assert colors == ["#ffffff", to_hex(SURPRISAL_COLORMAP(0.5)), colors[2], dark, dark]


def test_lines_break_after_a_line_feed_and_where_they_are_full():
    figure = plot_surprisal(["ab", "\n", "cdef", "gh"], [1.0] * 4, columns=5)
    places = [text.get_position() for text in figure.axes[0].texts]
    assert places == [(0, 0.5), (2, 0.5), (0, 1.5), (0, 2.5)]


def test_html_is_escaped_says_what_it_shows_and_is_always_the_same():
    page = surprisal_html(TOKENS, BITS, guesses=["<i>"] * 5)
    assert page == surprisal_html(TOKENS, BITS, guesses=["<i>"] * 5)
    assert "<b>" not in page
    assert "<i>" not in page
    assert 'aria-label="Text colored by surprisal' in page
    assert "cat: 6.0 bits · expected: &lt;i&gt;" in page
    assert page.count("<span") == len(TOKENS)


@pytest.mark.parametrize("plot", [plot_surprisal, surprisal_html])
def test_lengths_must_agree(plot):
    for tokens, bits in (([], []), (["a"], [1.0, 2.0])):
        with pytest.raises(ValueError, match="one number for each token"):
            plot(tokens, bits)
    with pytest.raises(ValueError, match="2 guesses do not fit 1"):
        surprisal_html(["a"], [1.0], guesses=["b", "c"])
