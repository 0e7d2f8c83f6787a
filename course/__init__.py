"""The course: notebooks in this folder, their sources in ``source/``, their helpers in ``kit/``."""
