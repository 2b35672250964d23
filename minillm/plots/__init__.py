"""Pictures: numbers in, figures and self-contained HTML out. Nothing here knows a model."""
