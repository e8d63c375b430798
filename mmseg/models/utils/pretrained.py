"""Weights that a backbone starts from: where they are, how they are read, what of them was used.

A checkpoint is named by

- a file, ``~`` allowed;
- ``https://…``;
- ``open-mmlab://NAME`` and ``mmcls://NAME``, OpenMMLab's collections;
- ``torchvision://NAME``, for instance ``resnet50`` or ``resnet50.imagenet1k_v1`` (torchvision isn't needed);
- ``timm://NAME`` (needs timm).

Downloads lie in torch.hub's cache, where a machine without network finds them if they are copied there.
"""

import difflib
import os
import urllib.parse
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import mmengine
import torch
from mmengine.dist import barrier
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model import PretrainedInit as _PretrainedInit
from mmengine.model.weight_init import update_init_info
from mmengine.registry import DefaultScope
from torch import Tensor

from mmseg.registry import WEIGHT_INITIALIZERS

_FROM_SCRATCH = (
    'To train from scratch: tools/train.py CONFIG --from-scratch, which is the same as setting '
    'model.pretrained=None and model.backbone.init_cfg=None'
)
_SCHEMES = ('open-mmlab', 'openmmlab', 'mmcls', 'torchvision', 'modelzoo')
# Trained by torchvision's newer recipe; the same layout, a few points better on ImageNet.
_TORCHVISION_V2 = {
    f'{name}.imagenet1k_v2': f'https://download.pytorch.org/models/{file}'
    for name, file in (
        ('resnet50', 'resnet50-11ad3fa6.pth'),
        ('resnet101', 'resnet101-cd907fc2.pth'),
        ('resnet152', 'resnet152-f82ba261.pth'),
    )
}
# Hosts that end a file's name with the first digits of its SHA-256.
_HASHING_HOSTS = ('download.openmmlab.com', 'download.pytorch.org')
_WRAPPERS = ('state_dict', 'model', 'module', 'state_dict_ema')


@cache
def _collection(scheme: str) -> dict[str, str]:
    """Name to URL of one of mmengine's lists."""
    hub = Path(mmengine.__file__).parent / 'hub'
    if scheme in ('open-mmlab', 'openmmlab'):
        urls = mmengine.load(hub / 'openmmlab.json')
        for old, new in mmengine.load(hub / 'deprecated.json').items():
            if new in urls:
                urls.setdefault(old, urls[new])
        return urls
    if scheme == 'mmcls':
        return mmengine.load(hub / 'mmcls.json')
    # The weights of torchvision 0.12 are those that later versions call IMAGENET1K_V1.
    urls = mmengine.load(hub / 'torchvision_0.12.json')
    urls = {name: url for name, url in urls.items() if url}
    return urls | {f'{name}.imagenet1k_v1': url for name, url in urls.items()} | _TORCHVISION_V2


def locate(checkpoint: str) -> str:
    """The URL or file behind a checkpoint's name.

    Raises:
        ValueError: a collection that has no checkpoint of that name, or an unknown scheme.
    """
    checkpoint = str(checkpoint)
    scheme, separator, name = checkpoint.partition('://')
    if not separator or scheme in ('http', 'https', 'timm'):
        return str(Path(checkpoint).expanduser()) if not separator else checkpoint
    if scheme == 'file':
        return urllib.parse.unquote(urllib.parse.urlparse(checkpoint).path)
    if scheme not in _SCHEMES:
        known = ', '.join(f'{known}://' for known in (*_SCHEMES, 'timm', 'https', 'file'))
        raise ValueError(
            f'pretrained weights {checkpoint!r}: unknown scheme; known are {known} and plain files'
        )
    urls = _collection(scheme)
    if name not in urls:
        similar = difflib.get_close_matches(name, urls, n=5, cutoff=0.5)
        hint = f'similar names: {", ".join(similar)}' if similar else f'it has {len(urls)} others'
        raise ValueError(
            f'pretrained weights {checkpoint!r}: {scheme} has no {name!r}; {hint}. {_FROM_SCRATCH}.'
        )
    return urls[name]


def _cached_file(url: str) -> Path:
    return Path(torch.hub.get_dir()) / 'checkpoints' / Path(urllib.parse.urlparse(url).path).name


