"""How the weights of a checkpoint fit a model."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

# batch norms of torch 0.4 had no such counter; it has no influence on predictions
_OPTIONAL_SUFFIX = 'num_batches_tracked'


class CheckpointMismatchError(ValueError):
    """The keys or shapes of a checkpoint differ from those of the model."""


@dataclass(frozen=True)
class WeightFit:
    """A checkpoint's tensors, sorted by what the model can do with them.

    Attributes:
        loaded: tensors that fit, by key.
        total: number of tensors of the model, without the optional counters of batch norms that are missing.
        missing: keys of the model that the checkpoint lacks.
        unexpected: keys of the checkpoint that the model lacks.
        misshapen: keys of both whose shapes differ, each with both shapes.
    """

    loaded: dict[str, Tensor]
    total: int
    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @property
    def complete(self) -> bool:
        """Whether model and checkpoint have the same keys and shapes."""
        return not (self.missing or self.unexpected or self.misshapen)

    def summary(self) -> str:
        """How many tensors fit, how many do not, and the first of each kind."""
        parts = [f'{len(self.loaded)} of {self.total} tensors of the model loaded']
        parts += _counted(self.missing, 'missing')
        parts += _counted(self.unexpected, 'unexpected')
        parts += _counted(self.misshapen, 'of another shape')
        return ', '.join(parts)

    def refusal(self, model: str) -> str:
        """The message for a checkpoint that does not fit a model of class ``model``."""
        differences = [
            *_counted(self.missing, 'missing'),
            *_counted(self.unexpected, 'unexpected'),
            *_counted(self.misshapen, 'of another shape'),
        ]
        text = (
            f'does not fit the {model} of the config: of {self.total} tensors {len(self.loaded)} fit; '
            f'{", ".join(differences)}. Expected the checkpoint of this config: give the config it was trained with'
        )
        if not self.loaded:
            return text
        return (
            f'{text}, or load only what fits with --allow-partial (allow_partial=True in a config, strict=False in '
            'Python)'
        )


def _counted(keys: Iterable[str], what: str) -> list[str]:
    keys = list(keys)
    return [f'{len(keys)} {what} (first: {keys[0]})'] if keys else []


def compare_weights(model: nn.Module, state: dict[str, Tensor]) -> WeightFit:
    """Compare the keys and shapes of ``state`` with those of ``model``, which is not changed."""
    current = model.state_dict()
    common = [key for key in current if key in state]
    misshapen = [
        f'{key} is {_shape(current[key])}, in the checkpoint {_shape(state[key])}'
        for key in common
        if current[key].shape != state[key].shape
    ]
    absent = [key for key in current if key not in state]
    missing = [key for key in absent if not key.endswith(_OPTIONAL_SUFFIX)]
    return WeightFit(
        loaded={key: state[key] for key in common if current[key].shape == state[key].shape},
        total=len(current) - len(absent) + len(missing),
        missing=missing,
        unexpected=[key for key in state if key not in current],
        misshapen=misshapen,
    )


def _shape(tensor: Tensor) -> str:
    return 'x'.join(map(str, tensor.shape)) or 'scalar'
