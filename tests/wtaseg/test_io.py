"""Files that appear whole or not at all."""

import pytest

from wtaseg.io import draft, write


def test_a_file_is_written_with_its_folder(tmp_path):
    path = tmp_path / 'new/table.md'
    write(path, 'α')
    write(path.with_name('picture.png'), b'\x89')
    assert path.read_bytes() == 'α'.encode()
    assert sorted(file.name for file in path.parent.iterdir()) == ['picture.png', 'table.md']


def test_what_fails_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / 'table.md'
    write(path, 'old')
    with pytest.raises(RuntimeError, match='halfway'), draft(path) as part:
        part.write_text('ne')
        raise RuntimeError('halfway')
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]
