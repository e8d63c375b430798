"""Load Stable Diffusion XL from a directory, a single file or the hub, with one error for all three."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from augment import shipped
from augment.config import AugmentConfig
from augment.diffusion.model import EditModel

DTYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16, 'fp32': torch.float32}
INDEX_FILE = 'model_index.json'
WEIGHT_SUFFIXES = ('.safetensors', '.ckpt', '.bin', '.pt', '.pth')
COMPONENTS = ('unet', 'vae', 'text_encoder', 'text_encoder_2')
DOWNLOAD = (
    'hf download stabilityai/stable-diffusion-xl-base-1.0 --local-dir sdxl '
    '--include "*.json" "*.txt" "*/*.fp16.safetensors"'
)
SAMPLES = 64  # pieces of a weight file that its fingerprint reads
SAMPLE_BYTES = 1 << 16


def load_model(
    model: str,
    *,
    device: str = 'cuda',
    dtype: str = AugmentConfig.dtype,
    lora: str | None = None,
    size_condition: str = AugmentConfig.size_condition,
    compile: bool = AugmentConfig.compile,
) -> EditModel:
    """Load SDXL for editing.

    Args:
        model: A directory in the diffusers layout, one ``.safetensors`` file, or a hub id. With a directory the
            network is never used. Configurations and tokenizers of a single file are read from the directory of the
            same name beside it, where there is one, else from the hub. ``demo`` is the model of this project.
        device: ``cuda``, ``cuda:N`` or ``cpu``.
        dtype: Of the UNet and the text encoders: fp16, bf16, fp32, or auto, see ``choose_dtype``. The autoencoder always
            runs in float32.
        lora: LoRA file or directory, fused into the weights; needs the package ``peft``.
        size_condition: ``native`` or ``true``, see ``EditModel``.
        compile: Compile the UNet's transformer and ResNet blocks; used in the inner steps of null-text inversion.

    Raises:
        FileNotFoundError: There is no such model or LoRA; the message says how to get it.
        ValueError: Unknown dtype, unusable device, or a file that holds no such model.
    """
    if torch.device(device).type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'device {device!r} asked for, but torch sees no GPU here; use device cpu')
    dtype = choose_dtype(dtype, device)
    # A LoRA is added in float32, so that none of it is lost to rounding.
    with _silent_libraries() if model == shipped.DEMO else nullcontext():
        pipeline, revision, identity = _load_pipeline(model, DTYPES[dtype] if lora is None else torch.float32)
    if lora is not None:
        _fuse_lora(pipeline, Path(lora))
        identity += f'+lora:{content_hash(Path(lora))}'
    return EditModel(
        pipeline.unet,
        pipeline.vae,
        pipeline.scheduler,
        (pipeline.tokenizer, pipeline.tokenizer_2),
        (pipeline.text_encoder, pipeline.text_encoder_2),
        id=model,
        identity=identity,
        revision=revision,
        device=device,
        dtype=DTYPES[dtype],
        size_condition=size_condition,
        compile=compile,
    )


def choose_dtype(dtype: str, device: str) -> str:
    """The number format for ``auto`` on ``device``: fp16 on CUDA, fp32 on the CPU; others are returned unchanged.

    Raises:
        ValueError: ``dtype`` is unknown.
    """
    if dtype == 'auto':
        return 'fp16' if torch.device(device).type == 'cuda' else 'fp32'
    if dtype not in DTYPES:
        raise ValueError(f'dtype {dtype!r} is unknown; expected one of {", ".join(DTYPES)}, auto')
    return dtype


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Without progress bars and warnings of diffusers and Transformers: the demo model is complete and loads in a second."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = [
        (m, m.get_verbosity(), m.is_progress_bar_enabled()) for m in (diffusers_logging, transformers_logging)
    ]
    try:
        for module, *_ in libraries:
            module.set_verbosity_error()
            module.disable_progress_bar()
        yield
    finally:
        for module, verbosity, bars in libraries:
            module.set_verbosity(verbosity)
            if bars:
                module.enable_progress_bar()


def _load_pipeline(model: str, dtype: torch.dtype) -> tuple[Any, str | None, str]:
    """The diffusers pipeline, its hub revision and its identity."""
    path = shipped.model_directory() if model == shipped.DEMO else Path(model).expanduser()
    if path.is_dir():
        if not (path / INDEX_FILE).is_file():
            raise FileNotFoundError(_how_to_get(model, f'the directory has no {INDEX_FILE}'))
        return _from_directory(model, path, dtype), None, content_hash(path)
    if path.is_file():
        if path.suffix != '.safetensors':
            raise ValueError(
                f'{path}: expected a .safetensors file; convert it, since other formats run code'
            )
        return _from_file(model, path), None, content_hash(path)
    if model.count('/') != 1 or model[0] in './~' or path.suffix in WEIGHT_SUFFIXES:
        raise FileNotFoundError(
            _how_to_get(model, 'no such file or directory, and no hub id (OWNER/NAME) either')
        )
    return _from_hub(model, dtype)


def weight_variant(names: Iterable[str], *, prefer_half: bool = False) -> str | None:
    """``fp16`` where the weights among ``names`` are to be read from half-precision files, else None.

    Args:
        names: Paths relative to the model, such as ``unet/diffusion_pytorch_model.fp16.safetensors``.
        prefer_half: Also where the UNet has both kinds; else only where a part has no others.
    """
    weights = [name for name in names if name.endswith('.safetensors')]
    for part in COMPONENTS:
        half = ['.fp16.' in name for name in weights if name.startswith(f'{part}/')]
        if half and (all(half) or (prefer_half and part == 'unet' and any(half))):
            return 'fp16'
    return None


def _from_directory(model: str, path: Path, dtype: torch.dtype) -> Any:
    from diffusers import StableDiffusionXLPipeline

    names = [file.relative_to(path).as_posix() for file in path.rglob('*.safetensors')]
    return _attempt(
        model,
        StableDiffusionXLPipeline.from_pretrained,
        path,
        torch_dtype={'default': dtype, 'vae': torch.float32},
        variant=weight_variant(names),
        use_safetensors=True,
        local_files_only=True,
    )


def _from_file(model: str, path: Path) -> Any:
    from diffusers import StableDiffusionXLPipeline

    beside = path.with_suffix('')
    options = {'config': str(beside), 'local_files_only': True} if (beside / INDEX_FILE).is_file() else {}
    return _attempt(
        model, StableDiffusionXLPipeline.from_single_file, str(path), torch_dtype=torch.float32, **options
    )


def _from_hub(model: str, dtype: torch.dtype) -> tuple[Any, str | None, str]:
    """From the hub's cache, or downloaded into it: configurations, tokenizers and one kind of weights."""
    import huggingface_hub

    try:
        snapshot = Path(huggingface_hub.snapshot_download(model, local_files_only=True))
        return _identified(model, snapshot, dtype)
    except OSError:  # not in the cache, or not all of it
        pass
    names = _attempt(model, huggingface_hub.list_repo_files, model)
    variant = weight_variant(names, prefer_half=dtype != torch.float32)
    snapshot = Path(
        _attempt(
            model,
            huggingface_hub.snapshot_download,
            model,
            allow_patterns=['*.json', '*.txt', *(f'{part}/*.safetensors' for part in COMPONENTS)],
            ignore_patterns=[
                n for n in names if n.endswith('.safetensors') and ('.fp16.' in n) != bool(variant)
            ],
        )
    )
    return _identified(model, snapshot, dtype)


