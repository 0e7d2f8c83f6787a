"""A child for systems without fork: a fresh interpreter that connects back to its parent over loopback."""

from __future__ import annotations

import json
import os
import socket
import sys

from autograder.sandbox.child import serve
from autograder.sandbox.isolation import Limits, apply_limits


def main(port: int, limits: Limits) -> None:
    """Connect, show the token, serve."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(os.environ.pop("NNLM_TOKEN").encode())
    apply_limits(limits)
    with connection.makefile("rb") as reader, connection.makefile("wb") as writer:
        serve(reader, writer, int(limits.output_mb * 2**20))


if __name__ == "__main__":
    main(int(sys.argv[1]), Limits(**json.loads(sys.argv[2])))
