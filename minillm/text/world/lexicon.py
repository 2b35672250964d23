"""The values of the small facts, with their English and Chinese words side by side.

A row's first column is the key of the value in every language (and nearly always its English
word). The rows of a table are ordered from the likeliest value to the rarest: a value's weight
follows from its rank by Zipf's law.
"""

from __future__ import annotations

from typing import NamedTuple

GENDERS = ("f", "m")  # of the main person; the other person has the opposite gender
NUMBERS = ("1", "2", "3")  # how many of the object there are


class Word(NamedTuple):
    """One value of a fact, or of a choice, in both languages."""

    en: str
    zh: str


class Thing(NamedTuple):
    """A countable thing; in Chinese it is counted by its measure word."""

    en: str
    zh: str
    measure: str


class Garment(NamedTuple):
    """Something to wear; in Chinese the verb follows from the garment."""

    en: str
    zh: str
    measure: str
    wear: str


class Game(NamedTuple):
    """A game; in Chinese the verb follows from the game."""

    en: str
    zh: str
    play: str


class Relation(NamedTuple):
    """What the other person is to the main person: a word for each gender of the other."""

    key: str
    en_f: str
    en_m: str
    zh_f: str
    zh_m: str


SIZES = (
    Word("small", "小小的"),
    Word("big", "大大的"),
    Word("old", "旧旧的"),
    Word("shiny", "闪亮的"),
    Word("pretty", "漂亮的"),
    Word("new", "崭新的"),
    Word("strange", "奇怪的"),
    Word("tiny", "小巧的"),
    Word("lovely", "可爱的"),
    Word("heavy", "沉甸甸的"),
    Word("ugly", "难看的"),
    Word("magic", "神奇的"),
    Word("wonderful", "精美的"),
    Word("odd", "古怪的"),
)

COLORS = (
    Word("red", "红色"),
    Word("blue", "蓝色"),
    Word("green", "绿色"),
    Word("yellow", "黄色"),
    Word("white", "白色"),
    Word("black", "黑色"),
    Word("brown", "棕色"),
    Word("orange", "橙色"),
    Word("pink", "粉色"),
    Word("purple", "紫色"),
    Word("gray", "灰色"),
    Word("golden", "金色"),
    Word("silver", "银色"),
)

CONTAINERS = (
    Thing("box", "盒子", "个"),
    Thing("basket", "篮子", "个"),
    Thing("bag", "袋子", "个"),
    Thing("jar", "罐子", "个"),
    Thing("bucket", "水桶", "个"),
    Thing("chest", "箱子", "口"),
    Thing("pot", "陶盆", "个"),
    Thing("suitcase", "皮箱", "只"),
    Thing("tin", "铁盒", "个"),
    Thing("trunk", "木箱", "口"),
    Thing("sack", "麻袋", "条"),
    Thing("barrel", "木桶", "只"),
)

ANIMALS = (
    Thing("cat", "猫", "只"),
    Thing("dog", "狗", "条"),
    Thing("bird", "鸟", "只"),
    Thing("rabbit", "兔子", "只"),
    Thing("puppy", "小狗", "只"),
    Thing("duck", "鸭子", "只"),
    Thing("kitten", "小猫", "只"),
    Thing("squirrel", "松鼠", "只"),
    Thing("pony", "小马", "匹"),
    Thing("goat", "山羊", "只"),
    Thing("mouse", "老鼠", "只"),
    Thing("monkey", "猴子", "只"),
    Thing("parrot", "鹦鹉", "只"),
    Thing("hedgehog", "刺猬", "只"),
    Thing("fox", "狐狸", "只"),
    Thing("turtle", "乌龟", "只"),
    Thing("frog", "青蛙", "只"),
    Thing("donkey", "毛驴", "头"),
    Thing("pigeon", "鸽子", "只"),
    Thing("lamb", "羊羔", "只"),
)

TRAITS = (
    Word("hungry", "饥饿的"),
    Word("friendly", "友好的"),
    Word("fluffy", "毛茸茸的"),
    Word("curious", "好奇的"),
    Word("sleepy", "困倦的"),
    Word("noisy", "吵闹的"),
    Word("shy", "害羞的"),
    Word("angry", "生气的"),
    Word("clever", "聪明的"),
    Word("lazy", "懒洋洋的"),
    Word("playful", "调皮的"),
    Word("elegant", "优雅的"),
    Word("muddy", "沾满泥巴的"),
    Word("thin", "瘦瘦的"),
    Word("elderly", "年老的"),
    Word("skinny", "瘦小的"),
)

