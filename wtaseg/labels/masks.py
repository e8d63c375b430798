"""Mask images to label maps: by colour, by grey value, or one black-and-white mask per class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .classes import IGNORE, ClassTable, ConversionError, pack, unpack
from .writing import LabelMap

MASK_SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.gif', '.jpg', '.jpeg')
_MAX_LISTED = 6
#: More unknown values than this come from smoothing or lossy compression.
MANY = 20


def find_masks(folder: Path) -> dict[str, Path]:
    """Mask files below a folder, ``{path below the folder without suffix: file}``.

    Raises:
        FileNotFoundError: the folder does not exist, or holds no mask.
        ValueError: two masks would become the same label file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder; give the folder that holds the mask images.')
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in MASK_SUFFIXES or path.name.startswith('.'):
            continue
        name = path.relative_to(folder).with_suffix('').as_posix()
        if name in files:
            raise ValueError(f'{files[name]} and {path} would both become {name}.png; remove one of them.')
        files[name] = path
    if not files:
        raise FileNotFoundError(f'{folder} holds no mask image ({", ".join(MASK_SUFFIXES)}).')
    return files


def read_mask(path: Path, mode: str) -> np.ndarray:
    """Pixels of a mask image.

    Args:
        path: of the file.
        mode: ``'RGB'``: colours ``(H, W, 3)`` uint8; ``'L'``: grey values, or indices of a palette image, ``(H, W)``.

    Raises:
        ConversionError: the file can not be decoded, or has no grey values.
    """
    if not path.is_file():
        raise ConversionError(f'{path}: is not a regular file, expected an image. Remove it.')
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
    except ConversionError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ConversionError(
            f'{path}: can not be decoded ({error}). Copy it again from its source.'
        ) from None


def ids_by_colour(path: Path, table: dict[int, int]) -> LabelMap:
    """Label map ``(H, W)`` uint8 of a colour or palette image; ``table`` maps packed colours to ids.

    Raises:
        ConversionError: the image has a colour that is not in ``table``.
    """
    return _translate(path, packed_colours(path), table, unpack, '--colour <class>={}')


def packed_colours(path: Path) -> np.ndarray:
    """Colours of a mask image, ``(H, W)`` int32, packed as R << 16 | G << 8 | B."""
    return pack(read_mask(path, 'RGB'))


def ids_by_value(path: Path, table: dict[int, int]) -> LabelMap:
    """Label map ``(H, W)`` uint8 of a grey image, or of the indices of a palette image.

    Raises:
        ConversionError: the image has a value that is not in ``table``.
    """
    return _translate(path, read_mask(path, 'L'), table, str, '--map {}=<class>')


def _translate(
    path: Path, values: np.ndarray, table: dict[int, int], show: Callable[[int], str], option: str
) -> LabelMap:
    present, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    unknown = [(int(v), int(n)) for v, n in zip(present, counts) if int(v) not in table]
    if unknown:
        unknown.sort(key=lambda item: -item[1])
        listed = ', '.join(f'{show(v)} ({n} px)' for v, n in unknown[:_MAX_LISTED])
        more = f' and {len(unknown) - _MAX_LISTED} more' if len(unknown) > _MAX_LISTED else ''
        remedy = f'Say what it is: {option.format(show(unknown[0][0]))} (or {IGNORE}).'
        if len(unknown) > MANY:
            remedy = (
                'So many values come from smoothing or JPEG: export the mask as PNG without anti-aliasing.'
            )
        known = ', '.join(show(v) for v in table)
        raise ConversionError(f'{path}: unknown value {listed}{more}, expected {known}. {remedy}')
    ids = np.array([table[int(v)] for v in present], np.uint8)
    return LabelMap(ids[where.reshape(values.shape)])


def ids_of_binary(masks: list[tuple[Path, int]]) -> LabelMap:
    """Label map ``(H, W)`` uint8 of masks of 0 and 255, one for each class id.

    Args:
        masks: file and class id; a later mask overwrites an earlier one where both are 255.

    Raises:
        ConversionError: a mask has other values, or its size differs from the first.
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
    return LabelMap(labels)


def ids_by_binary_values(path: Path) -> np.ndarray:
    """A mask of 0 and 255 as bool ``(H, W)``.

    Raises:
        ConversionError: the mask has other values.
    """
    pixels = read_mask(path, 'RGB')
    grey = pixels[..., 0]
    other = (pixels != grey[..., None]).any(-1) | ((grey != 0) & (grey != 255))
    if other.any():
        example = unpack(int(pack(pixels[other][0])))
        raise ConversionError(
            f'{path}: {int(other.sum())} pixels are neither 0 nor 255, for one {example}. '
            'For several grey values use the command values, for colours the command palette.'
        )
    return grey == 255


def value_table(classes: ClassTable, given: dict[str, str]) -> dict[int, int]:
    """Grey value to id, ``{'128': 'attached'}`` as ``{128: 1}``.

    Raises:
        ValueError: a value is not a number, or a class is unknown.
    """
    table = {}
    for value, target in given.items():
        if not value.isdigit():
            raise ValueError(f'--map {value}={target}: expected a grey value before the =.')
        table[int(value)] = classes.id_of(target)
    return table
