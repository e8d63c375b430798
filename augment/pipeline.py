"""From a dataset to an augmented dataset: plan, distribute, edit, merge."""

import logging
from dataclasses import replace

import torch

from augment.config import PASTE, AugmentConfig
from augment.dataset.cache import InversionCache
from augment.dataset.judge import load_judge
from augment.dataset.manifest import Manifest
from augment.dataset.plan import Plan, make_plan, pending_groups
from augment.dataset.reading import Dataset, read_dataset
from augment.dataset.summary import write_summary
from augment.dataset.writing import copy_originals, empty_row
from augment.diffusion.loading import choose_dtype, load_model
from augment.diffusion.prompts import align_tokens, word_positions
from augment.diffusion.sampling import ddim_schedule
from augment.editor import Editor, Paster
from augment.files import temporaries
from augment.processes import Processes, join_processes
from augment.progress import Silent
from augment.report import Report
from augment.safeguards import memory_remedy, reproducible, sole_writer

log = logging.getLogger(__name__)


def run(config: AugmentConfig, progress: Silent | None = None) -> Report:
    """Make the augmented dataset that ``config`` describes, or continue one that was begun.

    Raises:
        ValueError, FileNotFoundError: Bad input; nothing is written then.
        OSError: A file cannot be written; the message names path and remedy, and every existing file is complete.
        MemoryError: The GPU is too small.
    """
    with join_processes() as group, reproducible(config.seed), memory_remedy(config):
        for sentence in config.without_effect() if group.main else ():
            log.warning(sentence)
        config = replace(config, dtype=choose_dtype(config.dtype, group.device(config.device)))
        data = read_dataset(config.source_dir(), config.split, config.words)
        plan = make_plan(config, data)
        if not plan.groups and not plan.empty:
            raise ValueError(
                f'no usable image in {data.root} split {data.split}; first of {len(plan.unusable)}: '
                f'{plan.unusable[0].problem}'
            )
        manifest = Manifest(config.out_dir())
        manifest.refuse_other_parameters(config.image_parameters(), mode=config.mode)
        report = Report.before(config, plan, manifest)
        if config.dry_run:
            report.dry = True
            return report
        editor: Editor | Paster | None = None
        if config.mode == PASTE:
            editor = Paster(config, manifest)
        elif pending_groups(plan, config, manifest) or manifest.stale(data, plan.plantings()):
            editor = load_editor(config, manifest, group)
        with sole_writer(config.out_dir(), group):
            with progress if progress and group.main else Silent() as active_progress:
                edit_images(editor, config, data, plan, manifest, group, active_progress)
            if group.main:
                rows = manifest.merge(data)
                report.count(rows, config.words)
                if config.summary:
                    write_summary(config, data, rows, plan.samples())
        report.accepted = group.share(report.accepted)
        return report


def edit_images(
    editor: Editor | Paster | None,
    config: AugmentConfig,
    data: Dataset,
    plan: Plan,
    manifest: Manifest,
    group: Processes,
    progress: Silent,
) -> None:
    """Copy the originals and edit the groups of images that this process has to do."""
    if group.main:
        tidy(config, data, plan, manifest)
    todo = group.share(pending_groups(plan, config, manifest) if group.main else None)
    manifest.reload()
    group.wait()
    copy_originals(data, config.out_dir(), group.rank, group.world)
    mine = [plan.groups[number] for number in todo[group.rank :: group.world]]
    progress.start(sum(len(images) for images in mine) * len(config.words))
    for images in mine:
        assert editor is not None
        made = 0
        for _ in editor.process(images, progress):
            made += 1
            progress.finished(1)
        progress.finished(len(images) * len(config.words) - made)
    group.wait()


def load_editor(config: AugmentConfig, manifest: Manifest, group: Processes) -> Editor:
    """Load judge and model and check prompts and earlier edits against them, before anything is written."""
    judge = load_judge(config.judge)
    device = group.device(config.device)
    if device.startswith('cuda'):
        torch.cuda.set_device(device)
    model = load_model(
        config.model,
        device=device,
        dtype=config.dtype,
        lora=config.lora or None,
        size_condition=config.size_condition,
        compile=config.compile,
    )
    ddim_schedule(model.scheduler, config.steps)
    for tokenizer in model.tokenizers:
        for word in config.word:
            word_positions(tokenizer, config.prompt(word), word)
            align_tokens(tokenizer, config.source_prompt, config.prompt(word))
    editor = Editor(config, model, manifest, judge)
    manifest.refuse_other_parameters(config.image_parameters(), editor.identity, config.mode)
    return editor


def tidy(config: AugmentConfig, data: Dataset, plan: Plan, manifest: Manifest) -> None:
    """Remove half-written files and edits that are out of date; write rows of images with nothing to edit."""
    for path in temporaries(config.out_dir()):
        path.unlink(missing_ok=True)
    InversionCache(config.cache_dir()).clean()
    if stale := manifest.drop_stale(data, plan.plantings()):
        log.warning(
            '%d edits are removed and made again where possible: their source or label has changed, such as %s',
            len(stale),
            stale[0],
        )
    for sample in plan.empty:
        for word in config.words:
            row = empty_row(config, sample, word)
            if manifest.rows.get(row.file) != row:
                manifest.add(row)
