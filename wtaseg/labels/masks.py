"""Mask images to label maps: by colour, by grey value, or one black and white mask per class."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .classes import IGNORE, ClassTable, ConversionError, pack, unpack

MASK_SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.gif', '.jpg', '.jpeg')
_SHOWN = 6


def find_masks(folder: Path) -> dict[str, Path]:
    """Mask files below a folder by their path without suffix.

    Raises:
        FileNotFoundError: No folder, or no mask in it.
        ValueError: Two masks would become the same label file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder; give the folder that holds the mask images.')
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in MASK_SUFFIXES or path.name.startswith('.'):
            continue
        name = path.relative_to(folder).with_suffix('').as_posix()
        if name in found:
            raise ValueError(f'{found[name]} and {path} would both become {name}.png; remove one of them.')
        found[name] = path
    if not found:
        raise FileNotFoundError(f'{folder} holds no mask image ({", ".join(MASK_SUFFIXES)}).')
    return found


def _open(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if mode == 'L' and image.mode not in ('1', 'L', 'P', 'I;16', 'I'):
                raise ConversionError(
                    f'{path}: is a {image.mode} image, expected grey values. Convert it by colour: palette.'
                )
            if mode == 'L' and image.mode == 'P':
                return np.array(image)
            if mode == 'L' and image.mode == '1':
                return np.array(image).astype(np.uint8) * 255
            return np.array(image) if mode == 'L' else np.array(image.convert(mode))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ConversionError(
            f'{path}: can not be decoded ({error}). Copy it again from its source.'
        ) from None


def ids_by_colour(path: Path, table: dict[int, int]) -> np.ndarray:
    """Label map ``(H, W)`` uint8 of a colour or palette image; ``table`` maps packed colours to ids.

    Raises:
        ConversionError: The image has a colour that is not in ``table``.
    """
    return _translate(path, pack(_open(path, 'RGB')), table, unpack, '--colour <class>={}')


def ids_by_value(path: Path, table: dict[int, int]) -> np.ndarray:
    """Label map of a grey image, or of the indices of a palette image.

    Raises:
        ConversionError: The image has a value that is not in ``table``.
    """
    return _translate(path, _open(path, 'L'), table, str, '--map {}=<class>')


def _translate(path: Path, values: np.ndarray, table: dict[int, int], show, option: str) -> np.ndarray:
    present, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    unknown = [(int(v), int(n)) for v, n in zip(present, counts) if int(v) not in table]
    if unknown:
        unknown.sort(key=lambda item: -item[1])
        shown = ', '.join(f'{show(v)} ({n} px)' for v, n in unknown[:_SHOWN])
        more = f' and {len(unknown) - _SHOWN} more' if len(unknown) > _SHOWN else ''
        remedy = f'Say what it is: {option.format(show(unknown[0][0]))} (or {IGNORE}).'
        if len(unknown) > 20:
            remedy = (
                'So many values come from smoothing or JPEG: export the mask as PNG without anti-aliasing.'
            )
        known = ', '.join(show(v) for v in table)
        raise ConversionError(f'{path}: unknown value {shown}{more}, expected {known}. {remedy}')
    ids = np.array([table[int(v)] for v in present], np.uint8)
    return ids[where.reshape(values.shape)]


def ids_of_binary(masks: list[tuple[Path, int]]) -> np.ndarray:
    """Label map of masks of 0 and 255, each for one class; a later mask lies over an earlier one.

    Raises:
        ConversionError: A mask has other values, or its size differs from the first.
    """
    labels = None
    for path, value in masks:
        mask = ids_by_binary_values(path)
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        if mask.shape != labels.shape:
            raise ConversionError(
                f'{path}: is {mask.shape[1]} x {mask.shape[0]}, but {masks[0][0]} is {labels.shape[1]} x '
                f'{labels.shape[0]}. Export the masks of an image at the same size.'
            )
        labels[mask] = value
    return labels


def ids_by_binary_values(path: Path) -> np.ndarray:
    """Where a mask of 0 and 255 is 255, bool ``(H, W)``.

    Raises:
        ConversionError: The mask has other values.
    """
    pixels = _open(path, 'RGB')
    grey = pixels[..., 0]
    other = (pixels != grey[..., None]).any(-1) | ((grey != 0) & (grey != 255))
    if other.any():
        shown = unpack(int(pack(pixels[other][0])))
        raise ConversionError(
            f'{path}: {int(other.sum())} pixels are neither 0 nor 255, for one {shown}. '
            'For several grey values use the command values, for colours the command palette.'
        )
    return grey == 255


def value_table(classes: ClassTable, given: dict[str, str]) -> dict[int, int]:
    """Grey value to id, from ``{'128': 'attached'}``.

    Raises:
        ValueError: A value is no number, or a class is unknown.
    """
    table = {}
    for value, target in given.items():
        if not value.isdigit():
            raise ValueError(f'--map {value}={target}: expected a grey value before the =.')
        table[int(value)] = classes.id_of(target)
    return table
