"""Plain data across a process boundary: a JSON tree plus raw little-endian buffers, never pickle.

The same encoding carries a call into the sandbox, an answer out of it, and the frozen cases on disk. Whatever the other
side sends is data: dtypes come from a whitelist, shapes and byte counts must agree exactly, and a budget runs down before
any memory is taken.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

#: Types of array that may cross; bfloat16 (torch only) travels as its 16 raw bits.
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
_NAMES = {np.dtype(name): name for name in DTYPES}
BFLOAT16 = "bfloat16"
MAX_DEPTH = 20
MAX_NODES = 100_000
MAX_TEXT = 20_000
MAX_TREE = 32 * 2**20  # bytes of JSON in a message, which take several times as much memory once parsed
MAX_PAIRS = 1_000  # entries of a dictionary whose keys are not text: whoever chooses numbers can make them collide
DEFAULT_BUDGET = 256 * 1024 * 1024
_HEADER = struct.Struct("<QQ")  # bytes of JSON, bytes of buffers
_TAG = "$"


class WireError(ValueError):
    """A frame that does not follow the format, or asks for more than the budget."""


@dataclass(frozen=True)
class Seed:
    """A seed that reaches the student's function as ``np.random.default_rng(value)``."""

    value: int


@dataclass(frozen=True)
class Opaque:
    """A value that cannot cross: only its type's name and a short text of it do."""

    type_name: str
    text: str


@dataclass(frozen=True)
class Tensor:
    """A torch tensor on the trusted side, which needs no torch to look at it.

    ``array`` holds the values; bfloat16 is widened to float32 (exact) and keeps its own name in ``dtype``.
    """

    array: np.ndarray
    dtype: str


def encode(value: Any) -> tuple[Any, list[bytes]]:
    """Turn a value into ``(tree, buffers)``; what has no place in the format becomes :class:`Opaque`."""
    buffers: list[bytes] = []
    nodes = 0

    def array_node(kind: str, array: np.ndarray, dtype: str) -> dict[str, Any]:
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        buffers.append(contiguous.astype(contiguous.dtype.newbyteorder("<"), copy=False).tobytes())
        return {_TAG: kind, "dtype": dtype, "shape": [int(n) for n in array.shape], "buffer": len(buffers) - 1}

    def opaque(item: Any, text: str | None = None) -> dict[str, Any]:
        return {_TAG: "opaque", "type": _type_name(item), "text": _safe_repr(item) if text is None else text}

    def walk(item: Any, depth: int) -> Any:
        nonlocal nodes
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            return {_TAG: "opaque", "type": _type_name(item), "text": "(nested too deeply, or too many items)"}
        kind = type(item)  # exact types: a subclass may lie about everything else
        if item is None or kind is bool or kind is float:
            return item
        if kind is int:
            return item if item.bit_length() <= 64 else opaque(item, "(an integer of more than 64 bits)")
        if kind is str:
            return item if len(item) <= MAX_TEXT else item[:MAX_TEXT] + "…"
        if kind is complex:
            return array_node("scalar", np.asarray(item), "complex128")
        if kind is list:
            return [walk(entry, depth + 1) for entry in item]
        if kind is tuple:
            return {_TAG: "tuple", "items": [walk(entry, depth + 1) for entry in item]}
        if kind is dict:
            if all(type(key) is str for key in item):
                return {_TAG: "dict", "items": [[key, walk(entry, depth + 1)] for key, entry in item.items()]}
            return {
                _TAG: "pairs",
                "items": [[walk(key, depth + 1), walk(entry, depth + 1)] for key, entry in item.items()],
            }
        if kind is Seed:
            return {_TAG: "seed", "value": item.value}
        if kind is Opaque:
            return {_TAG: "opaque", "type": item.type_name, "text": item.text}
        if kind is Tensor:
            return array_node("tensor", item.array, item.dtype)
        if isinstance(item, np.generic) and _name_of(item.dtype) in DTYPES:
            return array_node("scalar", np.asarray(item), _name_of(item.dtype))
        if isinstance(item, np.ndarray):
            plain = np.ndarray.__array__(item) if kind is np.ndarray else np.array(item, subok=False)
            name = _name_of(plain.dtype)
            return array_node("array", plain, name) if name in DTYPES else opaque(item)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(item, torch.Tensor):
            return tensor_node(torch, item)
        return opaque(item)

    def tensor_node(torch: Any, item: Any) -> dict[str, Any]:
        dtype = str(item.dtype).removeprefix("torch.")
        if dtype != BFLOAT16 and dtype not in DTYPES:
            return opaque(item)
        plain = item.detach().to("cpu")
        if dtype == BFLOAT16:
            return array_node("tensor", plain.contiguous().view(torch.uint16).numpy(), BFLOAT16)
        return array_node("tensor", plain.resolve_conj().resolve_neg().numpy(), dtype)

    return walk(value, 0), buffers


