"""``python -m torture``: all trials, and the table of what they gave."""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from torture.processes import adopt_orphans


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog='python -m torture', description=__doc__)
    parser.add_argument('--kills', type=int, default=200, help='how often programs are killed, all together')
    parser.add_argument('--program', action='append', help='only this program; may be given several times')
    parser.add_argument('--seed', type=int, default=0, help='of all random choices')
    parser.add_argument('--out', type=Path, help='write the table to this Markdown file')
    parser.add_argument('--folder', type=Path, help='keep the runs with problems here')
    parser.add_argument('--jobs', type=int, default=1, help='programs under test side by side')
    parser.add_argument('--no-disk', action='store_true', help='leave out the full disks')
    parser.add_argument('--no-corpus', action='store_true', help='leave out the bad input')
    return parser.parse_args()


#: What the programs import, so that their processes need not.
MODULES = {
    'train': ('wtaseg.training',),
    'batch': ('wtaseg.report.overlays', 'wtaseg.runs.execute'),
    'study': ('wtaseg.studies.command',),
    'augment': ('diffusers', 'skimage.metrics', 'transformers', 'augment.pipeline'),
    'render': ('wtaseg.blades.render',),
    'convert': ('wtaseg.labels.convert',),
    'predict': ('wtaseg.predict.segmentor',),
    'new': ('wtaseg.new.new',),
}


def import_everything(names: list[str]) -> None:
    """Import what the programs import; the processes that are forked later find it."""
    import cv2

    import wtaseg.cli  # noqa: F401

    cv2.setNumThreads(0)
    for module in (module for name in names for module in MODULES[name]):
        importlib.import_module(module)
    if {'train', 'batch', 'study', 'predict'} & {*names}:
        import mmengine.config.config

        # yapf lays out the config of every run, which takes longer than its iterations
        mmengine.config.config.FormatCode = lambda text, **_: (text, True)


def main() -> int:
    """Run everything; returns 1 where something went wrong."""
    from torture.programs import PROGRAMS
    from torture.session import Session

    options = arguments()
    names = options.program or [*PROGRAMS]
    if unknown := {*names} - {*PROGRAMS}:
        sys.exit(f'--program {unknown.pop()}: expected one of {", ".join(PROGRAMS)}')
    os.environ |= {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    adopt_orphans()
    started = time.monotonic()
    import_everything(names)
    # no TemporaryDirectory: the processes under test, which are forks, would remove it at their exit
    folder = options.folder or Path(tempfile.mkdtemp(prefix='torture-'))
    try:
        session = Session(folder, names, options.seed)
        session.run(options.kills, not options.no_disk, options.jobs)
        if not options.no_corpus:
            session.feed_bad_input()
    finally:
        if options.folder is None:
            shutil.rmtree(folder)
    text = session.report(time.monotonic() - started, sys.argv[1:])
    print(text)
    if options.out:
        options.out.write_text(text, encoding='utf-8')
    return int(session.failed)


if __name__ == '__main__':
    sys.exit(main())
