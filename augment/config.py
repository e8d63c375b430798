"""Every parameter of the augmentation in one dataclass.

Defaults are the published ones (README, sections "Parameter Introduction" and "Prompt"); each field carries its
meaning, its range and where its default comes from. ``command_line.py`` generates the flags and ``--help`` from them.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

SIZE_MULTIPLE = 64
"""Working sizes are multiples of 64 pixels, as SDXL's training buckets are (Podell et al. 2023, appendix I)."""

PUBLISHED = 'README, "Parameter Introduction"'
PROMPT = 'README, "Prompt"'
PROJECT = 'chosen by this project'

INVERSION_METHODS = ('null-text', 'negative-prompt', 'direct', 'ddim')

EVALUATION_SPLITS = frozenset({'val', 'valid', 'validation', 'test'})

# Fields that say where files are or how a run is carried out, and so leave no trace in a picture.
NOT_IN_PICTURE = frozenset(
    {'data', 'out', 'cache', 'config', 'word', 'limit', 'device', 'summary', 'summary_rows', 'dry_run'}
)

# Fields that change a picture by rounding alone, or not at all: a run may go on with other values.
ONLY_ROUNDING = frozenset({'batch_size', 'low_resource', 'compile', 'seed'})


def option(default: Any, text: str, source: str = '', **limits: Any) -> Any:
    """A dataclass field with its help text, source and limits (``choices``, ``low``, ``high``, ``flag``)."""
    metadata = {'help': text, 'source': source, **limits}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class AugmentConfig:
    """Parameters of one augmentation; the CLI flag of ``self_replace`` is ``--self``."""

    config: str = option('', 'YAML (.yaml, .yml) or Python (.py) file that sets any of these names')
    data: str = option('', 'dataset with img_dir/<split> and ann_dir/<split>')
    out: str = option('', 'augmented dataset; left out: <data>_aug_<word>, several words joined by "_"')
    word: list[str] = option(['peeling'], 'defect word(s) to add; may be repeated', 'README, Table 4')  # noqa: RUF009
    source_prompt: str = option('photo of a crack', 'prompt that describes the source images', PROMPT)
    target_prompt: str = option(
        'photo of a crack with {word}', 'prompt of the edit, with {word} in it', PROMPT
    )
    model: str = option(
        'stabilityai/stable-diffusion-xl-base-1.0',
        'hub id, local directory, or a single .safetensors file',
        'README, title',
    )
    lora: str = option('', 'LoRA weights (.safetensors file or directory) loaded on top of the model')
    resolution: int = option(
        512,
        'working resolution, 512 or 1024 for SDXL; other multiples of 64 are possible',
        'the size of the wta_512 images',
        low=SIZE_MULTIPLE,
    )
    batch_size: int = option(8, 'pictures (or crops) inverted and edited together', PROJECT, low=1)
    steps: int = option(50, 'DDIM steps (NUM_DDIM_STEPS)', PUBLISHED, low=1)
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
    inversion: str = option(
        'null-text',
        'how the source is inverted',
        'README, title',
        choices=('null-text', 'negative-prompt', 'direct', 'ddim'),
    )
    blend: str = option(
        'label',
        'label: only the dilated label changes; attention: LocalBlend as published; none: the whole picture',
        PROJECT,
        choices=('label', 'attention', 'none'),
    )
    mask_dilate: int = option(4, 'pixels by which the label mask grows (at native size)', PROJECT, low=0)
    mask_feather: int = option(4, 'pixels over which the grown mask fades to nothing', PROJECT, low=0)
    crop: str = option(
        'none',
        'defect: edit enlarged crops around defects and paste them back',
        PROJECT,
        choices=('none', 'defect'),
    )
    crop_context: float = option(
        1.0, "surroundings of a crop, in multiples of the defect's extent", PROJECT, low=0
    )
    crop_min: int = option(128, 'smallest side of a crop in pixels', PROJECT, low=8)
    crop_limit: int = option(4, 'most crops per picture, largest defects first', PROJECT, low=1)
    min_psnr: float = option(
        25.0, 'gate: PSNR in dB of the reconstruction against the VAE round trip', PROJECT, low=0.0
    )
    min_ssim: float = option(
        0.7, 'gate: SSIM of the reconstruction against the VAE round trip', PROJECT, low=-1.0, high=1.0
    )
    min_change: float = option(
        1.0,
        'gate: mean change inside the mask against the reconstruction, in levels of 255',
        PROJECT,
        low=0.0,
    )
    max_outside: float = option(
        8.0,
        'gate: mean change outside the mask against the reconstruction, in levels of 255',
        PROJECT,
        low=0.0,
    )
    split: str = option('train', 'the split that is edited; every other one is copied as it is', 'README')
    limit: int = option(0, 'edit at most N pictures, drawn by the seed; 0: all', PROJECT, low=0)
    seed: int = option(
        0, 'seed of all that is drawn (pictures of --limit and of the contact sheet)', PROJECT, low=0
    )
    dtype: str = option('fp16', 'number format of the UNet', PROJECT, choices=('fp16', 'bf16', 'fp32'))
    device: str = option('auto', 'auto, cpu, cuda or cuda:N', PROJECT)
    compile: bool = option(False, 'compile the repeated blocks of the UNet', PROJECT)
    cache: str = option(
        '', 'folder of inversions; left out: .cache/inversions beside --out; "none": keep none'
    )
    summary: bool = option(False, 'also write summary.png (contact sheet) and summary.csv')
    summary_rows: int = option(24, 'most pictures on the contact sheet', PROJECT, low=1)
    dry_run: bool = option(False, 'check the input, print what would be done, and write nothing')

    def out_dir(self) -> Path:
        """The output folder: ``out``, or ``<data>_aug_<word>`` with several words joined by ``_``."""
        if self.out:
            return Path(self.out)
        data = Path(self.data)
        return data.with_name('_'.join([data.resolve().name, 'aug', *map(slug, self.word)]))

    def cache_dir(self) -> Path | None:
        """The folder of inversions, shared by all augmentations made beside each other; None when off."""
        if self.cache.lower() == 'none':
            return None
        return Path(self.cache) if self.cache else self.out_dir().parent / '.cache' / 'inversions'

    def prompt(self, word: str) -> str:
        """The target prompt with ``word`` filled in."""
        return self.target_prompt.replace('{word}', word)

    def picture_parameters(self) -> dict[str, Any]:
        """Everything that an edited picture depends on besides its source, word and model weights."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NOT_IN_PICTURE}

    def check(self) -> None:
        """Raises ``ValueError`` or ``FileNotFoundError`` naming the key, the value and the remedy."""
        for f in fields(self):
            check_value(f, getattr(self, f.name))
        check_paths(self)
        check_words(self)
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

    def without_effect(self) -> list[str]:
        """Sentences about settings that were changed but change nothing under the other settings."""
        said = []

        def idle(names: str, when: bool, why: str) -> None:
            for name in names.split():
                if when and getattr(self, name) != getattr(type(self)(), name):
                    said.append(f'{name}={getattr(self, name)} has no effect: {why}')

        idle('inner_steps', self.inversion != 'null-text', f'inversion={self.inversion} optimises nothing')
        idle('crop_context crop_min crop_limit', self.crop == 'none', 'crop=none edits whole pictures')
        idle('self_max_positions', self.self_replace == 0, 'self=0 replaces no self-attention map')
        idle('max_outside', self.blend == 'label', 'blend=label changes nothing outside the mask')
        idle('summary_rows', not self.summary, 'no --summary asked for')
        return said


def slug(word: str) -> str:
    """``word`` as it stands in file names: every run of other characters than letters and digits is a ``_``."""
    return '_'.join(''.join(c if c.isalnum() else ' ' for c in word).split())


def flag_of(f: Any) -> str:
    """The command-line flag of a field."""
    return f.metadata.get('flag') or '--' + f.name.replace('_', '-')


def check_value(f: Any, value: Any) -> None:
    """Raises ``ValueError`` when ``value`` is outside the limits of field ``f``."""
    limits = f.metadata
    name = flag_of(f).removeprefix('--')
    if 'choices' in limits and value not in limits['choices']:
        raise ValueError(f'{name}: {value!r} is not one of {", ".join(limits["choices"])}')
    low, high = limits.get('low'), limits.get('high')
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        span = f'at least {low}' if high is None else f'between {low} and {high}'
        raise ValueError(f'{name}: {value} found, expected {span}')


def check_paths(config: AugmentConfig) -> None:
    """Raises when ``data`` is missing or ``out`` would write into it."""
    if not config.data:
        raise ValueError('data: not given; name the dataset to augment, as in --data data/wta_512')
    if not Path(config.data).is_dir():
        raise FileNotFoundError(f'data: {config.data} is not a folder; it should hold img_dir and ann_dir')
    data, out = Path(config.data).resolve(), config.out_dir().resolve()
    if out == data or data in out.parents or out in data.parents:
        raise ValueError(
            f'out: {out} and data {data} lie in one another; choose a folder apart from the data'
        )


def check_words(config: AugmentConfig) -> None:
    """Raises when words are empty, collide in file names, or the target prompt has no place for them."""
    if not config.word:
        raise ValueError('word: the list is empty; give at least one word, as in --word peeling')
    seen: dict[str, str] = {}
    for word in config.word:
        name = slug(word)
        if not name:
            raise ValueError(f'word: {word!r} holds no letter or digit; give a word such as peeling')
        if name in seen:
            raise ValueError(
                f'word: {word!r} and {seen[name]!r} would write the same files (*__{name}.png); drop one'
            )
        seen[name] = word
    if '{word}' not in config.target_prompt:
        raise ValueError(
            f'target_prompt: {config.target_prompt!r} does not contain the word; put {{word}} where it belongs, '
            "as in 'photo of a crack with {word}'"
        )
