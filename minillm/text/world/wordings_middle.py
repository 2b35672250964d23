"""How the time between hiding and searching is told."""

from __future__ import annotations

from minillm.text.world.wording_rows import Row, row

MIDDLE: dict[str, tuple[Row, ...]] = {
    "play": (
        row(
            4,
            "they played {game} for {ten} minutes .",
            "他们 {play} 了 {ten} 分钟 {game} 。",
        ),
        row(
            3,
            "{person} taught {other} to play {game} .",
            "{person} 教 {other} {play} {game} 。",
        ),
        row(
            3,
            "{other} wanted to play {game} , and {person} {agreed} .",
            "{other} 想 {play} {game} ， {person} {agreed} 。",
        ),
        row(
            2,
            "{person} was {good} at {game} , but {other} won .",
            "{person} {good} {play} {game} ， 可是 {other} 赢了 。",
        ),
        row(
            2,
            "{other} did not like {game} , but {person} did .",
            "{other} 不 喜欢 {play} {game} ， {person} 却 喜欢 。",
        ),
        row(
            3,
            '" let us play {game} ! " {said} {other} .',
            "“ 我们 来 {play} {game} 吧 ！ ” {other} {said} 。",
        ),
    ),
    "walk": (
        row(
            4,
            "they walked {around} the {place} together .",
            "他们 一起 在 {in_place} 散步 。",
        ),
        row(
            3,
            "they {strolled} to the {gate} and back .",
            "他们 {strolled} 到 {gate} ， 又 回来了 。",
        ),
        row(
            3,
            "{other} wanted to see more of the {place} , so they walked on .",
            "{other} 想 好好 看看 {place} ， 他们 就 继续 往前走 。",
        ),
        row(
            2,
            "hand in hand , they went as far as the {gate} .",
            "他们 手拉手 ， 一直 走 到 {gate} 。",
        ),
    ),
    "eat": (
        row(
            3,
            "{person} and {other} {happily} ate some {food} .",
            "{person} 和 {other} {happily} 吃了 一些 {food} 。",
        ),
        row(
            4,
            "{person} gave {other} some {food} , and {it_food} {was_food} {delicious} .",
            "{person} 给了 {other} 一些 {food} ， {delicious} 极了 。",
        ),
        row(
            3,
            "they were hungry , so they shared some {food} .",
            "他们 饿了 ， 就 一起 吃 {food} 。",
        ),
        row(
            3,
            "{other} had brought some {food} , and they {happily} ate {them_food} .",
            "{other} 带来了 一些 {food} ， 他们 {happily} 吃了 起来 。",
        ),
        row(
            2,
            "they sat down near the {gate} and ate some {food} .",
            "他们 坐 在 {gate} 旁边 吃了 一些 {food} 。",
        ),
    ),
    "tell": (
        row(
            4,
            "{other} told {person} a {scary} story about {tale} .",
            "{other} 给 {person} 讲了 一 个 {scary} {tale} 故事 。",
        ),
        row(
            3,
            "{person} knew a {scary} story about {tale} .",
            "{person} 知道 一 个 {scary} {tale} 故事 。",
        ),
        row(
            3,
            "they talked about {tale} for {ten} minutes .",
            "他们 聊 {tale} 聊 了 {ten} 分钟 。",
        ),
        row(
            2,
            "{other} sang a {scary} song about {tale} .",
            "{other} 唱了 一 首 {scary} {tale} 之 歌 。",
        ),
        row(
            2,
            "{person} had seen a {scary} film about {tale} .",
            "{person} 看过 一 部 {scary} {tale} 电影 。",
        ),
        row(
            2,
            '" do you know the story about {tale} ? " {asked} {other} .',
            "“ 你 听过 {tale} 的 故事 吗 ？ ” {other} {asked} 。",
        ),
    ),
    "animal_act": (
        row(
            3,
            "{person} gave the {animal_trait} {animal} some {water} .",
            "{person} 喂了 {animal_trait} {animal} 一些 {water} 。",
        ),
        row(
            3,
            "the {animal_trait} {animal} {jumped} around {other} .",
            "那 {measure_animal} {animal_trait} {animal} 围着 {other} {jumped} 。",
        ),
        row(
            3,
            "{other} {gently} {petted} the {animal_trait} {animal} .",
            "{other} {gently} {petted} {animal_trait} {animal} 。",
        ),
        row(
            3,
            "the {animal} looked at {person} {quietly} .",
            "那 {measure_animal} {animal} {quietly} 看着 {person} 。",
        ),
        row(
            2,
            "{other} called the {animal} , but it {rushed} away .",
            "{other} 叫 那 {measure_animal} {animal} 过来 ， 它 却 {rushed} 开 了 。",
        ),
    ),
    "sky": (
        row(3, "far away , they heard a {sound} .", "他们 听见 远处 的 {sound} 。"),
        row(3, "the sky became {darker} .", "天空 变得 {darker} 了 。"),
        row(2, "the wind became {stronger} .", "风声 变得 {stronger} 了 。"),
        row(2, "the time passed {fast} .", "时间 {fast} 过去了 。"),
    ),
    "rest": (
        row(
            3,
            "{person} and {other} sat down for {ten} minutes .",
            "{person} 和 {other} 坐了 {ten} 分钟 。",
        ),
        row(
            3,
            "they rested near the {gate} for {ten} minutes .",
            "他们 在 {gate} 旁边 休息 了 {ten} 分钟 。",
        ),
        row(
            2,
            "{other} was tired , so they sat down near the {gate} .",
            "{other} 累了 ， 他们 就 在 {gate} 旁边 坐下 。",
        ),
        row(
            2,
            "{person} closed {hers} eyes for {ten} minutes .",
            "{person} 闭上 眼睛 休息 了 {ten} 分钟 。",
        ),
    ),
}
