"""``wta-seg export``, also ``python tools/deployment/export_onnx.py``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from wtaseg.cli import FAILED, MANY, image_size, run_alone


def command(
    config: str,
    checkpoint: str,
    /,
    *,
    output_file: Path | None = None,
    shape: Annotated[tuple[int, ...], MANY] = (),
    static: bool = False,
    allow_partial: bool = False,
) -> int:
    """Export a trained model to ONNX and check it with onnxruntime.

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
    """
    from mmseg.apis.export_onnx import ExportError, export_checkpoint
    from wtaseg.runs.layout import find_config

    size = image_size(shape)
    try:
        path = find_config(config)
        print(export_checkpoint(path, checkpoint, output_file, size, not static, not allow_partial))
    except (ImportError, ExportError) as error:
        print(f'wta-seg export: {error}', file=sys.stderr)
        return FAILED
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The program ``tools/deployment/export_onnx.py``."""
    return run_alone(command, argv, 'export_onnx.py')
