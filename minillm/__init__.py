"""A small library for learning how language models teach themselves.

Importing it prints, seeds, downloads and configures nothing; import what you need from the
modules, which are named after the ideas: ``from minillm.attention import attention``.
"""

__version__ = "0.1.0"