def _identified(model: str, snapshot: Path, dtype: torch.dtype) -> tuple[Any, str | None, str]:
    """The pipeline in a snapshot of the hub, whose folder is named by the commit."""
    variant = weight_variant(
        file.relative_to(snapshot).as_posix() for file in snapshot.rglob('*.safetensors')
    )
    identity = f'{model}@{snapshot.name}' + (f'+{variant}' if variant else '')
    return _from_directory(model, snapshot, dtype), snapshot.name, identity


def _attempt(model: str, load: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a loader of diffusers and turn each of its errors into the one with the remedy."""
    try:
        with warnings.catch_warnings():
            # Renamed to dtype in diffusers, which older releases ignore.
            warnings.filterwarnings('ignore', message='.*torch_dtype', category=FutureWarning)
            return load(*args, **kwargs)
    except Exception as error:  # diffusers, safetensors and the hub's HTTP client raise errors of many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(_how_to_get(model, reason)) from error


def _how_to_get(model: str, reason: str) -> str:
    return (
        f'model {model!r} cannot be loaded: {reason}. Expected a hub id, a directory in the diffusers layout '
        f'(with {INDEX_FILE}), or one .safetensors file. To get SDXL, run on a machine with network: '
        f'{DOWNLOAD} (about 7 GB), copy the directory here and pass --model sdxl. Without it: --model {shipped.DEMO}, the '
        'small model of rendered defects that comes with this project'
    )


def _fuse_lora(pipeline: Any, path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f'LoRA {path}: no such file or directory; give a .safetensors file')
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise ValueError("a LoRA needs the package peft; run: pip install 'wta-seg[augment]'") from error
    where, options = (path, {}) if path.is_dir() else (path.parent, {'weight_name': path.name})
    try:
        pipeline.load_lora_weights(str(where), local_files_only=True, **options)
        pipeline.fuse_lora()
        pipeline.unload_lora_weights()
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise ValueError(f'LoRA {path} does not fit this SDXL model: {error}') from error


def content_hash(path: Path) -> str:
    """SHA-256 over the names, sizes and evenly spread samples of a file or of every file in a directory.

    The same weights have the same hash in any place. Files up to 4 MiB are read whole, of larger ones 64 pieces:
    training changes all weights, and hashing gigabytes would take longer than loading them.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob('*') if p.is_file())
    digest = hashlib.sha256()
    for file in files:
        relative = file.name if file == path else file.relative_to(path).as_posix()
        if relative.startswith('.') or '/.' in relative:
            continue
        size = file.stat().st_size
        digest.update(f'{relative}\0{size}\0'.encode())
        with file.open('rb') as stream:
            if size <= SAMPLES * SAMPLE_BYTES:
                digest.update(stream.read())
                continue
            for index in range(SAMPLES):
                stream.seek(index * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()
