"""timm's models and their weights: from a file, from timm's hub, or an error that says which file to bring.

timm: https://github.com/huggingface/pytorch-image-models
"""

import difflib
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from .pretrained import read_state_dict

#: Endings of the files of weights that timm reads.
SUFFIXES = ('.safetensors', '.pth', '.bin', '.pt')


class TimmMissingError(ImportError, ValueError):
    """timm can't be imported. A ValueError too, which commands print as one line."""


def import_timm(user: str) -> ModuleType:
    """timm, which is optional as its torchvision is.

    Raises:
        TimmMissingError: one of them can't be imported; names what to install. ``user`` is the class that needs it.
    """
    try:
        import timm
    except Exception as error:  # a torchvision built for another torch raises RuntimeError or OSError
        raise TimmMissingError(
            f'{user} needs timm and a torchvision built for this torch: pip install "wta-seg[timm,torchvision]" '
            f'({type(error).__name__}: {error})'
        ) from error
    return timm


def weights_folder() -> Path:
    """Folder in which files of weights are looked for before anything is downloaded: that of torch.hub."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


class TimmModel:
    """A model of timm: its architecture, and where its weights come from.

    Args:
        user: the class that needs it, for messages.
        model_name: of ``timm.list_models()``, with or without a tag of its weights, as in
            ``vit_small_patch14_dinov2.lvd142m``.
        pretrained: False: random weights. True: those of ``model_name``. A name of timm: those weights of the same
            architecture. A file: in timm's layout, or in that of the original authors where timm knows it.

    Raises:
        TimmMissingError: timm or its torchvision can't be imported.
        ValueError: timm has no such model, or the weights are of another architecture.
    """

    def __init__(self, user: str, model_name: str, pretrained: bool | str | Path) -> None:
        self.user = user
        timm = import_timm(user)
        if not timm.is_model(model_name):
            similar = difflib.get_close_matches(model_name, timm.list_models(), n=5)
            raise ValueError(f'{user}: timm has no model {model_name!r}; similar: {similar}')
        self.name = model_name
        self.file: Path | None = None
        self.from_weights = bool(pretrained)
        if isinstance(pretrained, bool):
            return
        text = str(pretrained)
        if text.endswith(SUFFIXES) or Path(text).is_file():
            self.file = Path(text).expanduser()
        elif self._is_tag_of(text, model_name):
            self.name = text
        else:
            raise ValueError(
                f'{user}: pretrained={text!r} is neither a file ({", ".join(SUFFIXES)}) nor weights of {model_name}; '
                f'timm has {self.timm.list_models(model_name.partition(".")[0] + ".*", pretrained=True)}'
            )

    @property
    def timm(self) -> ModuleType:
        """The package; not an attribute, since modules can not be copied."""
        return import_timm(self.user)

    def _is_tag_of(self, weights: str, model_name: str) -> bool:
        same = weights.partition('.')[0] == model_name.partition('.')[0]
        return same and weights in self.timm.list_pretrained(weights.partition('.')[0] + '*')

    def build(self, **kwargs) -> nn.Module:
        """The architecture with random weights; ``kwargs`` are those of ``timm.create_model``.

        Raises:
            ValueError: timm can't build it with these arguments.
        """
        try:
            return self.timm.create_model(self.name, pretrained=False, **kwargs)
        except (RuntimeError, AttributeError, AssertionError, TypeError) as error:
            options = ', '.join(f'{key}={value!r}' for key, value in kwargs.items())
            raise ValueError(
                f'{self.user}: timm can not build {self.name} with {options} ({error})'
            ) from error

    def load(self, **kwargs) -> nn.Module:
        """The model with its weights; ``kwargs`` as for :meth:`build`.

        Raises:
            FileNotFoundError: there is no file and no network; names the file and where it belongs.
            ValueError: the file has another layout, or its tensors other shapes.
        """
        file = self.file or self._local_file()
        if file is not None:
            self._check_layout(file)
            # timm reads it before it removes the classifier, and converts layouts that it knows
            kwargs['pretrained_cfg_overlay'] = dict(file=str(file))
        try:
            return self.timm.create_model(self.name, pretrained=True, **kwargs)
        except Exception as error:  # the hub raises many types, of its own and of its HTTP client
            if file is None:
                raise FileNotFoundError(self._what_to_bring(error)) from error
            raise ValueError(
                f'{self.user}: {file} does not fit {self.name}: {" ".join(str(error).split())[:400]}'
            ) from error

    def _local_file(self) -> Path | None:
        paths = (weights_folder() / f'{self._full_name()}{suffix}' for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _full_name(self) -> str:
        """The name with the tag of the weights, which ``create_model`` takes where the name has none."""
        config = self.timm.get_pretrained_cfg(self.name)
        return f'{config.architecture}.{config.tag}' if config is not None and config.tag else self.name

    def _check_layout(self, file: Path) -> None:
        """Raise if a file has none of the model's tensors, which timm itself would ignore."""
        state = read_state_dict(str(file))
        with torch.device('meta'):
            expected = list(self.timm.create_model(self.name).state_dict())
        if not set(state) & set(expected):
            raise ValueError(
                f"{self.user}: {file} is not in timm's layout of {self.name}: it has {list(state)[:3]}, expected "
                f'{expected[:3]}'
            )

    def _what_to_bring(self, error: Exception) -> str:
        """One line: why there are no weights, which file to bring, where to put it, how to go on without."""
        config = self.timm.get_pretrained_cfg(self.name)
        reason = ' '.join(str(error).split())[:120] or type(error).__name__
        scratch = 'train without them by --from-scratch'
        if config is None or not config.has_weights:
            return f'{self.user}: timm has no weights of {self.name}; set pretrained to a file, or {scratch}'
        target = weights_folder() / f'{self._full_name()}.safetensors'
        if config.hf_hub_id:
            file = config.hf_hub_filename or 'model.safetensors'
            source = f'{file} of https://huggingface.co/{config.hf_hub_id}'
        else:
            source = config.url
            target = target.with_suffix(Path(source).suffix)
        return (
            f'{self.user}: no weights of {self.name} ({reason}). Without a network: bring {source} and put it at '
            f'{target}, or give its path in the config; or {scratch}'
        )