def decode(tree: Any, buffers: list[bytes] | list[memoryview]) -> Any:
    """Rebuild a value from ``(tree, buffers)``; torch tensors come back as :class:`Tensor`.

    Raises:
        WireError: anything in the tree is not of the format.
    """
    nodes = 0
    copied = 0
    most = 2 * sum(map(len, buffers)) + 2**20

    def array(node: dict[str, Any]) -> np.ndarray:
        nonlocal copied
        name, shape, index = node.get("dtype"), node.get("shape"), node.get("buffer")
        if type(shape) is not list or len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
            raise WireError("the shape of an array is not a list of sizes")
        if type(index) is not int or not 0 <= index < len(buffers):
            raise WireError("an array names a buffer that does not exist")
        if type(name) is not str or (name not in DTYPES and name != BFLOAT16):
            raise WireError("an array has a dtype that may not cross")
        dtype = DTYPES["uint16"] if name == BFLOAT16 else DTYPES[name]
        if math.prod(shape) * dtype.itemsize != len(buffers[index]):
            raise WireError("the bytes of an array do not fit its shape")
        copied += len(buffers[index])
        if copied > most:
            raise WireError("the same numbers are named again and again")
        flat = np.frombuffer(buffers[index], dtype=dtype)
        if name == BFLOAT16:
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.astype(flat.dtype.newbyteorder("="), copy=True).reshape(shape)

    def walk(node: Any, depth: int) -> Any:
        nonlocal nodes
        nodes += 1
        if depth > MAX_DEPTH + 1 or nodes > 4 * MAX_NODES:
            raise WireError("the tree is too deep or too large")
        if type(node) is int and node.bit_length() > 64:
            raise WireError("an integer of more than 64 bits")
        if node is None or type(node) in (bool, int, float, str):
            return node
        if type(node) is list:
            return [walk(entry, depth + 1) for entry in node]
        if type(node) is not dict:
            raise WireError("unknown kind of node")
        kind = node.get(_TAG)
        if kind in ("array", "scalar"):
            found = array(node)
            return found if kind == "array" else found[()]
        if kind == "tensor":
            return Tensor(array(node), str(node["dtype"]))
        if kind == "seed" and type(node.get("value")) is int:
            return Seed(node["value"])
        if kind == "opaque":
            return Opaque(str(node.get("type"))[:200], str(node.get("text"))[:MAX_TEXT])
        items = node.get("items")
        if type(items) is not list:
            raise WireError("unknown kind of node")
        if kind == "tuple":
            return tuple(walk(entry, depth + 1) for entry in items)
        if kind in ("dict", "pairs"):
            if any(type(pair) is not list or len(pair) != 2 for pair in items):
                raise WireError("an entry of a dictionary is not a pair")
            if len(items) > MAX_PAIRS and any(type(key) is not str for key, _ in items):
                raise WireError("a dictionary with too many entries whose keys are not text")
            try:
                return {walk(key, depth + 1): walk(entry, depth + 1) for key, entry in items}
            except TypeError as error:
                raise WireError("a key of a dictionary cannot be a key") from error
        raise WireError("unknown kind of node")

    return walk(tree, 0)


def packed(value: Any) -> bytes:
    """One frame: sizes, JSON, buffers."""
    tree, buffers = encode(value)
    text = json.dumps({"tree": tree, "sizes": [len(buffer) for buffer in buffers]}).encode()
    return b"".join([_HEADER.pack(len(text), sum(map(len, buffers))), text, *buffers])


def send(stream: BinaryIO, value: Any) -> None:
    """Write one frame."""
    stream.write(packed(value))
    stream.flush()


def receive(stream: BinaryIO, budget: int = DEFAULT_BUDGET, tree: int = MAX_TREE) -> Any:
    """Read one frame: at most ``budget`` bytes, of them at most ``tree`` bytes of structure.

    Raises:
        EOFError: the other side is gone.
        WireError: the frame is malformed or larger than ``budget`` bytes.
    """
    text_bytes, buffer_bytes = _HEADER.unpack(_exactly(stream, _HEADER.size))
    if text_bytes > tree:
        raise WireError(f"a message with {text_bytes:,} bytes of structure; at most {tree:,} are allowed")
    if text_bytes + buffer_bytes > budget:
        raise WireError(f"a message of {text_bytes + buffer_bytes:,} bytes; at most {budget:,} are allowed")
    text = _exactly(stream, text_bytes)
    raw = memoryview(_exactly(stream, buffer_bytes))
    try:
        head = json.loads(text)
        sizes = head["sizes"]
        if type(sizes) is list and len(sizes) > MAX_NODES:
            raise WireError("more buffers than a message may have")
        if type(sizes) is not list or any(type(n) is not int or n < 0 for n in sizes) or sum(sizes) != buffer_bytes:
            raise WireError("the sizes of the buffers do not add up")
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))] if len(sizes) < 1000 else list(np.cumsum(sizes))
        buffers = [raw[int(end) - size : int(end)] for size, end in zip(sizes, ends, strict=True)]
        return decode(head["tree"], buffers)
    except WireError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise WireError(f"a malformed message ({type(error).__name__})") from error


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = stream.read(min(count - len(data), 1 << 20))
        if not piece:
            raise EOFError("the other side closed the connection")
        data += piece
    return bytes(data)


def _name_of(dtype: Any) -> str:
    """A dtype's name; NumPy puts it together anew each time, which is the most of what small arrays cost."""
    return _NAMES.get(dtype) or str(dtype.name)


def _type_name(item: Any) -> str:
    return str(getattr(type(item), "__name__", "?"))[:200]


def _safe_repr(item: Any) -> str:
    try:
        text = repr(item)
    except BaseException as error:  # a student's __repr__ may do anything
        return f"(its repr raises {type(error).__name__})"
    return str(text)[:500]
