"""Broken and hostile files with fixed seeds, and what every reader promises about them."""

import copy
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wtaseg.cli.messages import one_line

#: Replace a value of a JSON tree, one after the other.
ODD_VALUES = (None, True, -1, 10**30, 1e308, float('nan'), '', 'x\0y', '../../x', [], [[]], {}, {'a': None})


def broken_files(content: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents: truncated, with flipped bits, with foreign parts, and no such file at all."""
    rng = random.Random(seed)
    for share in (0, 1, 10, 50, 90, 99):
        yield f'truncated to {share} %', content[: len(content) * share // 100]
    for number in range(12):
        changed = bytearray(content)
        place = rng.randrange(len(changed))
        changed[place] ^= 1 << rng.randrange(8)
        yield f'bit {number} flipped at {place}', bytes(changed)
    for number in range(4):
        changed = bytearray(content)
        start = rng.randrange(len(changed))
        changed[start : start + 40] = rng.randbytes(40)
        yield f'noise {number} at {start}', bytes(changed)
    yield 'one byte less', content[:-1]
    yield 'noise', rng.randbytes(2000)
    yield 'text', b'not what you expect\n'
    yield 'deep', b'[' * 200_000
    yield 'deep object', b'{"a":' * 50_000
    yield 'zeros', bytes(3000)


def special_files(folder: Path) -> dict[str, Path]:
    """No regular files: a pipe, a folder, a link to itself, a link to nothing, nothing."""
    os.mkfifo(folder / 'pipe')
    (folder / 'folder').mkdir()
    (folder / 'loop').symlink_to('loop')
    (folder / 'dangling').symlink_to('nowhere')
    return {name: folder / name for name in ('pipe', 'folder', 'loop', 'dangling', 'absent')}


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has this many grey pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


def places(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all values of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def replaced(tree: Any, path: tuple, value: Any) -> Any:
    """A copy of ``tree`` with ``value`` at ``path``; without it where the value is ``...``."""
    tree = copy.deepcopy(tree)
    node = tree
    for key in path[:-1]:
        node = node[key]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return tree


def refusal(call: Callable[[], Any], name: object) -> str | None:
    """The message of a refusal, None where ``call`` was successful.

    Every refusal is a ValueError or an OSError in one line that holds ``name`` and more than it.
    """
    try:
        call()
    except (ValueError, OSError) as error:
        text = one_line(error)  # as the command line shows it
        assert '\n' not in text, text
        assert str(name) in text, text
        assert len(text.replace(str(name), '').split()) >= 4, text
        return text
    return None
