"""What the programs are run on: tiny images, labels, a small model, each made once."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture.processes import run, wta_seg

ROOT = Path(__file__).resolve().parents[2]
#: A published experiment with a narrow backbone and a short schedule.
CONFIG = """
_base_ = {base!r}
data_root = {data!r}
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_pipeline = [
    *load,
    dict(type='RandomCrop', crop_size=(48, 48)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=2, num_workers={workers}, persistent_workers={workers} > 0,
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, pipeline=test_pipeline))
backbone = dict(
    downsample_dw_channels=(8, 8), global_in_channels=8, global_block_channels=(8, 8, 16), global_out_channels=16,
    higher_in_channels=8, lower_in_channels=16, fusion_out_channels=16)
model = dict(
    data_preprocessor=dict(size=(48, 48)),
    backbone=backbone,
    decode_head=dict(in_channels=16, channels=8),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=16, channels=8, num_convs=1, num_classes=3, in_index=-2,
             norm_cfg=dict(type='BN'), concat_input=False,
             loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4))])
param_scheduler = [dict(type='PolyLR', power=0.9, begin=0, end=24, by_epoch=False)]
train_cfg = dict(max_iters=24, val_interval=8)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=4, max_keep_ckpts=2, save_best='IoU.broken'))
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False)
"""


@dataclass(frozen=True)
class Material:
    """Folders of what the programs read; made below one folder.

    Attributes:
        folder: of everything.
        workers: processes that load training images. A training that can not be built waits five seconds for them.
    """

    folder: Path
    workers: int = 1

    @property
    def blades(self) -> Path:
        """A dataset of 64 x 64 pixels."""
        return self.folder / 'blades'

    @property
    def configs(self) -> Path:
        """A config root with ``net/tiny``."""
        return self.folder / 'configs'

    @property
    def config(self) -> Path:
        """The small experiment."""
        return self.configs / 'net/tiny.py'

    @property
    def own(self) -> Path:
        """Images and labels of a new user, see ``own_images``."""
        return self.folder / 'own'

    @property
    def sdxl(self) -> Path:
        """A tiny Stable Diffusion XL."""
        return self.folder / 'sdxl'

    @property
    def checkpoint(self) -> Path:
        """A trained checkpoint of the experiment that finds something in every image."""
        return self.folder / 'model/iter_24.pth'

    def environment(self) -> None:
        """Set what all programs run with."""
        os.environ['WTA_SEG_CACHE'] = str(self.folder / 'cache')

    def make_blades(self) -> None:
        """Write the dataset and the config."""
        from study_helpers import write_blades

        if not self.blades.is_dir():
            write_blades(self.blades)
        self.config.parent.mkdir(parents=True, exist_ok=True)
        base = ROOT / 'configs/fastscnn/fast_scnn_4xb4-40k_wta-512x512.py'
        self.config.write_text(CONFIG.format(base=str(base), data=str(self.blades), workers=self.workers))

    def make_own(self) -> None:
        """Write the files of a new user."""
        from own_images import make_files

        make_files(self.own, 24, (100, 140))

    def make_sdxl(self) -> None:
        """Build the tiny Stable Diffusion XL."""
        from tiny_sdxl import build_tiny_sdxl

        build_tiny_sdxl(self.sdxl)

    def make_checkpoint(self) -> None:
        """Train the experiment, and replace the weights of its last layer by random ones."""
        import torch

        self.make_blades()
        wta_seg(['train', str(self.config), '--work-dir', str(self.checkpoint.parent)])()
        content = torch.load(self.checkpoint, weights_only=True)
        generator = torch.Generator().manual_seed(0)
        for name, value in content['state_dict'].items():
            if 'conv_seg' in name:
                value.copy_(torch.randn(value.shape, generator=generator))
        torch.save(content, self.checkpoint)

    def make(self, what: str) -> None:
        """Make one kind in a process of its own, which leaves no threads in this one.

        Raises:
            RuntimeError: it failed; holds the output.
        """
        maker: Callable[[], None] = getattr(self, f'make_{what}')
        ended = run(maker, self.folder, self.folder / f'{what}.log')
        if ended.status:
            raise RuntimeError(f'{what}: {ended.output}')
