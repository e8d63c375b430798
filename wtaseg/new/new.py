"""``wta-seg new``: from images and labels to a dataset and three experiments."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from mmseg.datasets.normal_images import DEFAULT_SHARE, check_share, divide_images
from wtaseg.labels.check import check, describe
from wtaseg.labels.classes import ConversionError
from wtaseg.labels.writing import describe_clipped
from wtaseg.runs.layout import config_root, project_root, relative_to_base

from .channels import channel_statistics, find_value_range
from .configs import DatasetFacts, config_name, config_texts, write_configs
from .content import Labelled, describe_classes, describe_turned, make_label, match_labels
from .geometry import choose_geometry
from .images import SourceImage, describe_images, find_images
from .models import MODELS
from .sources import LabelOptions, LabelSource, detect
from .split import SPLITS, Split
from .writing import Pair, check_target, write_dataset

_USUAL_CHANNELS = 4
_ERRORS_LISTED = 10
#: Of a dataset that can be trained on all the same.
_TOLERABLE = {'empty class'}


@dataclass(frozen=True)
class NewDataset:
    """What to make.

    Attributes:
        name: of the dataset, below ``data``; or a path.
        images, labels: files and folders.
        options: how labels are read; its classes are those of the dataset.
        split: how images are assigned to splits.
        empty_missing: images without a label are all normal.
        value_range: what becomes black and white in images of more than 8 bits; None: found from the values.
        all_channels: train on all channels of the files instead of colour.
        configs: folder for the configs; None: ``configs`` in the current folder.
        normal_images: files and folders of images without defects, which need no labels; for training alone.
        normal_share: largest share of them in all training images.
    """

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    options: LabelOptions
    split: Split = field(default_factory=Split)
    empty_missing: bool = False
    value_range: tuple[float, float] | None = None
    all_channels: bool = False
    configs: Path | None = None
    normal_images: tuple[Path, ...] = ()
    normal_share: float = DEFAULT_SHARE

    @property
    def folder(self) -> Path:
        """Of the dataset."""
        path = Path(self.name)
        return Path.cwd() / 'data' / path if len(path.parts) == 1 else path

    @property
    def config_folder(self) -> Path:
        """Where the configs go."""
        if self.configs is not None:
            return self.configs
        return config_root() if project_root() == Path.cwd() else Path('configs')

    def settings(self) -> dict:
        """What the dataset is made with, for its record."""
        normal = {}
        if self.normal_images:
            paths = [str(path.resolve()) for path in self.normal_images]
            normal = dict(normal_images=paths, normal_share=self.normal_share)
        return dict(
            classes=list(self.options.classes),
            images=[str(path.resolve()) for path in self.images],
            labels=[str(path.resolve()) for path in self.labels],
            map=list(self.options.renamed),
            colour=list(self.options.colours),
            line_width=self.options.line_width,
            split=list(self.split.shares),
            seed=self.split.seed,
            group_by=self.split.group_by,
            empty_missing=self.empty_missing,
            all_channels=self.all_channels,
            **normal,
        )


def create(request: NewDataset, say: Callable[[str], None] = print) -> int:
    """Make the dataset and its configs; returns 1 if the check of the dataset finds what hinders training.

    Run again after an interruption, it continues; with other settings for an existing dataset it refuses.

    Raises:
        FileNotFoundError, ValueError: images, labels or settings can not be used; nothing was written then.
    """
    _check_request(request)
    images = find_images(request.images)
    say('\n'.join(describe_images(images.values())))
    normal = (
        list(find_images(request.normal_images, '--normal-images').values()) if request.normal_images else []
    )
    if normal:
        say(
            f'normal    {len(normal)} images without labels, at most {request.normal_share:.0%} of the training images'
        )
    sources = [source for path in request.labels for source in detect(path, request.options)]
    say('\n'.join(f'labels    {len(s.jobs)}: {s.format}, {s.path}' for s in sources))
    value_range = request.value_range or find_value_range([*images.values(), *normal])
    if value_range is not None:
        say(f'range     {value_range[0]:g}..{value_range[1]:g} becomes 0..255 in images of more than 8 bits')
    labelled = _label(request, images, sources, say)
    classes = request.options.classes
    say('\n'.join([f'classes   {classes[0]} is the normal one', *describe_classes(labelled, classes)]))
    pixels = np.array([item.pixels for item in labelled])
    splits = request.split.assign([item.image.name for item in labelled], pixels)
    facts = _facts(request, labelled, splits, value_range, normal)
    settings = dict(request.settings(), value_range=None if value_range is None else list(value_range))
    check_target(request.folder, settings)
    config_texts(facts, request.config_folder)  # refuses before anything is written
    pairs = [Pair(splits[item.image.name], item.image.name, item.image.path, item.png) for item in labelled]
    pairs += [Pair('', image.name, image.path, None) for image in normal]
    written = write_dataset(request.folder, settings, pairs, _progress('writing'))
    already = sum(len(pair.paths()) for pair in pairs) - written.files
    there = f', {already} were there' if already else ''
    say(f'{_short(request.folder)}: {written.files} files written{there}')
    if written.reviewed:
        say(f'note      {written.reviewed} images stay as their review left them')
    configs = write_configs(facts, request.config_folder)
    report = check(request.folder, request.options.classes, value_range=value_range)
    say(describe(report))
    say('\n'.join(facts.geometry.explain()))
    say(next_steps(facts, configs, request.config_folder))
    return int(any(problem.kind not in _TOLERABLE for problem in report.problems))


def _check_request(request: NewDataset) -> None:
    classes = request.options.classes
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(
            f'--classes {" ".join(classes)}: expected at least two different names, the normal one first'
        )
    check_share(request.normal_share, '--normal-share')
    if not request.labels:
        raise ValueError('--labels is missing: give the folder or file of the labels')


def _label(
    request: NewDataset,
    images: dict[str, SourceImage],
    sources: list[LabelSource],
    say: Callable[[str], None],
) -> list[Labelled]:
    """Make all label maps; names up to ten that can not be made in one error."""
    jobs, notices = match_labels(images, sources, request.empty_missing)
    labelled, errors = [], []
    for name, job in _progress('labels')(list(jobs.items())):
        try:
            labelled.append(make_label(images[name], job, len(request.options.classes)))
        except ConversionError as error:
            errors.append(str(error))
    if errors:
        listed = '\n  '.join(errors[:_ERRORS_LISTED])
        more = f'\n  and {len(errors) - _ERRORS_LISTED} more' if len(errors) > _ERRORS_LISTED else ''
        raise ValueError(f'{len(errors)} of {len(jobs)} labels can not be used:\n  {listed}{more}')
    turned = [item.image.path.name for item in labelled if item.turned]
    if turned:
        notices.append(describe_turned(turned))
    if clipped := {item.image.path.name: item.clipped for item in labelled if item.clipped}:
        notices.append(describe_clipped(clipped))
    for notice in notices:
        say(f'note      {notice}')
    return labelled


def _facts(
    request: NewDataset,
    labelled: list[Labelled],
    splits: dict[str, str],
    value_range: tuple[float, float] | None,
    normal: list[SourceImage],
) -> DatasetFacts:
    training = [item for item in labelled if splits[item.image.name] == SPLITS[0]]
    pixels = np.sum([item.pixels for item in training], 0)
    places = _normal_places(request, normal, len(training))
    pixels[0] += sum(image.header.size[0] * image.header.size[1] for image in places)
    geometry = choose_geometry(
        [item.image.header.size for item in labelled], np.concatenate([item.defects for item in labelled])
    )
    mean, std = (), ()
    if request.all_channels:
        mean, std = channel_statistics([item.image for item in training], value_range)
    else:
        _refuse_channels([*(item.image for item in labelled), *normal])
    folder = request.folder
    root = relative_to_base(folder.resolve(), Path.cwd())
    return DatasetFacts(
        config_name(folder.name),
        root.as_posix(),
        request.options.classes,
        tuple((pixels / max(1, pixels.sum())).tolist()),
        geometry,
        len(training) + len(places),
        value_range,
        mean,
        std,
        request.normal_share if normal else None,
    )


def _normal_places(request: NewDataset, normal: list[SourceImage], labelled: int) -> list[SourceImage]:
    """The first normal image of each place in the training, as the pixels of the classes are counted."""
    if not normal:
        return []
    by_path = {f'{image.name}{image.path.suffix}': image for image in normal}  # below normal_dir
    return [by_path[paths[0]] for paths in divide_images(list(by_path), labelled, request.normal_share)]


def _refuse_channels(images: Iterable[SourceImage]) -> None:
    for image in images:
        head = image.header
        if head.channels > _USUAL_CHANNELS or (head.channels > 1 and head.mode == 'MINISBLACK'):
            raise ValueError(
                f'{image.path}: has {head.channels} channels, which are no colours; --all-channels trains on all'
            )


def next_steps(facts: DatasetFacts, configs: list[Path], folder: Path) -> str:
    """The paths of the configs and the command that comes next."""
    known = folder.resolve() in (config_root().resolve(), Path('configs').resolve())
    names = [facts.experiment(model) if known else str(path) for model, path in zip(MODELS, configs[1:])]
    experiments = [
        f'  {model.describe(not facts.mean)}\n    wta-seg train {name}' for model, name in zip(MODELS, names)
    ]
    return '\n'.join(
        [
            f'dataset config  {_short(configs[0])}',
            f'experiments, {facts.iterations} iterations each:',
            *experiments,
            f'Next: wta-seg train {names[0]}    (with --smoke: four iterations, to try it)',
            f'then: wta-seg test {names[0]}',
            f'      wta-seg predict work_dirs/{Path(names[0]).stem} IMAGES --out found',
        ]
    )


def _short(path: Path) -> Path:
    """``path`` as typed from the current folder, where it is inside."""
    return relative_to_base(path.resolve(), Path.cwd())


def _progress(what: str) -> Callable[[list], Iterable]:
    return lambda items: track(items, description=what, console=Console(stderr=True), transient=True)
