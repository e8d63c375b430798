"""What a test has measured is written whole."""

import json
import os
from pathlib import Path

import pytest

from mmseg.engine import build_runner


def _written(runner) -> list[Path]:
    return [path for path in Path(runner.log_dir).iterdir() if 'json' in path.name]


def test_metrics_of_a_test(experiment):
    runner = build_runner(experiment())
    metrics = runner.test()
    (path,) = _written(runner)
    stored = json.loads(path.read_text())
    assert stored['mIoU'] == metrics['mIoU'] and stored['foreground_mIoU'] == metrics['foreground_mIoU']


def test_a_failed_write_leaves_no_file(experiment, monkeypatch):
    runner = build_runner(experiment())

    def fail(descriptor):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        runner.test()
    assert _written(runner) == []
