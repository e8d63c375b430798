"""Mark defects with a model that ``wta-seg export`` wrote; needs onnxruntime, numpy and Pillow.

``python infer.py MODEL.onnx OUT IMAGE ...`` writes ``OUT/IMAGE.png`` with class ids; 0 is normal.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def read_metadata(session: onnxruntime.InferenceSession) -> dict:
    """Classes, sizes, preprocessing and thresholds, which the file holds."""
    texts = session.get_modelmeta().custom_metadata_map
    return {key: text if key == 'channel_order' else json.loads(text) for key, text in texts.items()}


def input_size(size: tuple[int, int], meta: dict) -> tuple[int, int]:
    """Height and width at which an image of (height, width) is predicted."""
    if meta['sides'] is None:
        return tuple(meta['size'])
    scale = min(max(meta['resize']) / max(size), min(meta['resize']) / min(size)) if meta.get('resize') else 1
    size, (low, high) = [int(side * scale + 0.5) for side in size], meta['sides']
    scale = min(max(1.0, low / min(size)), high / max(size))
    return tuple(min(high, max(low, round(side * scale))) for side in size)


def resize(layers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale (C, H, W) linearly to (height, width)."""
    for axis, (old, new) in enumerate(zip(layers.shape[1:], size), start=1):
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        share = np.float32(place % 1).reshape((-1, 1) if axis == 1 else -1)
        low, high = (layers.take(np.int64(end(place)), axis) for end in (np.floor, np.ceil))
        layers = low * (1 - share) + high * share if share.any() else low
    return layers


def prepare(pixels: np.ndarray, size: tuple[int, int], meta: dict) -> np.ndarray:
    """The network's input (3, height, width) of an image (H, W, 3), uint8, RGB."""
    layers = np.float32(pixels[..., :: 1 if meta['channel_order'] == 'RGB' else -1]).transpose(2, 0, 1)
    mean, std = (
        np.float32(meta[key] or [value]).reshape(-1, 1, 1) for key, value in (('mean', 0), ('std', 1))
    )
    return np.ascontiguousarray((resize(layers, size) - mean) / std)


def to_shares(logits: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Probabilities (C, height, width) of logits (C, H, W)."""
    logits = resize(logits, size)
    logits = np.concatenate([np.zeros_like(logits), logits]) if len(logits) == 1 else logits
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def segment(shares: np.ndarray, limits: list[float] | None) -> np.ndarray:
    """Class ids (H, W), uint8: of the thresholds of class 1, 2, ... the one exceeded most; None: the most probable."""
    if limits is None:
        return shares.argmax(axis=0).astype(np.uint8)
    factors = shares[1:] / np.float32(limits).reshape(-1, 1, 1)
    return np.where(factors.max(axis=0) >= 1, factors.argmax(axis=0) + 1, 0).astype(np.uint8)


def limits_of(meta: dict) -> list[float] | None:
    """The thresholds of the operating point, infinite for a class that is never marked; None: there is none."""
    point = meta.get('operating_point')
    return point and [
        np.inf if one['threshold'] is None else one['threshold'] for one in point['classes'].values()
    ]


if __name__ == '__main__':
    session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
    meta, out = read_metadata(session), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for path in sys.argv[3:]:
        image = Image.open(path)
        if image.mode[0] in 'IF':
            sys.exit(f'{path}: more than 8 bits a channel; expected 8')
        pixels = np.array(ImageOps.exif_transpose(image).convert('RGB'))
        images = prepare(pixels, input_size(pixels.shape[:2], meta), meta)[None]
        shares = to_shares(session.run(['logits'], {'images': images})[0][0], pixels.shape[:2])
        Image.fromarray(segment(shares, limits_of(meta))).save(out / f'{Path(path).stem}.png')
