"""The programs under test: how each is called, and what two of its runs must have in common."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torture import contents
from torture.material import Material

#: Options of an edit that takes as few steps as there can be; random weights meet these limits.
EDIT = '--resolution 64 --steps 2 --inner-steps 1 --batch-size 2 --dtype fp32 --device cpu --word rust'
EDIT += ' --min-psnr 0 --min-ssim -1 --min-change 0.01 --min-kept 0 --min-edit-kept 0 --summary'


@dataclass(frozen=True)
class Program:
    """A command of ``wta-seg``.

    Attributes:
        share: of all kills.
        needs: what is made for it, see :class:`Material`.
        argv: the arguments, run in an empty folder.
        contents: what a finished run left in that folder: any value by name.
        cost: seconds of a processor that a run takes, about.
        children: it starts programs that may outlive it when it is killed, and finish.
    """

    share: int
    needs: tuple[str, ...]
    argv: Callable[[Material], list[str]]
    contents: Callable[[Path], dict[str, Any]]
    cost: float = 1
    children: bool = False


def training(folder: Path) -> dict[str, Any]:
    """Checkpoints, losses and metrics of a work folder."""
    weights = {path.relative_to(folder).as_posix(): contents.digest(path) for path in folder.rglob('*.pth')}
    last = Path((folder / 'last_checkpoint').read_text()).name
    return weights | contents.scalars(folder) | {'last_checkpoint': last}


def batch_project(project: Path) -> dict[str, Any]:
    """Everything of a project's runs but times: weights, losses, metrics, predictions and what the job records."""
    result: dict[str, Any] = {}
    for state in sorted(project.glob('job/**/state.json')):
        run = project / 'exp' / state.parent.relative_to(project / 'job')
        name = run.relative_to(project).as_posix()
        content = contents.parsed(state, project)
        metrics = content.pop('metrics')
        result[f'{name}: state'] = content
        result[f'{name}: metrics'] = contents.parsed(run / metrics, project)
        result[f'{name}: run'] = contents.parsed(run / 'run.json', project)
        result |= {f'{name}/train/{key}': value for key, value in training(run / 'train').items()}
        images = [*run.glob('test/*.png'), *run.glob('test/pred/**/*.png')]
        result |= {path.relative_to(project).as_posix(): contents.digest(path) for path in images}
    return result


def batch(folder: Path) -> dict[str, Any]:
    """The contents of a batch job's project."""
    project = folder / 'work_dirs/p'
    summary = contents.parsed(project / 'job/summary.json', project)
    # a job that found everything finished says so
    return batch_project(project) | {'summary': [row['candidate'] for row in summary]}


def study(folder: Path) -> dict[str, Any]:
    """The contents of a study's project, and its report without times."""
    project = folder / 'work_dirs/p'
    result = batch_project(project) | {'results': contents.parsed(project / 'report/results.json', project)}
    for path in contents.files(project / 'report'):
        # pages and workbooks hold times
        same = path.suffix in ('.png', '.csv')
        result[f'report/{path.name}'] = contents.digest(path) if same else 'is there'
    for path in contents.files(project / 'study'):
        result[path.relative_to(project).as_posix()] = contents.digest(path)
    return result


def new_dataset(folder: Path) -> dict[str, Any]:
    """The dataset and its configs."""
    return contents.tree(folder / 'data') | contents.tree(folder / 'configs')


def _train(material: Material) -> list[str]:
    return ['train', str(material.config), '--work-dir', 'work', '--resume']


def _batch(material: Material) -> list[str]:
    options = ['--project', 'p', '--gpus', '1', '--config-root', str(material.configs)]
    return ['batch', *options, '--candidates', 'net/tiny']


def _study(material: Material) -> list[str]:
    options = ['--project', 'p', '--data', str(material.blades), '--config-root', str(material.configs)]
    options += ['--model', 'net/tiny', '--only', 'Gamma 2', '--iters', '8', '--validations', '2']
    return ['study', 'gamma', *options, '--commit', 'c0ffee']


def _augment(material: Material) -> list[str]:
    paths = [
        '--data',
        str(material.blades),
        '--model',
        str(material.sdxl),
        '--out',
        'out',
        '--cache',
        'cache',
    ]
    return ['augment', *paths, *EDIT.split()]


def _render(material: Material) -> list[str]:
    counts = ['--train', '12', '--val', '2', '--test', '2', '--size', '96']
    return ['render', '--out', 'out', *counts, '--workers', '2', '--style', 'none=0.5', 'rust=0.5']


def _convert(material: Material) -> list[str]:
    source = str(material.own / 'cvat/instances_default.json')
    return ['convert', 'coco', source, '--classes', *_classes(), '--out', 'out']


def _predict(material: Material) -> list[str]:
    images = str(material.blades / 'img_dir')
    return ['predict', str(material.checkpoint), images, '--out', 'out', '--probabilities', '--device', 'cpu']


def _new(material: Material) -> list[str]:
    labels = [str(material.own / name) for name in ('labelme', 'cvat/instances_default.json', 'masks')]
    colours = [f'{name}={",".join(map(str, colour))}' for name, colour in zip(_classes(), _colours())]
    options = ['--images', str(material.own / 'images'), '--labels', *labels, '--classes', *_classes()]
    return ['new', 'mine', *options, '--colour', *colours, '--configs', 'configs']


def _classes() -> tuple[str, ...]:
    from own_images import CLASSES

    return CLASSES


def _colours() -> tuple[tuple[int, int, int], ...]:
    from own_images import COLOURS

    return COLOURS


PROGRAMS = {
    'train': Program(54, ('blades',), _train, lambda folder: training(folder / 'work'), cost=2),
    'batch': Program(8, ('blades',), _batch, batch, cost=15, children=True),
    'study': Program(6, ('blades',), _study, study, cost=15, children=True),
    'augment': Program(36, ('blades', 'sdxl'), _augment, contents.tree, cost=2),
    'render': Program(32, (), _render, contents.tree),
    'convert': Program(26, ('own',), _convert, contents.tree),
    'predict': Program(22, ('blades', 'checkpoint'), _predict, contents.tree),
    'new': Program(16, ('own',), _new, new_dataset, cost=2),
}


def missing_and_different(expected: dict[str, Any], found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Names of what is not there, and of what is there with another value, or though it should not be."""
    missing = [name for name in expected if name not in found]
    different = [name for name in expected if name in found and expected[name] != found[name]]
    return missing, different + [f'{name} (surplus)' for name in found if name not in expected]


def show(value: Any) -> str:
    """A value in one line of a report."""
    return json.dumps(value, default=str)[:300]
