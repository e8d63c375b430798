"""``wta-seg new`` killed, run twice at once, and with shapes beyond the image."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from killed_at_rename import kill_at_rename
from own_images import CLASSES, make_files
from PIL import Image

from mmseg.processes import locked
from wtaseg.cli import main

COLOURS = ['--colour', 'scratch=255,0,0', 'dent=0,255,0', 'rust=0,0,255', 'burr=255,255,0']


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def run_killed(renames: int, argv: list[str]) -> int:
    """Run the command in a forked process that is killed before the rename after so many; returns its status."""
    pid = os.fork()
    if pid == 0:
        with (
            Path(os.devnull).open('w') as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            try:
                kill_at_rename(renames)
                os._exit(main(argv))
            finally:
                os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize('renames', [0, 1, 4, 12, 16])
def test_a_killed_run_continues_and_loses_nothing(tmp_path, renames, capsys, monkeypatch):
    """Killed before the record is there, in the middle of the images, and in the middle of the configs."""
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path / 'own', 6, (100, 140))
    before = snapshot(tmp_path / 'own')
    labels = [f'own/{name}' for name in ('labelme', 'cvat/instances_default.json', 'masks')]

    def argv(name: str) -> list[str]:
        words = ['new', name, '--images', 'own/images', '--labels', *labels, '--classes', *CLASSES, *COLOURS]
        return [*words, '--split', '1/0/0', '--empty-label', 'missing', '--configs', f'cfg_{name}']

    assert main(argv('whole')) == 0
    assert run_killed(renames, argv('part')) == -9
    assert main(argv('part')) == 0, capsys.readouterr().err
    whole, part = (
        {
            path.relative_to(tmp_path / folder).as_posix(): path.read_bytes()
            for path in snapshot(tmp_path / folder)
        }
        for folder in ('data/whole', 'data/part')
    )
    assert whole == part
    assert len([*tmp_path.glob('cfg_part/**/*.py')]) == len([*tmp_path.glob('cfg_whole/**/*.py')])
    assert not [path for path in tmp_path.rglob('.*') if path.is_file()]
    assert snapshot(tmp_path / 'own') == before


def test_clipped_shapes_are_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'labels').mkdir()
    points = [[-8, 2], [20, 2], [20, 20]]
    shape = dict(label='scratch', shape_type='polygon', points=points)
    for name in 'ab':
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / f'photos/{name}.png')
        content = dict(imagePath=f'{name}.png', imageHeight=40, imageWidth=60, shapes=[shape, shape])
        (tmp_path / f'labels/{name}.json').write_text(json.dumps(content))
    argv = [
        'new',
        'x',
        '--images',
        'photos',
        '--labels',
        'labels',
        '--classes',
        'normal',
        'scratch',
        '--configs',
        'c',
    ]
    main([*argv, '--split', '1/0/0'])
    assert (
        '4 shapes of 2 label maps reach beyond the image and were clipped, for one in a.png'
        in capsys.readouterr().out
    )


def test_a_second_run_at_the_same_time_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path / 'own', 4, (100, 140))
    argv = ['new', 'x', '--images', 'own/images', '--labels', 'own/masks', '--classes', *CLASSES, *COLOURS]
    argv += ['--split', '1/0/0', '--configs', 'c', '--empty-label', 'missing']
    with locked(tmp_path / 'data/x/.new.lock', 'x'):
        assert main(argv) == 1
    assert 'the dataset folder' in (message := capsys.readouterr().err) and 'is in use by' in message
