"""A model in the form of ``wta-seg export``, made by hand: two convolutions, in milliseconds."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mmseg.evaluation.inspection import OperatingPoint

CLASSES = ('normal', 'attached', 'broken')
# class 1 rises with green, class 2 with red
WEIGHTS = np.float32([[0, 0, 0], [-0.4, 1.6, -0.3], [1.6, -0.4, -0.3]])
BIAS = np.float32([0.5, -0.5, -0.6])


def write_model(path: Path, point: OperatingPoint | None = None, **metadata) -> Path:
    """Write an ONNX file of dynamic size for three classes.

    Args:
        path: of the file.
        point: its operating point.
        **metadata: values in place of the usual ones.
    """
    first, last = np.zeros((6, 3, 1, 1), np.float32), np.zeros((3, 6, 3, 3), np.float32)
    first[:, :, 0, 0] = np.concatenate([np.eye(3), -np.eye(3)])  # a ReLU keeps both signs
    last[:, :, 1, 1] = np.concatenate([WEIGHTS, -WEIGHTS], axis=1) * 0.6
    last[:, :, 1, 2] = np.concatenate([WEIGHTS, -WEIGHTS], axis=1) * 0.4
    arrays = dict(first=first, last=last, bias=BIAS)
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    nodes = [
        helper.make_node('Conv', ['images', 'first'], ['both'], 'conv1'),
        helper.make_node('Relu', ['both'], ['positive'], 'relu'),
        helper.make_node('Conv', ['positive', 'last', 'bias'], ['logits'], 'conv2', pads=[1, 1, 1, 1]),
    ]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['batch', 3, 'height', 'width'])
        for name in ('images', 'logits')
    ]
    graph = helper.make_graph(nodes, 'tiny', shapes[:1], shapes[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
    values = dict(
        channel_order='RGB',
        mean=[90.0, 100.0, 110.0],
        std=[60.0, 55.0, 50.0],
        classes=CLASSES,
        palette=[[0, 0, 0], [255, 0, 0], [0, 0, 255]],
        sides=[16, 4096],
        size=[64, 64],
        resize=None,
    )
    values |= metadata | ({} if point is None else dict(operating_point=point.to_dict()))
    texts = {key: value if key == 'channel_order' else json.dumps(value) for key, value in values.items()}
    helper.set_model_props(model, texts)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
