"""The values of the facts that follow from the hidden topic, in both languages, topic by topic.

Every topic has the same number of places, objects, hiding places and foods, the likeliest first,
and two neighbors: from time to time a document about the farm borrows from the garden or from the
river, never from the school. Objects are small: each fits into every container.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where the story happens: "at the beach"; in Chinese a suffix may say "in" or "on"."""

    preposition: str
    around: str  # "walked along the beach", "around the farm"
    en: str
    zh: str
    zh_in: str  # the place where something happens: 海滩上, 森林里, but 港口 and 河边


class Object(NamedTuple):
    """What the story is about; in Chinese it is counted by its measure word."""

    en: str
    plural: str
    zh: str
    measure: str


class Hiding(NamedTuple):
    """Where the container is hidden: "under the bridge", 小桥下面."""

    preposition: str
    en: str
    zh: str
    zh_side: str


class Food(NamedTuple):
    """Something to eat, "some bread" or "some grapes"."""

    agreement: str  # "they" were delicious, or "it" was
    en: str
    zh: str


class Topic(NamedTuple):
    """What a document is about, which it never says."""

    name: str
    zh: str  # for labels
    neighbors: tuple[str, ...]
    places: tuple[Place, ...]
    objects: tuple[Object, ...]
    hiding_places: tuple[Hiding, ...]
    foods: tuple[Food, ...]


def _topic(
    name: str, neighbors: str, *, places: str, objects: str, hiding: str, foods: str
) -> Topic:
    """Read a topic from rows between slashes, whose columns are the fields of their type."""

    def rows(text: str) -> list[list[str]]:
        return [part.split() for part in text.split("/")]

    en, zh = name.split()
    return Topic(
        name=en,
        zh=zh,
        neighbors=tuple(neighbors.split()),
        places=tuple(Place(*columns) for columns in rows(places)),
        objects=tuple(Object(*columns) for columns in rows(objects)),
        hiding_places=tuple(Hiding(*columns) for columns in rows(hiding)),
        foods=tuple(Food(*columns) for columns in rows(foods)),
    )


