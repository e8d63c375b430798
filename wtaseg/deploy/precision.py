"""Exported models in 16-bit floating point and in 8-bit integers."""

import logging
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx


class Precision(StrEnum):
    """How weights and activations of an exported model are stored."""

    FLOAT32 = 'float32'
    FP16 = 'fp16'
    INT8 = 'int8'

    def file(self, path: Path) -> Path:
        """The file of this precision beside the float32 one: ``model.onnx``, ``model_int8.onnx``."""
        return path if self is Precision.FLOAT32 else path.with_name(f'{path.stem}_{self}{path.suffix}')


def chosen_precisions(fp16: bool, int8: bool) -> tuple[Precision, ...]:
    """Those that are asked for, beside float32."""
    return tuple(one for one, asked in ((Precision.FP16, fp16), (Precision.INT8, int8)) if asked)


def to_fp16(source: Path, target: Path) -> None:
    """Write a model with weights and activations of 16 bits; its inputs and outputs stay float32.

    So do transpositions: onnxruntime 1.32 crashes when it loads a vision transformer whose transpositions have 16 bits.
    """
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    model = onnx.load(str(source))
    reduced = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, 'Transpose']
    )
    _save(reduced, target, model)


def to_int8(source: Path, target: Path, inputs: Iterable[np.ndarray]) -> None:
    """Write a model with weights and activations of 8 bits, by onnxruntime's static quantisation.

    Weights have one scale a channel. The last convolution, which gives the logits, stays float32.

    Args:
        source: float32 model.
        target: file to write.
        inputs: images (N, 3, height, width) from which the ranges of the activations are measured.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load(str(source))
    # it recommends a preprocessing that these graphs do not need
    logging.disable(logging.WARNING)
    try:
        quantize_static(
            str(source),
            str(target),
            _InputReader(inputs),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_last_layers(model),
        )
    finally:
        logging.disable(logging.NOTSET)
    _save(onnx.load(str(target)), target, model)


class _InputReader:
    """What onnxruntime calls a ``CalibrationDataReader``."""

    def __init__(self, inputs: Iterable[np.ndarray]) -> None:
        self._inputs: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._inputs, None)
        return None if images is None else {'images': images}


def _last_layers(model: 'onnx.ModelProto') -> list[str]:
    """Names of the nodes from the last convolution or matrix product to the logits."""
    makers = {name: node for node in model.graph.node for name in node.output}
    names, pending = [], [model.graph.output[0].name]
    while pending:
        node = makers.get(pending.pop())
        if node is not None and node.name not in names:
            names.append(node.name)
            pending += [] if node.op_type in ('Conv', 'Gemm', 'MatMul') else list(node.input)
    return names


def _save(model: 'onnx.ModelProto', path: Path, like: 'onnx.ModelProto') -> None:
    """Write a model with the metadata of another one."""
    import onnx

    onnx.helper.set_model_props(model, {entry.key: entry.value for entry in like.metadata_props})
    onnx.save(model, str(path))
