"""``wta-seg bench``, also the scripts ``benchmark_*.py`` and ``get_flops.py`` in ``tools/analysis_tools``."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wtaseg.cli import FAILED, MANY, bench_edits, image_size, make_app, run_alone
from wtaseg.cli.bench_models import test, train
from wtaseg.cli.figures import Count, Positive, report

command = make_app(
    'bench',
    help="""Measure the data pipeline, a training step, prediction, image editing, model sizes, proposed labels or planted defects.

Example: `wta-seg bench flops fastscnn/fast_scnn_4xb4-40k_wta-512x512 --shape 512`""",
    help_format='markdown',
    version_flags=(),
)


EDIT_HELP = """Time inversion and editing, the published way and as augment does it, with random weights.

Example: `wta-seg bench edit --size sdxl --resolution 512 --batch 16 --out 512.json`"""


@Parameter(name='*')
@dataclass(frozen=True)
class DataOptions:
    """Options of ``bench data``, see :class:`wtaseg.bench.pipeline.PipelineOptions`.

    Parameters
    ----------
    split
        train, val or test
    data_root
        dataset folder, in place of data_root in the config
    images
        images per round
    rounds
        passes over these images
    warmup
        passes before timing starts, since loaders may keep decoded files; 0 includes the first reading
    seed
        seed of the first image
    imports
        modules that register the transforms [default: mmseg]
    clock
        cpu counts only the time this thread was running, for a machine with other load
    """

    split: str = 'train'
    data_root: str | None = None
    images: Positive = 50
    rounds: Positive = 3
    warmup: Count = 2
    seed: int = 0
    imports: Annotated[tuple[str, ...], Parameter(name='--import'), MANY] = ('mmseg',)
    clock: Literal['wall', 'cpu'] = 'wall'


@command.command
def data(
    config: str,
    /,
    *,
    options: DataOptions = DataOptions(),
    against: str | None = None,
    against_import: Annotated[tuple[str, ...], MANY] = ('mmseg',),
    json: Path | None = None,
) -> int:
    """Time every transform of a data pipeline in one thread, alone or compared with another package.

    Example: `wta-seg bench data _base_/datasets/wta_512 --data-root data/wta_512`

    With another interpreter and package, in alternating rounds:
    `--against "env PYTHONPATH=/some/path /other/bin/python" --against-import mmseg`

    Parameters
    ----------
    config
        config with the dataloader: its name below configs/, or a path
    against
        command of the interpreter to compare with
    against_import
        modules that register the transforms there [default: mmseg]
    json
        also write all times to this file, in milliseconds
    """
    from wtaseg.bench import pipeline
    from wtaseg.runs.layout import find_config

    task = pipeline.PipelineOptions(str(find_config(config)), **asdict(options))
    if against is None:
        times = pipeline.measure(task)
        text = pipeline.table(times)
    else:
        try:
            here, other = pipeline.compare(task, against, against_import)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return FAILED
        times = dict(here=here, other=other)
        text = pipeline.comparison_table(here, other)
    report(text, times, json)
    return 0


command.command(train)
command.command(test)
command.command('augment.bench.command:command', name='edit', help=EDIT_HELP)


@command.command
def flops(
    *configs: Annotated[str, Parameter(required=True)],
    shape: Annotated[tuple[int, ...], MANY] = (512, 512),
    device: str | None = None,
    repeats: Count = 10,
) -> int:
    """Parameters, FLOPs and latency of models, as a Markdown table.

    Example: `wta-seg bench flops fastscnn/fast_scnn_4xb4-40k_wta-512x512 --shape 512`

    Parameters
    ----------
    configs
        configs of experiments or of models alone: names below configs/, or paths
    shape
        height and width, or one side [default: 512]
    device
        where the latency is measured [default: cuda if available]
    repeats
        timed forward passes; 0: no latency
    """
    import torch

    from wtaseg.bench.flops import measure, table
    from wtaseg.runs.layout import find_config

    size = image_size(shape)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    rows = []
    for config in configs:
        rows.append(measure(find_config(config), size, device, repeats))
        print(f'measured {rows[-1].name}', file=sys.stderr)
    print(table(rows, size, device))
    return 0


@command.command
def export(
    *configs: Annotated[str, Parameter(required=True)], shape: Annotated[tuple[int, ...], MANY] = (512, 512)
) -> int:
    """Size and latency of exported models on the CPU, in float32, 16 and 8 bits, as a Markdown table.

    Example: `wta-seg bench export fastscnn/fast_scnn_4xb4-40k_wta-512x512 --shape 512`

    Parameters
    ----------
    configs
        configs of experiments or of models alone: names below configs/, or paths; their weights are random
    shape
        height and width, or one side [default: 512]
    """
    from wtaseg.bench.exported import measure, table
    from wtaseg.runs.layout import find_config

    costs = []
    for config in configs:
        costs.append(measure(find_config(config), image_size(shape)))
        print(f'measured {costs[-1].name}', file=sys.stderr)
    print(table(costs))
    return 0


command.command(bench_edits.relabel)
command.command(bench_edits.plant)
command.command(bench_edits.twins)


def _script(function: Callable, name: str) -> Callable[[Sequence[str] | None], int]:
    def main(argv: Sequence[str] | None = None) -> int:
        return run_alone(function, argv, name)

    return main


main_data = _script(data, 'benchmark_pipeline.py')
main_train = _script(train, 'benchmark_step.py')
main_flops = _script(flops, 'get_flops.py')
