"""Mark defects with a model that ``wta-seg export`` wrote; needs onnxruntime, numpy and Pillow.

``python infer.py MODEL.onnx OUT IMAGE ...`` writes ``OUT/IMAGE.png`` with class ids; 0 is normal.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def input_size(size: tuple[int, int], meta: dict) -> tuple[int, int]:
    """Height and width at which an image of (height, width) is predicted: as in the test, and such as the file takes."""
    target, (low, high) = meta.get('resize') or size, meta['sides'] or [np.array(meta['size'])] * 2
    size = np.floor(np.array(size) * min(max(target) / max(size), min(target) / min(size)) + 0.5)
    scale = min(max(1.0, np.max(low / size)), np.min(high / size))
    return tuple(np.clip(np.round(size * scale), low, high).astype(int).tolist())


def resize(layers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale (C, H, W), float32, linearly to (height, width)."""
    scale = (layers.shape[2] / size[1], 0, 0, 0, layers.shape[1] / size[0], 0)
    maps = (Image.fromarray(one).transform(size[::-1], Image.AFFINE, scale, Image.BILINEAR) for one in layers)
    return layers if layers.shape[1:] == size else np.stack(list(maps))


def prepare(pixels: np.ndarray, size: tuple[int, int], meta: dict) -> np.ndarray:
    """The network's input (3, height, width) of an image (H, W, 3), uint8, RGB."""
    layers = np.float32(pixels if meta['channel_order'] == 'RGB' else pixels[..., ::-1])
    layers = (layers - np.float32(meta['mean'] or 0)) / np.float32(meta['std'] or 1)
    return resize(layers.transpose(2, 0, 1), size)


def decide(logits: np.ndarray, size: tuple[int, int], point: dict | None) -> tuple[np.ndarray, np.ndarray]:
    """Class ids (height, width), uint8, and probabilities (C, height, width) of logits (C, H, W).

    Of the classes at their thresholds in the operating point the one furthest above; without it the most probable one.
    """
    # a single logit is that of class 1 against 0
    logits = np.pad(resize(logits, size), ((int(len(logits) == 1), 0), (0, 0), (0, 0)))
    powers = np.exp(logits - logits.max(axis=0))
    shares = powers / powers.sum(axis=0)
    if point is None:
        return shares.argmax(axis=0).astype(np.uint8), shares
    # a class without a threshold is never marked
    factors = shares[1:] / np.float32([[[one['threshold'] or np.inf]] for one in point['classes'].values()])
    return np.where(factors.max(axis=0) >= 1, factors.argmax(axis=0) + 1, 0).astype(np.uint8), shares


if __name__ == '__main__':
    session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
    texts = session.get_modelmeta().custom_metadata_map
    meta = {key: text if key == 'channel_order' else json.loads(text) for key, text in texts.items()}
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    for path in map(Path, sys.argv[3:]):
        image = ImageOps.exif_transpose(Image.open(path))
        if image.mode[0] in 'IF':
            sys.exit(f'{path}: more than 8 bits a channel; expected 8')
        images = prepare(np.array(image.convert('RGB')), input_size(image.size[::-1], meta), meta)[None]
        logits = session.run(['logits'], {'images': images})[0][0]
        classes, _ = decide(logits, image.size[::-1], meta.get('operating_point'))
        Image.fromarray(classes).save(Path(sys.argv[2], f'{path.stem}.png'))
