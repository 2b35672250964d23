"""How the search is told: question, answer, hint, search, and its two ends."""

from __future__ import annotations

from minillm.text.world.wording_rows import Row, row

SEARCH: dict[str, tuple[Row, ...]] = {
    "ask": (
        row(
            4,
            '" where {is} the {color} {object} ? " {asked} {other} .',
            "“ {color} {object} 在 哪里 ？ ” {other} {asked} 。",
        ),
        row(
            3,
            '" may I have the {object} now ? " {asked} {other} .',
            "“ 现在 可以 给 我 {object} 吗 ？ ” {other} {asked} 。",
        ),
        row(
            2,
            '" can you show me the {size} {object} ? " {asked} {other} .',
            "“ 能 给 我 看看 {those} {measure} {size} {object} 吗 ？ ” {other} {asked} 。",
        ),
        row(
            3,
            "{other} wanted to see the {size} {object} again .",
            "{other} 想 再 看看 {those} {measure} {size} {object} 。",
        ),
        row(
            3,
            "{other} asked {person} for the {color} {object} .",
            "{other} 向 {person} 要 {those} {measure} {color} {object} 。",
        ),
    ),
    "answer": (
        row(
            4,
            '" {it} {is} in the {container_color} {container} {under} the {hiding_place} , " '
            "{answered} {person} .",
            "“ 在 {hiding_place} {side} 的 {container_color} {container} 里 。 ” {person} "
            "{answered} 。",
        ),
        row(
            3,
            '" look {under} the {hiding_place} , " {answered} {person} .',
            "“ 看看 {hiding_place} {side} 吧 。 ” {person} {answered} 。",
        ),
        row(
            3,
            "{person} told {other_her} to look {under} the {hiding_place} .",
            "{person} 让 {other_she} 去 看看 {hiding_place} {side} 。",
        ),
        row(
            2,
            "{person} only pointed to the {hiding_place} .",
            "{person} 只 指了指 {hiding_place} 。",
        ),
    ),
    "hint": (
        row(
            3,
            '" now look in the {container_color} {container} ! " {said} {person} .',
            "“ 现在 看看 {container_color} {container} 里面 吧 ！ ” {person} {said} 。",
        ),
        row(
            3,
            '" I hid something {under} the {hiding_place} , " {said} {person} .',
            "“ 我 在 {hiding_place} {side} 藏 了 东西 。 ” {person} {said} 。",
        ),
        row(
            3,
            "{person} told {other} about the {container_color} {container} {under} the "
            "{hiding_place} .",
            "{person} 告诉 {other} ， {hiding_place} {side} 有 一 {measure_container} "
            "{container_color} {container} 。",
        ),
        row(
            2,
            "{person} gave {other} a hint and pointed to the {hiding_place} .",
            "{person} 给了 {other} 一 个 提示 ， 指了指 {hiding_place} 。",
        ),
    ),
    "search": (
        row(
            4,
            "{other_she} ran to the {hiding_place} and looked into the {container_color} "
            "{container} .",
            "{other_she} 跑 到 {hiding_place} 那儿 ， 看了看 {container_color} {container} 里面 。",
        ),
        row(
            3,
            "{other_she} looked {under} the {hiding_place} and found the {container_color} "
            "{container} .",
            "{other_she} 在 {hiding_place} {side} 找到了 {container_color} {container} 。",
        ),
        row(
            3,
            "they went to the {hiding_place} together .",
            "他们 一起 走 到 {hiding_place} 那儿 。",
        ),
        row(
            3,
            "{other} {slowly} looked into the {container} {under} the {hiding_place} .",
            "{other} {slowly} 看了看 {hiding_place} {side} 的 {container} 里面 。",
        ),
    ),
    "found": (
        row(
            4,
            "the {color} {object} {was} still there , and {other} {laughed} .",
            "{color} {object} 还 在 那里 ， {other} {laughed} 。",
        ),
        row(
            3,
            "{other_she} took the {object} out of the {container} and {laughed} .",
            "{other_she} 从 {container} 里 拿出 {object} ， {laughed} 。",
        ),
        row(
            3,
            "{other} {laughed} when {other_she} saw the {color} {object} .",
            "{other} 一 看见 {color} {object} 就 {laughed} 。",
        ),
        row(
            2,
            "inside , they found the {size} {color} {object} , just as before .",
            "他们 在 里面 找到了 {those} {measure} {size} {color} {object} ， 和 原来 一样 。",
        ),
        row(
            2,
            "there {was} the {size} {object} , and {other} {laughed} .",
            "{those} {measure} {size} {object} 就 在 那里 ， {other} {laughed} 。",
        ),
        row(
            3,
            '" there {it} {is} ! " {said} {other} .',
            "“ 找到 {it} 了 ！ ” {other} {said} 。",
        ),
    ),
    "lost": (
        row(3, "but the {container} was empty .", "可是 {container} 是 空的 。"),
        row(
            3,
            "but the {color} {object} {was} gone .",
            "可是 {color} {object} 不见了 。",
        ),
        row(
            3,
            "there was nothing in the {container_color} {container} .",
            "{container_color} {container} 里 什么 也 没有 。",
        ),
        row(
            2,
            "the {object} {was} not there , and {other} {sighed} .",
            "{object} 不 在 那里 ， {other} {sighed} 。",
        ),
        row(
            2,
            "{other_she} looked everywhere , but the {object} {was} gone .",
            "{other_she} 到处 寻找 ， 可是 {object} 不见了 。",
        ),
    ),
}
