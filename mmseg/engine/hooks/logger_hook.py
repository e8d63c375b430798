"""mmengine's logger hook, with atomic writes."""

from pathlib import Path

import mmengine
from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as _LoggerHook
from mmengine.runner import Runner

from mmseg.registry import HOOKS
from mmseg.utils.files import write_atomically


@HOOKS.register_module()
class LoggerHook(_LoggerHook):
    """mmengine's hook; the first process writes the metrics of a test, and atomically.

    Args: those of mmengine's hook.
    """

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log the metrics and write them to ``<time>.json`` in the folder of the log."""
        scalars, text = runner.log_processor.get_log_after_epoch(
            runner, len(runner.test_dataloader), 'test', with_non_scalar=True
        )
        runner.logger.info(text)
        if is_main_process():
            content = mmengine.dump(self._process_tags(scalars), file_format='json')
            write_atomically(Path(runner.log_dir, self.json_log_path), content)
