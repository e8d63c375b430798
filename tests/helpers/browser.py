"""Chromium without a window: a page as HTML, or a page with keys and mouse through the DevTools protocol.

The protocol runs over two pipes (``--remote-debugging-pipe``), so that no package is needed.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
]
#: For tests that need a browser.
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason='no chromium: apt-get install chromium (Debian, Ubuntu)'
)
_TIMEOUT = 60
_CODES = {' ': 'Space', '[': 'BracketLeft', ']': 'BracketRight'}
_MODIFIERS = {'alt': 1, 'ctrl': 2, 'shift': 8}


def browse(folder: Path, arguments: list[str]) -> str:
    """What the browser prints; ``folder`` is for its profile."""
    command = [BROWSER, *FLAGS, f'--user-data-dir={folder / "profile"}', *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


class Browser:
    """A running browser with one or more windows; a context manager."""

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 800)) -> None:
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        flags = [*FLAGS, f'--user-data-dir={folder / "profile"}', f'--window-size={size[0]},{size[1]}']
        flags += ['--remote-debugging-pipe', '--no-first-run', 'about:blank']
        self._process = subprocess.Popen(
            ['bash', '-c', f'exec "$@" 3<&{read} 4>&{write}', 'bash', BROWSER, *flags],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._buffer, self._number = b'', 0

    def __enter__(self) -> 'Browser':
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._in)
        os.close(self._out)

    def open(self, url: str, language: str = 'en-US') -> 'Page':
        """A new window of a browser whose user reads ``language``."""
        target = self.send('Target.createTarget', dict(url='about:blank'))['targetId']
        page = Page(
            self, self.send('Target.attachToTarget', dict(targetId=target, flatten=True))['sessionId']
        )
        page.send('Emulation.setFocusEmulationEnabled', enabled=True)  # timers of hidden windows are slow
        page.send('Emulation.setUserAgentOverride', userAgent='test', acceptLanguage=language)
        page.send('Page.navigate', url=url)
        return page

    def send(self, method: str, params: dict, session: str | None = None) -> dict:
        """Send a command and wait for its result."""
        self._number += 1
        message = dict(id=self._number, method=method, params=params)
        message |= {} if session is None else {'sessionId': session}
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._number:
                assert 'error' not in answer, f'{method}: {answer["error"]}'
                return answer['result']

    def _receive(self) -> dict:
        deadline = time.monotonic() + _TIMEOUT
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, 'the browser does not answer'
            content = os.read(self._in, 1 << 20)
            assert content, 'the browser has ended'
            self._buffer += content
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)


class Page:
    """One window: JavaScript, mouse and keys."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def send(self, method: str, **params: object) -> dict:
        """A command for this window."""
        return self.browser.send(method, params, self.session)

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression; promises are awaited."""
        result = self.send('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails']
        return result['result'].get('value')

    def wait(self, expression: str) -> object:
        """Wait until an expression is true, and return its value."""
        code = (
            'new Promise((done, fail) => { const end = Date.now() + %d; (function look() {'
            ' let value; try { value = %s; } catch { }'
            ' if (value) done(value); else if (Date.now() > end) fail(document.body.innerText);'
            ' else setTimeout(look, 10); })(); })'
        )
        return self.evaluate(code % (1000 * 20, expression))

    def reload(self) -> None:
        """Load the page again and wait for it."""
        self.evaluate('window.isOld = true')
        self.send('Page.reload')
        deadline = time.monotonic() + _TIMEOUT
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # the old page is gone, the new one not there yet
                if self.evaluate('!window.isOld && document.readyState === "complete"'):
                    return
            time.sleep(0.02)
        raise AssertionError('the page was not loaded again')

    def mouse(self, kind: str, x: float, y: float, button: str = 'left', clicks: int = 1) -> None:
        """A ``mousePressed``, ``mouseMoved`` or ``mouseReleased``."""
        pressed = {'left': 1, 'right': 2, 'none': 0}[button] if kind != 'mouseReleased' else 0
        params = dict(type=kind, x=x, y=y, button=button, buttons=pressed, clickCount=clicks)
        self.send('Input.dispatchMouseEvent', **params)

    def drag(self, *points: tuple[float, float], button: str = 'left') -> None:
        """Press at the first point, move through the others and release."""
        self.mouse('mouseMoved', *points[0], button='none')
        self.mouse('mousePressed', *points[0], button)
        for point in points[1:]:
            self.mouse('mouseMoved', *point, button)
        self.mouse('mouseReleased', *points[-1], button)

    def key(self, key: str, *modifiers: str, kind: str = '') -> None:
        """Press and release a key; ``kind`` is ``keyDown`` or ``keyUp`` for one of them."""
        code = f'Key{key.upper()}' if key.isalpha() and len(key) == 1 else _CODES.get(key, key)
        code = f'Digit{key}' if key.isdigit() else code
        number = ord(key.upper()) if len(key) == 1 else {'Enter': 13, 'Escape': 27, 'ArrowRight': 39}[key]
        flags = sum(_MODIFIERS[name] for name in modifiers)
        params = dict(key=key, code=code, windowsVirtualKeyCode=number, modifiers=flags)
        text = dict(text='\r' if key == 'Enter' else key) if len(key) == 1 or key == 'Enter' else {}
        for event in [kind] if kind else ['keyDown', 'keyUp']:
            extra = text if event == 'keyDown' and not modifiers else {}
            self.send('Input.dispatchKeyEvent', type=event, **params, **extra)

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.send('Page.captureScreenshot', format='png')['data'])
