"""TinyWorld: a generated language whose entropy is known exactly.

>>> from minillm.text.world import TinyWorld
>>> world = TinyWorld(language="en", seed=0)
>>> document = world.document(123)
>>> world.bits(document.text) == world.bits(document.words)
True

* ``grammar``: what a language is made of; ``story`` and the ``lexicon`` files: TinyWorld's facts,
  events and words; ``english`` and ``chinese`` tell them;
* ``rng``, ``derivation``, ``telling``, ``rendering``: a seed becomes choices, words, text;
* ``documents``: `TinyWorld`, the splits; ``corpus``: what ``--corpus world`` means;
* ``exact``: the probability of everything that can be said;
* ``parallel``: the same stories in both languages, to be translated;
* ``labels``, ``tags``, ``questions``, ``dialogue``, ``picture``: other views of a document's scene.
"""

from minillm.text.world.documents import TinyWorld, WorldDocument
from minillm.text.world.grammar import END_WORD
from minillm.text.world.parallel import TextPair, document_pairs, sentence_pairs

__all__ = [
    "END_WORD",
    "TextPair",
    "TinyWorld",
    "WorldDocument",
    "document_pairs",
    "sentence_pairs",
]
