"""Size and latency of models as onnxruntime runs them on the CPU, in float32 and in fewer bits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mmseg.apis import export_onnx, init_model
from mmseg.utils.config_file import read_config
from mmseg.utils.from_scratch import drop_pretrained
from wtaseg.bench.flops import fit_image_size
from wtaseg.deploy import comparison
from wtaseg.deploy.precision import Precision, to_fp16, to_int8
from wtaseg.markdown import table_lines

#: Images of noise that the ranges of int8 are measured on; they do not change the latency.
CALIBRATION_IMAGES = 2


@dataclass(frozen=True)
class ExportedCost:
    """One model.

    Attributes:
        name: file name of the config without suffix.
        files: size and latency of each precision.
    """

    name: str
    files: dict[Precision, comparison.Measured]


def measure(config: str | Path, size: tuple[int, int]) -> ExportedCost:
    """Export a model with random weights into a temporary folder and measure it.

    Args:
        config: of an experiment or of a model alone.
        size: (height, width) of the image.

    Raises:
        ExportError: the model can not be exported in this size.
    """
    cfg = read_config(config)
    drop_pretrained(cfg)
    fit_image_size(cfg, size)
    model = init_model(cfg, None, 'cpu')
    with TemporaryDirectory() as folder:
        first = Path(folder, 'model.onnx')
        export_onnx.export(model, first, size, dynamic=False)
        paths = {precision: precision.file(first) for precision in Precision}
        to_fp16(first, paths[Precision.FP16])
        to_int8(first, paths[Precision.INT8], _noise(size))
        files = {precision: comparison.measure(path, size) for precision, path in paths.items()}
    return ExportedCost(Path(config).stem, files)


def _noise(size: tuple[int, int]) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(1, 3, *size)).astype(np.float32) for _ in range(CALIBRATION_IMAGES))


def table(costs: Iterable[ExportedCost]) -> str:
    """Markdown table, a row a model, the fastest first."""
    rows: Sequence[ExportedCost] = sorted(costs, key=lambda cost: cost.files[Precision.FLOAT32].milliseconds)
    titles = [f'{precision} ({unit})' for unit in ('ms', 'MB') for precision in Precision]
    cells = []
    for cost in rows:
        files = [cost.files[precision] for precision in Precision]
        numbers = [*(one.milliseconds for one in files), *(one.megabytes for one in files)]
        cells.append([cost.name, *(f'{number:.1f}' for number in numbers)])
    return '\n'.join(table_lines(['model', *titles], cells))
