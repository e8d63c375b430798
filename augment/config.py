"""Every parameter of the augmentation in one dataclass, with default, meaning, range and source.

Defaults are those of the published method (docs/method.md). Library functions take theirs from the dataclass, as in
``AugmentConfig.guidance``; ``command_line.py`` makes flags and ``--help`` of its fields.
"""

# ruff: noqa: RUF009  (option() returns a dataclass field)

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from augment.config_checks import (
    PASTE,
    check_mode,
    check_paths,
    check_words,
    counts_per_class,
    settings_without_effect,
    slug,
)
from augment.options import check_value, option

SIZE_MULTIPLE = 64
"""Working sizes are multiples of 64 pixels, as SDXL's training buckets are (Podell et al. 2023, appendix I)."""

TRAINING_STEPS = 1000  # num_train_timesteps of SDXL's scheduler

PUBLISHED = 'published method, parameters'
PROMPT = 'published method, prompts'
PROJECT = 'chosen by this project'
MEASURED = 'measured by this project, docs/augment.md'

InversionMethod = Literal['null-text', 'negative-prompt', 'direct', 'ddim']
INVERSION_METHODS: tuple[str, ...] = get_args(InversionMethod)

EVALUATION_SPLITS = frozenset({'val', 'valid', 'validation', 'test'})

# Where files are and how a run is carried out: edited images do not depend on these.
NOT_IN_IMAGE = frozenset(
    {'data', 'out', 'cache', 'config', 'word', 'limit', 'device', 'summary', 'summary_rows', 'dry_run'}
    | {'mode', 'ratio', 'per_class', 'plant_difference'}  # the row of a planted image has what comes of them
)

# Change an image by rounding alone, or not at all: a run may be continued with other values.
ONLY_ROUNDING = frozenset({'batch_size', 'low_resource', 'compile', 'seed'})


