"""Annotation files, also those in the ZIP that an annotation program exports. Nothing of a ZIP is unpacked to the disk."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from wtaseg.io import relative_inside

from .classes import ConversionError

#: Endings of annotation files, in lower case.
DOCUMENT_SUFFIXES = ('.json', '.xml')
ARCHIVE_SUFFIX = '.zip'
#: Most bytes of the annotation files of a ZIP, unpacked; a small ZIP can stand for terabytes.
MAX_UNPACKED = 1 << 30


@dataclass(frozen=True)
class Document:
    """An annotation file.

    Attributes:
        path: of the file, for messages; of a file in a ZIP, that of the ZIP and the path in it.
        folder: its folder below the folder or ZIP that was given.
        content: its bytes.
    """

    path: Path
    folder: PurePosixPath
    content: bytes = field(repr=False)


def read_documents(source: Path) -> Iterator[Document]:
    """The annotation files (.json, .xml) below a folder and in its ZIPs, or in a ZIP, or the single file ``source``.

    They come sorted by name, those of a folder before those of its ZIPs.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        ConversionError: a file can not be read, or a ZIP is damaged, encrypted, too large or names a file outside.
    """
    if source.is_dir():
        files = sorted(path for path in source.rglob('*') if not path.name.startswith('.'))
        for path in files:
            if path.suffix.lower() in DOCUMENT_SUFFIXES:
                yield Document(
                    path, PurePosixPath(path.parent.relative_to(source).as_posix()), read_bytes(path)
                )
        for path in files:
            if path.suffix.lower() == ARCHIVE_SUFFIX and path.is_file():
                yield from _archived(path)
    elif source.suffix.lower() == ARCHIVE_SUFFIX:
        yield from _archived(source)
    else:
        yield Document(source, PurePosixPath('.'), read_bytes(source))


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        FileNotFoundError: it does not exist.
        ConversionError: it is no regular file.
    """
    if not path.is_file():
        if not path.exists():
            raise FileNotFoundError(
                f'{path} does not exist; give the file that the annotation program exported.'
            )
        raise ConversionError(f'{path}: is not a regular file, expected annotations. Export it again.')
    return path.read_bytes()


def _archived(source: Path) -> Iterator[Document]:
    read_bytes_left = MAX_UNPACKED
    # what zipfile raises for damaged, encrypted and unknown content
    wrong = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError)
    if not source.is_file():
        read_bytes(source)
    try:
        with zipfile.ZipFile(source) as archive:
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                name = PurePosixPath(member.filename)
                hidden = any(part.startswith(('.', '__MACOSX')) for part in name.parts if part != '..')
                if name.suffix.lower() not in DOCUMENT_SUFFIXES or member.is_dir() or hidden:
                    continue
                path = _inside(source, member.filename)
                # the size that the ZIP states may be wrong
                with archive.open(member) as file:
                    content = file.read(read_bytes_left + 1)
                read_bytes_left -= len(content)
                if read_bytes_left < 0:
                    raise ConversionError(
                        f'{source}: its annotations have more than {MAX_UNPACKED >> 20} MiB unpacked, expected less. '
                        'Unpack it and give the folder.'
                    )
                yield Document(source / path, path.parent, content)
    except ConversionError:
        raise
    except wrong as error:
        raise ConversionError(
            f'{source}: can not be read as a ZIP ({error}). Export it again, or unpack it and give the folder.'
        ) from None


def _inside(source: Path, name: str) -> PurePosixPath:
    try:
        return relative_inside(name.replace('\\', '/'))
    except ValueError as error:
        raise ConversionError(f'{source}: its file {name!r} {error}. Export it again.') from None
