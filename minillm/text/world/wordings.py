"""All wordings of all events, English and Chinese side by side."""

from __future__ import annotations

from minillm.text.world.wording_rows import Row
from minillm.text.world.wordings_end import END_OF_STORY
from minillm.text.world.wordings_middle import MIDDLE
from minillm.text.world.wordings_opening import OPENING
from minillm.text.world.wordings_search import SEARCH

WORDINGS: dict[str, tuple[Row, ...]] = {**OPENING, **MIDDLE, **SEARCH, **END_OF_STORY}
