"""Atomic writes and checked reads."""

import pytest

from wtaseg.io import draft, read_json, write


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
