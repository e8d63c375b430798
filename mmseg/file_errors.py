"""Errors of the operating system with the name of a file; imports the standard library only."""

from pathlib import Path


def named(error: OSError, path: Path, temporary: Path) -> OSError:
    """The same error with the name of the file that was to be written, where it has none or that of its temporary file.

    A ``write`` that fails, on a full disk for example, names no file.
    """
    if error.errno is None or error.filename not in (None, str(temporary)):
        return error
    return OSError(error.errno, error.strerror, str(path))
