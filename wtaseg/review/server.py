"""The page's server: HTTP on the loopback interface, for one user.

``http.server`` of the standard library: there are a dozen addresses and one user, so a framework would add packages and no
function. A request is answered only if

- its address begins with the random token that is printed at the start,
- its ``Host`` is this computer's loopback name, so that no other site's name can be pointed here (DNS rebinding),
- and, if it changes something, its ``Origin`` is this page.

Files are addressed by the number of their item, never by a path; the store checks that each is inside the dataset.
"""

import json
import secrets
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from .classes import Classes
from .images import image_size, shown_image
from .items import Item
from .page import ASSETS, asset, overview, render_page
from .store import ConflictError, ItemState, Store

LOOPBACK = '127.0.0.1'
#: Header with the version of an item that is sent, or that a change is based on.
VERSION = 'X-Version'
_HOSTS = {LOOPBACK, 'localhost'}
_TEXT_LIMIT = 1 << 16  # bytes of a decision
_SECONDS_PER_REQUEST = 60
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': _POLICY,
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
}


class RequestError(Exception):
    """A request that is not served, with its status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves the review of one dataset.

    Args:
        store: labels and decisions.
        classes: names and colours.
        title: of the page.
        port: 0: any free one.
        value_range: (low, high) that become 0 and 255 in images of more than 8 bits.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self,
        store: Store,
        classes: Classes,
        title: str,
        port: int = 0,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        self.store, self.classes, self.title, self.value_range = store, classes, title, value_range
        self.token = secrets.token_urlsafe(24)
        super().__init__((LOOPBACK, port), Handler)

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f'http://{LOOPBACK}:{self.server_port}/{self.token}/'


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other of a connection."""

    protocol_version = 'HTTP/1.1'
    timeout = _SECONDS_PER_REQUEST
    server: ReviewServer

    def do_GET(self) -> None:
        """Page, script, style, list, images and labels."""
        self._answer(self._get)

    def do_PUT(self) -> None:
        """A label."""
        self._answer(self._put)

    def do_POST(self) -> None:
        """A decision."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: their addresses hold the token."""

    def _answer(self, method) -> None:
        try:
            method(self._checked_path())
        except ConnectionError:  # the window was closed
            self.close_connection = True
        except RequestError as error:
            self._send_json(dict(message=str(error)), error.status)
        except ConflictError as error:
            self._send_json(dict(message=str(error), state=asdict(error.state)), HTTPStatus.CONFLICT)
        except (ValueError, OSError) as error:
            self._send_json(dict(message=' '.join(str(error).split())), HTTPStatus.UNPROCESSABLE_ENTITY)

    def _checked_path(self) -> str:
        """The part of the address after the token.

        Raises:
            RequestError: the request is not from this page.
        """
        host = self.headers.get('Host', '')
        if urlsplit(f'//{host}').hostname not in _HOSTS:
            raise RequestError(HTTPStatus.FORBIDDEN, f'expected the host {LOOPBACK} or localhost')
        token, _, path = self.path.removeprefix('/').partition('/')
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise RequestError(HTTPStatus.NOT_FOUND, 'open the address that wta-seg review has printed')
        if self.command != 'GET' and self.headers.get('Origin') != f'http://{host}':
            raise RequestError(HTTPStatus.FORBIDDEN, 'changes are taken from the page of the review only')
        return path

    def _get(self, path: str) -> None:
        if path == '':
            language = self.headers.get('Accept-Language', '')
            self._send(render_page(self.server.title, language).encode(), 'text/html')
        elif path in ASSETS:
            self._send(asset(path), ASSETS[path])
        elif path == 'items':
            self._send_json(overview(self.server.store, self.server.classes))
        else:
            kind, item = self._item(path)
            if kind == 'image':
                self._send_image(self.server.store.image_path(item))
            elif kind == 'source' and item.source:
                self._send_image(self.server.store.source_path(item))
            elif kind == 'label':
                self._send_label(*self.server.store.label(item))
            elif kind == 'state':
                self._send_state(self.server.store.state(item))
            elif kind == 'source-label' and item.source:
                self._send_label(self.server.store.source_label(item))
            else:
                raise RequestError(HTTPStatus.NOT_FOUND, f'nothing at {kind}')

    def _put(self, path: str) -> None:
        kind, item = self._item(path)
        if kind != 'label':
            raise RequestError(HTTPStatus.NOT_FOUND, f'nothing to write at {kind}')
        height, width = image_size(self.server.store.image_path(item))
        content = self._body(height * width)
        if len(content) != height * width:
            raise RequestError(
                HTTPStatus.BAD_REQUEST, f'{len(content)} class ids, expected {width} x {height}'
            )
        ids = np.frombuffer(content, np.uint8).reshape(height, width)
        self._send_state(self.server.store.save(item, ids, self.headers.get(VERSION, '')))

    def _post(self, path: str) -> None:
        kind, item = self._item(path)
        if kind != 'decision':
            raise RequestError(HTTPStatus.NOT_FOUND, f'nothing to decide at {kind}')
        try:
            content = json.loads(self._body(_TEXT_LIMIT))
            decision, reason = content['decision'], content['reason']
        except (ValueError, TypeError, KeyError, RecursionError):
            decision = reason = None
        if not isinstance(decision, str) or not isinstance(reason, str):
            raise RequestError(HTTPStatus.BAD_REQUEST, 'expected JSON with decision and reason, both text')
        reason = ' '.join(reason.split())
        version = self.headers.get(VERSION, '')
        self._send_state(self.server.store.decide(item, decision, reason, version))

    def _item(self, path: str) -> tuple[str, Item]:
        """Kind and item of ``<kind>/<number>``."""
        kind, _, number = path.partition('/')
        items = self.server.store.items
        if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(items)):
            raise RequestError(HTTPStatus.NOT_FOUND, f'no item {number[:20]!r}')
        return kind, items[int(number)]

    def _body(self, limit: int) -> bytes:
        """The content of the request, of at most ``limit`` bytes."""
        length = self.headers.get('Content-Length', '')
        if not (length.isascii() and length.isdigit()) or int(length) > limit:
            self.close_connection = True
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f'content of {length[:20]} bytes, expected at most {limit}',
            )
        return self.rfile.read(int(length))

    def _send_image(self, path: Path) -> None:
        self._send(*shown_image(path, self.server.value_range))

    def _send_label(self, ids: np.ndarray, state: ItemState | None = None) -> None:
        height, width = ids.shape
        headers = {'X-Width': str(width), 'X-Height': str(height)}
        if state is not None:
            headers[VERSION] = state.version
        self._send(np.ascontiguousarray(ids).tobytes(), 'application/octet-stream', headers)

    def _send_state(self, state: ItemState) -> None:
        self._send_json(asdict(state))

    def _send_json(self, value: dict, status: HTTPStatus = HTTPStatus.OK) -> None:
        if status != HTTPStatus.OK and self.command != 'GET':
            self.close_connection = True  # the content of the request may be unread
        self._send(json.dumps(value, ensure_ascii=False).encode(), 'application/json', status=status)

    def _send(
        self,
        content: bytes,
        media_type: str,
        headers: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> None:
        text = media_type.startswith('text/') or media_type == 'application/json'
        self.send_response(status)
        self.send_header('Content-Type', f'{media_type}; charset=utf-8' if text else media_type)
        self.send_header('Content-Length', str(len(content)))
        if self.close_connection:
            self.send_header('Connection', 'close')
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
