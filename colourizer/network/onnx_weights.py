"""Smaller weights in an ONNX model: half precision, and 8 bits for the largest layers.

Both are widened by operators in the graph, which runtimes evaluate once, when they load it: from
then on it computes in full precision.
"""

from typing import Any

import numpy as np

SMALL = 1024  # weights; layers with fewer, and all vectors, stay in full precision


def shrink_weights(model: Any, max_bytes: int) -> list[str]:
    """Store an ONNX model's weights in half precision, and the largest in 8 bits if they must be.

    Args:
        model: an onnx.ModelProto in full precision; is changed.
        max_bytes: the size that the file may have.

    Returns:
        The names of the weights that have 8 bits; their scale is one for each output channel.

    Raises:
        ValueError: with 8 bits for all layers it still is too large.
    """
    from onnx import helper, numpy_helper

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    large = [name for name, w in weights.items() if w.ndim > 1 and w.size >= SMALL]
    large = [name for name in large if weights[name].dtype == np.float32]
    large.sort(key=lambda name: (-weights[name].size, name))
    size = model.ByteSize() - sum(2 * weights[name].size for name in large)
    size += 300 * len(large)  # the operators that widen them
    in_8_bits: list[str] = []
    while size > max_bytes:
        if len(in_8_bits) == len(large):
            raise ValueError(f"has {size / 1e6:.1f} MB at least, {max_bytes / 1e6:.1f} are allowed")
        name = large[len(in_8_bits)]
        in_8_bits.append(name)
        scales = weights[name].shape[_output_axis(model, name)]
        size += 4 * scales + 300 - weights[name].size
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in large]
    nodes = []
    for name in large:
        if name in in_8_bits:
            levels, scale = quantize(weights[name], _output_axis(model, name))
            kept += [
                numpy_helper.from_array(levels, f"{name}.levels"),
                numpy_helper.from_array(scale, f"{name}.scale"),
            ]
            nodes.append(helper.make_node("Cast", [f"{name}.levels"], [f"{name}.wide"], to=1))
            nodes.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name]))
        else:
            kept.append(numpy_helper.from_array(weights[name].astype(np.float16), f"{name}.half"))
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=1))
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    return in_8_bits


def quantize(weight: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantize weights symmetrically per output channel: Jacob et al., CVPR 2018, section 2.

    Args:
        weight: float32 of any shape.
        axis: that of the output channels.

    Returns:
        levels, int8 of that shape, in [-127, 127]; scale, float32, by which they are multiplied.
    """
    others = tuple(n for n in range(weight.ndim) if n != axis)
    scale = np.abs(weight).max(axis=others, keepdims=True).clip(1e-9) / 127
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def _output_axis(model: Any, name: str) -> int:
    """Return the axis of the output channels of a weight: the last one of a MatMul's."""
    user = next(node for node in model.graph.node if name in node.input)
    if user.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in user.attribute)
        return 0 if transposed else 1
    return {"MatMul": 1, "ConvTranspose": 1}.get(user.op_type, 0)
