"""Problems of one image and its label map, each with its remedy."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .image_files import ImageHeader, decode_image, is_tiff, read_header

#: The program that the remedies point to.
CONVERTER = 'tools/dataset_tools/convert_labels.py'

#: PIL's names of images with one value per pixel; P holds indices into a palette.
INDEX_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'I;16L')

_PNG_HEAD = b'\x89PNG\r\n\x1a\n'
_PNG_TAIL = b'IEND\xaeB`\x82'


@dataclass(frozen=True)
class Problem:
    """One problem: its ``kind``, the ``files`` that have it, what was ``found`` in them, and the ``remedy``.

    A ``notice`` is no error: the files are read by a rule that the user should know of.
    """

    kind: str
    files: tuple[str, ...]
    found: str
    remedy: str
    notice: bool = False

    def __str__(self) -> str:
        return f'{", ".join(self.files)}: {self.found}. {self.remedy}'


@dataclass(frozen=True)
class LabelRules:
    """The ids that a label file may contain.

    ``num_classes`` counts the classes after ``reduce_zero_label``, which turns 0 into ``ignore_index`` and
    lowers the others by one.
    """

    num_classes: int
    ignore_index: int = 255
    reduce_zero_label: bool = False

    def allowed(self) -> np.ndarray:
        """Which of the values 0..255 a file may contain, bool (256,)."""
        allowed = np.zeros(256, bool)
        allowed[: self.num_classes + self.reduce_zero_label] = True
        if self.reduce_zero_label:
            allowed[255] = True  # stays 255, see LoadAnnotations
        if 0 <= self.ignore_index < 256:
            allowed[self.ignore_index] = True
        return allowed

    def labelled(self) -> np.ndarray:
        """Which of the values 0..255 of a file stand for a class, bool (256,)."""
        labelled = np.zeros(256, bool)
        labelled[int(self.reduce_zero_label) : self.num_classes + self.reduce_zero_label] = True
        if 0 <= self.ignore_index < 256:
            labelled[self.ignore_index] = False
        return labelled

    def __str__(self) -> str:
        first = '0 (ignored), 1' if self.reduce_zero_label else '0'
        last = self.num_classes - 1 + self.reduce_zero_label
        return f'ids {first}..{last} and {self.ignore_index} for ignored pixels'


def header(path: str) -> ImageHeader | Problem:
    """The header of an image file, or the problem of reading it.

    Pixels are not decoded, but a truncated PNG is recognised by its missing end.
    """
    if Path(path).exists() and not Path(path).is_file():
        return unreadable(path, 'is a folder or a pipe')
    try:
        head = read_header(path)
        if _is_truncated_png(path):
            return unreadable(path, 'the PNG is truncated')
    except FileNotFoundError:
        return Problem('missing', (str(path),), 'no such file', 'Put the file there, or remove its partner.')
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return unreadable(path, error)
    return head


def compare_headers(image: str, label: str) -> list[Problem]:
    """Problems of a pair that show without decoding: unreadable, RGB label, sizes that differ."""
    heads = [header(image), header(label)]
    problems = [head for head in heads if isinstance(head, Problem)]
    label_mode = None if isinstance(heads[1], Problem) else heads[1].mode
    if label_mode is not None and label_mode not in INDEX_MODES:
        problems.append(
            Problem(
                'RGB label',
                (str(label),),
                f'label is a {label_mode} image, expected one class id per pixel',
                f'Convert its colours to ids: python {CONVERTER} palette.',
            )
        )
    if not any(isinstance(head, Problem) for head in heads):
        problems += _size_problems(image, label, *heads)
    return problems


def image_notices(image: str, value_range: Sequence[float] | None = None) -> list[Problem]:
    """What to know about how an image is read: more than 8 bits without a ``value_range``, several pages."""
    head = header(image)
    if isinstance(head, Problem):
        return []
    notices = []
    if head.bits > 8 and value_range is None:
        remedy = 'Set value_range=(LOW, HIGH) in LoadImageFromFile to scale all images alike.'
        text = f'has {head.bits} bits, scaled by the least and greatest value of each file'
        notices.append(Problem('more than 8 bits', (str(image),), text, remedy, notice=True))
    if head.pages > 1:
        remedy = 'Save each page as a file; channels belong into the samples of one page.'
        text = f'has {head.pages} pages, of which only the first is read'
        notices.append(Problem('several pages', (str(image),), text, remedy, notice=True))
    return notices


def _size_problems(image: str, label: str, image_head: ImageHeader, label_head: ImageHeader) -> list[Problem]:
    if label_head.stored_size == image_head.size:
        return []
    files = (str(image), str(label))
    upright, stored, size = (
        '{} x {}'.format(*side) for side in (image_head.size, image_head.stored_size, label_head.stored_size)
    )
    if label_head.stored_size == image_head.stored_size:
        text = f'label is {size} as the image before its EXIF rotation, which makes it {upright}'
        remedy = 'The label is turned with the image; save it turned to be independent of this.'
        return [Problem('label not upright', files, text, remedy, notice=True)]
    turned = '' if upright == stored else f' (stored as {stored}, with an EXIF rotation)'
    remedy = 'Export both at the same size; scale a label with nearest neighbour only.'
    return [Problem('size mismatch', files, f'image is {upright}{turned}, label {size}', remedy)]


def read_pixels(path: str) -> np.ndarray | Problem:
    """The decoded image ``(H, W)`` or ``(H, W, C)`` as stored, palette images as indices, or the problem."""
    try:
        with Image.open(path) as image:
            return np.array(image)
    except FileNotFoundError:
        return Problem('missing', (str(path),), 'no such file', 'Put the file there, or remove its partner.')
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return unreadable(path, error)


def read_image(path: str) -> np.ndarray | Problem:
    """The decoded image of a pair, or the problem: like :func:`read_pixels`, and any TIFF that training reads."""
    try:
        with Path(path).open('rb') as file:
            if not is_tiff(file.read(4)):
                return read_pixels(path)
        pixels = decode_image(Path(path).read_bytes(), 'unchanged')
    except (OSError, ValueError) as error:
        return unreadable(path, error)
    return unreadable(path, 'cannot be decoded') if pixels is None else pixels


def check_ids(label: str, counted: np.ndarray, others: dict[int, int], rules: LabelRules) -> Problem | None:
    """The problem of a label map whose ids break the rules, with the remedy that fits its values; or None."""
    wrong = {int(v): int(counted[v]) for v in np.flatnonzero(counted) if not rules.allowed()[v]}
    wrong.update(others)
    if not wrong:
        return None
    listed = ', '.join(f'{v} ({n} px)' for v, n in sorted(wrong.items())[:8])
    more = f' and {len(wrong) - 8} more values' if len(wrong) > 8 else ''
    if set(wrong) == {rules.num_classes} and counted[0] == 0 and not rules.reduce_zero_label:
        remedy = 'The ids seem to start at 1: subtract one from each, or set reduce_zero_label=True.'
    else:
        remedy = (
            f'Set num_classes to the number of classes, or convert the values: python {CONVERTER} values.'
        )
    return Problem('ids out of range', (str(label),), f'values {listed}{more}, expected {rules}', remedy)


def content_hash(pixels: np.ndarray) -> str:
    """A digest of the pixels, the same for every lossless encoding of them."""
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype.str)).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _is_truncated_png(path: str) -> bool:
    with Path(path).open('rb') as file:
        if file.read(len(_PNG_HEAD)) != _PNG_HEAD:
            return False
        # Some programs append bytes, so the end marker is searched in the last kilobyte.
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 1024))
        return _PNG_TAIL not in file.read()


def unreadable(path: str, reason: str | Exception) -> Problem:
    """The problem of a file that can't be read, with the reason or the decoder's error."""
    reason = _reason(reason) if isinstance(reason, Exception) else reason
    return Problem(
        'unreadable', (str(path),), reason, 'Copy the file again from its source, or remove the pair.'
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return 'not an image that can be decoded'
    if isinstance(error, Image.DecompressionBombError):
        return (
            f'too large: {str(error).partition(",")[0]}; expected at most {2 * Image.MAX_IMAGE_PIXELS} pixels'
        )
    return f'cannot be decoded ({error})'
