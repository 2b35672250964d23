"""How the end is told: what is remembered, the way home, and the days after."""

from __future__ import annotations

from minillm.text.world.wording_rows import Row, row

END_OF_STORY: dict[str, tuple[Row, ...]] = {
    "forgotten": (
        row(
            3,
            "{other} nearly forgot {other_hers} {clothing_color} {clothing} .",
            "{other} 差点儿 忘了 {other_she} 的 {clothing_color} {clothing} 。",
        ),
        row(
            3,
            "{other_hers} {clothing_color} {clothing} was {dirty} now .",
            "{other_she} 的 {clothing_color} {clothing} 现在 {dirty} 了 。",
        ),
        row(
            2,
            "{person} helped {other} with {other_hers} {clothing_color} {clothing} .",
            "{person} 帮 {other} 整理 {clothing_color} {clothing} 。",
        ),
    ),
    "goodbye": (
        row(
            4,
            "they said goodbye to the {animal_trait} {animal} .",
            "他们 向 {animal_trait} {animal} 道别 。",
        ),
        row(
            3,
            "the {animal_trait} {animal} followed them home .",
            "{animal_trait} {animal} 跟着 他们 回家了 。",
        ),
        row(
            2,
            "{person} {waved} to the {animal_trait} {animal} .",
            "{person} 向 {animal_trait} {animal} {waved} 。",
        ),
        row(
            3,
            '" goodbye , {animal_trait} {animal} ! " {said} {person} .',
            "“ 再见 ， {animal_trait} {animal} ！ ” {person} {said} 。",
        ),
    ),
    "stolen": (
        row(
            3,
            "the {animal_trait} {animal} had taken {it_object} !",
            "原来 是 {animal_trait} {animal} 拿走了 {it} ！",
        ),
        row(
            3,
            "far away , the {animal_trait} {animal} was running with the {size} {color} {object} .",
            "远处 ， {animal_trait} {animal} 正 带着 {those} {measure} {size} {color} {object} "
            "逃跑 。",
        ),
        row(
            2,
            "{other} saw the {animal_trait} {animal} run away with the {color} {object} .",
            "{other} 看见 {animal_trait} {animal} 带着 {color} {object} 跑掉了 。",
        ),
    ),
    "leftovers": (
        row(
            3,
            "{person} took the rest of the {food} home .",
            "{person} 把 剩下的 {food} 带回了 家 。",
        ),
        row(
            3,
            "they {happily} ate the rest of the {food} .",
            "他们 {happily} 吃完了 剩下的 {food} 。",
        ),
        row(
            2,
            "all the {food} {was_food} gone .",
            "{food} 全 吃完了 。",
        ),
    ),
    "happy": (
        row(
            3,
            "{person} gave {other} the {size} {color} {object} , and they were {happy} .",
            "{person} 把 {those} {measure} {size} {color} {object} 送给了 {other} ， 他们 很 "
            "{happy} 。",
        ),
        row(
            3,
            "at last , {person} and {other} left the {place} with the {size} {color} {object} .",
            "最后 ， {person} 和 {other} 带着 {those} {measure} {size} {color} {object} "
            "离开了 {place} 。",
        ),
        row(
            3,
            "{person} thanked {hers} {relation} , and they went home from the {place} .",
            "{person} 谢过 {she} 的 {relation} ， 他们 就 从 {place} 回家了 。",
        ),
        row(
            3,
            "it had been a {great} {time} {at_place} the {place} .",
            "在 {in_place} ， 他们 度过了 一 个 {great} {time} 。",
        ),
        row(
            2,
            "they were {happy} all the way home .",
            "回家 的 路上 ， 他们 一直 很 {happy} 。",
        ),
        row(
            2,
            '" thank you for the {size} {color} {object} ! " {said} {other} .',
            "“ 谢谢 你 送 我 {those} {measure} {size} {color} {object} ！ ” {other} {said} 。",
        ),
    ),
    "sad": (
        row(
            3,
            "they were {sad} and left the {place} without the {size} {color} {object} .",
            "他们 很 {sad} ， 没有 带上 {those} {measure} {size} {color} {object} 就 "
            "离开了 {place} 。",
        ),
        row(
            3,
            "{person} was {sad} , but {hers} {relation} hugged {her} .",
            "{person} 很 {sad} ， {she} 的 {relation} 抱住了 {she} 。",
        ),
        row(
            3,
            "it had been a {hard} {time} {at_place} the {place} .",
            "在 {in_place} ， 他们 度过了 一 个 {hard} {time} 。",
        ),
        row(
            2,
            '" do not be {sad} ! " {said} {hers} {relation} .',
            "“ 别 {sad} ！ ” {she} 的 {relation} {said} 。",
        ),
    ),
    "supper": (
        row(
            3,
            "at home , {person} told {hers} {mother} about the {size} {color} {object} .",
            "回到 家 ， {person} 向 {mother} 说起了 {those} {measure} {size} {color} {object} 。",
        ),
        row(
            2,
            "{hers} {mother} wanted to hear about {other} and the {size} {color} {object} .",
            "{she} 的 {mother} 想 听听 {other} 和 {those} {measure} {size} {color} {object} "
            "的 事 。",
        ),
        row(
            2,
            '" tell me about the {size} {color} {object} ! " {said} {hers} {mother} .',
            "“ 给 我 讲讲 {those} {measure} {size} {color} {object} 吧 ！ ” {she} 的 {mother} "
            "{said} 。",
        ),
    ),
    "picture": (
        row(
            3,
            "{person} drew a picture of the {size} {color} {object} .",
            "{person} 画了 一 幅 画 ， 画上 有 {number} {measure} {size} {color} {object} 。",
        ),
        row(
            3,
            "{person} painted the {container_color} {container} {under} the {hiding_place} .",
            "{person} 画下了 {hiding_place} {side} 的 {container_color} {container} 。",
        ),
    ),
    "dream": (
        row(
            3,
            "in bed , {person} dreamed of {tale} .",
            "夜里 ， {person} 梦见了 {tale} 。",
        ),
        row(
            3,
            "{other} could not sleep and thought of {tale} .",
            "{other} 睡不着 ， 心里 想着 {tale} 。",
        ),
    ),
    "diary": (
        row(
            5,
            "that night , {person} wrote about the {weather} {time} {at_place} the {place} with "
            "{hers} {relation} {other} .",
            "那天 晚上 ， {person} 在 日记 里 写下了 和 {relation} {other} 在 {in_place} 度过的 "
            "{weather} {time} 。",
        ),
        row(
            3,
            "in {hers} diary , {person} wrote about {hers} {relation} and the {weather} {time} "
            "{at_place} the {place} .",
            "{person} 在 日记 里 写到了 {she} 的 {relation} 和 {in_place} 的 那 个 "
            "{weather} {time} 。",
        ),
        row(
            2,
            "before bed , {person} thought of the {weather} {time} {at_place} the {place} .",
            "睡觉 前 ， {person} 想起 在 {in_place} 度过的 {weather} {time} 。",
        ),
    ),
    "letter": (
        row(
            3,
            "the next day , {person} sent {hers} {relation} a letter about the {size} {color} "
            "{object} .",
            "第二天 ， {person} 给 {relation} 寄了 一 封 信 ， 信里 讲到 {those} {measure} {size} "
            "{color} {object} 。",
        ),
    ),
    "returned": (
        row(
            3,
            "two days later , {person} found the {size} {color} {object} near the {gate} .",
            "两天 后 ， {person} 在 {gate} 旁边 找到了 {those} {measure} {size} {color} "
            "{object} 。",
        ),
        row(
            3,
            "the next morning , the {color} {object} {was} lying near the {gate} .",
            "第二天 早晨 ， {color} {object} 就 躺 在 {gate} 旁边 。",
        ),
        row(
            2,
            "a week later , {other} came back with the {size} {color} {object} .",
            "一星期 后 ， {other} 送回了 {those} {measure} {size} {color} {object} 。",
        ),
    ),
    "memory": (
        row(
            3,
            "a week later , they still remembered the {weather} {time} {at_place} the {place} .",
            "一星期 后 ， 他们 还 记得 在 {in_place} 的 那 个 {weather} {time} 。",
        ),
        row(
            2,
            "{other} never forgot that {weather} {time} {at_place} the {place} .",
            "{other} 永远 忘不了 在 {in_place} 的 那 个 {weather} {time} 。",
        ),
    ),
}
