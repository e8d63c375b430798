"""The eight studies: which rows each has, and what each row changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmengine.config import Config

from wtaseg.runs.layout import ROOT

from . import variants
from .datasets import augmented_root, check_set, write_ratio_list

FAST_SCNN = 'fastscnn/fast_scnn_4xb4-40k_wta-512x512'
WORDS = ('blistering', 'corrosion', 'dent', 'peeling', 'rust', 'scratch')
GAMMAS = (0.5, 1, 2, 5)
RATIOS = (20, 40, 60, 80, 100)
# the models of the published tables and the folders of their configs
FOLDERS = {
    'GCNet': 'gcnet',
    'APCNet': 'apcnet',
    'PSPNet': 'pspnet',
    'Fast-SCNN': 'fastscnn',
    'MobileNetV3': 'mobilenet_v3',
    'UPerNet': 'upernet',
    'ANN': 'ann',
    'BiSeNetV2': 'bisenetv2',
    'BEiT': 'beit',
    'ViT': 'vit',
    'CCNet': 'ccnet',
    'DANet': 'danet',
}
BEST_SECOND, BEST_IN_GROUP, AGAINST_FIRST = 'best and second', 'best in group', 'against first'

Change = Callable[[Config], None]


@dataclass(frozen=True)
class Variant:
    """One thing to train: a config below the config root, a name for what differs, and the change itself.

    Rows of several studies that have the same config and key are trained once.
    """

    config: str
    key: str = ''
    change: Change | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        return f'{self.config}-{self.key}' if self.key else self.config


@dataclass(frozen=True)
class Row:
    """A line of the table; ``group`` stands in the first column, once for all rows that share it."""

    group: str
    label: str
    variant: Variant


@dataclass(frozen=True)
class Study:
    """Rows to compare, and how the table shows them."""

    name: str
    title: str
    question: str
    columns: tuple[str, str]
    rows: tuple[Row, ...]
    marks: str = BEST_SECOND


@dataclass(frozen=True)
class Options:
    """What the command line says about the studies."""

    data: Path
    lists: Path
    config_root: Path = ROOT / 'configs'
    model: str = FAST_SCNN
    word: str = 'peeling'
    relabelled: Path | None = None
    not_relabelled: Path | None = None
    only: tuple[str, ...] = ()

    def models(self, names: Iterable[str]) -> list[str]:
        """Those of these models that ``only`` names; all where it names none of them."""
        names = list(names)
        wanted = [name for name in names if name.casefold() in {text.casefold() for text in self.only}]
        return wanted or names


def losses(options: Options) -> Study:
    """Table 2: six loss functions on the original images."""
    named = {
        'Focal Loss': Variant(options.model),
        'Tversky Loss': loss(options.model, 'tversky'),
        'CrossEntropy Loss': loss(options.model, 'cross_entropy'),
        'Dice Loss': loss(options.model, 'dice'),
        'Focal + Tversky Loss': loss(options.model, 'focal_and_tversky'),
        'Dice + CrossEntropy Loss': loss(options.model, 'dice_and_cross_entropy'),
    }
    return Study(
        'losses',
        'Loss functions',
        'Which loss function learns rare defects best from the original images?',
        ('Dataset', 'Loss Func.'),
        tuple(Row('Original', label, variant) for label, variant in named.items()),
    )


def gamma(options: Options) -> Study:
    """Cross entropy against focal loss of four gammas; gamma 2 is the final method."""
    rows = [Row('Original', 'CrossEntropyLoss', loss(options.model, 'cross_entropy'))]
    for value in GAMMAS:
        change = variants.use_loss('focal', gamma=float(value))
        variant = Variant(
            options.model, '' if value == 2 else f'gamma{value}', None if value == 2 else change
        )
        rows.append(Row('Original', f'Gamma {value}', variant))
    return Study(
        'gamma',
        'Gamma of the focal loss',
        'How strongly should the focal loss turn away from what is recognised already?',
        ('Dataset', 'Loss Func.'),
        tuple(rows),
    )


def imbalance(options: Options) -> Study:
    """Other remedies for class imbalance, against the final method and against none."""
    model = options.model
    named = {
        'Focal Loss, α per class (final method)': Variant(model),
        'CrossEntropy Loss (no remedy)': loss(model, 'cross_entropy'),
        'CrossEntropy Loss, ENet class weights': Variant(model, 'enet', variants.enet_weights),
        'CrossEntropy Loss, OHEM': Variant(model, 'ohem', variants.ohem),
        'Focal Tversky Loss': loss(model, 'focal_tversky'),
        'Unified Focal Loss': loss(model, 'unified_focal'),
        'Focal Loss, rare-class sampling': Variant(model, 'rare_class', variants.rare_class_sampling),
        'Focal Loss, copy-paste of defects': Variant(model, 'copy_paste', variants.copy_paste),
    }
    return Study(
        'imbalance',
        'Class imbalance',
        'Does another remedy for class imbalance do better than the final method?',
        ('Dataset', 'Method'),
        tuple(Row('Original', label, variant) for label, variant in named.items()),
    )


def loss_aug(options: Options) -> Study:
    """Table 3: loss function and augmentation together, for three models."""
    word = options.word
    root = augmented_root(options.data, word)
    train = variants.train_on(root)

    def cross_entropy(cfg: Config) -> None:
        train(cfg)
        variants.use_loss('cross_entropy')(cfg)

    rows = []
    for model in options.models(('Fast-SCNN', 'MobileNetV3', 'BiSeNetV2')):
        config = find_config(options.config_root, model)
        aug = f'w/ {word.capitalize()} aug.'
        rows += [
            Row(model, 'FocalLoss w/o aug.', Variant(config)),
            Row(
                model, f'CrossEntropyLoss {aug}', Variant(config, f'aug_{word}-cross_entropy', cross_entropy)
            ),
            Row(model, f'FocalLoss {aug}', Variant(config, f'aug_{word}', train)),
        ]
    return Study(
        'loss_aug',
        'Loss function and augmentation',
        'Does augmentation help whatever the loss function is?',
        ('Model', 'Trained on'),
        tuple(rows),
        BEST_IN_GROUP,
    )


def words(options: Options) -> Study:
    """Table 4: the original images against those edited with each of six words."""
    rows = [Row('w/o aug.', 'Original Dataset', Variant(options.model))]
    rows += [
        Row('w/ aug.', word, augmented(options.model, f'aug_{word}', augmented_root(options.data, word)))
        for word in WORDS
    ]
    return Study(
        'words',
        'Words of the augmentation',
        'Which word gives the edited images that help most?',
        ('', 'Dataset'),
        tuple(rows),
        AGAINST_FIRST,
    )


def relabel(options: Options) -> Study:
    """Table 1: edited images with the labels of the originals, and with labels drawn anew."""
    roots = {
        'w/o re-labeling': ('--not-relabelled', options.not_relabelled),
        'w/ re-labeling': ('--relabelled', options.relabelled),
    }
    for label, (flag, root) in roots.items():
        if root is None:
            raise ValueError(
                f'the study relabel compares two augmented data sets: name the one {label} with {flag} DIR. '
                f'augment/run.py --data {options.data} --word {options.word} makes the one without; a copy '
                'of it whose labels were drawn anew is the other'
            )
        check_set(root, f'named by {flag}')
    rows = []
    for model in options.models(('Fast-SCNN', 'MobileNetV3')):
        config = find_config(options.config_root, model)
        rows.append(Row(model, 'Original dataset', Variant(config)))
        rows += [
            Row(model, label, augmented(config, flag.removeprefix('--'), root))
            for label, (flag, root) in roots.items()
        ]
    return Study(
        'relabel',
        'Re-labelling of edited images',
        'Do edited images need labels of their own?',
        ('Model', 'Trained on'),
        tuple(rows),
        BEST_IN_GROUP,
    )


def ratio(options: Options) -> Study:
    """20 to 100 % of the edited images, beside all original ones."""
    root = augmented_root(options.data, options.word)
    rows = [Row('w/o aug.', '0 %', Variant(options.model))]
    for share in RATIOS:
        names = write_ratio_list(options.data, root, share, options.lists)
        key = f'aug_{options.word}' + ('' if share == 100 else f'-{share}')
        # all of them are the whole set, which other studies train on, too
        change = variants.train_on(root, None if share == 100 else names)
        rows.append(Row(f'w/ {options.word.capitalize()}', f'{share} %', Variant(options.model, key, change)))
    return Study(
        'ratio',
        'Share of edited images',
        'How many edited images does it take?',
        ('Trained on', 'Edited images'),
        tuple(rows),
    )


def final(options: Options) -> Study:
    """The final results: twelve models, on augmented and on original images."""
    root = augmented_root(options.data, options.word)
    rows = []
    for model in options.models(FOLDERS):
        original = find_config(options.config_root, model)
        # the experiments on augmented images have configs of their own, made for "peeling"
        config = find_config(options.config_root, model, '_wta_aug_peeling-512x512')
        key = '' if options.word == 'peeling' else f'aug_{options.word}'
        rows += [
            Row(model, 'w/ Augmented', augmented(config, key, root)),
            Row(model, 'Original', Variant(original)),
        ]
    return Study(
        'final',
        'Final results',
        'What do the edited images bring to each architecture?',
        ('Model', 'Trained on'),
        tuple(rows),
        BEST_IN_GROUP,
    )


STUDIES: dict[str, Callable[[Options], Study]] = {
    maker.__name__: maker for maker in (losses, gamma, loss_aug, words, relabel, ratio, imbalance, final)
}


def define(name: str, options: Options) -> Study:
    """A study by name, cut to the rows that ``options.only`` names by label or by group.

    Raises:
        FileNotFoundError, ValueError: data or a config is missing, or no row is left.
    """
    study = STUDIES[name](options)
    named = {text.casefold() for text in options.only}
    rows = tuple(
        row for row in study.rows if not named or {row.group.casefold(), row.label.casefold()} & named
    )
    if not rows:
        there = ', '.join(
            dict.fromkeys(text for row in study.rows for text in (row.group, row.label) if text)
        )
        raise ValueError(
            f'--only: {", ".join(options.only)} names no row of the study {name}; it has {there}'
        )
    return replace(study, rows=rows)


def loss(config: str, name: str) -> Variant:
    """The config with a loss of ``configs/_base_/losses``."""
    return Variant(config, name, variants.use_loss(name))


def augmented(config: str, key: str, root: Path) -> Variant:
    """The config trained on another data set."""
    return Variant(config, key, variants.train_on(root))


def find_config(config_root: Path, model: str, ending: str = '_wta-512x512') -> str:
    """``DIR/MODEL`` of the experiment of a model of the published tables.

    Raises:
        FileNotFoundError: there is none.
        ValueError: several would do.
    """
    pattern = f'{FOLDERS[model]}/*{ending}.py'
    found = sorted(config_root.glob(pattern))
    if not found:
        raise FileNotFoundError(
            f'{config_root}/{pattern} matches no file: the experiment of {model} that this study trains is '
            'missing; write it, or leave the model out with --only'
        )
    if len(found) > 1:
        raise ValueError(
            f'{config_root}/{pattern} matches {", ".join(p.name for p in found)}; expected one experiment of {model}'
        )
    return found[0].relative_to(config_root).with_suffix('').as_posix()