TOPICS = (
    _topic(
        "farm 农场",
        "garden river",
        places=(
            "on around farm 农场 农场里 / in around meadow 草地 草地上 / "
            "in around field 田野 田野上"
        ),
        objects=(
            "egg eggs 彩蛋 枚 / bell bells 铃铛 个 / ribbon ribbons 丝带 条 / "
            "horseshoe horseshoes 马蹄铁 块 / brush brushes 刷子 把 / doll dolls 布娃娃 个"
        ),
        hiding="behind haystack 草垛 后面 / behind barn 谷仓 后面 / behind tractor 拖拉机 后面",
        foods="they carrots 胡萝卜 / it corn 玉米 / it porridge 燕麦粥",
    ),
    _topic(
        "park 公园",
        "garden market",
        places=(
            "in around park 公园 公园里 / on around playground 操场 操场上 / "
            "at around zoo 动物园 动物园里"
        ),
        objects=(
            "ball balls 皮球 个 / marble marbles 弹珠 颗 / whistle whistles 哨子 个 / "
            "puppet puppets 木偶 个 / frisbee frisbees 飞盘 个 / drum drums 小鼓 面"
        ),
        hiding="under bench 长椅 下面 / behind statue 雕像 后面 / under slide 滑梯 下面",
        foods="it popcorn 爆米花 / they pretzels 椒盐卷饼 / it candy 糖果",
    ),
    _topic(
        "forest 森林",
        "mountain river",
        places=(
            "in around forest 森林 森林里 / in around clearing 林间空地 林间空地上 / "
            "in around jungle 丛林 丛林里"
        ),
        objects=(
            "leaf leaves 叶子 片 / acorn acorns 橡果 颗 / lantern lanterns 灯笼 盏 / "
            "pinecone pinecones 松果 颗 / mushroom mushrooms 蘑菇 个 / arrow arrows 箭头 个"
        ),
        hiding="under oak 橡树 下面 / behind stump 树桩 后面 / under ferns 蕨草丛 下面",
        foods="they berries 浆果 / they nuts 坚果 / it honey 蜂蜜",
    ),
    _topic(
        "beach 海滩",
        "harbor mountain",
        places=(
            "at along beach 海滩 海滩上 / on around island 小岛 小岛上 / on along coast 海岸 海岸上"
        ),
        objects=(
            "shell shells 贝壳 枚 / pebble pebbles 鹅卵石 颗 / spade spades 小铲子 把 / "
            "pearl pearls 珍珠 颗 / bottle bottles 瓶子 个 / fan fans 扇子 把"
        ),
        hiding="behind dune 沙丘 后面 / behind rock 礁石 后面 / under umbrella 遮阳伞 下面",
        foods="they sandwiches 三明治 / it melon 甜瓜 / it pineapple 菠萝",
    ),
    _topic(
        "school 学校",
        "workshop castle",
        places=(
            "at around school 学校 学校里 / in around library 图书馆 图书馆里 / "
            "in around museum 博物馆 博物馆里"
        ),
        objects=(
            "book books 图画书 本 / pencil pencils 铅笔 支 / crayon crayons 蜡笔 支 / "
            "notebook notebooks 笔记本 个 / ruler rulers 尺子 把 / eraser erasers 橡皮 块"
        ),
        hiding="under desk 书桌 下面 / behind curtain 窗帘 后面 / behind bookcase 书柜 后面",
        foods="they apples 苹果 / they cookies 饼干 / it soup 热汤",
    ),
    _topic(
        "garden 花园",
        "park river",
        places=(
            "in around garden 花园 花园里 / in around orchard 果园 果园里 / "
            "in around vineyard 葡萄园 葡萄园里"
        ),
        objects=(
            "tulip tulips 郁金香 朵 / rose roses 玫瑰 朵 / seed seeds 种子 粒 / "
            "daisy daisies 雏菊 朵 / glove gloves 手套 只 / petal petals 花瓣 片"
        ),
        hiding="behind hedge 树篱 后面 / under bush 灌木 下面 / behind well 水井 后面",
        foods="they strawberries 草莓 / they tomatoes 番茄 / they cherries 樱桃",
    ),
    _topic(
        "river 河流",
        "forest garden",
        places=(
            "by along river 河边 河边 / by around lake 湖边 湖边 / by around pond 池塘边 池塘边"
        ),
        objects=(
            "feather feathers 羽毛 根 / stone stones 石头 块 / cup cups 杯子 个 / "
            "bead beads 珠子 颗 / flute flutes 笛子 支 / net nets 渔网 张"
        ),
        hiding="under bridge 小桥 下面 / under willow 柳树 下面 / behind waterfall 瀑布 后面",
        foods="they noodles 面条 / it rice 米饭 / they dumplings 饺子",
    ),
    _topic(
        "market 集市",
        "park garden",
        places=(
            "at around market 集市 集市上 / in around village 村子 村子里 / "
            "at around fair 庙会 庙会上"
        ),
        objects=(
            "candle candles 蜡烛 支 / mirror mirrors 镜子 面 / "
            "necklace necklaces 项链 条 / plate plates 盘子 个 / teapot teapots 茶壶 把 / "
            "purse purses 钱包 个"
        ),
        hiding="under table 桌子 下面 / behind stall 货摊 后面 / inside tent 帐篷 里面",
        foods="it bread 面包 / they grapes 葡萄 / they peaches 桃子",
    ),
    _topic(
        "mountain 山",
        "forest river",
        places=(
            "on around mountain 高山 高山上 / in around valley 山谷 山谷里 / "
            "on around hill 小山坡 小山坡上"
        ),
        objects=(
            "crystal crystals 水晶 块 / torch torches 火把 支 / coin coins 硬币 枚 / "
            "telescope telescopes 望远镜 架 / medal medals 奖章 枚 / "
            "compass compasses 指南针 个"
        ),
        hiding="inside cave 山洞 里面 / behind boulder 巨石 后面 / under pine 松树 下面",
        foods="it cheese 奶酪 / it chocolate 巧克力 / they raisins 葡萄干",
    ),
    _topic(
        "harbor 港口",
        "beach market",
        places=(
            "at around harbor 港口 港口 / on along pier 码头 码头上 / "
            "at around lighthouse 灯塔 灯塔下"
        ),
        objects=(
            "map maps 地图 张 / flag flags 旗子 面 / rope ropes 绳子 根 / "
            "hook hooks 钩子 个 / lamp lamps 油灯 盏 / anchor anchors 铁锚 个"
        ),
        hiding="under boat 小船 下面 / under sail 船帆 下面 / behind mast 桅杆 后面",
        foods="it fish 烤鱼 / they crackers 咸饼干 / they shrimps 大虾",
    ),
    _topic(
        "workshop 工坊",
        "school castle",
        places=(
            "in around workshop 工坊 工坊里 / at around mill 磨坊 磨坊里 / "
            "in around garage 车库 车库里"
        ),
        objects=(
            "key keys 钥匙 把 / button buttons 纽扣 颗 / wheel wheels 轮子 个 / "
            "hammer hammers 锤子 把 / clock clocks 闹钟 个 / magnet magnets 磁铁 块"
        ),
        hiding="under ladder 梯子 下面 / behind stove 火炉 后面 / behind machine 机器 后面",
        foods="they pancakes 煎饼 / it pudding 布丁 / they sausages 香肠",
    ),
    _topic(
        "castle 城堡",
        "workshop school",
        places=(
            "in around castle 城堡 城堡里 / in around tower 塔楼 塔楼里 / "
            "in around palace 宫殿 宫殿里"
        ),
        objects=(
            "ring rings 戒指 枚 / crown crowns 王冠 顶 / mask masks 面具 张 / "
            "jewel jewels 宝石 颗 / goblet goblets 酒杯 只 / scroll scrolls 卷轴 个"
        ),
        hiding="behind throne 宝座 后面 / behind pillar 柱子 后面 / under staircase 楼梯 下面",
        foods="it cake 蛋糕 / it jelly 果冻 / they plums 李子",
    ),
)
