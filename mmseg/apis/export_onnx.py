"""Export of a segmentor to ONNX.

The graph maps ``images`` (N, 3, H, W), float32 in the order and scale that the config's ``data_preprocessor``
makes, to ``logits`` (N, classes, H, W). Channel order, mean, std, classes, palette and the operating point, if the
checkpoint has one (:func:`mmseg.evaluation.inspection.read_operating_point` reads it), are in the metadata of the
file. Height and width are left open where the architecture allows. The file is written only if onnxruntime computes
PyTorch's logits for two batches, of two sizes if height and width are open.
"""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mmseg.apis import init_model
from mmseg.apis.onnx_metadata import Sides, describe
from mmseg.evaluation.inspection import OperatingPoint
from mmseg.models.segmentors import BaseSegmentor
from mmseg.models.utils import resize
from mmseg.utils.files import atomic_path

SMALLEST, LARGEST = 64, 4096
# largest allowed difference of a logit, in standard deviations of all logits; float32 rounding gives about 1e-5
TOLERANCE = 1e-3
# opset 17 and below lack operators of antialiased resizing and of group norm
OPSET = 18
DEFAULT_SIZE = (512, 512)


class ExportError(RuntimeError):
    """An exported file does not compute what the model does."""


class Network(nn.Module):
    """A segmentor without pre- and postprocessing, its logits at the size of the images."""

    def __init__(self, segmentor: BaseSegmentor) -> None:
        super().__init__()
        self.segmentor = segmentor

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, H, W) to logits (N, classes, H, W)."""
        logits = self.segmentor(images, mode='tensor')
        logits = logits[0] if isinstance(logits, (tuple, list)) else logits
        return resize(logits, images.shape[2:], mode='bilinear', align_corners=self.segmentor.align_corners)


def trace(
    network: Network, size: tuple[int, int], dynamic: bool = True
) -> tuple[ExportedProgram, Sides | None]:
    """Export with the widest range of sides that the architecture allows.

    Args:
        network: in evaluation mode.
        size: (height, width) to trace with.
        dynamic: try to leave height and width open.

    Returns:
        The program, and the range of sides; None: it accepts ``size`` only.
    """
    largest = max(size)
    candidates = (
        [Sides(SMALLEST, LARGEST), Sides(SMALLEST, largest)] if dynamic and min(size) > SMALLEST else []
    )
    images = torch.zeros(2, 3, *size)  # a batch of 1 would be exported as a constant
    batch = {0: Dim('batch', min=1, max=1024)}
    for sides in candidates:
        try:
            return torch.export.export(network, (images,), dynamic_shapes=[batch | sides.dims()]), sides
        except torch._dynamo.exc.UserError as error:
            if error.error_type != torch._dynamo.exc.UserErrorType.CONSTRAINT_VIOLATION:
                raise
    return torch.export.export(network, (images,), dynamic_shapes=[batch]), None


@torch.no_grad()
def refuse_size(network: Network, size: tuple[int, int]) -> None:
    """Raise where the architecture can not compute images of a size.

    Args:
        network: in evaluation mode.
        size: (height, width).

    Raises:
        ExportError: it can not; names the reason.
    """
    try:
        network(torch.zeros(1, 3, *size))
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f'--shape {size[0]} {size[1]}: the model can not compute images of this size ({reason}); '
            'expected the size that its config was made for, see docs/models.md'
        ) from error


def write(program: ExportedProgram, path: Path, metadata: dict[str, str]) -> None:
    """Write a program as ONNX, with names for open dimensions."""
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            program,
            (),
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=['images'],
            output_names=['logits'],
            verbose=False,
        )
    proto = onnx.load(str(path))
    shape = proto.graph.input[0].type.tensor_type.shape.dim
    names = {
        dim.dim_param: name for dim, name in zip(shape, ('batch', '', 'height', 'width')) if dim.dim_param
    }
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]
    # The exporter notes for each value which line of which file made it: paths of this machine, an eighth of the file.
    for value in (*proto.graph.node, *proto.graph.value_info):
        value.ClearField('metadata_props')
    for node in proto.graph.node:
        node.ClearField('doc_string')
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


@torch.no_grad()
def compare(network: Network, path: Path, shapes: list[tuple[int, int, int]]) -> dict[tuple, float]:
    """The largest difference between the logits of onnxruntime and PyTorch for batches of noise.

    Args:
        network: the exported network.
        path: the ONNX file.
        shapes: (N, H, W) of each batch.

    Returns:
        The difference for each shape, in standard deviations of PyTorch's logits.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    differences = {}
    for n, height, width in shapes:
        images = torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(height * width))
        expected = network(images)
        logits = torch.from_numpy(session.run(['logits'], {'images': images.numpy()})[0])
        if logits.shape != expected.shape:
            differences[n, height, width] = float('inf')
        else:
            differences[n, height, width] = ((logits - expected).abs().max() / expected.std()).item()
    return differences


