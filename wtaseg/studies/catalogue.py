"""The studies: which experiments each compares, and what each of them changes in its config."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mmengine.config import Config

from wtaseg.report.summary import Marking
from wtaseg.studies import overrides
from wtaseg.studies.datasets import augmented_root, check_dataset, write_ratio_list
from wtaseg.studies.folds import folds
from wtaseg.studies.pays import PAYS, pays
from wtaseg.studies.provenance import program
from wtaseg.studies.spec import Experiment, Study, StudyOptions, StudyRow
from wtaseg.studies.twins import twins

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


def losses(options: StudyOptions) -> Study:
    """Table 2: six loss functions on the original images."""
    named = {
        'Focal Loss': Experiment(options.model_config),
        'Tversky Loss': loss(options.model_config, 'tversky'),
        'CrossEntropy Loss': loss(options.model_config, 'cross_entropy'),
        'Dice Loss': loss(options.model_config, 'dice'),
        'Focal + Tversky Loss': loss(options.model_config, 'focal_and_tversky'),
        'Dice + CrossEntropy Loss': loss(options.model_config, 'dice_and_cross_entropy'),
    }
    return Study(
        'losses',
        'Loss functions',
        'Which loss function learns rare defects best from the original images?',
        ('Dataset', 'Loss Func.'),
        tuple(StudyRow('Original', label, experiment) for label, experiment in named.items()),
    )


def gamma(options: StudyOptions) -> Study:
    """Cross entropy against focal loss of four gammas; gamma 2 is the final method."""
    rows = [StudyRow('Original', 'CrossEntropyLoss', loss(options.model_config, 'cross_entropy'))]
    for value in GAMMAS:
        experiment = Experiment(options.model_config)
        if value != 2:
            override = overrides.use_loss('focal', gamma=float(value))
            experiment = Experiment(options.model_config, f'gamma{value}', override)
        rows.append(StudyRow('Original', f'Gamma {value}', experiment))
    return Study(
        'gamma',
        'Gamma of the focal loss',
        'How much less should pixels count that are classified well already?',
        ('Dataset', 'Loss Func.'),
        tuple(rows),
    )


def imbalance(options: StudyOptions) -> Study:
    """Other remedies for class imbalance, against the final method and against none."""
    model = options.model_config
    named = {
        'Focal Loss, α per class (final method)': Experiment(model),
        'CrossEntropy Loss (no remedy)': loss(model, 'cross_entropy'),
        'CrossEntropy Loss, ENet class weights': Experiment(model, 'enet', overrides.enet_weights),
        'CrossEntropy Loss, OHEM': Experiment(model, 'ohem', overrides.ohem),
        'Focal Tversky Loss': loss(model, 'focal_tversky'),
        'Unified Focal Loss': loss(model, 'unified_focal'),
        'Focal Loss, rare-class sampling': Experiment(model, 'rare_class', overrides.rare_class_sampling),
        'Focal Loss, copy-paste of defects': Experiment(model, 'copy_paste', overrides.copy_paste),
    }
    return Study(
        'imbalance',
        'Class imbalance',
        'Does another remedy for class imbalance do better than the final method?',
        ('Dataset', 'Method'),
        tuple(StudyRow('Original', label, experiment) for label, experiment in named.items()),
    )


def loss_aug(options: StudyOptions) -> Study:
    """Table 3: loss function and augmentation together, for three models."""
    word = options.word
    root = augmented_root(options.data_folder, word)
    train = overrides.train_on(root, word)

    def cross_entropy(cfg: Config) -> None:
        train(cfg)
        overrides.use_loss('cross_entropy')(cfg)

    rows = []
    for model in options.models(('Fast-SCNN', 'MobileNetV3', 'BiSeNetV2')):
        config = find_config(options.configs, model)
        aug = f'w/ {word.capitalize()} aug.'
        rows += [
            StudyRow(model, 'FocalLoss w/o aug.', Experiment(config)),
            StudyRow(
                model,
                f'CrossEntropyLoss {aug}',
                Experiment(config, f'aug_{word}-cross_entropy', cross_entropy),
            ),
            StudyRow(model, f'FocalLoss {aug}', Experiment(config, f'aug_{word}', train)),
        ]
    return Study(
        'loss_aug',
        'Loss function and augmentation',
        'Does augmentation help whatever the loss function is?',
        ('Model', 'Trained on'),
        tuple(rows),
        Marking.BEST_IN_GROUP,
    )


def words(options: StudyOptions) -> Study:
    """Table 4: the original images against those edited with each of six words."""
    rows = [StudyRow('w/o aug.', 'Original Dataset', Experiment(options.model_config))]
    for word in WORDS:
        root = augmented_root(options.data_folder, word)
        rows.append(StudyRow('w/ aug.', word, augmented(options.model_config, f'aug_{word}', root, word)))
    return Study(
        'words',
        'Words of the augmentation',
        'Which word gives the edited images that help most?',
        ('', 'Dataset'),
        tuple(rows),
        Marking.AGAINST_FIRST,
    )


def relabel(options: StudyOptions) -> Study:
    """Table 1: edited images with the labels of the originals, and with labels of their own."""
    roots = {}
    for label, flag, path in (
        ('w/o re-labeling', '--not-relabelled', options.not_relabelled),
        ('w/ re-labeling', '--relabelled', options.relabelled),
    ):
        if path is None:
            raise ValueError(
                f'the study relabel compares two augmented data sets: name the one {label} with {flag} DIR. '
                f'{program("augment")} --data {options.data_folder} --word {options.word} makes the one without; '
                'the other is a copy of it with new labels'
            )
        roots[label] = (flag.removeprefix('--'), path.resolve())
        check_dataset(path, f'named by {flag}')
    rows = []
    for model in options.models(('Fast-SCNN', 'MobileNetV3')):
        config = find_config(options.configs, model)
        rows.append(StudyRow(model, 'Original dataset', Experiment(config)))
        rows += [
            StudyRow(model, label, relabel_experiment(options, config, key, root))
            for label, (key, root) in roots.items()
        ]
    return Study(
        'relabel',
        'Re-labelling of edited images',
        'Do edited images need labels of their own?',
        ('Model', 'Trained on'),
        tuple(rows),
        Marking.BEST_IN_GROUP,
    )


def ratio(options: StudyOptions) -> Study:
    """20 to 100 % of the edited images, beside all original ones."""
    root = augmented_root(options.data_folder, options.word)
    rows = [StudyRow('w/o aug.', '0 %', Experiment(options.model_config))]
    for share in RATIOS:
        names = write_ratio_list(options.data_folder, root, share, options.layout.study_lists)
        key = f'aug_{options.word}' + ('' if share == 100 else f'-{share}')
        # 100 % is the whole set, which other studies train on too
        override = overrides.train_on(root, options.word, None if share == 100 else names)
        rows.append(
            StudyRow(
                f'w/ {options.word.capitalize()}',
                f'{share} %',
                Experiment(options.model_config, key, override),
            )
        )
    return Study(
        'ratio',
        'Share of edited images',
        'How many edited images does it take?',
        ('Trained on', 'Edited images'),
        tuple(rows),
    )


def final(options: StudyOptions) -> Study:
    """The final results: twelve models, on augmented and on original images."""
    root = augmented_root(options.data_folder, options.word)
    rows = []
    for model in options.models(FOLDERS):
        original = find_config(options.configs, model)
        # the experiments on augmented images have configs of their own, made for "peeling"
        config = find_config(options.configs, model, '_wta_aug_peeling-512x512')
        key = '' if options.word == 'peeling' else f'aug_{options.word}'
        rows += [
            StudyRow(model, 'w/ Augmented', augmented(config, key, root, options.word)),
            StudyRow(model, 'Original', Experiment(original)),
        ]
    return Study(
        'final',
        'Final results',
        'What do the edited images bring to each architecture?',
        ('Model', 'Trained on'),
        tuple(rows),
        Marking.BEST_IN_GROUP,
    )


STUDIES: dict[str, Callable[[StudyOptions], Study]] = {
    maker.__name__: maker
    for maker in (losses, gamma, loss_aug, words, relabel, ratio, imbalance, final, folds, pays, twins)
}


def define(name: str, options: StudyOptions) -> Study:
    """A study by name, cut to the rows that ``options.only`` names by label or by group; pays keeps its first row.

    Raises:
        FileNotFoundError, ValueError: data or a config is missing, or no row is left.
    """
    study = STUDIES[name](options)
    named = {text.casefold() for text in options.only}
    always = study.rows[:1] if study.name == PAYS else ()
    rows = tuple(
        row
        for row in study.rows
        if not named or row in always or {row.group.casefold(), row.label.casefold()} & named
    )
    if not rows:
        texts = dict.fromkeys(text for row in study.rows for text in (row.group, row.label) if text)
        raise ValueError(
            f'--only: {", ".join(options.only)} names no row of the study {name}; expected one of {", ".join(texts)}'
        )
    return replace(study, rows=rows)


def loss(config: str, name: str) -> Experiment:
    """The config with a loss of ``configs/_base_/losses``."""
    return Experiment(config, name, overrides.use_loss(name))


def relabel_experiment(options: StudyOptions, config: str, key: str, root: Path) -> Experiment:
    """The config trained on ``root``; where ``wta-seg augment`` wrote it, the run is that of the studies words and ratio."""
    data, word = options.data_folder, options.word
    if root == data.with_name(f'{data.name}_aug_{word}'):
        return augmented(config, f'aug_{word}', root, word)
    return augmented(config, key, root)


def augmented(config: str, key: str, root: Path, word: str = '') -> Experiment:
    """The config trained on edited images of a word."""
    return Experiment(config, key, overrides.train_on(root, word))


def find_config(config_root: Path, model: str, ending: str = '_wta-512x512') -> str:
    """``DIR/MODEL`` of the experiment of a model of the published tables.

    Raises:
        FileNotFoundError: there is none.
        ValueError: several would do.
    """
    pattern = f'{FOLDERS[model]}/*{ending}.py'
    paths = sorted(config_root.glob(pattern))
    if not paths:
        raise FileNotFoundError(
            f'{config_root}/{pattern} matches no file: the experiment of {model} that this study trains is '
            'missing; write it, or leave the model out with --only'
        )
    if len(paths) > 1:
        raise ValueError(
            f'{config_root}/{pattern} matches {", ".join(path.name for path in paths)}; expected one experiment of {model}'
        )
    return paths[0].relative_to(config_root).with_suffix('').as_posix()