def _missing(checkpoint: str, reason: str, url: str | None = None) -> FileNotFoundError:
    lines = [f'pretrained weights {checkpoint!r} could not be loaded: {reason}']
    if url is not None:
        lines += [
            f'  file: {_cached_file(url).name}',
            f'  from: {url}',
            f'  to:   {_cached_file(url)} (on a machine without network: download it elsewhere and copy it '
            'there, or put its path into the config)',
        ]
    return FileNotFoundError('\n'.join([*lines, f'  {_FROM_SCRATCH}.']))


def _download(checkpoint: str, url: str) -> Path:
    """The cached file of ``url``; the first process of each machine downloads it, the others wait."""
    target = _cached_file(url)
    failure = None
    if not target.is_file() and int(os.environ.get('LOCAL_RANK', 0)) == 0:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            print_log(f'downloading {url} to {target}', logger='current')
            # Writes to a temporary name and moves it once the hash is right.
            torch.hub.download_url_to_file(url, str(target), _hash_of(url), progress=os.isatty(2))
        except (
            OSError,
            RuntimeError,
        ) as error:  # URLError and HTTPError are OSErrors; RuntimeError: wrong hash
            failure = error
    barrier()  # also after a failure, or the other processes would wait for ever
    if failure is not None or not target.is_file():
        raise _missing(
            checkpoint, str(failure or 'the download of the first process failed'), url
        ) from failure
    return target


def _hash_of(url: str) -> str | None:
    if urllib.parse.urlparse(url).hostname not in _HASHING_HOSTS:
        return None
    match = torch.hub.HASH_REGEX.search(url)
    return match.group(1) if match else None


def _read_timm(checkpoint: str) -> dict[str, Tensor]:
    name = checkpoint.removeprefix('timm://')
    try:
        import timm

        return timm.create_model(name, pretrained=True).state_dict()
    except ImportError as error:
        raise _missing(checkpoint, f'timm is needed: pip install "wta-seg[timm]" ({error})') from error
    except (
        Exception
    ) as error:  # timm and huggingface_hub raise their own kinds for unknown names and no network
        raise _missing(checkpoint, f'timm: {error}') from error


def _load_file(checkpoint: str, file: Path) -> object:
    if file.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(file)
    # Imported here: the engine's package imports this one.
    from mmseg.engine.checkpoint_loading import load_from_local

    try:
        return load_from_local(str(file), map_location='cpu')
    except ValueError as error:
        raise ValueError(f'pretrained weights {checkpoint!r}: {error}') from error


