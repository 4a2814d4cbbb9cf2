"""onnx_weights.py: smaller weights in an ONNX model."""

import numpy as np
import pytest

from colourizer.network.onnx_weights import quantize, shrink_weights

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
SIZE = 32 * 64  # weights of each layer; more than onnx_weights.SMALL


def make_model():
    """Return a model with a 1x1 convolution, a Gemm and a MatMul, whose channels differ a lot."""
    rng = np.random.default_rng(0)

    def weight(*shape: int, axis: int) -> np.ndarray:
        scales = 10.0 ** rng.uniform(-3, 0, [n if m == axis else 1 for m, n in enumerate(shape)])
        return (rng.standard_normal(shape) * scales).astype(np.float32)

    weights = {
        "conv": weight(64, 32, 1, 1, axis=0),
        "gemm": weight(32, 64, axis=0),
        "matmul": weight(32, 64, axis=1),
        "bias": rng.standard_normal(64).astype(np.float32),
    }
    make, real = onnx.helper.make_node, onnx.TensorProto.FLOAT
    nodes = [
        make("Conv", ["x", "conv", "bias"], ["a"]),
        make("GlobalAveragePool", ["a"], ["b"]),
        make("Flatten", ["b"], ["c"]),
        make("Gemm", ["c", "gemm"], ["d"], transB=1),
        make("MatMul", ["d", "matmul"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "layers",
        [onnx.helper.make_tensor_value_info("x", real, [1, 32, "h", "w"])],
        [onnx.helper.make_tensor_value_info("y", real, [1, 64])],
        [onnx.numpy_helper.from_array(w, name) for name, w in weights.items()],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)


def output_of(model) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    features = np.random.default_rng(1).standard_normal((1, 32, 5, 7)).astype(np.float32)
    return session.run(None, {"x": features})[0]


@pytest.mark.parametrize(("bytes_each", "in_8_bits"), [(2, 0), (1.7, 1), (1.05, 3)])
def test_the_file_is_as_small_as_asked_for_and_computes_the_same(bytes_each, in_8_bits):
    model = make_model()
    expected, overhead = output_of(model), model.ByteSize() - 4 * 3 * SIZE
    max_bytes = round(overhead + 2440 + bytes_each * 3 * SIZE)  # scales and operators too
    assert len(shrink_weights(model, max_bytes)) == in_8_bits
    onnx.checker.check_model(model)
    assert model.ByteSize() <= max_bytes
    error = np.abs(output_of(model) - expected).max() / np.abs(expected).max()
    assert error < (0.02 if in_8_bits else 1e-3)


def test_what_cannot_be_made_small_enough_is_refused():
    with pytest.raises(ValueError, match=r"0\.0 MB at least"):
        shrink_weights(make_model(), 1000)


def test_each_output_channel_has_its_own_scale():
    weight = np.float32([[1, -2, 0.5], [1000, 500, -2000]])
    for axis, turned in ((0, weight), (1, weight.T)):
        levels, scale = quantize(turned, axis)
        assert levels.dtype == np.int8
        assert np.abs(levels).max(axis=1 - axis).tolist() == [127, 127]
        assert (np.abs(levels * scale - turned) <= scale / 2 * 1.001).all()


def test_channels_of_zeros_stay_zero():
    levels, _ = quantize(np.zeros((2, 3), np.float32), 0)
    assert not levels.any()
