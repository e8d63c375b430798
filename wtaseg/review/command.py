"""Serve the review of a dataset until it is stopped."""

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from augment.dataset.manifest import REVIEW
from augment.dataset.reading import recorded_range
from mmseg.processes import locked
from wtaseg.io import remove_drafts
from wtaseg.runs.processes import signals_interrupt

from .classes import classes_of
from .items import find_items
from .server import ReviewServer
from .store import Store


def review(
    root: Path,
    *,
    splits: Sequence[str] = (),
    names: Sequence[str] = (),
    dataset: str | None = None,
    port: int = 0,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> str:
    """Serve the review of the dataset in ``root`` until Ctrl-C; returns how much is decided.

    Args:
        root: folder with img_dir and ann_dir.
        splits: only these.
        names: class names in the order of their ids.
        dataset: registry name of a dataset class with METAINFO, see :func:`.classes.classes_of`.
        port: 0: any free one.
        open_browser: open the page in the user's browser.
        say: prints a line.

    Raises:
        FileNotFoundError, ValueError: the dataset can't be used.
        FolderInUseError: another review of it is running.
        OSError: the port is in use.
    """
    classes = classes_of(root, names, dataset)
    items = find_items(root, splits)
    with locked(root / REVIEW / '.lock', f'the review of {root}'):
        for folder in ('ann_dir', REVIEW):
            remove_drafts(root / folder)
        store = Store(root, items, len(classes.names))
        try:
            server = ReviewServer(store, classes, root.resolve().name, port, recorded_range(root))
        except OSError as error:
            raise OSError(f'--port {port}: {error.strerror}; choose another port, or leave it out') from None
        with server:
            say(f'{store.summary()}; Ctrl-C ends the review, the same command continues')
            say(server.url)
            if open_browser:
                webbrowser.open(server.url)
            try:
                with signals_interrupt():
                    server.serve_forever()
            except KeyboardInterrupt:
                pass
        return store.summary()
