"""Grading a class: nbgrader keeps the books, our preprocessors take in, execute and judge."""
