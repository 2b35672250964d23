"""The names of people, in both languages: sixty of women and girls, sixty of men and boys.

No name stands for both genders, none is a common word, and no Chinese name is part of another
word. The likeliest name comes first.
"""

from __future__ import annotations

from minillm.text.world.lexicon import Word

_WOMEN_EN = """Anna Emma Clara Maria Laura Julia Sarah Alice Nora Lucy Sophie Helen Ella Emily
Eva Jane Kate Mia Nina Rosa Susan Lisa Martha Amelia Linda Olivia Hannah Molly Zoe Betty Tina
Sylvia Diana Ellen Fiona Irene Karen Lena Monica Naomi Paula Rachel Sandra Teresa Ursula Vera Wendy
Yvonne Bella Cecilia Dora Edith Gloria Ingrid Judith Leah Miriam Nancy Stella Phoebe"""

_WOMEN_ZH = """丽丽 芳芳 婷婷 小娟 小莉 晓燕 玲玲 小静 慧慧 佳佳 倩倩 娜娜 莎莎 媛媛 雯雯 小琴
小菲 蓉蓉 珊珊 小敏 露露 秀英 小薇 琪琪 莹莹 晓雪 美玲 淑芬 小蕾 萱萱 欣欣 妮妮 小霞 秋月 甜甜 娇娇
怡怡 茜茜 小婉 颖颖 小蝶 瑶瑶 春梅 桂兰 思思 小荷 楠楠 梦梦 菁菁 小柔 馨馨 彤彤 小黛 嫣嫣 蓓蓓
小凤 灵灵 小芸 朵朵 苗苗"""

_MEN_EN = """Tim Paul David Peter Simon Daniel Leo Oscar Henry George Luke Roland Sam Felix Adam
Hugo Thomas Oliver James Noah Eric Jacob Lucas Robert Alex Anton Bruno Carlos Dennis Edward
Fred Gustav Hans Ivan Julian Kevin Leonard Marco Nathan Otto Philip Quentin Ralph Stefan Theodore
Ulrich Vincent Walter Xavier Albert Bernard Conrad Dominic Ernest Franz Gabriel Harold Isaac
Kenneth Samuel"""

_MEN_ZH = """小明 强强 小军 大伟 小刚 阿杰 志勇 小涛 斌斌 鹏鹏 小龙 阿豪 小虎 建国 壮壮 浩浩 小峰
小磊 阿凯 文杰 小波 阿辉 小宇 俊俊 小亮 阿超 小鑫 家豪 小武 大勇 小康 阿松 小胜 阿诚 毛毛 小庆
小雷 阿坤 子轩 小毅 阿福 小斌 阿德 小帅 阿旺 小翔 大刚 小岩 阿力 小鸣 阿宝 阿昌 小哲 阿祥 国强 小钧
阿良 小飞 阿泰 阿栋"""

WOMEN = tuple(Word(*pair) for pair in zip(_WOMEN_EN.split(), _WOMEN_ZH.split(), strict=True))
MEN = tuple(Word(*pair) for pair in zip(_MEN_EN.split(), _MEN_ZH.split(), strict=True))
