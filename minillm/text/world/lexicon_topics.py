"""The values of the facts that follow from the hidden topic, in both languages, topic by topic.

Every topic has the same number of places, objects, hiding places and foods, the likeliest first,
and two neighbors: from time to time a document about the farm borrows from the garden or from the
mountain, never from the school. Objects are small: each fits into every container.
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where the story happens: "at the beach"; in Chinese a suffix may say "in" or "on"."""

    preposition: str
    en: str
    zh: str
    zh_suffix: str  # 里, 上, or nothing to say: 在海滩, but 在森林里


class Object(NamedTuple):
    """What the story is about."""

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

    en: str
    zh: str
    plural: bool  # "they were delicious", not "it was delicious"


class Topic(NamedTuple):
    """What a document is about, which it never says."""

    name: str
    zh: str  # for labels
    neighbors: tuple[str, str]
    places: tuple[Place, ...]
    objects: tuple[Object, ...]
    hiding_places: tuple[Hiding, ...]
    foods: tuple[Food, ...]


TOPICS = (
    Topic(
        "farm",
        "农场",
        ("garden", "mountain"),
        (
            Place("on", "farm", "农场", "里"),
            Place("in", "barn", "谷仓", "里"),
            Place("in", "stable", "马厩", "里"),
        ),
        (
            Object("egg", "eggs", "彩蛋", "枚"),
            Object("bell", "bells", "铃铛", "个"),
            Object("ribbon", "ribbons", "丝带", "条"),
            Object("horseshoe", "horseshoes", "马蹄铁", "块"),
            Object("brush", "brushes", "刷子", "把"),
            Object("doll", "dolls", "布娃娃", "个"),
        ),
        (
            Hiding("behind", "haystack", "草垛", "后面"),
            Hiding("under", "cart", "板车", "下面"),
            Hiding("behind", "tractor", "拖拉机", "后面"),
        ),
        (
            Food("carrots", "胡萝卜", True),
            Food("corn", "玉米", False),
            Food("porridge", "燕麦粥", False),
        ),
    ),
    Topic(
        "park",
        "公园",
        ("garden", "school"),
        (
            Place("in", "park", "公园", "里"),
            Place("on", "playground", "操场", "上"),
            Place("at", "zoo", "动物园", "里"),
        ),
        (
            Object("ball", "balls", "皮球", "个"),
            Object("marble", "marbles", "弹珠", "颗"),
            Object("whistle", "whistles", "哨子", "个"),
            Object("puppet", "puppets", "木偶", "个"),
            Object("frisbee", "frisbees", "飞盘", "个"),
            Object("drum", "drums", "小鼓", "面"),
        ),
        (
            Hiding("under", "bench", "长椅", "下面"),
            Hiding("behind", "statue", "雕像", "后面"),
            Hiding("under", "slide", "滑梯", "下面"),
        ),
        (
            Food("popcorn", "爆米花", False),
            Food("pretzels", "椒盐卷饼", True),
            Food("candy", "糖果", False),
        ),
    ),
    Topic(
        "forest",
        "森林",
        ("mountain", "river"),
        (
            Place("in", "forest", "森林", "里"),
            Place("in", "clearing", "林间空地", "上"),
            Place("in", "jungle", "丛林", "里"),
        ),
        (
            Object("leaf", "leaves", "叶子", "片"),
            Object("acorn", "acorns", "橡果", "颗"),
            Object("lantern", "lanterns", "灯笼", "盏"),
            Object("pinecone", "pinecones", "松果", "颗"),
            Object("mushroom", "mushrooms", "蘑菇", "个"),
            Object("arrow", "arrows", "箭头", "个"),
        ),
        (
            Hiding("under", "oak", "橡树", "下面"),
            Hiding("behind", "stump", "树桩", "后面"),
            Hiding("under", "ferns", "蕨草丛", "下面"),
        ),
        (
            Food("berries", "浆果", True),
            Food("nuts", "坚果", True),
            Food("honey", "蜂蜜", False),
        ),
    ),
    Topic(
        "beach",
        "海滩",
        ("harbor", "river"),
        (
            Place("at", "beach", "海滩", "上"),
            Place("on", "island", "小岛", "上"),
            Place("on", "coast", "海岸", "上"),
        ),
        (
            Object("shell", "shells", "贝壳", "枚"),
            Object("pebble", "pebbles", "鹅卵石", "颗"),
            Object("spade", "spades", "小铲子", "把"),
            Object("pearl", "pearls", "珍珠", "颗"),
            Object("bottle", "bottles", "瓶子", "个"),
            Object("seahorse", "seahorses", "玩具海马", "只"),
        ),
        (
            Hiding("behind", "dune", "沙丘", "后面"),
            Hiding("behind", "rock", "礁石", "后面"),
            Hiding("under", "umbrella", "遮阳伞", "下面"),
        ),
        (
            Food("sandwiches", "三明治", True),
            Food("melon", "甜瓜", False),
            Food("pineapple", "菠萝", False),
        ),
    ),
    Topic(
        "school",
        "学校",
        ("park", "workshop"),
        (
            Place("at", "school", "学校", "里"),
            Place("in", "library", "图书馆", "里"),
            Place("in", "museum", "博物馆", "里"),
        ),
        (
            Object("book", "books", "书", "本"),
            Object("pencil", "pencils", "铅笔", "支"),
            Object("crayon", "crayons", "蜡笔", "支"),
            Object("notebook", "notebooks", "笔记本", "个"),
            Object("ruler", "rulers", "尺子", "把"),
            Object("eraser", "erasers", "橡皮", "块"),
        ),
        (
            Hiding("under", "desk", "书桌", "下面"),
            Hiding("behind", "curtain", "窗帘", "后面"),
            Hiding("behind", "bookcase", "书柜", "后面"),
        ),
        (
            Food("apples", "苹果", True),
            Food("cookies", "饼干", True),
            Food("soup", "热汤", False),
        ),
    ),
    Topic(
        "garden",
        "花园",
        ("farm", "park"),
        (
            Place("in", "garden", "花园", "里"),
            Place("in", "orchard", "果园", "里"),
            Place("in", "vineyard", "葡萄园", "里"),
        ),
        (
            Object("tulip", "tulips", "郁金香", "朵"),
            Object("rose", "roses", "玫瑰", "朵"),
            Object("seed", "seeds", "种子", "粒"),
            Object("daisy", "daisies", "雏菊", "朵"),
            Object("glove", "gloves", "手套", "只"),
            Object("petal", "petals", "花瓣", "片"),
        ),
        (
            Hiding("behind", "hedge", "树篱", "后面"),
            Hiding("under", "bush", "灌木", "下面"),
            Hiding("behind", "well", "水井", "后面"),
        ),
        (
            Food("strawberries", "草莓", True),
            Food("tomatoes", "番茄", True),
            Food("cherries", "樱桃", True),
        ),
    ),
    Topic(
        "river",
        "河流",
        ("forest", "beach"),
        (
            Place("by", "river", "河", "边"),
            Place("by", "lake", "湖", "边"),
            Place("by", "pond", "池塘", "边"),
        ),
        (
            Object("feather", "feathers", "羽毛", "根"),
            Object("stone", "stones", "石头", "块"),
            Object("cup", "cups", "杯子", "个"),
            Object("bead", "beads", "珠子", "颗"),
            Object("flute", "flutes", "笛子", "支"),
            Object("knife", "knives", "小刀", "把"),
        ),
        (
            Hiding("under", "bridge", "小桥", "下面"),
            Hiding("under", "willow", "柳树", "下面"),
            Hiding("behind", "waterfall", "瀑布", "后面"),
        ),
        (
            Food("noodles", "面条", True),
            Food("rice", "米饭", False),
            Food("dumplings", "饺子", True),
        ),
    ),
    Topic(
        "market",
        "集市",
        ("harbor", "workshop"),
        (
            Place("at", "market", "集市", "上"),
            Place("in", "village", "村子", "里"),
            Place("at", "fair", "庙会", "上"),
        ),
        (
            Object("candle", "candles", "蜡烛", "支"),
            Object("mirror", "mirrors", "镜子", "面"),
            Object("necklace", "necklaces", "项链", "条"),
            Object("plate", "plates", "盘子", "个"),
            Object("teapot", "teapots", "茶壶", "把"),
            Object("purse", "purses", "钱包", "个"),
        ),
        (
            Hiding("under", "table", "桌子", "下面"),
            Hiding("behind", "stall", "货摊", "后面"),
            Hiding("inside", "tent", "帐篷", "里面"),
        ),
        (
            Food("bread", "面包", False),
            Food("grapes", "葡萄", True),
            Food("peaches", "桃子", True),
        ),
    ),
    Topic(
        "mountain",
        "山",
        ("forest", "farm"),
        (
            Place("on", "mountain", "高山", "上"),
            Place("in", "valley", "山谷", "里"),
            Place("on", "hill", "小山坡", "上"),
        ),
        (
            Object("crystal", "crystals", "水晶", "块"),
            Object("torch", "torches", "火把", "支"),
            Object("coin", "coins", "硬币", "枚"),
            Object("telescope", "telescopes", "望远镜", "架"),
            Object("medal", "medals", "奖章", "枚"),
            Object("compass", "compasses", "指南针", "个"),
        ),
        (
            Hiding("inside", "cave", "山洞", "里面"),
            Hiding("behind", "boulder", "巨石", "后面"),
            Hiding("under", "pine", "松树", "下面"),
        ),
        (
            Food("cheese", "奶酪", False),
            Food("chocolate", "巧克力", False),
            Food("raisins", "葡萄干", True),
        ),
    ),
    Topic(
        "harbor",
        "港口",
        ("beach", "market"),
        (
            Place("at", "harbor", "港口", ""),
            Place("on", "pier", "码头", "上"),
            Place("at", "lighthouse", "灯塔", "下"),
        ),
        (
            Object("map", "maps", "地图", "张"),
            Object("flag", "flags", "旗子", "面"),
            Object("rope", "ropes", "绳子", "根"),
            Object("hook", "hooks", "钩子", "个"),
            Object("lamp", "lamps", "油灯", "盏"),
            Object("anchor", "anchors", "铁锚", "个"),
        ),
        (
            Hiding("under", "boat", "小船", "下面"),
            Hiding("under", "sail", "船帆", "下面"),
            Hiding("behind", "mast", "桅杆", "后面"),
        ),
        (
            Food("fish", "烤鱼", False),
            Food("crackers", "咸饼干", True),
            Food("shrimps", "大虾", True),
        ),
    ),
    Topic(
        "workshop",
        "工坊",
        ("school", "castle"),
        (
            Place("in", "workshop", "工坊", "里"),
            Place("at", "mill", "磨坊", "里"),
            Place("in", "garage", "车库", "里"),
        ),
        (
            Object("key", "keys", "钥匙", "把"),
            Object("button", "buttons", "纽扣", "颗"),
            Object("wheel", "wheels", "轮子", "个"),
            Object("hammer", "hammers", "锤子", "把"),
            Object("clock", "clocks", "闹钟", "个"),
            Object("magnet", "magnets", "磁铁", "块"),
        ),
        (
            Hiding("under", "ladder", "梯子", "下面"),
            Hiding("behind", "stove", "火炉", "后面"),
            Hiding("behind", "machine", "机器", "后面"),
        ),
        (
            Food("pancakes", "煎饼", True),
            Food("pudding", "布丁", False),
            Food("sausages", "香肠", True),
        ),
    ),
    Topic(
        "castle",
        "城堡",
        ("mountain", "workshop"),
        (
            Place("in", "castle", "城堡", "里"),
            Place("in", "tower", "塔楼", "里"),
            Place("in", "palace", "宫殿", "里"),
        ),
        (
            Object("ring", "rings", "戒指", "枚"),
            Object("crown", "crowns", "王冠", "顶"),
            Object("mask", "masks", "面具", "张"),
            Object("jewel", "jewels", "宝石", "颗"),
            Object("goblet", "goblets", "酒杯", "只"),
            Object("scroll", "scrolls", "卷轴", "个"),
        ),
        (
            Hiding("behind", "throne", "宝座", "后面"),
            Hiding("behind", "pillar", "柱子", "后面"),
            Hiding("under", "staircase", "楼梯", "下面"),
        ),
        (
            Food("cake", "蛋糕", False),
            Food("jelly", "果冻", False),
            Food("plums", "李子", True),
        ),
    ),
)
