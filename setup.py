"""The build step that puts ``configs`` into the wheel; everything else is declared in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies ``configs`` to ``wtaseg/configs``, where an installation without a clone finds them by name."""

    def run(self) -> None:
        """Build, then copy; an editable installation reads ``configs`` of the clone."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'wtaseg/configs'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(
            Path(__file__).parent / 'configs', target, ignore=shutil.ignore_patterns('__pycache__')
        )


setup(cmdclass={'build_py': BuildWithConfigs})
