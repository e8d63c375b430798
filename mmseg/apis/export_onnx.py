"""Export a segmentor to ONNX: ``python tools/deployment/export_onnx.py CONFIG CHECKPOINT``.

The graph maps ``images`` (N, 3, H, W), float32 in the order and scale that the config's ``data_preprocessor``
makes, to ``logits`` (N, classes, H, W). Channel order, mean, std, classes and palette stand in the file's
metadata. Height and width are left open where the architecture allows; what was left open is printed. The file
gets its name only after onnxruntime has given PyTorch's logits for two batches, of two sizes if sizes are open.
"""

import argparse
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mmseg.apis import init_model
from mmseg.models.segmentors import BaseSegmentor
from mmseg.models.utils import resize

SMALLEST, LARGEST = 64, 4096
# Largest difference of a logit, in standard deviations of all logits. Float32 gives about 1e-5.
TOLERANCE = 1e-3
# For torch.onnx; 17 and below lack what antialiased resizing and grouped norms are made of.
OPSET = 18


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


@dataclass(frozen=True)
class Sides:
    """The range that height and width are left open in; None if they are fixed."""

    low: int
    high: int

    def dims(self) -> dict:
        """The open dimensions, for ``torch.export``."""
        return {2: Dim('height', min=self.low, max=self.high), 3: Dim('width', min=self.low, max=self.high)}


def trace(
    network: Network, size: tuple[int, int], dynamic: bool = True
) -> tuple[ExportedProgram, Sides | None]:
    """Export with the widest range of sides that the architecture allows.

    Args:
        network: in evaluation mode.
        size: (height, width) to trace with.
        dynamic: try to leave height and width open.

    Returns:
        The program, and the range of sides, None for ``size`` only.
    """
    largest = max(size)
    candidates = (
        [Sides(SMALLEST, LARGEST), Sides(SMALLEST, largest)] if dynamic and min(size) > SMALLEST else []
    )
    images = torch.zeros(2, 3, *size)  # 2: a batch of 1 would be taken for a constant
    batch = {0: Dim('batch', min=1, max=1024)}
    for sides in candidates:
        try:
            return torch.export.export(network, (images,), dynamic_shapes=[batch | sides.dims()]), sides
        except torch._dynamo.exc.UserError as error:
            if error.error_type != torch._dynamo.exc.UserErrorType.CONSTRAINT_VIOLATION:
                raise
    return torch.export.export(network, (images,), dynamic_shapes=[batch]), None


def _describe(model: BaseSegmentor, sides: Sides | None, size: tuple[int, int]) -> dict[str, str]:
    preprocessor = model.cfg.model.get('data_preprocessor') or {}
    bgr_to_rgb = bool(preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr'))
    facts = dict(
        channel_order='RGB' if bgr_to_rgb else 'BGR',
        mean=preprocessor.get('mean'),
        std=preprocessor.get('std'),
        classes=model.dataset_meta.get('classes'),
        palette=model.dataset_meta.get('palette'),
        sides=[sides.low, sides.high] if sides else None,
        size=list(size),
    )
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def write(program: ExportedProgram, path: Path, facts: dict[str, str]) -> None:
    """Write a program as ONNX, with open dimensions named and ``facts`` as metadata."""
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
    onnx.helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


@torch.no_grad()
def compare(network: Network, path: Path, shapes: list[tuple[int, int, int]]) -> dict[tuple, float]:
    """Largest difference between onnxruntime's and PyTorch's logits for batches of noise.

    Args:
        network: what was exported.
        path: the ONNX file.
        shapes: (N, H, W) of each batch.

    Returns:
        Per shape the difference, in standard deviations of PyTorch's logits.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    differences = {}
    for n, height, width in shapes:
        images = torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(height * width))
        expected = network(images)
        found = torch.from_numpy(session.run(['logits'], {'images': images.numpy()})[0])
        if found.shape != expected.shape:
            differences[n, height, width] = float('inf')
        else:
            differences[n, height, width] = ((found - expected).abs().max() / expected.std()).item()
    return differences


def _trial_shapes(size: tuple[int, int], sides: Sides | None) -> list[tuple[int, int, int]]:
    height, width = size
    if sides is None:
        return [(1, height, width), (3, height, width)]
    # odd ones, no multiple of any stride
    other = [max(sides.low, side * 3 // 4) | 1 for side in size]
    return [(1, height, width), (2, other[0], other[1] + 2 if other[1] + 2 <= sides.high else other[1])]


def export(
    model: BaseSegmentor, path: str | Path, size: tuple[int, int], dynamic: bool = True
) -> tuple[Sides | None, dict[tuple, float]]:
    """Export a model on the CPU to ``path``, which appears only if the file computes what the model does.

    Returns:
        The range of sides left open, and the differences measured, see :func:`compare`.

    Raises:
        RuntimeError: onnxruntime's logits differ from PyTorch's; no file is left.
    """
    path = Path(path)
    network = Network(model).eval()
    program, sides = trace(network, size, dynamic)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export_onnx_') as folder:
        draft = Path(folder) / path.name
        write(program, draft, _describe(model, sides, size))
        differences = compare(network, draft, _trial_shapes(size, sides))
        wrong = {shape: value for shape, value in differences.items() if not value <= TOLERANCE}
        if wrong:
            raise RuntimeError(
                f"{path}: not written. onnxruntime's logits differ from PyTorch's by {wrong} standard deviations, "
                f'(N, H, W) first; allowed are {TOLERANCE}. Other versions of onnx, onnxscript or onnxruntime may help.'
            )
        draft.replace(path)
    return sides, differences


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Export a segmentor to ONNX')
    parser.add_argument('config', help='config of the experiment')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('--output-file', help='default: the checkpoint with the ending .onnx')
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        metavar='SIDE',
        help="height and width, or one side; default: the config's",
    )
    parser.add_argument('--static', action='store_true', help='fix height and width')
    args = parser.parse_args(argv)
    if args.shape is not None and len(args.shape) > 2:
        parser.error(f'--shape takes height and width, got {args.shape}')
    return args


def main(argv: list[str] | None = None) -> None:
    """Export what the command line names, and print what was measured."""
    args = parse_args(argv)
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise SystemExit(f'{error}; the export needs: pip install "wta-seg[deploy]"') from error
    model = init_model(args.config, args.checkpoint, device='cpu')
    size = args.shape or (model.cfg.model.get('data_preprocessor') or {}).get('size') or (512, 512)
    size = tuple(size) if len(size) == 2 else (size[0], size[0])
    path = Path(args.output_file or Path(args.checkpoint).with_suffix('.onnx'))
    sides, differences = export(model, path, size, not args.static)
    extent = f'sides from {sides.low} to {sides.high}' if sides else f'{size[0]} x {size[1]} only'
    print(f'{path}: images (batch, 3, height, width), {extent}')
    for (n, height, width), value in differences.items():
        print(f'  {n} x {height} x {width}: logits differ by {value:.1e} of their standard deviation')


if __name__ == '__main__':
    main()
