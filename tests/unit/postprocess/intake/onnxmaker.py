"""ONNX files of a few nodes, written field by field: no package that writes them is needed."""

from collections.abc import Mapping, Sequence

import numpy as np

_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}  # TensorProto.DataType
_PICTURE, _IR_VERSION, _OPSET = "picture", 8, 13


def blue_model(side: int | str, second_output: bool = False) -> bytes:
    """A model that takes for the subject what is blue, more than the mean that it comes less of.

    side: of its square input; a name for one that is free. second_output: another one follows.
    """
    shape = (1, 1, side, side)
    tensors = {"weights": np.float32([0, 0, 4]).reshape(1, 3, 1, 1), "bias": np.float32([0])}
    nodes = [_node("Conv", (_PICTURE, "weights", "bias"), "sum"), _node("Sigmoid", ("sum",), "out")]
    outputs: dict[str, Sequence[int | str]] = {"out": shape}
    if second_output:
        nodes.append(_node("Relu", ("sum",), "more"))
        outputs["more"] = shape
    return _model(nodes, tensors, (1, 3, side, side), outputs)


def constant_model(shape: Sequence[int], value: float, side: int | None = None) -> bytes:
    """A model whose output is `value` in `shape`, whatever square comes in, or only for one of
    `side`."""
    size = int(np.prod(shape))
    tensors = {
        "weights": np.zeros((size, 3, 1, 1), np.float32),
        "bias": np.full(size, value, np.float32),
        "shape": np.array(shape, np.int64),
        "square": np.array([1, 3, side or -1, side or 1], np.int64),
    }
    nodes = [
        _node("Reshape", (_PICTURE, "square"), "squared"),
        _node("GlobalAveragePool", ("squared",), "mean"),
        _node("Conv", ("mean", "weights", "bias"), "flat"),
        _node("Reshape", ("flat", "shape"), "out"),
    ]
    return _model(nodes, tensors, (1, 3, "side", "side"), {"out": shape})


def _model(
    nodes: Sequence[bytes],
    tensors: Mapping[str, np.ndarray],
    taken: Sequence[int | str],
    outputs: Mapping[str, Sequence[int | str]],
) -> bytes:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"graph")
    graph += b"".join(_field(5, _tensor(name, tensor)) for name, tensor in tensors.items())
    graph += _field(11, _value(_PICTURE, taken))
    graph += b"".join(_field(12, _value(name, shape)) for name, shape in outputs.items())
    opset = _field(1, b"") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, opset)


def _node(operator: str, inputs: Sequence[str], output: str) -> bytes:
    named = [*((1, name) for name in inputs), (2, output), (3, output), (4, operator)]
    return b"".join(_field(tag, text.encode()) for tag, text in named)


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    kind = _number(2, _TYPES[values.dtype])
    return dims + kind + _field(8, name.encode()) + _field(9, values.tobytes())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = [_field(2, d.encode()) if isinstance(d, str) else _number(1, d) for d in shape]
    kind = _number(1, 1) + _field(2, b"".join(_field(1, dim) for dim in dims))
    return _field(1, name.encode()) + _field(2, _field(1, kind))


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _field(tag: int, value: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
