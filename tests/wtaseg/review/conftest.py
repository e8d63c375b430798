"""A dataset with edits, its store, and its server in a thread."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from edited_dataset import make_edited_dataset

from wtaseg.review.classes import Classes, classes_of
from wtaseg.review.items import find_items
from wtaseg.review.server import ReviewServer
from wtaseg.review.store import Store


def open_store(root: Path, names: tuple[str, ...] = ()) -> tuple[Store, Classes]:
    """The store of a dataset as a new program opens it."""
    classes = classes_of(root, names)
    return Store(root, find_items(root), len(classes.names)), classes


@pytest.fixture
def edited(tmp_path) -> Path:
    """Three accepted edits a0, a1, a2 and a refused one, r0, of 48 x 48 pixels."""
    return make_edited_dataset(tmp_path / 'set_aug_rust')


@pytest.fixture
def store(edited) -> Store:
    """The store of ``edited``."""
    return open_store(edited)[0]


@pytest.fixture
def serve() -> Iterator:
    """A function that starts the server of a dataset."""
    servers = []

    def start(root: Path, names: tuple[str, ...] = ()) -> ReviewServer:
        store, classes = open_store(root, names)
        server = ReviewServer(store, classes, root.name)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
