"""Measure the demo model: ``python -m augment.demo_model.evaluate --data data/demo_model --out work_dirs/demo_model``.

On the validation split of the data it was trained with: what the autoencoder loses, what null-text inversion
reconstructs inside the label, and how often a classifier that was trained on rendered images recognises the word
of an edit. Writes ``evaluation.json`` and a contact sheet.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from augment.config import INVERSION_METHODS, AugmentConfig
from augment.dataset.pieces import to_tensor, to_uint8
from augment.dataset.quality import psnr
from augment.dataset.reading import decode_image, decode_label, defect_mask
from augment.dataset.regions import Region, cut, latent_mask, paste, plan_regions, to_working
from augment.demo_model.architecture import SOURCE_PROMPT, WORDS, target_prompt
from augment.demo_model.classifier import WordClassifier, classify, train_classifier
from augment.demo_model.data import Crops, at_size, read_crops
from augment.demo_model.sheet import draw_sheet
from augment.demo_model.styles import read_styles
from augment.diffusion.editing import EditOptions, Target, edit_words
from augment.diffusion.inversion import invert
from augment.diffusion.loading import load_model
from augment.diffusion.model import EditModel
from augment.files import write_json, write_png

SPLIT = 'val'


@dataclass
class Source:
    """One region of an unstyled image: ``image (H, W, 3)``, and at working size ``crop`` and ``defects``."""

    image: np.ndarray
    region: Region
    crop: np.ndarray
    defects: np.ndarray


@dataclass
class Edited:
    """N sources and what became of them; all ``(N, h, w, 3)`` uint8 at working size.

    Attributes:
        round_trip: After the autoencoder alone.
        reconstruction: After null-text inversion and sampling.
        edits: By word, pasted into the source as in use.
    """

    sources: list[Source]
    round_trip: np.ndarray
    reconstruction: np.ndarray
    edits: dict[str, np.ndarray]


def read_sources(root: Path, config: AugmentConfig, count: int) -> list[Source]:
    """The regions of the unstyled images of the validation split, at most ``count``, one per image in turn."""
    size = config.resolution
    by_image = []
    for name, word in read_styles(root, SPLIT).items():
        if word is not None:
            continue
        image = decode_image((root / 'img_dir' / SPLIT / name).read_bytes())
        label = decode_label((root / 'ann_dir' / SPLIT / name).read_bytes())
        regions = [r for r in plan_regions(label, config) if r.size == (size, size)]
        by_image.append(
            [Source(image, r, to_working(image, r), edited_defects(label, r, size)) for r in regions]
        )
    deepest = max(map(len, by_image), default=0)
    return [sources[n] for n in range(deepest) for sources in by_image if n < len(sources)][:count]


def edited_defects(label: np.ndarray, region: Region, size: int) -> np.ndarray:
    """The defects that an edit of ``region`` changes, ``(size, size)``; others in its box belong to other regions."""
    return at_size(cut(defect_mask(label), region.box) & (region.weight > 0), size)


def edit_sources(
    model: EditModel, sources: list[Source], config: AugmentConfig, words: Sequence[str], report=print
) -> Edited:
    """Invert and edit ``sources`` in batches with the settings of ``config``."""
    trips, rebuilt, edits = [], [], {word: [] for word in words}
    for start in range(0, len(sources), config.batch_size):
        batch = sources[start : start + config.batch_size]
        latents = model.encode_images(to_tensor([s.crop for s in batch]))
        trips.append(to_uint8(model.decode_latents(latents)))
        inversion = invert(
            model,
            latents,
            SOURCE_PROMPT,
            method=config.inversion,
            steps=config.steps,
            guidance=config.guidance,
            rli_alpha=config.rli_alpha,
            inner_steps=config.inner_steps,
        )
        mask = torch.stack([latent_mask(s.region, model.vae_scale) for s in batch]).to(model.device)
        options = EditOptions.of(config)
        for number, word in enumerate(words):
            target = Target(target_prompt(word), word)
            (result,) = edit_words(model, inversion, SOURCE_PROMPT, [target], options, latent_mask=mask)
            decoded = to_uint8(model.decode_latents(result.edited))
            edits[word].append(np.stack([pasted(s, e) for s, e in zip(batch, decoded)]))
            if number == 0:
                rebuilt.append(to_uint8(model.decode_latents(result.reconstruction)))
        report(f'edited {start + len(batch)} of {len(sources)} crops')
    return Edited(
        sources,
        np.concatenate(trips),
        np.concatenate(rebuilt),
        {word: np.concatenate(parts) for word, parts in edits.items()},
    )


def pasted(source: Source, edited: np.ndarray) -> np.ndarray:
    """The crop at working size after ``edited`` was composited into its image."""
    return to_working(paste(source.image, edited, source.region), source.region)


def figures(edited: Edited, classifier: WordClassifier | None, device: torch.device) -> dict:
    """What the model card publishes: dB (median and 5 % quantile), mean changes in levels, accuracies."""
    crops = np.stack([s.crop for s in edited.sources])
    defects = np.stack([s.defects for s in edited.sources])
    pairs = {
        'vae_psnr': (crops, edited.round_trip, None),
        'vae_psnr_inside': (crops, edited.round_trip, defects),
        'reconstruction_psnr_inside': (crops, edited.reconstruction, defects),
        'reconstruction_to_round_trip_psnr_inside': (edited.round_trip, edited.reconstruction, defects),
    }
    result: dict = {'crops': len(crops)}
    for name, (a, b, where) in pairs.items():
        result[name] = quantiles(
            [psnr(*(x[n] if where is None else x[n][where[n]] for x in (a, b))) for n in range(len(crops))]
        )
    result['change_inside'] = {
        word: round(float(np.abs(images.astype(int) - edited.reconstruction)[defects].mean()), 2)
        for word, images in edited.edits.items()
    }
    if classifier is not None:
        result['recognised'] = {}
        for word, images in edited.edits.items():
            votes = classify(classifier, to_tensor(images).to(device), mask_tensor(defects, device))
            counts = torch.bincount(votes, minlength=len(WORDS)).tolist()
            result['recognised'][word] = {
                'share': round(counts[WORDS.index(word)] / len(images), 4),
                'votes': dict(zip(WORDS, counts)),
            }
        shares = [entry['share'] for entry in result['recognised'].values()]
        result['recognised_mean'] = round(sum(shares) / len(shares), 4)
    return result


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Mean, median and 5 % quantile."""
    array = np.array(values)
    return {
        'mean': round(float(array.mean()), 2),
        'median': round(float(np.median(array)), 2),
        'q05': round(float(np.quantile(array, 0.05)), 2),
    }


