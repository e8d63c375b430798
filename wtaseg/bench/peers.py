"""Ask another interpreter, with another package of mmsegmentation's interface, for its times."""

import json
import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config

PROGRAM = Path(__file__).with_name('peer.py')


def ask_peer(command: str, cfg: Config, **task: Any) -> dict[str, Any]:
    """Run :mod:`wtaseg.bench.peer` under another interpreter.

    Args:
        command: of the interpreter, ``'env PYTHONPATH=/some/path /other/bin/python'``.
        cfg: the config that it builds the model from.
        task: what it measures.

    Raises:
        RuntimeError: it failed; the message has the end of its stderr.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')  # JSON has no tuples, which some models ask for
        cfg.dump(path)
        done = subprocess.run(
            [*shlex.split(command), str(PROGRAM)],
            input=json.dumps({'config': str(path), **task}),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f'{command} failed with status {done.returncode}:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])