def _trial_shapes(size: tuple[int, int], sides: Sides | None) -> list[tuple[int, int, int]]:
    height, width = size
    if sides is None:
        return [(1, height, width), (3, height, width)]
    # odd sides are no multiple of any stride
    other = [max(sides.low, side * 3 // 4) | 1 for side in size]
    return [(1, height, width), (2, other[0], other[1] + 2 if other[1] + 2 <= sides.high else other[1])]


def export(
    model: BaseSegmentor,
    path: str | Path,
    size: tuple[int, int],
    dynamic: bool = True,
    point: OperatingPoint | None = None,
) -> tuple[Sides | None, dict[tuple, float]]:
    """Export a model to ``path``, which is written only if the file computes what the model does.

    Args:
        model: on the CPU.
        path: the ONNX file.
        size: (height, width) to trace with.
        dynamic: try to leave height and width open.
        point: operating point to store in the metadata.

    Returns:
        The range of sides left open, and the measured differences, see :func:`compare`.

    Raises:
        ExportError: the model can not compute images of ``size``, or the logits of onnxruntime and PyTorch differ; no
            file is written.
    """
    path = Path(path)
    network = Network(model).eval()
    refuse_size(network, size)
    program, sides = trace(network, size, dynamic)
    with atomic_path(path) as temporary:
        write(program, temporary, describe(model, sides, size, point))
        differences = compare(network, temporary, _trial_shapes(size, sides))
        wrong = {shape: value for shape, value in differences.items() if not value <= TOLERANCE}
        if wrong:
            raise ExportError(
                f"{path}: not written. onnxruntime's logits differ from PyTorch's by {wrong} standard deviations, "
                f'(N, H, W) first; allowed are {TOLERANCE}. Other versions of onnx, onnxscript or onnxruntime may help.'
            )
    return sides, differences


@dataclass(frozen=True)
class Export:
    """An exported file.

    Attributes:
        path: of the ONNX file.
        size: (height, width) it was traced with.
        sides: range of height and width; None: ``size`` only.
        differences: largest difference from PyTorch's logits for each shape (N, H, W), in standard deviations.
    """

    path: Path
    size: tuple[int, int]
    sides: Sides | None
    differences: dict[tuple[int, int, int], float]

    def __str__(self) -> str:
        height, width = self.size
        extent = (
            f'sides from {self.sides.low} to {self.sides.high}' if self.sides else f'{height} x {width} only'
        )
        lines = [f'{self.path}: images (batch, 3, height, width), {extent}']
        for (n, h, w), value in self.differences.items():
            lines.append(f'  {n} x {h} x {w}: logits differ by {value:.1e} of their standard deviation')
        return '\n'.join(lines)


def export_checkpoint(
    config: str | Path | Config,
    checkpoint: str | Path,
    path: str | Path | None = None,
    size: tuple[int, int] | None = None,
    dynamic: bool = True,
    strict: bool = True,
    false_alarms: float | None = None,
) -> Export:
    """Export the model of a config with the weights of a checkpoint.

    Args:
        config: config of the experiment, or its file.
        checkpoint: its weights.
        path: the ONNX file; None: the checkpoint with the suffix .onnx.
        size: (height, width) to trace with; None: that of the config's ``data_preprocessor``, else 512 x 512.
        dynamic: try to leave height and width open.
        strict: refuse a checkpoint that does not fit the model, see :func:`mmseg.apis.init_model`.
        false_alarms: per image and class: store the operating point for these, chosen from the validation curves in the
            checkpoint; None: as it is.

    Raises:
        ImportError: onnx, onnxruntime or onnxscript is not installed.
        ExportError: see :func:`export`, or the model takes no images of this size.
        ValueError: the checkpoint has no operating point for ``false_alarms``.
    """
    missing = [name for name in ('onnx', 'onnxruntime', 'onnxscript') if find_spec(name) is None]
    if missing:
        raise ImportError(f'{missing[0]} is not installed; the export needs: pip install "wta-seg[deploy]"')
    model = init_model(config, checkpoint, device='cpu', strict=strict)
    size = size or (model.cfg.model.get('data_preprocessor') or {}).get('size') or DEFAULT_SIZE
    path = Path(path or Path(checkpoint).with_suffix('.onnx'))
    point = model.operating_point
    if false_alarms is not None:
        if point is None:
            raise ValueError(
                f'--false-alarms: {false_alarms:g}; {checkpoint} has no operating point, expected a checkpoint of a '
                'training with InspectionMetric in val_evaluator'
            )
        point = point.at(false_alarms)
    sides, differences = export(model, path, tuple(size), dynamic, point)
    return Export(path, tuple(size), sides, differences)