def classifier_accuracy(model: WordClassifier, crops: Crops, device: torch.device) -> dict[str, float]:
    """Share of rendered crops whose word is recognised, by word: the most that edits can reach."""
    styled = crops.select(crops.words > 0)
    votes = (
        classify(model, to_tensor(styled.images).to(device), mask_tensor(styled.defects, device))
        .cpu()
        .numpy()
    )
    right = votes + 1 == styled.words
    result = {
        w: float(right[styled.words == n + 1].mean())
        for n, w in enumerate(WORDS)
        if (styled.words == n + 1).any()
    }
    return {word: round(share, 4) for word, share in (result | {'all': float(right.mean())}).items()}


def mask_tensor(defects: np.ndarray, device: torch.device) -> Tensor:
    """``(N, H, W)`` bool to a tensor ``(N, 1, H, W)``."""
    return torch.from_numpy(defects)[:, None].to(device)


def sheet_of(edited: Edited, rows: int) -> np.ndarray:
    """The contact sheet of the first ``rows`` crops."""
    columns = {
        'source': np.stack([s.crop for s in edited.sources])[:rows],
        'label': np.stack([s.defects for s in edited.sources])[:rows, ..., None]
        .repeat(3, -1)
        .astype(np.uint8)
        * 255,
        'reconstruction': edited.reconstruction[:rows],
    }
    return draw_sheet(columns | {word: images[:rows] for word, images in edited.edits.items()})


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    default = AugmentConfig()
    parser = argparse.ArgumentParser(prog='python -m augment.demo_model.evaluate', description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='dataset with styles, splits train and val')
    parser.add_argument('--out', type=Path, required=True, help='folder that the model was trained in')
    parser.add_argument(
        '--twins', type=Path, help='the validation split of --data rendered with --style none (see README.md)'
    )
    parser.add_argument('--model', default='', help='model to measure; left out: the weights in --out')
    parser.add_argument('--count', type=int, default=128, help='crops to edit')
    parser.add_argument('--guidance', type=float, nargs='+', default=[15.0], help='guidance scales')
    parser.add_argument('--steps', type=int, default=50, help='DDIM steps')
    parser.add_argument('--crop-min', type=int, default=64, help='least side of a crop in pixels')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--inversion', default=default.inversion, choices=INVERSION_METHODS)
    parser.add_argument('--inner-steps', type=int, default=default.inner_steps)
    parser.add_argument('--classifier-steps', type=int, default=2000)
    parser.add_argument('--classifier-batch', type=int, default=256)
    parser.add_argument('--sheet-rows', type=int, default=12)
    parser.add_argument('--dtype', default='fp32', choices=('fp16', 'bf16', 'fp32'))
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 for bad input."""
    args = parse_args(argv)
    device = torch.device(args.device)
    try:
        model = load_model(args.model or str(args.out / 'weights'), device=args.device, dtype=args.dtype)
        size = model.unet.config.sample_size * model.vae_scale
        train = Crops.load(args.out / 'crops.npz')
        classifier = train_classifier(train, args.out, device, args.classifier_steps, args.classifier_batch)
        held_out = read_crops(args.data, SPLIT, size, args.workers)
        result: dict = {'classifier_on_rendered': classifier_accuracy(classifier, held_out, device)}
        if args.twins:
            twins = read_crops(args.data, SPLIT, size, args.workers, args.crop_min, labels=args.twins)
            result['classifier_with_source_labels'] = classifier_accuracy(classifier, twins, device)
        print(result, flush=True)
        for guidance in args.guidance:
            config = AugmentConfig(
                crop='defect',
                crop_min=args.crop_min,
                resolution=size,
                guidance=guidance,
                steps=args.steps,
                inversion=args.inversion,
                inner_steps=args.inner_steps,
                batch_size=args.batch_size,
            )
            sources = read_sources(args.data, config, args.count)
            edited = edit_sources(model, sources, config, WORDS)
            result[f'guidance {guidance:g}'] = figures(edited, classifier, device)
            write_png(args.out / f'sheet_{guidance:g}.png', sheet_of(edited, args.sheet_rows))
            write_json(args.out / 'evaluation.json', result)
            print(f'guidance {guidance:g}: {result[f"guidance {guidance:g}"]}', flush=True)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
