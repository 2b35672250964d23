import pytest
import torch

from exercises.figures_09 import plot_blocks, plot_lines


def lines_of(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def test_every_line_stands_in_its_panel_with_its_numbers():
    panels = {
        "A": {"one": [5.0, 7.0], "two": torch.tensor([2.0, 3.0])},
        "B": {"three": (torch.tensor([10, 30]), [1.0, 4.0])},
    }
    figure = plot_lines(panels, xlabel="step", ylabel="loss (nats)", log_y=True, ylim=(1, 9))
    left, right = figure.axes
    assert lines_of(left) == {"one": [[0, 5], [1, 7]], "two": [[0, 2], [1, 3]]}
    assert lines_of(right) == {"three": [[10, 1], [30, 4]]}
    assert [axes.get_title(loc="left") for axes in (left, right)] == ["A", "B"]
    assert [axes.get_xlabel() for axes in (left, right)] == ["step", "step"]
    assert left.get_ylabel() == "loss (nats)"
    assert (left.get_yscale(), right.get_yscale(), left.get_xscale()) == ("log", "log", "linear")
    assert left.get_ylim() == right.get_ylim() == (1, 9)
    colors = [line.get_color() for line in left.get_lines()]
    assert len(set(colors)) == len(colors)


@pytest.mark.parametrize("panels", [{}, {"A": {}}])
def test_nothing_to_draw_is_refused(panels):
    with pytest.raises(ValueError, match="every panel needs a line"):
        plot_lines(panels, xlabel="step", ylabel="loss")


def test_the_plan_puts_each_norm_where_it_belongs():
    before, after = plot_blocks().axes
    heights = [
        [text.get_position()[1] for text in axes.texts if text.get_text() == "norm"]
        for axes in (before, after)
    ]
    assert heights == [[1, 1], [0, 0]]  # in the side streets; on the road
    for axes in (before, after):
        names = [text.get_text() for text in axes.texts]
        assert names.index("attention") < names.index("feed-forward")
        assert names.count("⊕") == 2
