"""A cell does in the sandbox what it does in Jupyter's own kernel: the same outputs, of the same kinds, in the same order."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from autograder.bundle import importable_files
from autograder.paths import ROOT
from autograder.sandbox.isolation import Limits, level
from autograder.sandbox.session import Server

#: name → source. They run in one notebook, in this order.
CELLS = {
    "a value": "6 * 7",
    "no value": "x = 1",
    "a value suppressed": "x;",
    "nothing": "None",
    "print": "print('one'); print('two', end='')",
    "print and value": "print('first'); 'then'",
    "stderr": "import sys; print('to stderr', file=sys.stderr)",
    "a warning": "import warnings; warnings.warn('careful', stacklevel=1)",
    "an exception": "1 / 0",
    "an exception with a cause": "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('because') from e",
    "a syntax error": "def f(:",
    "an indentation error": "if True:\nx = 1",
    "a name that is not there": "not_defined",
    "await": "import asyncio\nawait asyncio.sleep(0)\n'awaited'",
    "async for": "async def g():\n    yield 1\n[i async for i in g()]",
    "last value": "_",
    "In": "len(In) > 3",
    "line magic": "%precision 3\n1.0",
    "magic with output": "%who_ls int",
    "assigned magic": "where = %pwd\ntype(where).__name__",
    "cell magic": "%%capture held\nprint('held back')",
    "what it captured": "held.stdout",
    "timing": "%timeit -q -n1 -r1 pass",
    "shell": "!echo from the shell",
    "shell with a value": "word = 'variable'\nlines = !echo {word}\nlist(lines)",
    "bash": "%%bash\necho from bash",
    "a child process": "import subprocess; subprocess.run(['echo', 'deep'], check=True).returncode",
    "C's own output": "import ctypes; ctypes.CDLL(None).puts(b'from C')",
    "display": "from IPython.display import display, HTML, Markdown\ndisplay(1, 'two')",
    "html": "HTML('<b>bold</b>')",
    "markdown": "display(Markdown('*text*'))",
    "clear": "from IPython.display import clear_output\nprint('gone'); clear_output(); print('stays')",
    "update": "handle = display('old', display_id=True)\nhandle.update('new')",
    "repr html": "class Rich:\n    def _repr_html_(self): return '<i>rich</i>'\n    def __repr__(self): return 'plain'\nRich()",
    "a broken repr": "class Broken:\n    def __repr__(self): raise RuntimeError('no')\nBroken()",
    "numpy": "import numpy as np\nnp.arange(6).reshape(2, 3)",
    "torch": "import torch\ntorch.arange(3.0, requires_grad=True)",
    "a figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);",
    "two figures": "for _ in range(2):\n    plt.figure(); plt.plot([1])\nplt.show()",
    "a dataframe-like table": "from IPython.display import display_html\ndisplay_html('<table></table>', raw=True)",
    "a data loader with workers": (
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "loader = DataLoader(TensorDataset(torch.arange(8.0)), batch_size=4, num_workers=2)\n"
        "[float(batch.sum()) for batch, in loader]"
    ),
    "threads": "from concurrent.futures import ThreadPoolExecutor\nlist(ThreadPoolExecutor(2).map(abs, [-1, -2]))",
    "processes": (
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    answer = pool.map(abs, [-1, -2])\nanswer"
    ),
    "files": "open('note.txt', 'w').write('kept'); open('note.txt').read()",
    "two processes over loopback": (
        "import socket, threading\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "threading.Thread(target=lambda: server.accept()[0].sendall(b'hello')).start()\n"
        "socket.create_connection(server.getsockname()).recv(5)"
    ),
    "exit": "import sys\nsys.exit('enough')",
    "after it": "'still here'",
}


def words(text: str) -> str:
    """Without addresses, and without the name that a cell's code has as a file."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    return re.sub(r"<ipython-input-[^>]*>|(/tmp/ipykernel_\d+/)?\d{6,}\.py", "(cell)", text)


def shape(output: dict[str, Any]) -> tuple[Any, ...]:
    """What a person would call the same output: no counters, no addresses, pictures by their kind."""
    kind = output["output_type"]
    if kind == "stream":
        return kind, output["name"], words(output["text"])
    if kind == "error":
        return kind, output["ename"], words(output["evalue"])
    data = {mime: words("".join(text)) if mime.startswith("text/") else "…" for mime, text in output["data"].items()}
    return kind, tuple(sorted(data.items()))


def joined(outputs: list[Any]) -> list[tuple[Any, ...]]:
    """Pieces of one stream put together, each stream where its first piece stands: their timing is the kernel's affair."""
    made: list[tuple[Any, ...]] = []
    for output in map(shape, outputs):
        same = next((i for i, o in enumerate(made) if output[0] == "stream" and o[:2] == output[:2]), None)
        if same is None:
            made.append(output)
        else:
            made[same] = (*output[:2], made[same][2] + output[2])
    return made


@pytest.fixture(scope="module")
def in_jupyter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    where = {"metadata": {"path": str(tmp_path_factory.mktemp("jupyter"))}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True, resources=where).execute()
    return {name: joined(cell.outputs) for name, cell in zip(CELLS, notebook.cells, strict=True)}


@pytest.fixture(scope="module")
def in_sandbox() -> dict[str, list[tuple[Any, ...]]]:
    with Server(importable_files(), ROOT) as server, server.open(Limits(cell_seconds=60)) as session:
        return {name: joined(session.run_cell(source)["outputs"]) for name, source in CELLS.items()}


#: What Jupyter's kernel prints on its own terminal, if anywhere, and we keep with the cell.
WE_KEEP = {"a child process": ("stream", "stdout", "deep\n"), "C's own output": ("stream", "stdout", "from C\n")}
TALKING = ("a data loader with workers", "processes", "two processes over loopback")


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_does_what_it_does_in_jupyter(
    name: str, in_jupyter: dict[str, list[tuple[Any, ...]]], in_sandbox: dict[str, list[tuple[Any, ...]]]
) -> None:
    if level() not in ("full", "no-cgroup") and name in TALKING:
        pytest.skip("at this level the processes of a notebook cannot talk to each other")
    ours, theirs = in_sandbox[name], in_jupyter[name]
    if name in WE_KEEP:
        assert WE_KEEP[name] in ours
        ours, theirs = ([o for o in outputs if o != WE_KEEP[name]] for outputs in (ours, theirs))
    assert ours == theirs
