"""The server: who is answered, what is served, and what a conflict looks like."""

import http.client
import json
import threading

import numpy as np
import pytest
from augment_command import pixels
from edited_dataset import label_with_square, write_image
from image_samples import encode, encode_deep, scene

from mmseg.processes import FolderInUseError, locked
from wtaseg.cli import main
from wtaseg.review.command import review
from wtaseg.review.strings import KEYS, TEXTS, preferred_language


def ask(server, path, method='GET', body=None, token=None, **headers):
    """Status, headers and content of one request; ``Host`` and ``Origin`` are right if not given."""
    address = f'127.0.0.1:{server.server_port}'
    headers = {'Host': address, 'Origin': f'http://{address}'} | {
        key.replace('_', '-'): value for key, value in headers.items()
    }
    connection = http.client.HTTPConnection('127.0.0.1', server.server_port, timeout=20)
    connection._encode_request = lambda request: request.encode('latin-1')  # also what no browser sends
    connection.putrequest(method, path if token == '' else f'/{token or server.token}/{path}', skip_host=True)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader('Content-Length', str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


@pytest.fixture
def server(edited, serve):
    return serve(edited)


def test_the_page_and_its_parts(server):
    status, headers, page = ask(server, '')
    assert status == 200 and headers['Content-Type'] == 'text/html; charset=utf-8'
    assert "default-src 'none'" in headers['Content-Security-Policy']
    assert headers['Referrer-Policy'] == 'no-referrer' and headers['Cache-Control'] == 'no-store'
    assert b'set_aug_rust' in page and b'src="review.js"' in page
    for name, kind in (('review.js', 'text/javascript'), ('review.css', 'text/css')):
        status, headers, content = ask(server, name)
        assert status == 200 and headers['Content-Type'].startswith(kind) and len(content) > 1000
    assert '승인' in ask(server, '', Accept_Language='ko-KR,ko;q=0.9,en;q=0.8')[2].decode()


def test_the_list_of_items(server):
    content = json.loads(ask(server, 'items')[2])
    assert [item['name'] for item in content['items']][3] == 'train/r0__rust' and content['start'] == 0
    assert content['classes'][2] == {'name': 'broken', 'color': [0, 255, 0]}


def test_images_and_labels(server):
    status, headers, content = ask(server, 'label/0')
    assert (
        status == 200 and (headers['X-Width'], headers['X-Height']) == ('48', '48') and headers['X-Version']
    )
    assert content == label_with_square(48).tobytes() == ask(server, 'source-label/0')[2]
    edit = (server.store.root / 'img_dir/train/a0__rust.png').read_bytes()
    assert ask(server, 'image/0')[2] == edit != ask(server, 'source/0')[2]


@pytest.mark.parametrize('token', ['wrong', '', 'Å'])
def test_nothing_without_the_token(server, token):
    path = '/' if token == '' else ''
    status, _, content = ask(server, path, token=token)
    assert status == 404 and b'open the address' in content
    assert ask(server, f'/{server.token[:-1]}/items', token='')[0] == 404


@pytest.mark.parametrize(
    'host', ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '192.168.0.5:8080', '', None]
)
def test_other_hosts_are_refused(server, host):
    assert ask(server, 'items', Host=host)[0] == 403


def test_forwarded_ports_are_answered(server):
    """``ssh -L 9000:127.0.0.1:PORT`` changes the port of ``Host``."""
    assert ask(server, 'items', Host='localhost:9000')[0] == 200


@pytest.mark.parametrize('origin', ['http://evil.example', 'null', None, 'http://127.0.0.1:1'])
@pytest.mark.parametrize(('method', 'path'), [('PUT', 'label/0'), ('POST', 'decision/0')])
def test_changes_from_other_origins_are_refused(server, origin, method, path):
    version = server.store.state(server.store.items[0]).version
    body = b'{"decision": "accepted", "reason": ""}' if method == 'POST' else bytes(48 * 48)
    status, _, _ = ask(server, path, method, body, Origin=origin, X_Version=version)
    assert status == 403 and server.store.state(server.store.items[0]).version == version


@pytest.mark.parametrize(
    'path',
    [
        '../../etc/passwd',
        '..%2f..%2fetc%2fpasswd',
        'image/../manifest.jsonl',
        'manifest.jsonl',
        'templates/page.html.j2',
        'image/-1',
        'image/4',
        'image/99999999999999999999',
        'image/٣',
        'image/0/x',
        'other/0',
    ],
)
def test_only_items_are_served(server, path):
    quoted = path.encode().decode('latin-1')
    status, _, content = ask(server, quoted)
    assert status == 404 and b'message' in content


def test_a_link_made_later_is_not_followed(server, tmp_path):
    write_image(tmp_path / 'secret.png', np.full((48, 48, 3), 99))
    path = server.store.root / 'img_dir/train/a0__rust.png'
    path.unlink()
    path.symlink_to(tmp_path / 'secret.png')
    status, _, content = ask(server, 'image/0')
    assert status == 422 and 'link to the outside' in json.loads(content)['message']


def test_a_label_is_saved_and_a_second_window_is_told(server):
    version = ask(server, 'label/0')[1]['X-Version']
    mine, other = label_with_square(48, at=20), label_with_square(48, at=30)
    status, _, content = ask(server, 'label/0', 'PUT', mine.tobytes(), X_Version=version)
    assert status == 200 and json.loads(content)['relabelled'] == 'drawn'
    status, _, content = ask(server, 'label/0', 'PUT', other.tobytes(), X_Version=version)
    answer = json.loads(content)
    assert status == 409 and 'another window' in answer['message']
    np.testing.assert_array_equal(pixels(server.store.root / 'ann_dir/train/a0__rust.png'), mine)
    status, _, _ = ask(server, 'label/0', 'PUT', other.tobytes(), X_Version=answer['state']['version'])
    assert status == 200


