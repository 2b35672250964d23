"""Text before it becomes tokens: documents, corpora, cleaning. No torch in here.

* ``documents``: what a document is, its sections, the split into training and validation;
* ``corpora``: `load_corpus`, one door to every text that minillm reads;
* ``stdlib``: the English inside the reader's own Python;
* ``cleaning``: small steps that say what they removed; ``markup`` holds HTML and wiki.
"""