def read_state_dict(checkpoint: str, prefix: str | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint on the CPU, of whatever layout: mmengine's, timm's, DeiT's, BEiT's, DDP's.

    Args:
        checkpoint: see the module's docstring.
        prefix: take only the keys below this, without it; ``'backbone.'`` takes the backbone of a whole model.

    Raises:
        FileNotFoundError: it can't be had; the text says from where it can.
        ValueError: it isn't a checkpoint, or has no key below ``prefix``.
    """
    location = locate(checkpoint)
    if location.startswith('timm://'):
        content = _read_timm(location)
    else:
        if location.startswith(('http://', 'https://')):
            file = _download(str(checkpoint), location)
        else:
            file = Path(location)
            if not file.is_file():
                raise _missing(str(checkpoint), f'there is no file {file.resolve()}')
        content = _load_file(str(checkpoint), file)
    state = _unwrap(content)
    if not state:
        kind = f'keys {list(content)[:5]}' if isinstance(content, dict) else f'a {type(content).__name__}'
        raise ValueError(f'pretrained weights {checkpoint!r}: no state_dict in it, but {kind}')
    if prefix is None and str(checkpoint).startswith('mmcls://'):
        prefix = 'backbone.'
    return _below(state, prefix, checkpoint) if prefix else state


def _unwrap(content: object) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    for key in _WRAPPERS:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    state = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if state and all(key.startswith('module.') for key in state):
        state = {key.removeprefix('module.'): value for key, value in state.items()}
    return state


def _below(state: dict[str, Tensor], prefix: str, checkpoint: str) -> dict[str, Tensor]:
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not part:
        starts = sorted({key.partition('.')[0] for key in state})
        raise ValueError(
            f'pretrained weights {checkpoint!r}: no key begins with {prefix!r}; they begin with {starts}'
        )
    return part


def _listing(title: str, entries: Iterable[str], most: int = 12) -> list[str]:
    entries = list(entries)
    if not entries:
        return []
    shown = [f'    {entry}' for entry in entries[:most]]
    if len(entries) > most:
        shown.append(f'    … and {len(entries) - most} more')
    return [f'  {title}: {len(entries)}', *shown]


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'


def load_state_dict(module: torch.nn.Module, state: dict[str, Tensor], source: str) -> str:
    """Load what fits of ``state`` into ``module`` and log one block that says what didn't.

    ``module.convert_pretrained``, if it has one, translates keys and interpolates tables first.

    Returns:
        The report: how many tensors were loaded, which are missing, unexpected, resized or of another shape.

    Raises:
        ValueError: no key of ``state`` is one of the module's.
    """
    convert = getattr(module, 'convert_pretrained', dict)
    given = state
    state = convert(dict(state))
    own = module.state_dict()
    misfits = {key for key, value in state.items() if key in own and value.shape != own[key].shape}
    loaded = [key for key in own if key in state and key not in misfits]
    name = type(module).__name__
    if not loaded:
        raise ValueError(
            f'pretrained weights {source!r}: none of its {len(state)} tensors fits {name}, which has '
            f'{list(own)[:3]}…; it has {list(state)[:3]}…. For the backbone of a whole model say '
            "init_cfg=dict(type='Pretrained', checkpoint=…, prefix='backbone.')"
        )
    module.load_state_dict({key: state[key] for key in loaded}, strict=False)

    missing = [key for key in own if key not in state and not key.endswith('num_batches_tracked')]
    resized = [key for key in loaded if key in given and given[key].shape != state[key].shape]
    report = [f'{name} from {source}: {len(loaded)} of {len(own)} tensors loaded']
    report += _listing('missing, left at their initial values', missing)
    report += _listing(
        'of another shape, left at their initial values',
        (f'{key} is {_shape(own[key])}, there {_shape(state[key])}' for key in sorted(misfits)),
    )
    report += _listing('unexpected, ignored', (key for key in state if key not in own))
    report += _listing(
        'resized', (f'{key} from {_shape(given[key])} to {_shape(own[key])}' for key in resized)
    )
    text = '\n'.join(report)
    print_log(text, logger='current', level=30 if missing or misfits else 20)
    return text


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit(_PretrainedInit):
    """``init_cfg=dict(type='Pretrained', checkpoint=…, prefix=None)`` in this package's scope."""

    def __call__(self, module: torch.nn.Module) -> None:
        state = read_state_dict(self.checkpoint, self.prefix)
        load_state_dict(module, state, str(self.checkpoint))
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())


class BaseBackbone(BaseModule):
    """Base of all backbones: ``pretrained`` as short for an ``init_cfg``, and the loading described above.

    Args:
        init_cfg: mmengine's weight initialisation.
        pretrained: a checkpoint's name; the same as ``init_cfg=dict(type='Pretrained', checkpoint=pretrained)``.

    Raises:
        ValueError: both are given.
    """

    def __init__(self, init_cfg: dict | list[dict] | None = None, pretrained: str | None = None) -> None:
        if pretrained is not None:
            if init_cfg is not None:
                raise ValueError(
                    f'{type(self).__name__}: pretrained={pretrained!r} and init_cfg={init_cfg} cannot both be given'
                )
            if not isinstance(pretrained, (str, Path)):
                raise ValueError(
                    f"{type(self).__name__}: pretrained is a checkpoint's name or None, got {pretrained!r}"
                )
            init_cfg = dict(type='Pretrained', checkpoint=str(pretrained))
        super().__init__(init_cfg)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, in this package's scope whatever the caller's is."""
        with DefaultScope.overwrite_default_scope('mmseg'):
            super().init_weights()

    def convert_pretrained(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Translate a checkpoint's keys and resize its tables to this model's; override where needed."""
        return state
