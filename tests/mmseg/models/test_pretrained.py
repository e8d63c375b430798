"""Sources of pretrained weights, reading them, and the report about them."""

import logging
import pickle
import shutil
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import URLError

import pytest
import torch
from mmengine.logging import MMLogger

from mmseg.models import ResNet, ResNetV1c
from mmseg.models.utils.pretrained import BaseBackbone, load_state_dict, read_state_dict
from mmseg.models.utils.weight_sources import locate

SMALL = dict(depth=18, base_channels=4, stem_channels=8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch.hub's cache in an empty folder, and no network."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    def refuse(url, *args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', refuse)
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def saved(tmp_path):
    """A state_dict of a small ResNet with other weights than a fresh one, and its file."""
    torch.manual_seed(3)
    state = {key: torch.randn_like(value.float()) for key, value in ResNet(**SMALL).state_dict().items()}
    file = tmp_path / 'resnet.pth'
    torch.save({'state_dict': state, 'meta': {'epoch': 3}}, file)
    return state, file


@pytest.mark.parametrize(
    ('name', 'location'),
    [
        (
            'open-mmlab://resnet50_v1c',
            'https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth',
        ),
        (
            'openmmlab://resnet18_v1c',
            'https://download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth',
        ),
        ('torchvision://resnet50', 'https://download.pytorch.org/models/resnet50-0676ba61.pth'),
        ('torchvision://resnet50.imagenet1k_v1', 'https://download.pytorch.org/models/resnet50-0676ba61.pth'),
        ('https://example.org/a.pth', 'https://example.org/a.pth'),
        ('weights/a.pth', 'weights/a.pth'),
        ('file:///weights/a%20b.pth', '/weights/a b.pth'),
    ],
)
def test_names_resolve_to_a_url_or_file(name, location):
    assert locate(name) == location


def test_errors_for_unknown_names_list_similar_ones():
    with pytest.raises(ValueError, match=r'(?s)resnet50_v1e.*similar names.*resnet50_v1c.*--from-scratch'):
        locate('open-mmlab://resnet50_v1e')
    with pytest.raises(ValueError, match=r'unknown scheme.*open-mmlab://'):
        locate('mmpretrain://resnet50')


def test_a_failed_download_names_file_location_and_remedy(cache):
    with pytest.raises(FileNotFoundError) as caught:
        ResNetV1c(depth=18, pretrained='open-mmlab://resnet18_v1c').init_weights()
    text = str(caught.value)
    for part in (
        'open-mmlab://resnet18_v1c',
        'no network',
        'https://download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth',
        str(cache / 'resnet18_v1c-b5776b93.pth'),
        '--from-scratch',
    ):
        assert part in text


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'(?s)nothing\.pth.*--from-scratch'):
        read_state_dict(str(tmp_path / 'nothing.pth'))


def test_torchvision_weights_in_the_cache_need_neither_network_nor_torchvision(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)  # importing it raises
    cache.mkdir(parents=True)
    source = ResNet(depth=18)
    torch.nn.init.normal_(source.bn1.weight)
    state = source.state_dict() | {'fc.weight': torch.zeros(1000, 512), 'fc.bias': torch.zeros(1000)}
    torch.save(state, cache / 'resnet18-f37072fd.pth')
    model = ResNet(depth=18, pretrained='torchvision://resnet18')
    model.init_weights()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('scope', [None, 'mmengine'])
