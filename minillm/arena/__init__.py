"""The objective arena: which way of pretraining helps which task, at equal cost, from few labels.

``recipes`` says how each objective is pretrained, ``tasks`` what is asked, ``readers`` who
competes, ``cells`` computes a table and ``ledger`` remembers what is done; ``table`` arranges
it and ``intervals`` says what five seeds can tell apart. See docs/arena.md.
"""
