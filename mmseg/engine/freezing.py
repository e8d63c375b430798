"""Freeze parts of a model: their parameters are not trained, their norm layers keep their statistics."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_NEAREST = 3


@dataclass(frozen=True)
class FrozenLayers:
    """What was frozen of a model.

    Attributes:
        patterns: names of modules or parameters, with wildcards.
        frozen, total: number of values in the frozen parameters, and in all.
    """

    patterns: tuple[str, ...]
    frozen: int
    total: int

    def __str__(self) -> str:
        return f'{self.frozen:,} of {self.total:,} parameters: {", ".join(self.patterns)}'

    def norms(self, model: nn.Module) -> list[nn.Module]:
        """Frozen layers of ``model`` with running statistics, which are to stay in eval mode.

        They are those that a pattern matches, and those whose parameters are all frozen.
        """
        return [
            module
            for name, module in model.named_modules()
            if isinstance(module, _NormBase)
            and (_matches(name, self.patterns) or _has_frozen_parameters(module))
        ]


def freeze_layers(model: nn.Module, patterns: Sequence[str]) -> FrozenLayers:
    """Freeze every module and parameter whose name matches a pattern, with all that is inside, in place.

    Args:
        model: of a training, before it is wrapped and the optimizer is built.
        patterns: ``'backbone'``, ``'backbone.layer[12]'``, ``'*.bn?'``; wildcards as of the shell match dots too.

    Raises:
        ValueError: a pattern matches nothing, or no parameter is left to train.
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    names = {prefix for name in (*parameters, *modules) for prefix in _prefixes(name)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f'frozen_layers: {pattern!r} matches no module or parameter of {type(model).__name__}; nearest: '
                f'{", ".join(_nearest(pattern, names))}'
            )
    frozen = [parameter for name, parameter in parameters.items() if _matches(name, patterns)]
    if len(frozen) == len(parameters):
        raise ValueError(
            f'frozen_layers: {", ".join(map(repr, patterns))} matches all {len(parameters)} parameters; expected at least '
            'one to train'
        )
    for parameter in frozen:
        parameter.requires_grad_(False)
    return FrozenLayers(patterns, sum(p.numel() for p in frozen), sum(p.numel() for p in parameters.values()))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches a module or parameter, or a module that it is in."""
    return any(fnmatchcase(prefix, pattern) for prefix in _prefixes(name) for pattern in patterns)


def _has_frozen_parameters(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def _prefixes(name: str) -> Iterator[str]:
    """``'a.b.c'``: a, a.b, a.b.c."""
    parts = name.split('.') if name else []
    for end in range(1, len(parts) + 1):
        yield '.'.join(parts[:end])


def _nearest(pattern: str, names: set[str]) -> list[str]:
    near = difflib.get_close_matches(pattern, sorted(names), _NEAREST, 0.5)
    return near or sorted(name for name in names if '.' not in name)
