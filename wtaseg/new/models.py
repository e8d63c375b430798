"""The models that ``wta-seg new`` writes experiments for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model that ``new`` writes an experiment for.

    Attributes:
        folder, stem: of the experiment's config.
        base: file below ``configs/_base_/models``.
        title: name and what it is good for.
        any_channels: whether it takes images of more than three channels.
    """

    folder: str
    stem: str
    base: str
    title: str
    any_channels: bool = True


FAST = Model('fastscnn', 'fast_scnn', 'fast_scnn_wta', 'Fast-SCNN: small and fast, trains on a CPU too')
MIDDLE = Model(
    'mobilenet_v3',
    'mobilenet-v3-d8_lraspp',
    'lraspp_m-v3-d8_wta',
    'MobileNetV3: fast, from pretrained weights',
    any_channels=False,
)
ACCURATE = Model('pspnet', 'pspnet_r50-d8', 'pspnet_r50-d8_wta', 'PSPNet: large, for a GPU')
#: In place of MobileNetV3 for more than three channels.
MIDDLE_ANY = Model(
    'bisenetv2', 'bisenetv2_fcn', 'bisenetv2_wta', 'BiSeNetV2: real-time, larger than Fast-SCNN'
)
