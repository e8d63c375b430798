"""Atomic writes and checked reads."""

import os
from pathlib import Path

import pytest

from wtaseg.io import draft, inside, read_json, write


def test_a_file_is_written_with_its_folder(tmp_path):
    path = tmp_path / 'new/table.md'
    write(path, 'α')
    write(path.with_name('image.png'), b'\x89')
    assert path.read_bytes() == 'α'.encode()
    assert sorted(file.name for file in path.parent.iterdir()) == ['image.png', 'table.md']


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / 'table.md'
    write(path, 'old')
    with pytest.raises(RuntimeError, match='halfway'), draft(path) as part:
        part.write_text('ne')
        raise RuntimeError('halfway')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


def test_two_drafts_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / 'table.md'
    with draft(path) as first, draft(path) as second:
        first.write_text('first')
        second.write_text('second')
        assert all(part.name.startswith('.') for part in (first, second))
    assert path.read_text() == 'first'  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_reading_names_the_file_and_what_was_expected(tmp_path):
    path = tmp_path / 'results.json'
    with pytest.raises(FileNotFoundError, match=r'results\.json does not exist; expected a manifest'):
        read_json(path, 'a manifest')
    path.write_text('{"a": ')
    with pytest.raises(ValueError, match=r'results\.json is not JSON .*; expected a manifest'):
        read_json(path, 'a manifest')
    path.write_text('{"a": 1}')
    assert read_json(path) == {'a': 1}


@pytest.mark.parametrize('name', ['../a', '/etc/passwd', 'a/../../b', '', 'C:\\a', 'a\0b', 'link/b'])
def test_paths_that_lead_outside_are_refused(tmp_path, name):
    (tmp_path / 'root').mkdir()
    (tmp_path / 'root/link').symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r'^list\.json: the path .* below .*root') as refusal:
        inside(tmp_path / 'root', name, Path('list.json'))
    assert repr(name) in str(refusal.value)
    (tmp_path / 'root/loop').symlink_to('loop')
    with pytest.raises(ValueError, match=r'^list\.json'):
        inside(tmp_path / 'root', '../root/loop', Path('list.json'))


def test_paths_inside_are_accepted(tmp_path):
    assert inside(tmp_path, 'a/./b.png', Path('list.json')) == tmp_path / 'a/b.png'
    (tmp_path / 'link').symlink_to('a')
    assert inside(tmp_path, 'link/c', Path('list.json')) == tmp_path / 'link/c'


@pytest.mark.parametrize('content', [b'', b'{', b'\xff\xfe', b'[' * 200_000])
def test_json_that_can_not_be_read_is_named(tmp_path, content):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.json .*; expected a list') as refusal:
        read_json(tmp_path / 'a.json', 'a list')
    assert '\n' not in str(refusal.value)


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(FileNotFoundError, match=r'a\.json is not a file'):
        read_json(tmp_path / 'a.json')
