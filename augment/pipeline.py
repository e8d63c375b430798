"""From a dataset to an augmented dataset: plan, share out, edit, merge."""

import fcntl
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from augment.config import AugmentConfig
from augment.dataset.manifest import PARTS, Manifest, Row, source_row
from augment.dataset.plan import Plan, edit_files, make_plan, pending_groups
from augment.dataset.reading import Dataset, copy_originals, edit_name, image_file, label_file, read_dataset
from augment.dataset.summary import write_summary
from augment.files import temporaries, unwritable
from augment.processes import Processes, join_processes
from augment.progress import Silent

log = logging.getLogger(__name__)


@dataclass
class Report:
    """What a run found and did; counts are over the requested words."""

    out: Path
    pictures: int
    regions: int
    batches: int
    unusable: list[str]
    edits: int
    pending: int
    accepted: int = 0
    rejected: Counter = field(default_factory=Counter)
    dry: bool = False

    def text(self) -> str:
        """The report as it is printed at the end of a run."""
        state = f'{self.pending} still to make' if self.dry else f'{self.pending} made now'
        lines = [
            f'{self.out}: {self.pictures} pictures to edit ({self.regions} regions in {self.batches} batches), '
            f'{self.edits} edits, {state}'
        ]
        lines += [f'  cannot be used: {problem}' for problem in self.unusable]
        if not self.dry:
            lines.append(f'{self.accepted} edits accepted, {sum(self.rejected.values())} rejected')
            lines += [f'  {count} x {reason}' for reason, count in sorted(self.rejected.items())]
        return '\n'.join(lines)


def run(config: AugmentConfig, progress: Silent | None = None) -> Report:
    """Make the augmented dataset that ``config`` describes, or go on with one that was begun.

    Raises ``ValueError`` or ``FileNotFoundError`` for bad input before anything is written, and ``OSError`` naming
    path and remedy when a file cannot be written, ``MemoryError`` when the GPU is too small; every file that is there
    is then whole.
    """
    config.check()
    with join_processes() as group, reproducible(config.seed), memory_remedy(config):
        for sentence in config.without_effect() if group.main else ():
            log.warning(sentence)
        data = read_dataset(Path(config.data), config.split, config.word)
        plan = make_plan(config, data)
        if not plan.groups and not plan.empty:
            raise ValueError(
                f'no usable image in {data.root} split {data.split}; first of {len(plan.unusable)}: '
                f'{plan.unusable[0].problem}'
            )
        manifest = Manifest(config.out_dir())
        manifest.refuse_other_parameters(config.picture_parameters())
        todo = pending_groups(plan, config, manifest)
        report = new_report(config, plan, manifest)
        if config.dry_run:
            report.dry = True
            return report
        editor = None
        if todo or manifest.stale(data):
            editor = load_editor(config, data, manifest, group)
        with sole_writer(config.out_dir(), group):
            with progress if progress and group.main else Silent() as shown:
                carry_out(editor, config, data, plan, manifest, group, shown)
            if group.main:
                rows = manifest.merge(data)
                count(report, config, rows)
                if config.summary:
                    write_summary(config, data, rows)
        report.accepted = group.share(report.accepted)
        return report


def new_report(config: AugmentConfig, plan: Plan, manifest: Manifest) -> Report:
    """What is known before the work."""
    files = edit_files(config.split, plan.pictures(), config.word)
    pending = sum(not manifest.is_done(file) for file in files)
    unusable = [s.problem for s in plan.unusable]
    pictures = len(plan.pictures())
    return Report(config.out_dir(), pictures, plan.regions, len(plan.groups), unusable, len(files), pending)


def carry_out(
    editor: Any,
    config: AugmentConfig,
    data: Dataset,
    plan: Plan,
    manifest: Manifest,
    group: Processes,
    progress: Silent,
) -> None:
    """Copy the originals and edit the groups that fall to this process."""
    if group.main:
        tidy(config, data, plan, manifest)
    todo = group.share(pending_groups(plan, config, manifest) if group.main else None)
    manifest.reload()
    group.wait()
    copy_originals(data, config.out_dir(), group.rank, group.world)
    mine = [plan.groups[number] for number in todo[group.rank :: group.world]]
    progress.start(sum(len(samples) for samples in mine) * len(config.word))
    for samples in mine:
        made = 0
        for _ in editor.process(samples, progress):
            made += 1
            progress.finished(1)
        progress.finished(len(samples) * len(config.word) - made)
    group.wait()


