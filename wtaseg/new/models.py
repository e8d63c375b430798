"""The models that ``wta-seg new`` writes experiments for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model that ``new`` writes an experiment for.

    Attributes:
        folder, stem: of the experiment's config.
        base: file below ``configs/_base_/models``.
        title: name and what it is good for.
        pretrained: whether its training starts from pretrained weights, where images have three channels.
    """

    folder: str
    stem: str
    base: str
    title: str
    pretrained: bool = False

    def describe(self, colour: bool) -> str:
        """Name and what it is good for, for colour images or for others."""
        return f'{self.title}, from pretrained weights' if self.pretrained and colour else self.title


FAST = Model('fastscnn', 'fast_scnn', 'fast_scnn_wta', 'Fast-SCNN: small and fast, trains on a CPU too')
MIDDLE = Model(
    'mobilenet_v3',
    'mobilenet-v3-d8_lraspp',
    'lraspp_m-v3-d8_wta',
    'MobileNetV3: fast',
    pretrained=True,
)
ACCURATE = Model('pspnet', 'pspnet_r50-d8', 'pspnet_r50-d8_wta', 'PSPNet: large, for a GPU', pretrained=True)
#: A small, a middle and an accurate model.
MODELS = (FAST, MIDDLE, ACCURATE)