def test_of_windows_that_save_at_once_one_wins(server):
    version = ask(server, 'label/0')[1]['X-Version']
    labels = [label_with_square(48, at=place) for place in range(20, 30)]
    statuses = [0] * len(labels)

    def save(n):
        statuses[n] = ask(server, 'label/0', 'PUT', labels[n].tobytes(), X_Version=version)[0]

    threads = [threading.Thread(target=save, args=(n,)) for n in range(len(labels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 9
    winner = labels[statuses.index(200)]
    np.testing.assert_array_equal(pixels(server.store.root / 'ann_dir/train/a0__rust.png'), winner)


def test_decisions(server):
    version = ask(server, 'label/1')[1]['X-Version']
    body = json.dumps(dict(decision='rejected', reason='two\n lines')).encode()
    status, _, content = ask(server, 'decision/1', 'POST', body, X_Version=version)
    assert status == 200 and json.loads(content)['reason'] == 'two lines'
    assert json.loads(ask(server, 'items')[2])['items'][1]['decision'] == 'rejected'
    assert ask(server, 'decision/1', 'POST', body, X_Version=version)[0] == 409
    assert ask(server, 'image/1')[0] == 200  # still shown


@pytest.mark.parametrize(
    ('method', 'path', 'body', 'status'),
    [
        ('PUT', 'label/0', bytes(48 * 48 + 1), 413),
        ('PUT', 'label/0', bytes(48 * 47), 400),
        ('PUT', 'label/0', None, 413),
        ('PUT', 'label/0', bytes([7]) * 48 * 48, 422),
        ('PUT', 'image/0', bytes(10), 404),
        ('POST', 'decision/0', b'x' * 70000, 413),
        ('POST', 'decision/0', b'no json', 400),
        ('POST', 'decision/0', b'["accepted"]', 400),
        ('POST', 'decision/0', b'{"decision": "accepted", "reason": 3}', 400),
        ('POST', 'decision/0', b'{"decision": "perhaps", "reason": ""}', 422),
        ('DELETE', 'label/0', None, 501),
    ],
)
def test_requests_that_make_no_sense(server, method, path, body, status):
    version = server.store.state(server.store.items[0]).version
    assert ask(server, path, method, body, X_Version=version)[0] == status
    assert server.store.state(server.store.items[0]).version == version


def test_images_that_browsers_do_not_show_as_training_reads_them(tmp_path, serve):
    """Turned by EXIF, 16 bits, TIFF: sent as PNG, upright, of 8 bits."""
    root = tmp_path / 'set'
    (root / 'img_dir/train').mkdir(parents=True)
    (root / 'img_dir/train/turned.jpg').write_bytes(encode(scene(), 'JPEG', 6))
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    (root / 'img_dir/train/deep.tif').write_bytes(encode_deep(deep, '.tif'))
    server = serve(root, ('normal', 'dent'))
    images = {}
    for number, item in enumerate(server.store.items):
        status, headers, content = ask(server, f'image/{number}')
        assert status == 200 and headers['Content-Type'] == 'image/png'
        (tmp_path / 'x.png').write_bytes(content)
        images[item.name] = pixels(tmp_path / 'x.png')
        label = ask(server, f'label/{number}')
        shape = (int(label[1]['X-Height']), int(label[1]['X-Width']))
        assert shape == images[item.name].shape[:2]
    assert np.abs(images['train/turned'].astype(int) - scene()).mean() < 3
    np.testing.assert_array_equal(images['train/deep'][..., 0], np.rint(deep / 55000 * 255))


def test_a_label_that_can_not_be_used_is_named(server):
    write_image(server.store.root / 'ann_dir/train/a0__rust.png', np.zeros((48, 48, 3)))
    status, _, content = ask(server, 'label/0')
    state = json.loads(ask(server, 'state/0')[2])
    assert state == dict(
        decision='', reason='', relabelled='', version=server.store.state(server.store.items[0]).version
    )
    assert status == 422 and 'a0__rust.png: has mode RGB' in json.loads(content)['message']


def test_the_command_serves_until_it_is_stopped(edited, monkeypatch, capsys):
    """Ctrl-C while it serves; a second review of the dataset is refused."""
    lines, opened = [], []

    def serve(self, *_):
        assert self.url == lines[-1] == opened[0] and self.server_address[0] == '127.0.0.1'
        with pytest.raises(FolderInUseError, match='in use by'), locked(edited / 'review/.lock', 'it'):
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr('wtaseg.review.server.ReviewServer.serve_forever', serve)
    monkeypatch.setattr('webbrowser.open', opened.append)
    assert review(edited, say=lines.append).startswith('0 of 3 decided')
    assert lines[0].startswith('0 of 3 decided') and not (edited / 'review/.lock').exists()
    monkeypatch.setattr(
        'wtaseg.review.server.ReviewServer.serve_forever',
        lambda self: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    assert main(['review', str(edited), '--no-browser', '--split', 'train']) == 0
    assert 'http://127.0.0.1:' in capsys.readouterr().out and len(opened) == 1


def test_a_port_in_use_is_named(edited, server, capsys):
    assert main(['review', str(edited), '--no-browser', '--port', str(server.server_port)]) == 1
    assert f'--port {server.server_port}: Address already in use' in capsys.readouterr().err


def test_every_text_has_both_languages():
    assert all(len(text) == 2 and all(text) for text in [*TEXTS.values(), *(text for _, text in KEYS)])
    headers = {'ko-KR,ko;q=0.9': 'ko', 'de-DE,ko': 'en', '': 'en', 'EN-us': 'en'}
    assert {header: preferred_language(header) for header in headers} == headers
