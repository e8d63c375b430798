"""One candidate of the batch job: train, pick the best checkpoint, test, each stage once.

What is done is read from ``<project>/job/<dir>/<model>/state.json`` and from the files themselves, so that a
run that was killed at any point can be taken up again:

======================================  ==============================================================
found                                   what happens
======================================  ==============================================================
nothing                                 train, pick, test
training begun, not ended               ``--resume`` from the last checkpoint, test
training ended, no metrics of a test    test
both ended                              skipped
settings of the training have changed   refused, unless ``--restart`` (or no checkpoint was made with the old)
settings of the test have changed       test
======================================  ==============================================================
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from wtaseg.io import write
from wtaseg.report.overlays import write_pairs
from wtaseg.runs import settings
from wtaseg.runs.processes import reason, run_logged
from wtaseg.runs.records import read_run


class CandidateError(Exception):
    """A candidate cannot be trained or tested; the message says why, ``log`` is where to read on."""

    def __init__(self, message: str, log: Path | None = None):
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Job:
    """What all candidates of a batch job share; every path is absolute."""

    root: Path
    project_dir: Path
    config_root: Path
    find_best: Path
    gpus: int = 1
    options: tuple[str, ...] = ()
    train_flags: tuple[str, ...] = ()
    test_flags: tuple[str, ...] = ()
    restart: bool = False


@dataclass(frozen=True)
class Candidate:
    """A config below the config root, the name of its results, and options of its own."""

    config: str
    name: str
    options: tuple[str, ...] = ()


@dataclass
class Run:
    """The stages of one candidate, on the tree ``exp/<name>/{train,test}``."""

    job: Job
    candidate: Candidate
    state: dict = field(default_factory=dict)
    lock: int = -1

    def __post_init__(self):
        self.config_file = self.job.config_root / f'{self.candidate.config}.py'
        self.exp_dir = self.job.project_dir / 'exp' / self.candidate.name
        self.train_dir = self.exp_dir / 'train'
        self.test_dir = self.exp_dir / 'test'
        self.job_dir = self.job.project_dir / 'job' / self.candidate.name
        self.train_log = self.job_dir / 'train_log.txt'
        self.test_log = self.test_dir / 'test_log.txt'
        self.options = (*self.job.options, *self.candidate.options)

    def run(self) -> str:
        """Do what is left to do.

        Returns:
            ``'done'``, or ``'skipped'`` where nothing was left.

        Raises:
            CandidateError: a stage failed, or the settings have changed.
        """
        config = settings.load_config(self.config_file, self.options)
        now = settings.describe(config, self.job.train_flags, self.job.test_flags)
        with self._locked():
            self.state = self._read_state()
            self._accept(now)
            if self._trained() and self._tested(now):
                if self.state.get('error'):
                    self._save(error=None)
                return 'skipped'
            self._save(config=self.candidate.config, error=None)
            if not self._trained():
                self._train(config, now)
            self._test(now)
        return 'done'

    @contextlib.contextmanager
    def _locked(self):
        """Keep a second job off this candidate, even when this one is killed and its training lives on."""
        self.job_dir.mkdir(parents=True, exist_ok=True)
        self.lock = os.open(self.job_dir / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CandidateError('another job is at work on it; let it end, or end it, first') from None
            yield
        finally:
            os.close(self.lock)

    def _read_state(self) -> dict:
        path = self.job_dir / 'state.json'
        if not path.is_file():
            return {}
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except json.JSONDecodeError as error:
            raise CandidateError(
                f'{path} is not JSON ({error}); delete it and give --restart to train anew'
            ) from error

    def _save(self, **changed) -> None:
        self.state.update(changed)
        write(self.job_dir / 'state.json', json.dumps(self.state, indent=1))

    def fail(self, message: str) -> None:
        """Write down why the candidate failed; its stages stay as they are."""
        if self.state:
            self._save(error=message)

    def _accept(self, now: dict) -> None:
        """Refuse results that belong to other settings, or set them aside where ``--restart`` says so."""
        begun = self.state.get('checkpoint') or next(self.train_dir.glob('ckpt/*.pth'), None)
        if not begun:
            self.state = {}
            return
        before = self.state.get('settings')
        if before is None:
            problem = 'it holds results that this job did not make'
        elif changed := settings.changes(before['train'], now['train']):
            shown = '; '.join(changed[:5]) + (f'; and {len(changed) - 5} more' if len(changed) > 5 else '')
            problem = f'its settings have changed since it was trained: {shown}'
        else:
            return
        if not self.job.restart:
            raise CandidateError(
                f'{problem}. Give --restart to set {self.exp_dir} aside and train anew, '
                'or another project name to keep both'
            )
        aside = self.job.project_dir / 'replaced' / f'{self.candidate.name}-{time.strftime("%Y%m%d_%H%M%S")}'
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.exp_dir, aside)
        print(f'  {problem}; the old results are now in {aside}', flush=True)
        self.state = {}

    def _trained(self) -> bool:
        return bool(self.state.get('checkpoint'))

    def _tested(self, now: dict) -> bool:
        metrics = self.state.get('metrics')
        if not metrics or not (self.exp_dir / metrics).is_file():
            return False
        changed = settings.changes(self.state['settings']['test'], now['test'])
        if changed:
            print(f'  settings of the test have changed, testing again: {"; ".join(changed[:5])}', flush=True)
        return not changed

    def _train(self, config, now: dict) -> None:
        """Train to the end, from the last checkpoint where there is one, and pick the best."""
        options, notes, keep = settings.checkpoint_options(config, '--smoke' in self.job.train_flags)
        for note in notes:
            print(f'  note: {note}', flush=True)
        self._save(settings=now)
        arguments = [str(self.config_file), '--work-dir', str(self.train_dir), *self.job.train_flags]
        if self._last_checkpoint() is not None:
            arguments.append('--resume')
        print(f'  {"resuming the training" if "--resume" in arguments else "training"}', flush=True)
        self._launch('train', arguments, [*self.options, *options], self.train_log)
        best = self._pick()
        self._tidy(best, keep)
        self._save(checkpoint=str(best.relative_to(self.exp_dir)))

    def _last_checkpoint(self) -> Path | None:
        """The checkpoint to resume from, with the note in which mmengine looks for it put right.

        mmengine notes an absolute path, which is wrong once a project has been moved, and a run that was killed
        while saving leaves half a file.
        """
        whole = [path for path in self.train_dir.glob('ckpt/*_*.pth') if zipfile.is_zipfile(path)]
        numbered = [path for path in whole if path.stem.startswith(('iter_', 'epoch_'))]
        note = self.train_dir / 'last_checkpoint'
        noted = note.read_text(encoding='utf-8').strip() if note.is_file() else ''
        if noted and Path(noted) in numbered:
            return Path(noted)
        last = max(numbered, key=lambda path: int(path.stem.rpartition('_')[2]), default=None)
        if last is not None:
            note.write_text(str(last), encoding='utf-8')
        else:
            note.unlink(missing_ok=True)
        return last

    def _pick(self) -> Path:
        """The checkpoint of the best validation, over all logs of this training."""
        logs = sorted(
            path for path in self.train_dir.glob('*/vis_data/*.json') if path.stem == path.parents[1].name
        )
        command = [sys.executable, str(self.job.find_best), '--json_log_path', *map(str, logs)]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode or not logs:
            raise CandidateError(
                f'no best checkpoint: {found.stderr.strip().splitlines()[-1] if logs else "no log was written"}',
                self.train_log,
            )
        step = found.stdout.strip()
        best = [path for kind in ('iter', 'epoch') for path in self.train_dir.glob(f'ckpt/{kind}_{step}.pth')]
        if not best:
            raise CandidateError(
                f'the best validation is at step {step}, but {self.train_dir}/ckpt has no checkpoint of it; '
                'give --restart to train anew',
                self.train_log,
            )
        print(f'  best checkpoint: {best[0].relative_to(self.exp_dir)}', flush=True)
        return best[0]

    def _tidy(self, best: Path, keep: int) -> None:
        """Keep the best and the ``keep`` last checkpoints, all in ``train/ckpt``."""
        for path in self.train_dir.glob('best_*.pth'):
            # the folder in the file name template became part of the name that save_best gives
            path.replace(best.parent / path.name.replace('_ckpt_', '_'))
        saved = sorted(
            (path for path in best.parent.glob('*.pth') if path.stem.startswith(('iter_', 'epoch_'))),
            key=lambda path: int(path.stem.rpartition('_')[2]),
        )
        for path in saved[:-keep] if keep > 0 else []:
            if path != best:
                path.unlink()

    def _test(self, now: dict) -> None:
        """Test the best checkpoint; the log with the table, the metrics and a picture of each image stay."""
        checkpoint = self.exp_dir / self.state['checkpoint']
        if not checkpoint.is_file():
            raise CandidateError(f'{checkpoint} is gone, and with it what was trained; give --restart')
        print(f'  testing {self.state["checkpoint"]}', flush=True)
        self._save(metrics=None)
        before = set(self.test_dir.glob('*/*.json'))
        arguments = [str(self.config_file), str(checkpoint), '--work-dir', str(self.test_dir)]
        arguments += ['--out', str(self.test_dir / 'pred')]
        self._launch('test', [*arguments, *self.job.test_flags], self.options, self.test_log)
        written = sorted(set(self.test_dir.glob('*/*.json')) - before)
        if not written:
            raise CandidateError('the test ended, but wrote no metrics', self.test_log)
        state = self.state['settings'] | {'test': now['test']}
        self._draw()
        self._save(metrics=str(written[-1].relative_to(self.exp_dir)), settings=state)

    def _draw(self) -> None:
        """A picture of each test image; a dataset of another layout has results without them."""
        try:
            count = write_pairs(read_run(self.exp_dir, self.candidate.name), self.job.root)
        except (OSError, ValueError) as error:
            print(f'  no pictures of the test images: {error}', flush=True)
        else:
            print(f'  {count} pictures in {self.test_dir}: ground truth left, prediction right', flush=True)

    def _launch(self, tool: str, arguments: list[str], options: list[str], log: Path) -> None:
        """Run ``tools/<tool>.py``, through torchrun where there is more than one GPU."""
        if self.job.gpus > 1:
            # the shell script takes the count after the positional arguments: config, and checkpoint for a test
            place = 1 if tool == 'train' else 2
            script = str(self.job.root / 'tools' / f'dist_{tool}.sh')
            command = ['bash', script, *arguments[:place], str(self.job.gpus), *arguments[place:]]
        else:
            command = [sys.executable, str(self.job.root / 'tools' / f'{tool}.py'), *arguments]
        if options:
            command += ['--cfg-options', *options]
        # this interpreter in dist_*.sh too, and this project's mmseg, installed or not
        search = os.pathsep.join(filter(None, [str(self.job.root), os.environ.get('PYTHONPATH')]))
        env = os.environ | {'PYTHON': sys.executable, 'PYTHONPATH': search}
        status = run_logged(command, log, self.job.root, env, keep_open=[self.lock])
        if status:
            raise CandidateError(f'{tool}: {reason(status, log)}', log)
