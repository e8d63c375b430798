"""The version of this project, and that of mmsegmentation whose interface ``mmseg`` has."""

#: Version of the package wta-seg.
PROJECT_VERSION = '0.1.0'

#: The release of mmsegmentation whose configs and checkpoints run here; what code that requires a version of mmseg asks for.
__version__ = '1.2.2'


def parse_version_info(version: str) -> tuple[int | str, ...]:
    """Parts of a version: ``'1.2.2rc1'`` is ``(1, 2, 2, 'rc1')``."""
    parts: list[int | str] = []
    for part in version.split('.'):
        number, candidate, suffix = part.partition('rc')
        if number.isdigit():
            parts.append(int(number))
            parts += [candidate + suffix] if candidate else []
    return tuple(parts)


version_info = parse_version_info(__version__)
