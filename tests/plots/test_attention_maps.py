import numpy as np
import pytest
import torch

from minillm.plots.attention_maps import plot_attention, plot_attention_head
from minillm.plots.style import figure_to_html

L, H, T = 2, 3, 5
TOKENS = ["<|bos|>", "$x$ costs $", "模型", "\x00", "internationalization"]


@pytest.fixture
def weights():
    scores = torch.randn(L, H, T, T, generator=torch.Generator().manual_seed(0))
    hidden = ~torch.ones(T, T, dtype=torch.bool).tril()
    return scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)


def image(axes):
    return axes.images[0].get_array()


def test_each_map_is_its_layer_and_head_with_queries_as_rows(weights):
    figure = plot_attention(weights, TOKENS)
    assert len(figure.axes) == L * H + 1
    for index, axes in enumerate(figure.axes[: L * H]):
        shown = image(axes).filled(0)
        np.testing.assert_allclose(shown, weights[index // H, index % H], atol=1e-6)
    assert [figure.axes[i].get_title() for i in range(H)] == ["head 1", "head 2", "head 3"]
    assert [figure.axes[i * H].get_ylabel() for i in range(L)] == ["layer 1", "layer 2"]
    assert "query" in figure.get_supylabel()
    assert "key" in figure.get_supxlabel()


def test_all_maps_share_one_scale_from_zero_to_one(weights):
    for axes in plot_attention(weights, TOKENS).axes[: L * H]:
        assert axes.images[0].get_clim() == (0.0, 1.0)


def test_the_future_is_gray_only_where_nothing_reads_it(weights):
    (axes,) = plot_attention_head(weights[0, 0], TOKENS).axes[:1]
    hidden = np.ma.getmaskarray(image(axes))
    assert (hidden == np.triu(np.ones((T, T), dtype=bool), k=1)).all()
    (axes,) = plot_attention_head(torch.full((T, T), 1 / T), TOKENS).axes[:1]
    assert not np.ma.getmaskarray(image(axes)).any()


def test_tokens_are_shown_as_they_are(weights):
    axes = plot_attention_head(weights[0, 0], TOKENS).axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        shown = [label.get_text() for label in labels]
        assert shown[:2] == ["<|bos|>", "$x$ costs $"]
        assert shown[3:] == [r"\x00", "internation…"]
        assert not any(label.get_parse_math() for label in labels)


def test_drawing_any_token_gives_no_warning(weights):
    html = figure_to_html(plot_attention(weights, TOKENS), "six maps")  # warnings are errors
    assert html.startswith("<img")


def test_labels_stay_inside_the_figure_and_apart():
    tokens = ["extraordinarily"] * 32
    figure = plot_attention(torch.full((1, 2, 32, 32), 1 / 32), tokens)
    figure.draw_without_rendering()
    for labels, side in (
        (figure.axes[0].get_yticklabels(), "y"),
        (figure.axes[1].get_xticklabels(), "x"),
    ):
        boxes = [label.get_window_extent() for label in labels]
        assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes)
        assert all(figure.bbox.y0 <= b.y0 and b.y1 <= figure.bbox.y1 for b in boxes)
        starts = np.sort([getattr(b, f"{side}0") for b in boxes])
        size = 8.5 / 72 * figure.dpi
        assert np.diff(starts).min() >= size


def test_small_maps_hold_their_numbers(weights):
    axes = plot_attention_head(weights[0, 0], TOKENS).axes[0]
    written = {
        (int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts
    }
    for (query, key), text in written.items():
        assert text == f"{weights[0, 0, query, key]:.2f}"
        assert key <= query
    assert (0, 0) in written
    assert not plot_attention_head(torch.eye(13), ["a"] * 13).axes[0].texts


def test_wrong_shapes_are_refused(weights):
    with pytest.raises(ValueError, match=r"must be \(L, H, T, T\)"):
        plot_attention(weights[0], TOKENS)
    with pytest.raises(ValueError, match=r"must be \(T, T\)"):
        plot_attention_head(weights[0], TOKENS)
    with pytest.raises(ValueError, match="do not fit 4 tokens"):
        plot_attention(weights, TOKENS[:4])
    with pytest.raises(ValueError, match="do not fit 5 tokens"):
        plot_attention_head(weights[0, 0, :4], TOKENS)


@pytest.mark.parametrize("n_heads", [7, 12])
def test_many_heads_go_on_in_the_next_row(n_heads):
    weights = torch.rand(L, n_heads, T, T, generator=torch.Generator().manual_seed(0)).tril()
    tokens = ["extraordinarily"] * T
    figure = plot_attention(weights, tokens)
    maps = figure.axes[: L * n_heads]
    assert len(figure.axes) == L * n_heads + 1
    for index, axes in enumerate(maps):  # layer by layer, head by head
        shown = image(axes).filled(0)
        np.testing.assert_allclose(shown, weights[index // n_heads, index % n_heads], atol=1e-6)
        assert axes.get_title() == f"head {index % n_heads + 1}"
    figure.draw_without_rendering()
    columns = sorted({round(axes.get_position().x0, 3) for axes in maps})
    assert len(columns) == {7: 4, 12: 6}[n_heads]
    named = [axes for axes in maps if axes.xaxis.get_tick_params()["labelbottom"]]
    assert len(named) == len(columns)
    for x in columns:  # each column names its keys below its lowest map
        lowest = min(
            (axes for axes in maps if round(axes.get_position().x0, 3) == x),
            key=lambda axes: axes.get_position().y0,
        )
        labels = [label for label in lowest.get_xticklabels() if label.get_visible()]
        assert [label.get_text() for label in labels] == ["extraordina…"] * T
        box = labels[0].get_window_extent()
        assert lowest.get_window_extent().y0 >= box.y1
        assert box.y0 >= figure.bbox.y0


def test_labels_are_cut_by_the_width_that_is_drawn():
    tokens = ["中华人民共和国中央", "\x00" * 9, "short", "中文", "x" * 12]
    figure = plot_attention_head(torch.full((T, T), 1 / T), tokens)
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert shown[1:] == [r"\x00\x00…", "short", *shown[3:]]
    if shown[3] == "中文":  # a font is here
        assert shown[0] == "中华人民共…"  # eleven columns, two for each character
    assert max(map(len, shown)) <= 12
    assert shown[4] == "x" * 12
