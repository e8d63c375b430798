"""Cases of bad input for ``wta-seg``: what is typed, which files there are, and what the refusal has to say."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: What tells a user what to do: an imperative, or what was expected.
REMEDY = re.compile(
    r'\b(add|choose|copy|correct|convert|cut|delete|draw|drop|expected|export|free|give|give --|install|label|leave|lower|'
    r'list|make|move|name|pass|pip install|put|quote|raise|redraw|remove|rename|replace|restore|save|say|set|take|train|'
    r'see|for example|near|nearest|should|must|needs?|did you mean|try|use|wta-seg \w+|write)\b',
    re.IGNORECASE,
)
#: Lines of a program's output that belong to progress bars.
_PROGRESS = re.compile(
    r'[━╸╺]|^\s*(converting|checking|rendering|predicting|writing|labels)\b.*(\d+%|\d/\d|-:--)'
)
_PREFIX = re.compile(r'^wta-seg [\w-]+:')
FEWEST_WORDS = 6


@dataclass(frozen=True)
class Case:
    """One command that has to be refused.

    Attributes:
        argv: what is typed after ``wta-seg``; ``{name}`` stands for a path of the test's material.
        names: texts that the message must hold: a file or a key, and the value where there is one.
        files: content by path, relative to the current folder: text, bytes, JSON content, pixels, or a function that
            makes the file.
    """

    argv: str | tuple[str, ...]
    names: tuple[str, ...]
    files: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        words = self.argv if isinstance(self.argv, str) else ' '.join(self.argv)
        content = ' '.join(
            f'{name}={brief(value)}'
            for name, value in self.files.items()
            if not isinstance(value, np.ndarray)
        )
        return f'{words} {content} {" ".join(self.names)}'.strip()[:200].replace('\0', '\\0')

    def words(self, material: dict[str, Path]) -> list[str]:
        """The arguments."""
        words = self.argv.split() if isinstance(self.argv, str) else self.argv
        return [word.format(**material) if '{' in word else word for word in words]

    def write(self, folder: Path) -> None:
        """Write the files below ``folder``."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            elif isinstance(content, np.ndarray):
                Image.fromarray(content).save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(
                    content if isinstance(content, str) else json.dumps(content), encoding='utf-8'
                )


def brief(value: Any) -> str:
    """A value of a case in its name."""
    return getattr(value, '__name__', None) or str(value).replace('\n', ' ')[:30]


def cases(*rows: tuple, argv: Any = None, files: Callable[..., dict] | None = None) -> list[Case]:
    """Rows of a table: ``(argv, names…)``, or where ``argv`` is given ``(value for files, names…)``."""
    if argv is None:
        return [Case(row[0], row[1:]) for row in rows]
    return [Case(argv, row[1:], files(row[0])) for row in rows]


def message_of(text: str) -> list[str]:
    """The lines of stderr without progress bars."""
    lines = text.replace('\r', '\n').splitlines()
    return [line.strip() for line in lines if line.strip() and not _PROGRESS.search(line)]


def complaints(status: int, output: str, names: Iterable[str]) -> list[str]:
    """What is wrong with a refusal.

    Args:
        status: exit status.
        output: of stderr.
        names: what the message has to name.
    """
    if 'Traceback' in output:
        return [f'Traceback: {output[-3000:]}']
    if status == 0:
        return [f'silent wrong: exit status 0, {output!r}']
    lines = message_of(output)
    if not lines:
        return ['no message']
    message, problems = lines[-1], []
    if len([line for line in lines if line.startswith('wta-seg ')]) > 1:
        problems.append('more than one line')
    problems += [f'{name!r} is not named' for name in names if name not in message]
    if not REMEDY.search(_PREFIX.sub('', message)):
        problems.append('no remedy')
    if len(message.split()) < FEWEST_WORDS:
        problems.append('too short')
    return [f'{", ".join(problems)}: {message}'] if problems else []
