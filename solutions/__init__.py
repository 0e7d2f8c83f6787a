"""Reference implementations, one module a chapter."""
