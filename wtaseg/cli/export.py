"""``wta-seg export``, also ``python tools/deployment/export_onnx.py``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wtaseg.cli import FAILED, MANY, image_size, run_alone

Fp16 = Annotated[bool, Parameter(help='also write a model of 16-bit floats, compared on the validation set')]
Int8 = Annotated[bool, Parameter(help='also write a model of 8-bit integers, compared on the validation set')]
Limit = Annotated[
    float,
    Parameter(
        help='percent points of foreground mIoU and of defects found that such a model may lose, or else it is not written'
    ),
]
Calibration = Annotated[int, Parameter(help='training images from which the ranges of int8 are measured')]


def command(
    config: str,
    checkpoint: str,
    /,
    *,
    output_file: Path | None = None,
    shape: Annotated[tuple[int, ...], MANY] = (),
    static: bool = False,
    allow_partial: bool = False,
    false_alarms: float | None = None,
    fp16: Fp16 = False,
    int8: Int8 = False,
    data: Path | None = None,
    limit: Limit = 1.0,
    calibration_images: Calibration = 64,
) -> int:
    """Export a trained model to ONNX, check it with onnxruntime, and write infer.py, which runs it, beside it.

    Example: ``wta-seg export fastscnn/fast_scnn_4xb4-40k_wta-512x512 best.pth --output-file fast_scnn.onnx``

    Needs the extra ``deploy``: pip install "wta-seg[deploy]"

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    checkpoint
        its weights
    output_file
        the ONNX file [default: the checkpoint with the suffix .onnx]
    shape
        height and width, or one side [default: as the config says]
    static
        fix height and width
    allow_partial
        load what fits of a checkpoint that does not fit the model, and say how much that was
    false_alarms
        per image and class: store the thresholds for these, from the validation curves in the checkpoint
    data
        dataset folder, in place of data_root in the config, for --fp16 and --int8
    """
    from mmseg.apis.export_onnx import ExportError
    from wtaseg.deploy.export import ExportOptions, export_model
    from wtaseg.deploy.precision import chosen_precisions
    from wtaseg.runs.layout import find_config

    size, precisions = image_size(shape), chosen_precisions(fp16, int8)
    options = (output_file, size, not static, not allow_partial, false_alarms, precisions, data, limit)
    try:
        for line in export_model(
            find_config(config), checkpoint, ExportOptions(*options, calibration_images)
        ):
            print(line, flush=True)
    except (ImportError, ExportError) as error:
        print(f'wta-seg export: {error}', file=sys.stderr)
        return FAILED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/deployment/export_onnx.py``."""
    return run_alone(command, argv, 'export_onnx.py')
