"""Ratios of speed and memory, measured in one run against peers: see README.md."""
