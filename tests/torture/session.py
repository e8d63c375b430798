"""All trials of all programs, and their table."""

import os
import pickle
import platform
import subprocess
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from torture.full_disk import DiskFiller, can_mount
from torture.kills import KINDS, Killer, Trial
from torture.material import ROOT, Material
from torture.processes import adopt_orphans
from torture.programs import PROGRAMS
from wtaseg.markdown import table_lines

UNCLEAR = 'unclear message'


@dataclass
class Trials:
    """The trials of one program: kills, full disks, and how disks were filled."""

    killed: list[Trial]
    filled: list[Trial] = field(default_factory=list)
    disk: str = ''


@dataclass
class Session:
    """Trials of some programs.

    Attributes:
        folder: for everything that is written.
        names: of the programs.
        seed: of all choices.
        killed, filled: the trials so far.
        corpus: cases of bad input that were tried, and those that failed by kind.
        disk: how disks were filled.
    """

    folder: Path
    names: list[str]
    seed: int
    killed: list[Trial] = field(default_factory=list)
    filled: list[Trial] = field(default_factory=list)
    corpus: tuple[int, dict[str, int]] | None = None
    disk: str = ''

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.material = Material(self.folder / 'material')
        self.material.folder.mkdir(exist_ok=True)
        self.material.environment()
        for what in dict.fromkeys(need for name in self.names for need in PROGRAMS[name].needs):
            self.material.make(what)

    def run(self, kills: int, disks: bool, jobs: int) -> None:
        """Kill the programs so many times, each its share, and fill their disks; ``jobs`` programs side by side.

        Raises:
            RuntimeError: a program fails though nothing is done to it.
        """
        counts = self.shares(kills)
        # the slowest first
        waiting = sorted(self.names, key=lambda name: -PROGRAMS[name].cost * counts[name])
        running: dict[int, str] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop(0)
                running[self._start(name, counts[name], disks)] = name
            pid, status = os.waitpid(-1, 0)
            name = running.pop(pid, None)
            if name is not None and status:
                raise RuntimeError(f'{name}: the trials failed, see above')
        for name in self.names:
            result = pickle.loads(self._result(name).read_bytes())
            self.killed += result.killed
            self.filled += result.filled
            self.disk = result.disk

    def shares(self, kills: int) -> dict[str, int]:
        """How often each program is killed."""
        left, shares, counts = kills, sum(PROGRAMS[name].share for name in self.names), {}
        for name in self.names:
            share = PROGRAMS[name].share
            counts[name] = round(left * share / shares)
            left, shares = left - counts[name], shares - share
        return counts

    def _result(self, name: str) -> Path:
        return self.folder / f'{name}.pickle'

    def _start(self, name: str, kills: int, disks: bool) -> int:
        """Run the trials of one program in a process of their own; returns its id."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.setsid()
            adopt_orphans()
            self._result(name).write_bytes(pickle.dumps(self._trials(name, kills, disks)))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _trials(self, name: str, kills: int, disks: bool) -> 'Trials':
        killer = Killer(name, PROGRAMS[name], self.material, self.folder, self.seed)
        reference = killer.reference()
        ended = reference.ended
        _progress(f'{name}: {ended.seconds:.1f} s, {ended.operations} changes to files when left alone')
        killed = [_shown(trial) for trial in killer.trials(reference, kills)]
        if not disks:
            return Trials(killed)
        mounts = can_mount()
        disk = (
            'small tmpfs' if mounts else 'ENOSPC from the n-th opened file on; mounting is not allowed here'
        )
        return Trials(killed, [_shown(trial) for trial in DiskFiller(killer, mounts).trials(reference)], disk)

    def feed_bad_input(self) -> None:
        """Run the corpus of bad input, in a process of its own."""
        report = self.folder / 'bad_input.xml'
        command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests/bad_input']
        subprocess.run([*command, f'--junitxml={report}'], cwd=ROOT, stdout=subprocess.DEVNULL)
        cases = list(ElementTree.parse(report).iter('testcase'))
        problems = [problem for case in cases for kind in ('failure', 'error') for problem in case.iter(kind)]
        counts = dict.fromkeys((*KINDS, UNCLEAR), 0)
        for problem in problems:
            text = problem.get('message', '') + (problem.text or '')
            kind = (
                'silent wrong' if 'silent wrong' in text else 'traceback' if 'Traceback' in text else UNCLEAR
            )
            counts[kind] += 1
        self.corpus = len(cases), counts
        _progress(f'bad input: {len(cases)} cases, {len(problems)} problems')

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        wrong = any(trial.problems for trial in (*self.killed, *self.filled))
        return wrong or (self.corpus is not None and any(self.corpus[1].values()))

    def report(self, seconds: float, argv: list[str]) -> str:
        """The table as Markdown."""
        kinds = (*KINDS, UNCLEAR)
        rows = []
        total = dict.fromkeys(('tried', *kinds), 0)

        def row(name: str, tried: int, counts: dict[str, int]) -> None:
            for kind, value in {'tried': tried, **counts}.items():
                total[kind] += value
            rows.append([name, str(tried), *(str(counts[kind]) for kind in kinds)])

        for text, trials in (('killed', self.killed), ('on a full disk', self.filled)):
            for name in self.names:
                of_name = [trial for trial in trials if trial.program == name]
                tried = sum(len(trial.kills) for trial in of_name) if trials is self.killed else len(of_name)
                if of_name:
                    row(f'{name}, {text}', tried, {k: sum(k in t.kinds for t in of_name) for k in kinds})
        if self.corpus is not None:
            row('bad input', *self.corpus)
        row('**all**', total['tried'], {kind: total[kind] for kind in kinds})
        lines = table_lines(['what', 'tried', *kinds], rows)
        return '\n'.join([*lines, '', *self._circumstances(seconds, argv), ''])

    def _circumstances(self, seconds: float, argv: list[str]) -> list[str]:
        git = ['git', '-C', str(ROOT), 'describe', '--always', '--dirty', '--abbrev=10']
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or 'unknown'
        signals = [kill.number.name for trial in self.killed for kill in trial.kills]
        counts = ', '.join(f'{signals.count(name)} {name}' for name in dict.fromkeys(sorted(signals)))
        lines = [
            f'Command: `python -m torture {" ".join(argv)}`, commit {commit}, seed {self.seed}, {seconds / 60:.0f} min '
            f'on {os.cpu_count()} cores ({platform.system()}, Python {platform.python_version()}).'
        ]
        if signals:
            lines.append(f'Signals: {counts}, in {len(self.killed)} runs.')
        if self.disk:
            lines.append(f'Full disks: {self.disk}.')
        return lines


def _shown(trial: Trial) -> Trial:
    """Print how a trial ended."""
    lines = [f'{trial}: {", ".join(sorted(trial.kinds)) or "as it should be"}']
    _progress('\n'.join([*lines, *(f'    {kind}: {text}' for kind, text in trial.problems)]))
    return trial


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
