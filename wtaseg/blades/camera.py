"""The camera: optical blur, exposure, white balance, sensor noise and a JPEG on the way to the disk."""

from dataclasses import dataclass

import cv2
import numpy as np


def optics(rng: np.random.Generator, image: np.ndarray, scale: float) -> np.ndarray:
    """Blur of the scene ``(H, W, 3)``; a close view is softer, as it is enlarged."""
    return cv2.GaussianBlur(image, (0, 0), float(np.clip(rng.uniform(0.6, 1.1) * scale**0.5, 0.55, 1.7)))


@dataclass(frozen=True)
class Exposure:
    """All that is random in taking one image, so that several scenes can be taken alike.

    ``gain`` (3,) and ``falloff`` (H, W, 1) scale the light, ``noise`` (H, W, 3) is added to it,
    ``softness`` is the std of the blur in pixels and ``quality`` that of the JPEG.
    """

    gain: np.ndarray
    falloff: np.ndarray
    noise: np.ndarray
    softness: float
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator, height: int, width: int) -> 'Exposure':
        """An exposure for images of the given size."""
        gain = rng.uniform(0.92, 1.14)
        balance = 1 + rng.normal(0, 0.006, 3)
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        falloff = (1 - rng.uniform(0.0, 0.05) * (x * x + y * y)).astype(np.float32)
        # A part of the noise is common to the channels, as after demosaicing.
        grain = rng.standard_normal((height, width), np.float32)
        tint = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
        tint = cv2.resize(tint, (width, height), interpolation=cv2.INTER_LINEAR)
        noise = rng.uniform(0.7, 2.2) * (grain[..., None] + 0.6 * tint)
        softness = rng.uniform(0.3, 0.5)
        quality = int(rng.integers(78, 95))
        return cls((gain * balance).astype(np.float32), falloff[..., None], noise, softness, quality)

    def take(self, scene: np.ndarray) -> np.ndarray:
        """What the camera stores of ``scene`` ``(H, W, 3)`` float32: ``(H, W, 3)`` uint8."""
        image = scene * self.gain * self.falloff + self.noise
        image = cv2.GaussianBlur(image, (0, 0), self.softness)
        stored = np.clip(np.round(image), 0, 255).astype(np.uint8)
        packed = cv2.imencode('.jpg', stored, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
        return cv2.imdecode(packed, cv2.IMREAD_COLOR)
