"""How the opening is told: who comes where and when, and with what."""

from __future__ import annotations

from minillm.text.world.wording_rows import Row, row

OPENING: dict[str, tuple[Row, ...]] = {
    "arrive": (
        row(
            5,
            "one {weather} {time} , {person} went to the {place} .",
            "一 个 {weather} {time} ， {person} 去了 {place} 。",
        ),
        row(
            4,
            "on {article_weather} {weather} {time} , {person} {visited} the {place} .",
            "在 一 个 {weather} {time} ， {person} {visited} {place} 。",
        ),
        row(
            3,
            "{person} was {at_place} the {place} on {article_weather} {weather} {time} .",
            "一 个 {weather} {time} ， {person} 待 在 {in_place} 。",
        ),
        row(
            3,
            "it was {article_weather} {weather} {time} , and {person} was {at_place} the {place} .",
            "这 是 一 个 {weather} {time} ， {person} 正 在 {in_place} 。",
        ),
        row(
            2,
            "once , on {article_weather} {weather} {time} , {person} {walked} to the {place} .",
            "有 一 次 ， 在 一 个 {weather} {time} ， {person} {walked} {place} 。",
        ),
        row(
            2,
            "{person} spent {article_weather} {weather} {time} {at_place} the {place} .",
            "{person} 在 {in_place} 度过了 一 个 {weather} {time} 。",
        ),
    ),
    "object": (
        row(
            5,
            "{she} had {article} {size} {color} {object} .",
            "{she} 有 {number} {measure} {size} {color} {object} 。",
        ),
        row(
            4,
            "{hers} {mother} had given {her} {article} {size} {color} {object} .",
            "{she} 的 {mother} 送给 {she} {number} {measure} {size} {color} {object} 。",
        ),
        row(
            3,
            "near the {gate} , {she} found {article} {size} {color} {object} .",
            "在 {gate} 旁边 ， {she} 捡到了 {number} {measure} {size} {color} {object} 。",
        ),
        row(
            3,
            "{person} had brought {article} {size} {color} {object} .",
            "{person} 带来了 {number} {measure} {size} {color} {object} 。",
        ),
        row(
            2,
            "{person} {proudly} carried {article} {size} {color} {object} .",
            "{person} {proudly} 带着 {number} {measure} {size} {color} {object} 。",
        ),
        row(
            2,
            "in {hers} {pocket} there {was} {article} {size} {color} {object} .",
            "{she} 的 {pocket} 里 有 {number} {measure} {size} {color} {object} 。",
        ),
    ),
    "meet": (
        row(
            4,
            "{hers} {relation} {other} was there too .",
            "{she} 的 {relation} {other} 也 在 那里 。",
        ),
        row(
            4,
            "then {hers} {relation} {other} came along .",
            "不久 ， {she} 的 {relation} {other} 也 来了 。",
        ),
        row(
            3,
            "{other} , {hers} {relation} , was waiting for {her} .",
            "{other} 是 {she} 的 {relation} ， 正 在 等 {she} 。",
        ),
        row(
            4,
            "{person} met {hers} {relation} {other} there .",
            "{person} 遇见了 {she} 的 {relation} {other} 。",
        ),
        row(
            2,
            "{she} {waved} to {hers} {relation} {other} .",
            "{she} 向 {she} 的 {relation} {other} {waved} 。",
        ),
        row(
            2,
            "soon {hers} {relation} {other} came to join {her} .",
            "很快 ， {she} 的 {relation} {other} 来 找 {she} 了 。",
        ),
        row(
            3,
            '" hello , {person} ! " {said} {hers} {relation} {other} .',
            "“ 你好 ， {person} ！ ” {she} 的 {relation} {other} {said} 。",
        ),
    ),
    "clothing": (
        row(
            4,
            "{other} was wearing {article_clothing} {clothing_color} {clothing} .",
            "{other} {wear} 一 {measure_clothing} {clothing_color} {clothing} 。",
        ),
        row(
            3,
            "{other_she} wore {article_clothing} {clothing_color} {clothing} that day .",
            "{other_she} 那天 {wear} 一 {measure_clothing} {clothing_color} {clothing} 。",
        ),
        row(
            3,
            "{other_hers} {clothing_color} {clothing} looked {nice} .",
            "{other_she} 的 {clothing_color} {clothing} 看上去 很 {nice} 。",
        ),
        row(
            3,
            "{she} {liked} {other_hers} {clothing_color} {clothing} .",
            "{she} {liked} {other_she} 的 {clothing_color} {clothing} 。",
        ),
        row(
            2,
            "there were {stars} on {other_hers} {clothing_color} {clothing} .",
            "{other_she} 的 {clothing_color} {clothing} 上 有 {stars} 。",
        ),
    ),
    "animal": (
        row(
            4,
            "{article_trait} {animal_trait} {animal} was {sitting} near the {gate} .",
            "一 {measure_animal} {animal_trait} {animal} 在 {gate} 旁边 {sitting} 。",
        ),
        row(
            3,
            "suddenly , {article_trait} {animal_trait} {animal} {rushed} past the {gate} .",
            "突然 ， 一 {measure_animal} {animal_trait} {animal} 从 {gate} 旁边 {rushed} 了 "
            "过去 。",
        ),
        row(
            3,
            "{she} saw {article_trait} {animal_trait} {animal} near the {gate} .",
            "{she} 在 {gate} 旁边 看见了 一 {measure_animal} {animal_trait} {animal} 。",
        ),
        row(
            3,
            "{person} heard a noise , and {article_trait} {animal_trait} {animal} appeared .",
            "{person} 听见 响声 ， 原来 来了 一 {measure_animal} {animal_trait} {animal} 。",
        ),
        row(
            2,
            "there was {article_trait} {animal_trait} {animal} near the {gate} .",
            "{gate} 旁边 有 一 {measure_animal} {animal_trait} {animal} 。",
        ),
    ),
    "hide": (
        row(
            4,
            "{person} put the {color} {object} in {article_container} {container_color} "
            "{container} {under} the {hiding_place} .",
            "{person} 把 {color} {object} 放进 {hiding_place} {side} 的 {container_color} "
            "{container} 里 。",
        ),
        row(
            4,
            "to keep {it_object} {safe} , {person} put {it_object} into {article_container} "
            "{container_color} {container} {under} the {hiding_place} .",
            "为了 {safe} ， {person} 把 {it} 放进 {hiding_place} {side} 的 {container_color} "
            "{container} 里 。",
        ),
        row(
            4,
            "{she} hid the {object} in {article_container} {container_color} {container} "
            "{under} the {hiding_place} .",
            "{she} 把 {object} 藏 在 {hiding_place} {side} 的 {container_color} {container} 里 。",
        ),
        row(
            3,
            "{under} the {hiding_place} , {person} found {article_container} {container_color} "
            "{container} and hid the {object} there .",
            "{person} 在 {hiding_place} {side} 找到 一 {measure_container} {container_color} "
            "{container} ， 把 {object} 藏 了 进去 。",
        ),
        row(
            2,
            "as a surprise for {other} , {person} hid the {object} in {article_container} "
            "{container_color} {container} {under} the {hiding_place} .",
            "为了 给 {other} 一 个 惊喜 ， {person} 把 {object} 藏 在 {hiding_place} {side} 的 "
            "{container_color} {container} 里 。",
        ),
        row(
            3,
            "when {other} was not looking , {she} put the {object} into {article_container} "
            "{container_color} {container} {under} the {hiding_place} .",
            "趁 {other} 没 看见 ， {she} 把 {object} 放进 {hiding_place} {side} 的 "
            "{container_color} {container} 里 。",
        ),
    ),
}
