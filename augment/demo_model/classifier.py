"""A small network that says which of the six words a defect looks like; it measures edits and is not shipped."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from augment.demo_model.architecture import WORDS
from augment.demo_model.data import Crops
from augment.demo_model.latents import to_unit
from augment.demo_model.stage import Limit, Stage, Task

WIDTHS = (32, 64, 96, 128)
SHIFT = 12  # pixels by which training crops are moved at most
BRIGHTNESS = 0.06  # by which their brightness and colour are changed at most
MARGINS = (0, 3, 7, 12)
"""Pixels by which the labels grow, the steps in turn: an edit keeps its source's label, which is wider or narrower."""


class WordClassifier(nn.Module):
    """Scores ``(N, 6)`` of crops ``(N, 3, H, W)`` in [-1, 1] whose defects are marked by ``(N, 1, H, W)``.

    Features are averaged over the defect and its ring, so that the rest of a crop decides nothing. The network does not
    see the mask itself: an edit keeps the label of its source, and the shape of a rendered label tells the word.
    """

    def __init__(self) -> None:
        super().__init__()
        layers, width = [], 3
        for index, out in enumerate(WIDTHS):
            layers += [
                nn.Conv2d(width, out, 3, stride=1 if index == 0 else 2, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
                nn.Conv2d(out, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            width = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * width, len(WORDS))

    def forward(self, images: Tensor, defects: Tensor) -> Tensor:
        """Scores ``(N, 6)``."""
        features = self.features(images)
        near = F.adaptive_max_pool2d(defects.float(), features.shape[-2:])
        near = F.max_pool2d(near, 3, stride=1, padding=1)
        mean = (features * near).sum((2, 3)) / near.sum((2, 3)).clamp(min=1)
        return self.head(torch.cat([mean, (features * near).amax((2, 3))], dim=1))


def train_classifier(
    crops: Crops, folder: Path, device: torch.device, steps: int = 2000, batch: int = 256, seed: int = 7
) -> WordClassifier:
    """Train on the styled crops among ``crops``; goes on with the state in ``folder``."""
    styled = crops.select(crops.words > 0)
    images = torch.from_numpy(styled.images).permute(0, 3, 1, 2).to(device)
    defects = torch.from_numpy(styled.defects)[:, None].to(device)
    targets = torch.from_numpy(styled.words).long().to(device) - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = WordClassifier().to(device).train()
    stage = Stage('classifier', {'classifier': model}, steps, 2e-3, folder, seed, device)

    def sample(generator: torch.Generator) -> dict[str, Tensor]:
        """A batch of crops drawn at random, each with its word."""
        index = torch.randint(len(images), (batch,), generator=generator, device=device)
        x, mask = to_unit(images[index]), widened(defects[index], MARGINS[stage.step % len(MARGINS)])
        drawn = torch.rand(4, batch, 3, 1, 1, generator=generator, device=device)
        x = x + BRIGHTNESS * (2 * drawn[0] - 1) + BRIGHTNESS * (2 * drawn[1, :, :1] - 1)
        across, down = (int(n) % (2 * SHIFT + 1) - SHIFT for n in (stage.step, stage.step // 7))
        x, mask = (t.roll((down, across), (2, 3)) for t in (x, mask))
        mirrored = drawn[2, :, :1] < 0.5
        x, mask = (torch.where(mirrored, t.flip(-1), t) for t in (x, mask))
        flipped = drawn[3, :, :1] < 0.5
        x, mask = (torch.where(flipped, t.transpose(-1, -2), t) for t in (x, mask))
        return {'x': x, 'mask': mask, 'target': targets[index]}

    def loss(x: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        """Cross entropy of a batch."""
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == 'cuda'):
            scores = model(x, mask)
        return F.cross_entropy(scores.float(), target)

    stage.run(Task(sample, loss), Limit())
    # Batch statistics belong to the last weights, so these are kept and not the averaged ones.
    return model.eval()


def widened(mask: Tensor, margin: int) -> Tensor:
    """``mask (N, 1, H, W)`` bool, grown by ``margin`` pixels in all eight directions."""
    return F.max_pool2d(mask.float(), 2 * margin + 1, stride=1, padding=margin) > 0


@torch.no_grad()
def classify(model: WordClassifier, images: Tensor, defects: Tensor) -> Tensor:
    """Indices into WORDS ``(N,)`` for images ``(N, 3, H, W)`` in [-1, 1] and defects ``(N, 1, H, W)``."""
    pairs = zip(images.split(256), defects.split(256))
    return torch.cat([model(x, mask).argmax(1) for x, mask in pairs])
