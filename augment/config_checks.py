"""Checks of ``AugmentConfig`` that look at several fields or at the disk; ``config`` is one in all of them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from augment.options import default_of

PASTE = 'paste'
"""The mode without a model, and in place of a word in the names of its images."""

CLASS_IDS = range(1, 255)
"""Ids of defects: 0 is normal, 255 ignored."""


def slug(word: str) -> str:
    """``word`` for file names: every run of characters other than letters and digits becomes ``_``."""
    return '_'.join(''.join(c if c.isalnum() else ' ' for c in word).split())


def check_paths(config: Any) -> None:
    """Raises when ``data`` is missing or ``out`` would write into it."""
    if not Path(config.data).is_dir():
        raise FileNotFoundError(f'data: {config.data} is not a folder; it should hold img_dir and ann_dir')
    data, out = Path(config.data).resolve(), config.out_dir().resolve()
    if out == data or data in out.parents or out in data.parents:
        raise ValueError(
            f'out: {out} and data {data} lie in one another; choose a folder apart from the data'
        )


def check_words(config: Any) -> None:
    """Raises when words are empty, collide in file names, or the target prompt has no place for them."""
    if not config.word:
        raise ValueError('word: the list is empty; give at least one word, as in --word peeling')
    by_name: dict[str, str] = {}
    for word in config.word:
        name = slug(word)
        if not name:
            raise ValueError(f'word: {word!r} has no letter or digit; give a word such as peeling')
        if name in by_name:
            raise ValueError(
                f'word: {word!r} and {by_name[name]!r} would write the same files (*__{name}.png); drop one'
            )
        by_name[name] = word
    if '{word}' not in config.target_prompt:
        raise ValueError(
            f'target_prompt: {config.target_prompt!r} does not contain the word; put {{word}} where it belongs, '
            "as in 'photo of a crack with {word}'"
        )


def counts_per_class(entries: list[str]) -> dict[int, int]:
    """``['1=40', '2=10']`` as counts by class id.

    Raises:
        ValueError: An entry has another form, or a class is named twice.
    """
    counts: dict[int, int] = {}
    for entry in entries:
        name, _, count = entry.partition('=')
        if not (name.isdecimal() and count.isdecimal() and int(name) in CLASS_IDS):
            raise ValueError(
                f'per-class: {entry!r} found; expected CLASS=COUNT with the id of a defect class, as in 1=40 2=10'
            )
        if int(name) in counts:
            raise ValueError(f'per-class: class {name} is named twice; give each class once')
        counts[int(name)] = int(count)
    return counts


def check_mode(config: Any) -> None:
    """Raises when counts or their classes have no sense."""
    counts = counts_per_class(config.per_class)
    if counts and not any(counts.values()):
        raise ValueError(f'per-class: {" ".join(config.per_class)} asks for no defect; give a count above 0')
    if config.mode == 'plant' and config.blend != 'label':
        raise ValueError(
            f'mode: plant needs blend=label, found {config.blend}; the surface around a planted defect must stay'
        )


def settings_without_effect(config: Any) -> list[str]:
    """One sentence for each setting that was changed but changes nothing under the other settings."""
    idle = (
        (
            'inner_steps',
            config.inversion != 'null-text',
            f'inversion={config.inversion} has no optimisation',
        ),
        ('crop_context', config.crop == 'none', 'crop=none edits whole images'),
        ('crop_min', config.crop == 'none', 'crop=none edits whole images'),
        ('crop_limit', config.crop == 'none', 'crop=none edits whole images'),
        ('self_max_positions', config.self_replace == 0, 'self=0 replaces no self-attention map'),
        ('blend_threshold', config.blend != 'attention', f'blend={config.blend} reads no attention maps'),
        ('blend_blocks', config.blend != 'attention', f'blend={config.blend} reads no attention maps'),
        ('judge_gate', config.judge == 'none', 'judge=none looks for no defect'),
        ('max_outside', config.blend == 'label', 'blend=label changes nothing outside the mask'),
        ('plant_difference', config.mode == 'edit', 'mode=edit plants nothing'),
        ('word', config.mode == PASTE, 'mode=paste edits nothing'),
        ('summary_rows', not config.summary, '--summary is not given'),
    )
    defaults = {f.name: default_of(f) for f in fields(config)}
    return [
        f'{name}={getattr(config, name)} has no effect: {why}'
        for name, unused, why in idle
        if unused and getattr(config, name) != defaults[name]
    ]
