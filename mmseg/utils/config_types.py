"""The names of classes in a config, compared with those that are registered."""

import difflib
from collections.abc import Iterator
from typing import Any

from mmengine.registry import Registry
from mmengine.registry import root as mmengine_registries

import mmseg.registry


def unknown_types(cfg: Any) -> list[str]:
    """A text for every ``type`` in a config that no registry holds: key, name and the nearest registered name."""
    known = registered_names()
    texts = []
    for key, name in typed(cfg):
        if name.rpartition('.')[2] not in known and name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            texts.append(
                f'{key}={name!r} is not registered' + (f', did you mean {near[0]!r}?' if near else '')
            )
    return texts


def registered_names() -> set[str]:
    """Names in the registries of this project and of those it builds on."""
    registries = [item for module in (mmseg.registry, mmengine_registries) for item in vars(module).values()]
    names = set()
    for registry in registries:
        while isinstance(registry, Registry):
            names.update(registry.module_dict)
            registry = registry.parent
    return names


def typed(node: Any, key: str = '') -> Iterator[tuple[str, str]]:
    """Dotted key and value of every ``type`` that is a name."""
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield f'{key}.type'.lstrip('.'), node['type']
        items: Any = node.items()
    else:
        items = enumerate(node) if isinstance(node, (list, tuple)) else ()
    for name, value in items:
        yield from typed(value, f'{key}.{name}'.lstrip('.'))