@pytest.mark.parametrize('how', ['pretrained', 'init_cfg'])
def test_a_backbone_gets_exactly_the_weights_of_the_file(saved, how, scope):
    state, file = saved
    given = (
        dict(pretrained=str(file))
        if how == 'pretrained'
        else dict(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    )
    from mmengine.registry import DefaultScope

    model = ResNet(**SMALL, **given)
    with DefaultScope.overwrite_default_scope(scope):
        model.init_weights()
    # Also the last norms of blocks, which zero_init_residual would set to zero.
    assert all(
        torch.equal(value.float(), state[key].to(value.dtype).float())
        for key, value in model.state_dict().items()
    )


def test_layouts_of_other_programs_are_read(saved, tmp_path):
    state, _ = saved
    for layout in (
        state,
        {'model': state},
        {'state_dict': {f'module.{key}': value for key, value in state.items()}},
    ):
        torch.save(layout, tmp_path / 'other.pth')
        assert set(read_state_dict(str(tmp_path / 'other.pth'))) == set(state)
    torch.save({f'backbone.{key}': value for key, value in state.items()}, tmp_path / 'whole.pth')
    assert set(read_state_dict(str(tmp_path / 'whole.pth'), prefix='backbone')) == set(state)
    with pytest.raises(ValueError, match=r"no key begins with 'neck\.'.*backbone"):
        read_state_dict(str(tmp_path / 'whole.pth'), prefix='neck.')
    with pytest.raises(ValueError, match=r'none of its .* fits ResNet.*prefix'):
        ResNet(**SMALL, pretrained=str(tmp_path / 'whole.pth')).init_weights()


def test_code_in_a_checkpoint_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (exec, ('raise SystemExit("ran")',))

    file = tmp_path / 'harm.pth'
    with file.open('wb') as stream:
        pickle.dump({'state_dict': Harm()}, stream)
    with pytest.raises(ValueError, match=r'harm\.pth'):
        read_state_dict(str(file))


def test_a_file_without_tensors_is_no_checkpoint(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match=r'expected a state_dict.*epoch'):
        read_state_dict(str(tmp_path / 'empty.pth'))


class Embedding(BaseBackbone):
    """Halves the table of a checkpoint, as a ViT interpolates its positions."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.zeros(2))
        self.linear = torch.nn.Linear(3, 3)
        self.norm = torch.nn.BatchNorm1d(3)

    def convert_pretrained(self, state):
        return {**state, 'table': state['table'][::2]}


def test_report_lists_missing_unexpected_resized_and_misshapen_keys():
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record)
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    module = Embedding()
    state = {
        'table': torch.arange(4.0),
        'linear.weight': torch.ones(3, 4),
        'head.weight': torch.ones(1),
        'norm.weight': torch.full((3,), 7.0),
        'norm.bias': torch.zeros(3),
        'norm.running_mean': torch.zeros(3),
        'norm.running_var': torch.ones(3),
    }
    try:
        report = load_state_dict(module, state, 'somewhere.pth')
    finally:
        logger.removeHandler(handler)
    assert report.splitlines() == [
        'Embedding from somewhere.pth: 5 of 8 tensors loaded',
        '  missing, left at their initial values: 1',
        '    linear.bias',
        '  of another shape, left at their initial values: 1',
        '    linear.weight is 3x3, in the checkpoint 3x4',
        '  unexpected, ignored: 1',
        '    head.weight',
        '  resized: 1',
        '    table from 4 to 2',
    ]
    assert [(record.levelno, record.getMessage()) for record in messages] == [(logging.WARNING, report)]
    assert module.table.tolist() == [0, 2] and module.norm.weight.tolist() == [7, 7, 7]


def test_pretrained_and_init_cfg_exclude_each_other():
    with pytest.raises(ValueError, match='cannot both be given'):
        ResNet(depth=18, pretrained='a.pth', init_cfg=dict(type='Kaiming', layer='Conv2d'))


def test_urls_that_end_alike_are_cached_apart(tmp_path, monkeypatch):
    """``a/best.pth``, then ``b/best.pth``, each from a server of its own folder."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(SimpleHTTPRequestHandler, 'log_message', lambda *_: None)
    for number, folder in enumerate('ab'):
        (tmp_path / folder).mkdir()
        torch.save(dict(weight=torch.full((2,), float(number))), tmp_path / folder / 'best.pth')
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        root = f'http://127.0.0.1:{server.server_port}'
        names = [f'{root}/{name}' for name in ('a/best.pth', 'b/best.pth', 'b/best.pth?v=2')]
        states = [read_state_dict(name) for name in names]
        shutil.rmtree(tmp_path / 'a')
        states.append(read_state_dict(names[0]))  # of the cache
        server.shutdown()
    assert [state['weight'][0].item() for state in states] == [0, 1, 1, 0]
    assert len(list((tmp_path / 'hub' / 'checkpoints').iterdir())) == 3


def test_pretrained_weights_that_are_broken_are_refused(tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'a.safetensors'
    state = ResNet(**SMALL).state_dict()
    safetensors.save_file(state, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r'a\.safetensors.*not a whole safetensors file'):
        read_state_dict(str(path))
    state['conv1.weight'][0] = float('nan')
    with pytest.raises(ValueError, match=r"'x': conv1\.weight holds NaN"):
        load_state_dict(ResNet(**SMALL), state, 'x')
