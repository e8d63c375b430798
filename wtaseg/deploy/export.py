"""What ``wta-seg export`` does: the float32 model, the script that runs it, and models of fewer bits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from rich.progress import track

from mmseg.apis.export_onnx import Export, ExportError, export_checkpoint
from mmseg.utils.config_file import read_config
from mmseg.utils.files import atomic_path
from wtaseg.deploy.comparison import Quality, measure, table
from wtaseg.deploy.images import LabelledImage, Reader, choose_images, images_of
from wtaseg.deploy.precision import Precision, to_fp16, to_int8
from wtaseg.io import write
from wtaseg.predict.onnx_model import OnnxPredictor
from wtaseg.runs.data import set_data_root

SCRIPT = 'infer.py'


@dataclass(frozen=True)
class ExportOptions:
    """How a checkpoint is exported.

    Attributes:
        output_file: of the float32 model; None: the checkpoint with the suffix .onnx.
        size: (height, width) to trace with; None: as the config says.
        dynamic: leave height and width open where the architecture allows.
        strict: refuse a checkpoint that does not fit the model.
        false_alarms: per image and class: store the thresholds for these; None: those that were chosen in training.
        precisions: to write beside float32.
        data: dataset folder in place of ``data_root`` of the config.
        limit: largest loss of foreground mIoU and of defects found that a model of fewer bits may have, in percent points.
        calibration_images: training images that int8 is calibrated with.
    """

    output_file: Path | None = None
    size: tuple[int, int] | None = None
    dynamic: bool = True
    strict: bool = True
    false_alarms: float | None = None
    precisions: tuple[Precision, ...] = ()
    data: Path | None = None
    limit: float = 1.0
    calibration_images: int = 64


def export_model(config: Path, checkpoint: str, options: ExportOptions = ExportOptions()) -> Iterator[str]:
    """Export a checkpoint; yields lines about what was written.

    Args:
        config: of the experiment.
        checkpoint: its weights.
        options: see there.

    Raises:
        ImportError: a package of the extra ``deploy`` is missing.
        ExportError: a file does not compute what the model does, or loses more than ``limit``; it is not written.
        FileNotFoundError, ValueError: an option, the checkpoint or the dataset can not be used.
    """
    if not options.limit >= 0 or options.calibration_images < 1:
        raise ValueError(
            f'--limit {options.limit:g}, --calibration-images {options.calibration_images}; '
            'expected percent points from 0, and at least 1 image'
        )
    cfg = read_config(config)
    if options.data is not None:
        set_data_root(cfg, options.data, ('train', 'val') if options.precisions else ())
    exported = export_checkpoint(
        cfg,
        checkpoint,
        options.output_file,
        options.size,
        options.dynamic,
        options.strict,
        options.false_alarms,
    )
    yield str(exported)
    yield write_script(exported.path.parent)
    if options.precisions:
        yield from _reduce(cfg, exported, options)


def write_script(folder: Path) -> str:
    """Write ``infer.py`` into a folder, unless another program of this name is there; says which."""
    import wtaseg.predict

    content = Path(wtaseg.predict.__file__).with_name(SCRIPT).read_text(encoding='utf-8')
    path = folder / SCRIPT
    if path.is_file() and content.splitlines()[0] not in path.read_text(encoding='utf-8', errors='replace'):
        return f'{path}: another program, left as it is; the script of the model is not written'
    write(path, content)
    return f'{path}: python {SCRIPT} MODEL.onnx OUT IMAGE ... needs onnxruntime, numpy and Pillow alone'


def _reduce(cfg: Config, exported: Export, options: ExportOptions) -> Iterator[str]:
    """Write the models of fewer bits that lose little enough."""
    reader, images = Reader(cfg), images_of(cfg, 'val')
    first = measure(exported.path, exported.size, _pairs(reader, images, 'float32'))
    rows = [(str(Precision.FLOAT32), first)]
    for precision in options.precisions:
        path = precision.file(exported.path)
        with atomic_path(path) as temporary:
            if precision is Precision.FP16:
                to_fp16(exported.path, temporary)
            else:
                chosen, line = _calibration(cfg, options.calibration_images)
                yield line
                to_int8(exported.path, temporary, _inputs(reader, chosen, exported.path))
            result = measure(temporary, exported.size, _pairs(reader, images, precision))
            refuse_loss(first.quality, result.quality, options.limit, path)
        rows.append((str(precision), result))
        yield str(path)
    yield _caption(exported, len(images)) + '\n' + table(rows)


def refuse_loss(before: Quality, after: Quality, limit: float, path: Path) -> None:
    """Raise where a model of fewer bits loses too much.

    Args:
        before: of the float32 model.
        after: of the model of fewer bits.
        limit: percent points.
        path: of the latter, for the message.

    Raises:
        ExportError: foreground mIoU or the defects found fall by more than ``limit``.
    """
    for name, one, other in (
        ('foreground mIoU', before.foreground_miou, after.foreground_miou),
        ('defects found', before.found, after.found),
    ):
        if one - other > limit or math.isnan(one) != math.isnan(other):
            raise ExportError(
                f'{path}: not written. {name} falls from {one:.2f} to {other:.2f} %, allowed are {limit:g} points; '
                'give a higher --limit, or more --calibration-images'
            )


def _calibration(cfg: Config, count: int) -> tuple[list[LabelledImage], str]:
    """Training images to calibrate with, and a line that says how many of them have each class."""
    images = images_of(cfg, 'train')
    present = [image.present() for image in images]
    chosen = choose_images(present, count)
    classes = images[0].dataset.metainfo['classes']
    counts = [f'{name} in {sum(i in present[n] for n in chosen)}' for i, name in enumerate(classes) if i]
    counts.append(f'no defect in {sum(not present[n] - {0} for n in chosen)}')
    line = f'int8 is calibrated on {len(chosen)} training images: {", ".join(counts)}'
    return [images[n] for n in chosen], line


def _inputs(reader: Reader, images: list[LabelledImage], model: Path) -> Iterator[np.ndarray]:
    predictor = OnnxPredictor(model, 'cpu')
    for image in images:
        yield predictor.load(reader.pixels(image)).inputs[None]


def _pairs(reader: Reader, images: list[LabelledImage], name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return (reader.pair(image) for image in track(images, f'testing {name}'))


def _caption(exported: Export, images: int) -> str:
    height, width = exported.size
    return (
        f'Validation set, {images} images; defects found at the operating point, where the model has one; '
        f'latency of one {height} x {width} image on this CPU:'
    )
