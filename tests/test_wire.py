"""Data across the process boundary: what goes in comes out, and malformed frames are refused."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.sandbox.wire import DTYPES, Opaque, Seed, Tensor, WireError, decode, encode, receive, send


def through(value: Any) -> Any:
    stream = io.BytesIO()
    send(stream, value)
    stream.seek(0)
    return receive(stream)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_data_survives(value: Any) -> None:
    assert through(value) == value


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_arrays_survive(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.asarray(np.random.default_rng(0).normal(size=shape) * 10).astype(dtype)
    back = through({"a": array})["a"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)
    assert np.asarray(back).flags.writeable


def test_views_big_endian_and_fortran_order_are_normalised() -> None:
    array = np.arange(12.0).reshape(3, 4)
    for odd in (array.T, array[:, ::2], np.asfortranarray(array), array.astype(">f8")):
        np.testing.assert_array_equal(through(odd), odd)


def test_tensors_survive_with_their_dtype() -> None:
    for tensor in (
        torch.randn(2, 3),
        torch.arange(4),
        torch.tensor([1.5, -2.0], dtype=torch.bfloat16, requires_grad=True),
    ):
        back = through(tensor)
        assert isinstance(back, Tensor)
        assert back.dtype == str(tensor.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(
            back.array, tensor.detach().float().numpy() if tensor.is_floating_point() else tensor.numpy()
        )
    assert through(Seed(3)) == Seed(3)


class Liar(np.ndarray):
    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return True

    @property
    def shape(self) -> Any:  # type: ignore[override]
        return (9, 9)


def test_subclasses_are_reduced_to_their_raw_numbers() -> None:
    back = through(np.arange(3.0).view(Liar))
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, [0, 1, 2])


class AlwaysEqual:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_objects_cross_as_their_name_only() -> None:
    for thing in (AlwaysEqual(), np.array([object()]), np.array(["a"]), lambda: 0, 10**100, {1, 2}):
        assert isinstance(through(thing), Opaque)
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert through(cyclic)


def frame(head: Any, raw: bytes = b"", sizes: tuple[int, int] | None = None) -> io.BytesIO:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return io.BytesIO(struct.pack("<QQ", *(sizes or (len(text), len(raw)))) + text + raw)


ARRAY = {"$": "array", "dtype": "float64", "shape": [2], "buffer": 0}


@pytest.mark.parametrize(
    "stream",
    [
        frame(b"not json"),
        frame([]),
        frame({"tree": 1}),
        frame({"tree": {"$": "pickle"}, "sizes": []}),
        frame({"tree": ARRAY, "sizes": []}),
        frame({"tree": ARRAY, "sizes": [8]}, b"12345678"),
        frame({"tree": {**ARRAY, "dtype": "object"}, "sizes": [16]}, b"0" * 16),
        frame({"tree": {**ARRAY, "shape": [-2]}, "sizes": [16]}, b"0" * 16),
        frame({"tree": {**ARRAY, "shape": [True, 2]}, "sizes": [16]}, b"0" * 16),
        frame({"tree": {**ARRAY, "shape": [10**30, 0]}, "sizes": [16]}, b"0" * 16),
        frame({"tree": {**ARRAY, "buffer": -1}, "sizes": [16]}, b"0" * 16),
        frame({"tree": None, "sizes": [-5, 5]}),
        frame({"tree": None, "sizes": []}, sizes=(10**12, 0)),
        frame(b'{"tree": ' + b"[" * 5000 + b"]" * 5000 + b', "sizes": []}'),
    ],
)
def test_malformed_frames_are_refused(stream: io.BytesIO) -> None:
    with pytest.raises(WireError):
        receive(stream)


def test_a_closed_connection_is_said_so() -> None:
    with pytest.raises(EOFError):
        receive(io.BytesIO(b"\x01"))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_noise_never_does_more_than_raise(noise: bytes) -> None:
    head = struct.pack("<QQ", len(noise), 0)
    with pytest.raises((WireError, EOFError)):
        receive(io.BytesIO(head + noise))


def test_decode_of_an_encoding_is_the_value() -> None:
    value = {"a": [1, (2.5, "x")], "b": np.float32(1.5)}
    assert decode(*encode(value)) == value
