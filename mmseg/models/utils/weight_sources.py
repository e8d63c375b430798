"""Sources of pretrained weights: names, URLs, files, and the cache of downloads.

A checkpoint is named by

- a file, ``~`` allowed;
- ``https://…``;
- ``open-mmlab://NAME`` and ``mmcls://NAME``, OpenMMLab's collections;
- ``torchvision://NAME``, for instance ``resnet50`` or ``resnet50.imagenet1k_v2`` (torchvision isn't needed);
- ``timm://NAME`` (needs timm).

Downloads are stored in torch.hub's cache. For a machine without network, copy them there. The name in the cache is
that of the URL where it contains the file's hash; else a digest of the whole URL is part of it, so that
``https://…/a/best.pth`` and ``https://…/b/best.pth`` are two files.
"""

import difflib
import hashlib
import os
import urllib.parse
from functools import cache
from pathlib import Path

import mmengine
import torch
from mmengine.dist import barrier
from mmengine.logging import print_log

_FROM_SCRATCH = (
    'To train from scratch: tools/train.py CONFIG --from-scratch, which is the same as setting '
    'model.pretrained=None and model.backbone.init_cfg=None'
)
_SCHEMES = ('open-mmlab', 'openmmlab', 'mmcls', 'torchvision', 'modelzoo')
# Trained with torchvision's newer recipe; same layout, higher accuracy on ImageNet.
_TORCHVISION_V2 = {
    f'{name}.imagenet1k_v2': f'https://download.pytorch.org/models/{file}'
    for name, file in (
        ('resnet50', 'resnet50-11ad3fa6.pth'),
        ('resnet101', 'resnet101-cd907fc2.pth'),
        ('resnet152', 'resnet152-f82ba261.pth'),
    )
}
# Hosts whose file names end with the first digits of the file's SHA-256.
_HASHING_HOSTS = ('download.openmmlab.com', 'download.pytorch.org')


@cache
def _collection(scheme: str) -> dict[str, str]:
    """One of mmengine's lists, from name to URL."""
    hub = Path(mmengine.__file__).parent / 'hub'
    if scheme in ('open-mmlab', 'openmmlab'):
        urls = mmengine.load(hub / 'openmmlab.json')
        for old, new in mmengine.load(hub / 'deprecated.json').items():
            if new in urls:
                urls.setdefault(old, urls[new])
        return urls
    if scheme == 'mmcls':
        return mmengine.load(hub / 'mmcls.json')
    # Later versions call the weights of torchvision 0.12 IMAGENET1K_V1.
    urls = mmengine.load(hub / 'torchvision_0.12.json')
    urls = {name: url for name, url in urls.items() if url}
    return urls | {f'{name}.imagenet1k_v1': url for name, url in urls.items()} | _TORCHVISION_V2


def locate(checkpoint: str) -> str:
    """The URL or file that a checkpoint's name stands for.

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
    name = Path(urllib.parse.unquote(urllib.parse.urlparse(url).path).replace('\\', '/')).name
    if _hash_of(url) is None:
        path = Path(name)
        name = f'{path.stem}-url{hashlib.sha256(url.encode()).hexdigest()[:16]}{path.suffix}'
    return Path(torch.hub.get_dir()) / 'checkpoints' / name


def unavailable(checkpoint: str, reason: object, url: str | None = None) -> FileNotFoundError:
    """The error for weights that are missing, with where to get them and how to train without them."""
    lines = [f'pretrained weights {checkpoint!r} could not be loaded: {reason}']
    if url is not None:
        lines += [
            f'  file: {_cached_file(url).name}',
            f'  from: {url}',
            f'  to:   {_cached_file(url)} (on a machine without network: download it elsewhere and copy it '
            'there, or put its path into the config)',
        ]
    return FileNotFoundError('\n'.join([*lines, f'  {_FROM_SCRATCH}.']))


def fetch(checkpoint: str) -> Path:
    """The file of a checkpoint other than timm's, downloaded if necessary.

    Raises:
        FileNotFoundError: it doesn't exist or can't be downloaded.
        ValueError: an unknown name.
    """
    location = locate(checkpoint)
    if location.startswith(('http://', 'https://')):
        return _download(checkpoint, location)
    if not Path(location).is_file():
        raise unavailable(checkpoint, f'there is no file {Path(location).absolute()}')
    return Path(location)


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
        except (OSError, RuntimeError) as error:  # no network or no such URL; a wrong hash
            failure = error
    barrier()  # also after a failure, or the other processes would wait forever
    if failure is not None or not target.is_file():
        reason = failure or 'the download of the first process failed'
        raise unavailable(checkpoint, reason, url) from failure
    return target


def _hash_of(url: str) -> str | None:
    if urllib.parse.urlparse(url).hostname not in _HASHING_HOSTS:
        return None
    match = torch.hub.HASH_REGEX.search(url)
    return match.group(1) if match else None
