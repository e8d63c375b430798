"""``wta-seg tools``, also the programs of the same names in ``tools/misc`` and ``tools/analysis_tools``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from wtaseg.cli import MANY, make_app, run_alone

Positive = Annotated[int, Parameter(validator=Number(gte=1))]
Hidden = Parameter(show=False)

command = make_app(
    'tools',
    help="""Print configs, browse datasets, plot logs and confusion matrices, publish checkpoints.

Example: `wta-seg tools print-config fastscnn/fast_scnn_4xb4-40k_wta-512x512`""",
    help_format='markdown',
    version_flags=(),
)


@command.command
def print_config(config: str, /, *, cfg_options: Annotated[tuple[str, ...], MANY] = ()) -> int:
    """Print a config with everything that its _base_ files set.

    Example: ``wta-seg tools print-config fastscnn/fast_scnn_4xb4-40k_wta-512x512``

    Parameters
    ----------
    config
        a config: its name below configs/, or a path
    cfg_options
        KEY=VALUE: change values of the config
    """
    from wtaseg.runs.layout import find_config
    from wtaseg.runs.settings import load_config

    print(load_config(find_config(config), cfg_options).pretty_text)
    return 0


@command.command
def browse_dataset(
    config: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=('--out', '--output-dir'))] = Path('browse_dataset'),
    split: Literal['train', 'val', 'test'] = 'train',
    count: Positive = 20,
    data: Path | None = None,
    seed: int = 0,
    show: bool = False,
    show_interval: float = 2,
    not_show: Annotated[bool, Hidden] = False,
    cfg_options: Annotated[tuple[str, ...], MANY] = (),
) -> int:
    """Draw images and labels as training sees them: after all transforms of the pipeline.

    Example: ``wta-seg tools browse-dataset fastscnn/fast_scnn_4xb4-40k_wta-512x512 --count 8``

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    out
        folder for the drawings
    split
        train, val or test
    count
        number of images
    data
        dataset folder, in place of data_root in the config
    seed
        of the augmentation
    show
        also show each drawing in a window
    show_interval
        seconds that a window stays open
    not_show
        the default; mmsegmentation's name
    cfg_options
        KEY=VALUE: change values of the config
    """
    from wtaseg.runs.data import set_data_root
    from wtaseg.runs.layout import find_config
    from wtaseg.runs.settings import load_config
    from wtaseg.tools.browsing import browse

    cfg = load_config(find_config(config), cfg_options)
    if data is not None:
        set_data_root(cfg, data, (split,))
    for path in browse(cfg, split, out, count, seed, show and not not_show, show_interval):
        print(path)
    return 0


@command.command
def analyze_logs(
    *logs: Path,
    keys: Annotated[tuple[str, ...], MANY] = ('mIoU',),
    legend: Annotated[tuple[str, ...], MANY] = (),
    title: str = '',
    out: Path = Path('logs.png'),
) -> int:
    """Plot logged values over the iterations; wta-seg report draws those of a whole project.

    Example: ``wta-seg tools analyze-logs work_dirs/first work_dirs/second --keys mIoU --out miou.png``

    Parameters
    ----------
    logs
        work folders of trainings, or JSON logs (TIMESTAMP/vis_data/TIMESTAMP.json)
    keys
        logged values, loss or IoU.broken
    legend
        names of the curves, one for each log and key
    title
        of the diagram
    out
        the image
    """
    from wtaseg.io import write
    from wtaseg.report.plots import png
    from wtaseg.tools.training_logs import draw_logs

    if not logs:
        raise ValueError('no log, expected work folders or JSON logs of trainings')
    figure = draw_logs(logs, keys, legend, title)
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, png(figure))
    print(out)
    return 0


@command.command
def confusion_matrix(
    config: str,
    predictions: Path,
    out: Path,
    /,
    *,
    title: str = 'Confusion matrix, percent of each label',
    color_theme: str = 'viridis',
    data: Path | None = None,
    cfg_options: Annotated[tuple[str, ...], MANY] = (),
) -> int:
    """Count which class was predicted for the pixels of which label, of the test set.

    Example: ``wta-seg tools confusion-matrix CONFIG predictions confusion`` after ``wta-seg test CONFIG CHECKPOINT --out
    predictions``

    Writes confusion_matrix.csv, of pixels, and confusion_matrix.png, of percent.

    Parameters
    ----------
    config
        config of the experiment: its name below configs/, or a path
    predictions
        folder of wta-seg test --out
    out
        folder for the two files
    title
        of the drawing
    color_theme
        a colour map of matplotlib
    data
        dataset folder, in place of data_root in the config
    cfg_options
        KEY=VALUE: change values of the config
    """
    from wtaseg.runs.data import set_data_root
    from wtaseg.runs.layout import find_config
    from wtaseg.runs.settings import load_config
    from wtaseg.tools import confusion

    cfg = load_config(find_config(config), cfg_options)
    if data is not None:
        set_data_root(cfg, data, ('test',))
    for path in confusion.confusion_matrix(cfg, predictions).save(out, title, color_theme):
        print(path)
    return 0


@command.command
def publish_model(checkpoint: Path, out: Path, /) -> int:
    """Write a checkpoint without optimizer and logs: a third of its size or less.

    Example: ``wta-seg tools publish-model work_dirs/mine/best_mIoU_iter_40000.pth mine.pth``

    Parameters
    ----------
    checkpoint
        as training writes it
    out
        the file; the beginning of its SHA-256 is added to its name
    """
    from wtaseg.tools.publishing import publish

    print(publish(checkpoint, out))
    return 0


def _script(function: Callable, name: str) -> Callable[[Sequence[str] | None], int]:
    def main(argv: Sequence[str] | None = None) -> int:
        return run_alone(function, argv, name)

    return main


main_print_config = _script(print_config, 'print_config.py')
main_browse_dataset = _script(browse_dataset, 'browse_dataset.py')
main_analyze_logs = _script(analyze_logs, 'analyze_logs.py')
main_confusion_matrix = _script(confusion_matrix, 'confusion_matrix.py')
main_publish_model = _script(publish_model, 'publish_model.py')
