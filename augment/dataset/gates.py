"""Gates: why a region is refused, from its figures as a whole and from those of its single defects.

A reason is ``kind: details``, one line that names the figure and its threshold. A threshold of 0 switches a gate off,
except that an edit without any change never passes.
"""

from collections.abc import Sequence

from augment.config import AugmentConfig
from augment.dataset.components import ComponentRecord
from augment.dataset.quality import Metrics

LOST_BY_VAE = 'defect lost by the VAE'
LOST_BY_RECONSTRUCTION = 'defect vanished in the reconstruction'
LOST_BY_EDIT = 'defect vanished in the edit'
LOST_TO_JUDGE = 'defect no longer found by the judge'
UNCHANGED = 'the edit changed nothing'
REJECTED_IN_REVIEW = 'rejected in review'
"""Begins the reason of an edit that a person has rejected."""


def reasons_against(
    metrics: Metrics, config: AugmentConfig, components: Sequence[ComponentRecord] = ()
) -> list[str]:
    """Why a region is refused, each with the figure and its threshold; empty when it is accepted."""
    reasons = lost_defects(components, config)
    if metrics.reconstruction_psnr < config.min_psnr:
        reasons.append(
            f'reconstruction PSNR {metrics.reconstruction_psnr:.2f} dB < min_psnr {config.min_psnr:g}'
        )
    if metrics.reconstruction_ssim < config.min_ssim:
        reasons.append(
            f'reconstruction SSIM {metrics.reconstruction_ssim:.3f} < min_ssim {config.min_ssim:g}'
        )
    reasons += unchanged(metrics, config, components)
    # Under blend=label the pixels outside are the source's again, so what the edit did there is never seen.
    if config.blend != 'label' and metrics.change_outside > config.max_outside:
        reasons.append(
            f'changed outside the mask: {metrics.change_outside:.2f} levels > max_outside {config.max_outside:g}'
        )
    return reasons


def lost_defects(components: Sequence[ComponentRecord], config: AugmentConfig) -> list[str]:
    """One reason for each stage in which defects were lost, naming the worst one and how many there are.

    A component counts for the first stage that lost it. A single lost component is enough: its label would be wrong.
    """
    stages = (
        (LOST_BY_VAE, 'vae_kept', 'min_kept', config.min_kept),
        (LOST_BY_RECONSTRUCTION, 'reconstruction_kept', 'min_kept', config.min_kept),
        (LOST_BY_EDIT, 'edit_kept', 'min_edit_kept', config.min_edit_kept),
    )
    reasons, remaining = [], list(components)
    for kind, figure, option, threshold in stages:
        values = [(getattr(c, figure), c) for c in remaining]
        lost = [(value, c) for value, c in values if threshold and value is not None and value < threshold]
        if lost:
            value, worst = min(lost, key=lambda pair: pair[0])
            text = f'{described(worst)} keeps {value:.2f} of its contrast < {option} {threshold:g}'
            reasons.append(f'{kind}: {text}{others(len(lost))}')
            remaining = [c for c in remaining if all(c is not other for _, other in lost)]
    if config.judge_gate:
        lost_to_judge = [c for c in remaining if c.judge_found_before and not c.judge_found]
        if lost_to_judge:
            worst = lost_to_judge[0]
            text = f'{described(worst)}, {worst.judge_defect:.2f} of its pixels predicted as a defect'
            reasons.append(f'{LOST_TO_JUDGE}: {text}{others(len(lost_to_judge))}')
    return reasons


def unchanged(metrics: Metrics, config: AugmentConfig, components: Sequence[ComponentRecord]) -> list[str]:
    """The reason against an edit that changed no defect; without components the mean inside the mask counts."""
    change, place = metrics.change_inside, 'inside the mask'
    if components:
        most = max(components, key=lambda c: c.change)
        change, place = most.change, f'in {described(most)}{others(len(components), "most")}'
    if change >= config.min_change and change > 0:
        return []
    return [f'{UNCHANGED}: {change:.2f} levels {place} < min_change {config.min_change:g}']


def described(component: ComponentRecord) -> str:
    """A component in words: class, area and box."""
    if component.count > 1:
        return f'{component.count} faint {component.defect} defects ({component.area} px) in {component.box}'
    return f'{component.defect} defect of {component.area} px at {component.box}'


def others(count: int, which: str = 'worst') -> str:
    """How many components a reason stands for."""
    return f' ({which} of {count})' if count > 1 else ''


def kind_of_reason(reason: str) -> str:
    """A reason without its crop, component and figures, for counting."""
    text = reason.split(']: ', 1)[1] if reason.startswith('crop [') else reason
    for mark in ('reconstruction PSNR', 'reconstruction SSIM'):
        if text.startswith(mark):
            return f'{mark} too low'
    known = (LOST_BY_VAE, LOST_BY_RECONSTRUCTION, LOST_BY_EDIT, LOST_TO_JUDGE, UNCHANGED, REJECTED_IN_REVIEW)
    return next((kind for kind in (*known, 'changed outside the mask') if text.startswith(kind)), text)