CLOTHES = (
    Garment("hat", "帽子", "顶", "戴着"),
    Garment("coat", "大衣", "件", "穿着"),
    Garment("scarf", "围巾", "条", "围着"),
    Garment("sweater", "毛衣", "件", "穿着"),
    Garment("jacket", "夹克", "件", "穿着"),
    Garment("cap", "鸭舌帽", "顶", "戴着"),
    Garment("shirt", "衬衫", "件", "穿着"),
    Garment("raincoat", "雨衣", "件", "穿着"),
    Garment("belt", "腰带", "条", "系着"),
    Garment("vest", "背心", "件", "穿着"),
    Garment("cape", "披风", "件", "披着"),
    Garment("helmet", "头盔", "顶", "戴着"),
    Garment("uniform", "制服", "套", "穿着"),
    Garment("apron", "围裙", "条", "系着"),
)

WEATHERS = (
    Word("sunny", "晴朗的"),
    Word("rainy", "下雨的"),
    Word("cloudy", "多云的"),
    Word("cold", "寒冷的"),
    Word("windy", "刮风的"),
    Word("snowy", "下雪的"),
    Word("warm", "温暖的"),
    Word("foggy", "起雾的"),
    Word("hot", "炎热的"),
    Word("icy", "结冰的"),
    Word("misty", "雾蒙蒙的"),
    Word("stormy", "电闪雷鸣的"),
    Word("frosty", "下霜的"),
)

TIMES = (
    Word("morning", "早晨"),
    Word("afternoon", "下午"),
    Word("evening", "傍晚"),
    Word("Sunday", "星期天"),
    Word("Saturday", "星期六"),
    Word("Friday", "星期五"),
    Word("holiday", "假日"),
)

RELATIONS = (
    Relation("friend", "friend", "friend", "朋友", "朋友"),
    Relation("sibling", "sister", "brother", "妹妹", "弟弟"),
    Relation("neighbor", "neighbor", "neighbor", "邻居", "邻居"),
    Relation("cousin", "cousin", "cousin", "表姐", "表哥"),
    Relation("classmate", "classmate", "classmate", "同学", "同学"),
    Relation("aunt", "aunt", "uncle", "姑姑", "叔叔"),
    Relation("niece", "niece", "nephew", "侄女", "侄子"),
    Relation("teacher", "teacher", "teacher", "老师", "老师"),
    Relation("grandparent", "grandmother", "grandfather", "奶奶", "爷爷"),
    Relation("teammate", "teammate", "teammate", "队友", "队友"),
    Relation("doctor", "doctor", "doctor", "医生", "医生"),
    Relation("guest", "guest", "guest", "客人", "客人"),
)

GAMES = (
    Game("cards", "纸牌", "打"),
    Game("chess", "象棋", "下"),
    Game("football", "足球", "踢"),
    Game("tag", "捉人游戏", "玩"),
    Game("checkers", "跳棋", "下"),
    Game("tennis", "网球", "打"),
    Game("dominoes", "多米诺骨牌", "玩"),
    Game("basketball", "篮球", "打"),
    Game("hopscotch", "跳房子", "玩"),
    Game("badminton", "羽毛球", "打"),
    Game("bingo", "宾果游戏", "玩"),
    Game("volleyball", "排球", "打"),
)

TALES = (
    Word("pirates", "海盗"),
    Word("dragons", "巨龙"),
    Word("ghosts", "幽灵"),
    Word("giants", "巨人"),
    Word("dinosaurs", "恐龙"),
    Word("wolves", "大灰狼"),
    Word("elephants", "大象"),
    Word("trains", "火车"),
    Word("robots", "机器人"),
    Word("witches", "女巫"),
    Word("spaceships", "飞船"),
    Word("mermaids", "美人鱼"),
    Word("heroes", "英雄"),
    Word("whales", "鲸鱼"),
    Word("fairies", "仙女"),
    Word("thieves", "小偷"),
)
