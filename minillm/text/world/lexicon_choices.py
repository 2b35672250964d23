"""The memoryless choices of the story, with their English and Chinese words side by side.

Each table is ordered from the likeliest word to the rarest. Words after "a" begin with a
consonant's sound: no choice needs another article.
"""

from __future__ import annotations

from minillm.text.world.lexicon import Word


def _table(*pairs: str) -> tuple[Word, ...]:
    """Rows written as "english chinese"."""
    return tuple(Word(*pair.split()) for pair in pairs)


CHOICES: dict[str, tuple[Word, ...]] = {
    # verbs of moving
    "visited": _table("visited 来到了", "reached 到达了", "explored 逛了逛", "toured 游览了"),
    "walked": _table(
        "walked 走到了",
        "ran 跑到了",
        "hurried 赶到了",
        "cycled 骑车到了",
        "drove 开车到了",
        "marched 大步走到了",
    ),
    "strolled": _table(
        "walked 走",
        "ran 跑",
        "raced 飞奔",
        "marched 大步走",
        "skipped 蹦跳着走",
        "tiptoed 踮着脚走",
    ),
    "jumped": _table(
        "jumped 跳来跳去",
        "hopped 蹦蹦跳跳",
        "ran 跑来跑去",
        "danced 手舞足蹈",
        "rolled 滚来滚去",
        "crept 转来转去",
    ),
    "rushed": _table(
        "ran 跑", "walked 走", "rushed 冲", "jumped 跳", "crawled 爬", "slipped 溜", "darted 窜"
    ),
    "sitting": _table(
        "sitting 坐着",
        "sleeping 睡觉",
        "playing 玩耍",
        "waiting 等着",
        "hiding 躲着",
        "standing 站着",
        "resting 休息",
        "eating 吃东西",
    ),
    # manners
    "slowly": _table(
        "slowly 慢慢地",
        "quickly 飞快地",
        "carefully 小心地",
        "eagerly 急切地",
        "nervously 紧张地",
        "bravely 勇敢地",
        "finally 终于",
    ),
    "quietly": _table(
        "quietly 静静地",
        "curiously 好奇地",
        "hopefully 满怀希望地",
        "sadly 伤心地",
        "kindly 和善地",
        "suspiciously 怀疑地",
    ),
    "happily": _table(
        "happily 高兴地",
        "hungrily 狼吞虎咽地",
        "politely 礼貌地",
        "merrily 有说有笑地",
        "silently 默默地",
        "greedily 贪婪地",
    ),
    "gently": _table("gently 温柔地", "softly 轻轻地", "shyly 害羞地", "calmly 平静地"),
    "fast": _table("slowly 慢慢地", "fast 很快地", "quietly 静静地", "pleasantly 愉快地"),
    "proudly": _table(
        "proudly 得意地",
        "secretly 偷偷地",
        "carefully 小心地",
        "cheerfully 开心地",
        "gladly 乐呵呵地",
    ),
    # people and speech
    "mother": _table(
        "mother 妈妈",
        "father 爸爸",
        "parents 父母",
        "godmother 干妈",
        "godfather 干爹",
        "family 家人",
    ),
    "waved": _table("waved 挥手", "called 打招呼", "bowed 鞠躬", "nodded 点头", "shouted 大喊"),
    "liked": _table(
        "liked 喜欢", "admired 欣赏", "loved 喜爱", "noticed 注意到了", "praised 夸奖了"
    ),
    "asked": _table("asked 问", "whispered 小声问", "cried 大声问", "called 喊"),
    "answered": _table("answered 回答", "replied 答道", "explained 解释说", "admitted 承认说"),
    "said": _table("said 说", "whispered 小声说", "shouted 大声说", "called 喊", "sang 唱着说"),
    "laughed": _table(
        "laughed 笑了起来",
        "smiled 露出了微笑",
        "clapped 拍起手来",
        "cheered 欢呼起来",
        "giggled 咯咯笑了",
        "whistled 吹起口哨",
        "grinned 咧嘴笑了",
        "gasped 惊叫起来",
    ),
    "sighed": _table("sighed 叹了口气", "frowned 皱起眉头", "wept 哭了起来", "blushed 红了脸"),
    "agreed": _table("agreed 答应了", "nodded 点了点头", "hesitated 犹豫了一下", "refused 拒绝了"),
    "petted": _table("petted 摸了摸", "stroked 抚摸了", "tickled 挠了挠", "hugged 抱了抱"),
    # feelings and looks
    "happy": _table(
        "happy 高兴",
        "glad 愉快",
        "proud 自豪",
        "tired 疲倦",
        "excited 兴奋",
        "cheerful 开心",
        "content 满足",
        "thankful 感激",
    ),
    "sad": _table(
        "sad 难过",
        "disappointed 失望",
        "worried 担心",
        "unhappy 伤心",
        "upset 苦恼",
        "gloomy 沮丧",
    ),
    "nice": _table(
        "nice 好看",
        "fancy 花哨",
        "comfortable 舒服",
        "funny 滑稽",
        "expensive 贵重",
        "cozy 暖和",
        "simple 朴素",
        "beautiful 美丽",
    ),
    "dirty": _table("dirty 脏", "wet 湿", "torn 破", "wrinkled 皱"),
    "safe": _table("safe 安全", "dry 防潮", "clean 防尘", "secret 保密", "hidden 隐蔽"),
    "great": _table(
        "great 美好的",
        "good 不错的",
        "perfect 完美的",
        "splendid 精彩的",
        "busy 忙碌的",
        "long 漫长的",
        "quiet 安静的",
    ),
    "hard": _table("hard 艰难的", "bad 糟糕的", "difficult 不顺的", "terrible 倒霉的"),
    "good": _table("good 很会", "great 特别会", "excellent 非常会", "brilliant 最会"),
    "delicious": _table("delicious 美味", "tasty 好吃", "fresh 新鲜", "perfect 可口"),
    # stories, sounds, things around
    "scary": _table(
        "funny 有趣的",
        "long 长长的",
        "scary 吓人的",
        "famous 有名的",
        "silly 荒唐的",
        "true 真实的",
        "sweet 甜美的",
    ),
    "sound": _table(
        "bell 钟声",
        "train 火车声",
        "song 歌声",
        "rooster 鸡叫声",
        "trumpet 号声",
        "violin 琴声",
        "gong 锣声",
    ),
    "darker": _table(
        "darker 更暗", "brighter 更亮", "clearer 更清澈", "redder 更红", "grayer 更灰"
    ),
    "stronger": _table("stronger 更大", "weaker 更小", "louder 更响", "softer 更柔和"),
    "gate": _table(
        "gate 大门",
        "wall 围墙",
        "entrance 入口",
        "corner 拐角",
        "steps 台阶",
        "railing 栏杆",
        "fence 栅栏",
        "path 小路",
        "sign 路牌",
    ),
    "pocket": _table("pocket 口袋", "backpack 书包", "hand 手", "lunchbox 饭盒", "wagon 小推车"),
    "ten": _table("ten 十", "five 五", "twenty 二十", "fifteen 十五", "thirty 三十", "forty 四十"),
    "water": _table("water 水", "milk 牛奶", "crumbs 面包屑", "treats 零食", "scraps 剩菜"),
    "stars": _table(
        "stars 星星",
        "dots 圆点",
        "stripes 条纹",
        "hearts 爱心",
        "flowers 花朵",
        "snowflakes 雪花",
        "letters 字母",
    ),
}
