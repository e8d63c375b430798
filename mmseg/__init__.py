"""Semantic segmentation of rare defects, with the interface of mmsegmentation 1.2.2."""

from .version import PROJECT_VERSION, __version__, version_info

__all__ = ['PROJECT_VERSION', '__version__', 'digit_version', 'version_info']


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """A version as numbers that compare as versions do: ``digit_version('1.2.2') < digit_version('1.10')``.

    Args:
        version_str: as ``1.2.2`` or ``1.2.2rc1``.
        length: numbers of the release, filled up with zeros; two of the pre-release follow.

    Raises:
        ValueError: not a version.
    """
    from mmengine.utils import digit_version as digits  # here, since `wta-seg --help` imports mmseg.version

    return digits(version_str, length)
