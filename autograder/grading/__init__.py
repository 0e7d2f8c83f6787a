"""Grading a class: nbgrader keeps the books, our preprocessors take in, execute and judge."""

import sys

# jsonschema, which nbformat and nbgrader bring along, spends a second on a grammar for internationalised addresses if it finds
# this package. Nobody here checks such an address, and every worker would wait for it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