@dataclass(frozen=True)
class AugmentConfig:
    """Parameters of one augmentation; the flag of ``self_replace`` is ``--self``.

    Raises:
        ValueError, FileNotFoundError: A value is out of range or does not fit the others, ``data`` is given and is no
            folder, or ``out`` would write into it. The message names key, value and remedy.
    """

    config: str = option(
        '',
        'YAML (.yaml, .yml) or Python (.py) file that sets any of these names; a Python file is executed, so use none '
        'that you have not read',
    )
    data: str = option('', 'dataset with img_dir/<split> and ann_dir/<split>')
    out: str = option('', 'augmented dataset; left out: <data>_aug_<word>, several words joined by "_"')
    word: list[str] = option(
        ['peeling'], 'defect word(s) to add; may be repeated', 'published method, Table 4'
    )
    mode: Literal['edit', 'plant', 'paste'] = option(
        'edit',
        'edit: edit the defects of images; plant: put defects of other training images into normal ones and edit them '
        'there; paste: put them there without editing, which needs no model',
        'published method',
    )
    ratio: float = option(
        0.0,
        'images to make for each image of the split (and word); 0: mode edit: one of each image with defects, others: one '
        'of each normal image',
        PROJECT,
        low=0.0,
    )
    per_class: list[str] = option(
        [],
        'CLASS=COUNT ...: defects of each class id to make in all; left out: mode edit: all, others: in the mean as many '
        'in an image as the split has',
        PROJECT,
    )
    plant_difference: float = option(
        9.0,
        'mode plant and paste: most difference between the place of a defect and its former surroundings, root mean square '
        'in levels of 255',
        MEASURED,
        low=0.0,
    )
    source_prompt: str = option('photo of a crack', 'prompt that describes the source images', PROMPT)
    target_prompt: str = option(
        'photo of a crack with {word}', 'prompt of the edit, with {word} in it', PROMPT
    )
    model: str = option(
        'stabilityai/stable-diffusion-xl-base-1.0',
        'hub id, local directory, a single .safetensors file, or demo: the small model of this project, which sets '
        'other defaults (augment/demo_model/README.md)',
        'published method, title',
    )
    lora: str = option('', 'LoRA weights (.safetensors file or directory) loaded on top of the model')
    resolution: int = option(
        512,
        'working resolution, 512 or 1024 for SDXL; other multiples of 64 are possible',
        'size of the wta_512 images',
        low=SIZE_MULTIPLE,
    )
    size_condition: Literal['native', 'true'] = option(
        'native',
        "image size that SDXL is conditioned on: native, the model's own (1024), or true, the working size",
        PUBLISHED,
    )
    batch_size: int = option(
        8, 'images (or crops) inverted and edited together; halved when memory runs out', PROJECT, low=1
    )
    steps: int = option(50, 'DDIM steps (NUM_DDIM_STEPS)', PUBLISHED, low=1, high=TRAINING_STEPS)
    guidance: float = option(15.0, 'classifier-free guidance (GUIDANCE_SCALE)', PUBLISHED, low=0.0)
    rli_alpha: float = option(
        0.1, 'RLI: share of the input in up-block self-attention', PUBLISHED, low=0.0, high=1.0
    )
    cross: float = option(
        0.4, 'share of steps with replaced cross-attention maps', PUBLISHED, low=0.0, high=1.0
    )
    self_replace: float = option(
        0.3, 'share of steps with replaced self-attention maps', PUBLISHED, low=0.0, high=1.0, flag='--self'
    )
    self_max_positions: int = option(
        32 * 32,
        'self-attention maps of more positions are never replaced',
        'Hertz et al. 2023, published code',
        low=0,
    )
    eq: float = option(2.0, "factor on the new word's attention columns", PUBLISHED, low=0.0)
    inner_steps: int = option(
        10, 'most Adam steps of null-text inversion per DDIM step', 'Mokady et al. 2023, section 5', low=0
    )
    low_resource: bool = option(
        False, 'run conditional and unconditional passes one after the other (LOW_RESOURCE)', PUBLISHED
    )
    inversion: InversionMethod = option('null-text', 'how the source is inverted', 'published method, title')
    blend: Literal['label', 'attention', 'none'] = option(
        'label',
        'label: only the dilated label changes; attention: LocalBlend as published; none: the whole image',
        PROJECT,
    )
    blend_threshold: float = option(
        0.3,
        'blend=attention: share of the largest attention to the word from which on a cell may change',
        'Hertz et al. 2023, published code',
        low=0.0,
        high=1.0,
    )
    blend_blocks: Literal['down-up', 'down', 'up', 'all'] = option(
        'down-up',
        'blend=attention: UNet blocks whose attention maps are read, at their coarsest resolution; all: the middle too',
        'Hertz et al. 2023, published code',
    )
    mask_dilate: int = option(4, 'pixels by which the label mask grows (at native size)', PROJECT, low=0)
    mask_feather: int = option(4, 'pixels over which the grown mask fades to nothing', PROJECT, low=0)
    crop: Literal['auto', 'none', 'defect'] = option(
        'auto',
        'auto: edit enlarged crops around defects and paste them back, and the whole image for large defects; none: '
        'whole images; defect: crops only',
        PROJECT,
    )
    crop_context: float = option(
        1.0, "surroundings of a crop, in multiples of the defect's extent", PROJECT, low=0
    )
    crop_min: int = option(128, 'smallest side of a crop in pixels', PROJECT, low=8)
    crop_limit: int = option(0, 'most crops per image, largest defects first; 0: all', PROJECT, low=0)
    min_kept: float = option(
        0.35,
        "gate: share of each defect's contrast that VAE and reconstruction keep; 0: off",
        MEASURED,
        low=0.0,
        high=1.0,
    )
    min_edit_kept: float = option(
        0.2, "gate: share of each defect's contrast that the edit has; 0: off", MEASURED, low=0.0, high=1.0
    )
    min_change: float = option(
        1.0,
        'gate: mean change of at least one defect against the reconstruction, in levels of 255',
        MEASURED,
        low=0.0,
    )
    min_psnr: float = option(
        25.0,
        'gate: PSNR in dB of the whole region, reconstruction against VAE round trip; it does not see small defects',
        PROJECT,
        low=0.0,
    )
    min_ssim: float = option(0.7, 'gate: SSIM of the whole region, likewise', PROJECT, low=-1.0, high=1.0)
    max_outside: float = option(
        8.0,
        'gate: mean change outside the mask against the reconstruction, in levels of 255',
        PROJECT,
        low=0.0,
    )
    judge: str = option(
        'none',
        'segmenter that looks for the edited defects: an ONNX file of `wta-seg export`, demo (the shipped one) or none',
        PROJECT,
    )
    judge_gate: bool = option(
        False, 'gate: the judge must find every edited defect that it finds in the source', PROJECT
    )
    split: str = option(
        'train', 'the split that is edited; every other one is copied as it is', 'published method'
    )
    limit: int = option(0, 'edit at most N images, drawn by the seed; 0: all', PROJECT, low=0)
    seed: int = option(
        0, 'seed of random choices (images of --limit and of the contact sheet)', PROJECT, low=0
    )
    dtype: Literal['auto', 'fp16', 'bf16', 'fp32'] = option(
        'auto',
        'number format of the UNet; auto: fp16 on CUDA, fp32 on the CPU, where fp16 is many times slower',
        PROJECT,
    )
    device: str = option('auto', 'auto, cpu, cuda or cuda:N', PROJECT)
    compile: bool = option(False, 'compile the transformer and ResNet blocks of the UNet', PROJECT)
    cache: str = option(
        '', 'folder of inversions; left out: .cache/inversions beside --out; "none": no cache'
    )
    summary: bool = option(False, 'also write summary.png (contact sheet) and summary.csv')
    summary_rows: int = option(24, 'most images on the contact sheet', PROJECT, low=1)
    dry_run: bool = option(False, 'check the input, print what would be done, and write nothing')

    def __post_init__(self) -> None:
        for f in fields(self):
            check_value(f, getattr(self, f.name))
        check_words(self)
        check_mode(self)
        if self.split in EVALUATION_SPLITS:
            raise ValueError(
                f'split: {self.split} is for evaluation and never edited, or results would measure the edits; '
                'name the training split'
            )
        if self.resolution % SIZE_MULTIPLE:
            near = max(SIZE_MULTIPLE, round(self.resolution / SIZE_MULTIPLE) * SIZE_MULTIPLE)
            raise ValueError(
                f'resolution: {self.resolution} is not a multiple of {SIZE_MULTIPLE}; take 512, 1024 or {near}'
            )
        if self.data:
            check_paths(self)

    def source_dir(self) -> Path:
        """The dataset to augment; ``ValueError`` where none is given."""
        if not self.data:
            raise ValueError('data: not given; name the dataset to augment, as in --data data/wta_512')
        return Path(self.data)

    def out_dir(self) -> Path:
        """The output folder: ``out``, or ``<data>_aug_<word>`` with several words joined by ``_``.

        With the other modes it is ``<data>_plant_<word>`` or ``<data>_paste``.
        """
        if self.out:
            return Path(self.out)
        data = self.source_dir()
        kinds = {
            'edit': ['aug', *map(slug, self.word)],
            'plant': ['plant', *map(slug, self.word)],
            PASTE: [PASTE],
        }
        return data.with_name('_'.join([data.resolve().name, *kinds[self.mode]]))

    @property
    def words(self) -> list[str]:
        """What the edits of an image are called: the words, or ``paste`` where nothing is edited."""
        return [PASTE] if self.mode == PASTE else self.word

    def counts(self) -> dict[int, int]:
        """``per_class`` by class id; empty where it is left out."""
        return counts_per_class(self.per_class)

    def cache_dir(self) -> Path | None:
        """The folder of inversions, shared by all augmentations made beside each other; None when off."""
        if self.cache.lower() == 'none':
            return None
        return Path(self.cache) if self.cache else self.out_dir().parent / '.cache' / 'inversions'

    def prompt(self, word: str) -> str:
        """The target prompt with ``word`` filled in."""
        return self.target_prompt.replace('{word}', word)

    def image_parameters(self) -> dict[str, Any]:
        """Everything that an edited image depends on besides its source, word and model weights; empty for ``paste``."""
        if self.mode == PASTE:
            return {}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NOT_IN_IMAGE}

    def without_effect(self) -> list[str]:
        """One sentence for each setting that was changed but changes nothing under the other settings."""
        return settings_without_effect(self)
