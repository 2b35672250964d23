"""Text before it becomes tokens: documents, corpora, cleaning. No torch in here.

* ``documents``: what a document is, its sections, the split into training and validation;
  ``spool`` keeps them outside memory;
* ``corpora``: `load_corpus`, one door to every text that minillm reads;
* ``reading``: bytes to text; ``records``: JSON lines and Parquet; ``dumps``: MediaWiki;
* ``stdlib``: the English inside the reader's own Python;
* ``cleaning``: small steps that say what they removed; ``markup`` holds HTML and wiki,
  ``near_duplicates`` and ``languages`` the evidence of steps that must be asked for.
"""
