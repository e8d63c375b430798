"""Runs the batch job for every candidate of a study, several side by side where asked for."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wtaseg.io import write
from wtaseg.runs.layout import ROOT

# how long a job that is told to end may take to end its training
GRACE = 40


@dataclass(frozen=True)
class Candidate:
    """A config of the study's folder and the name of one run of it."""

    config: str
    name: str
    options: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """As it stands in a candidates file of the batch job."""
        return shlex.join([self.config, '--as', self.name, *self.options])


@dataclass
class Batch:
    """How the batch job is called for each candidate.

    ``flags`` and ``cfg_options`` are passed on to it; ``devices`` are the values of CUDA_VISIBLE_DEVICES that
    jobs side by side take in turn, none where they see what this process sees.
    """

    project: str
    work_dir: Path
    config_root: Path
    gpus: int = 1
    jobs: int = 1
    flags: tuple[str, ...] = ()
    cfg_options: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    def job_dir(self, candidate: Candidate) -> Path:
        return self.work_dir / self.project / 'job' / candidate.name

    def command(self, candidate: Candidate) -> list[str]:
        """The batch job for this candidate alone; writes its candidates file."""
        file = self.work_dir / self.project / 'study/candidates' / f'{candidate.name}.txt'
        write(file, f'{candidate.line}\n')
        command = [sys.executable, str(ROOT / 'bash/run_candidates.py'), '--project', self.project]
        command += ['--gpus', str(self.gpus), '--candidates-file', str(file)]
        command += ['--config-root', str(self.config_root), '--work-dir', str(self.work_dir), *self.flags]
        return [*command, '--cfg-options', *self.cfg_options] if self.cfg_options else command

    def start(self, candidate: Candidate, slot: int) -> subprocess.Popen:
        """Start it; its output goes to the terminal, or to ``job.log`` where others run beside it."""
        env = os.environ.copy()
        if self.jobs > 1:
            # side by side, every job would take all cores for itself
            env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // self.jobs)))
        if self.devices:
            env['CUDA_VISIBLE_DEVICES'] = self.devices[slot % len(self.devices)]
        command = self.command(candidate)
        if self.jobs == 1:
            return subprocess.Popen(command, env=env, cwd=ROOT)
        log = self.job_dir(candidate) / 'job.log'
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('wb') as file:
            # a group of its own: Ctrl-C reaches this process alone, which then ends the jobs in order
            return subprocess.Popen(
                command, env=env, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, process_group=0
            )

    def note_time(self, candidate: Candidate, began: float) -> None:
        """Keep how long a job ran that began at ``began`` (of ``time.monotonic``) and has just ended."""
        self.seconds[candidate.name] = round(time.monotonic() - began, 1)

    def outcome(self, candidate: Candidate, status: int) -> str:
        """How a job ended, in a line."""
        seconds = f'{candidate.name} after {self.seconds[candidate.name]:.0f} s'
        return f'done {seconds}' if status == 0 else f'FAILED {seconds}: {self.job_dir(candidate)}/job.log'


def run_batch(
    batch: Batch,
    candidates: Sequence[Candidate],
    deadline: float | None = None,
    on_end: Callable[[Candidate], None] = lambda candidate: None,
) -> bool:
    """Run every candidate, ``batch.jobs`` at a time, in their order.

    At ``deadline`` (of ``time.monotonic``), and when interrupted, what still runs is ended; the same command
    takes it up again later. ``on_end`` is called after each candidate that ended by itself.

    Returns:
        Whether every candidate has had its turn.
    """
    waiting = deque(enumerate(candidates, start=1))
    slots = list(range(batch.jobs))[::-1]
    running: dict[subprocess.Popen, tuple[int, Candidate, int, float]] = {}
    ended: list[Candidate] = []
    try:
        while waiting or running:
            while waiting and slots:
                number, candidate = waiting.popleft()
                slot = slots.pop()
                print(f'[{number}/{len(candidates)}] {candidate.name}', flush=True)
                running[batch.start(candidate, slot)] = (number, candidate, slot, time.monotonic())
            # only now, with new jobs at work, is there time for what takes time
            for candidate in ended:
                on_end(candidate)
            if deadline is not None and time.monotonic() > deadline:
                print('The time is up; the same command goes on where this one ends.', flush=True)
                return False
            ended = []
            for job in [job for job in running if job.poll() is not None]:
                number, candidate, slot, began = running.pop(job)
                slots.append(slot)
                ended.append(candidate)
                batch.note_time(candidate, began)
                if batch.jobs > 1:
                    print(
                        f'[{number}/{len(candidates)}] {batch.outcome(candidate, job.returncode)}', flush=True
                    )
            if not ended:
                time.sleep(0.1)
        for candidate in ended:
            on_end(candidate)
        return True
    finally:
        end_jobs(list(running))
        for _, candidate, _, began in running.values():
            batch.note_time(candidate, began)


def end_jobs(jobs: Sequence[subprocess.Popen]) -> None:
    """Ask jobs to end with their trainings, and after a while make them."""
    for job in jobs:
        job.send_signal(signal.SIGTERM)
    until = time.monotonic() + GRACE
    for job in jobs:
        try:
            job.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()
