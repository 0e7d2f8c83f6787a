"""Exercise definitions, one module a chapter; found by name, registered nowhere else."""
