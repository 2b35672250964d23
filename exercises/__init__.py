"""Exercises of the notebooks: checks that name the misconception behind a wrong answer."""