def load_editor(config: AugmentConfig, data: Dataset, manifest: Manifest, group: Processes) -> Any:
    """Load the model and check prompts and earlier edits against it, before anything is written."""
    from augment.diffusion.loading import load_model
    from augment.diffusion.prompts import align_tokens, word_positions
    from augment.editor import Editor

    device = group.device(config.device)
    if device.startswith('cuda'):
        torch.cuda.set_device(device)
    model = load_model(
        config.model, device=device, dtype=config.dtype, lora=config.lora or None, compile=config.compile
    )
    for tokenizer in model.tokenizers:
        for word in config.word:
            word_positions(tokenizer, config.prompt(word), word)
            align_tokens(tokenizer, config.source_prompt, config.prompt(word))
    editor = Editor(config, model, data, manifest)
    manifest.refuse_other_parameters(config.picture_parameters(), editor.identity)
    return editor


def tidy(config: AugmentConfig, data: Dataset, plan: Plan, manifest: Manifest) -> None:
    """Remove what a killed run left half-written and what has become untrue; note pictures with nothing to edit."""
    for path in temporaries(config.out_dir()):
        path.unlink(missing_ok=True)
    if cache := config.cache_dir():
        from augment.dataset.cache import InversionCache

        InversionCache(cache).clean()
    if stale := manifest.drop_stale(data):
        log.warning(
            '%d edits made anew or dropped: their source or label has changed, as of %s', len(stale), stale[0]
        )
    reason = f'no defect in the label: nothing to edit with blend={config.blend}, crop={config.crop}'
    for sample in plan.empty:
        for word in config.word:
            name = edit_name(sample.name, word)
            row: Row = source_row(sample, data.split) | {
                'file': image_file(data.split, name),
                'label': label_file(data.split, name),
                'kind': 'edit',
                'word': word,
                'target_prompt': config.prompt(word),
                'accepted': False,
                'reasons': [reason],
                'regions': [],
                'seed': config.seed,
                'parameters': config.picture_parameters(),
                'model': None,
                'reconstruction_psnr': None,
                'metrics': None,
            }
            if manifest.rows.get(row['file']) != row:
                manifest.add(row)


def count(report: Report, config: AugmentConfig, rows: list[Row]) -> None:
    """Fill in how many edits were accepted, and why the others were not."""
    for row in rows:
        if row['kind'] == 'edit' and row['word'] in config.word:
            report.accepted += row['accepted']
            if not row['accepted']:
                report.rejected['; '.join(sorted({kind_of_reason(r) for r in row['reasons']}))] += 1


def kind_of_reason(reason: str) -> str:
    """A reason without its crop and figures, for counting."""
    text = reason.split(']: ')[-1] if reason.startswith('crop [') else reason
    for mark in (
        'reconstruction PSNR',
        'reconstruction SSIM',
        'the edit changed nothing',
        'changed outside the mask',
    ):
        if text.startswith(mark):
            return mark if 'changed' in mark else f'{mark} too low'
    return text


@contextmanager
def sole_writer(out: Path, group: Processes) -> Iterator[None]:
    """Hold the output folder against a second run at the same time; ``ValueError`` when there is one."""
    if not group.main:
        yield
        return
    folder = out / PARTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / 'lock').open('w')
    except OSError as error:
        raise unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f'{out} is being written by another run; wait for it or name another --out'
            ) from error
        yield


@contextmanager
def memory_remedy(config: AugmentConfig) -> Iterator[None]:
    """Turn CUDA's out-of-memory error into a ``MemoryError`` that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f'the GPU has too little memory for batch_size={config.batch_size} at resolution={config.resolution}; '
            'the same command with a smaller --batch-size, or with --low-resource, goes on where this one stopped'
        ) from error


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Fixed random state and deterministic kernels, so that a restarted run ends with the same bytes."""
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    fill, tune = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    with torch.random.fork_rng() if torch.cuda.is_available() else torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.utils.deterministic.fill_uninitialized_memory = fill
            torch.backends.cudnn.benchmark = tune
