"""How a runner loads, resumes and saves checkpoints."""

from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop

from mmseg.models.utils.folding import prepare_for_inference
from mmseg.utils.checkpoint_reading import BrokenCheckpointError
from mmseg.utils.files import atomic_path

from .checkpoint_files import find_last_whole_checkpoint
from .checkpoint_loading import load_checkpoint_into, read_checkpoint
from .hooks.ema_hook import check_average
from .initial_weights import load_initial_weights


class RunnerCheckpoints:
    """Mixin of a mmengine runner: checkpoints are read without unpickling, written atomically, and checked."""

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool | None = None,
        revise_keys: list[tuple[str, str]] = [(r'^module\.', '')],
    ) -> dict:
        """mmengine's method without unpickling; see :func:`mmseg.engine.checkpoint_loading.load_checkpoint`.

        ``strict=None`` refuses a checkpoint that does not fit, unless the config has ``allow_partial=True``.
        """
        strict = not self.cfg.get('allow_partial', False) if strict is None else strict
        checkpoint = read_checkpoint(filename, map_location)
        if isinstance(checkpoint.get('meta'), dict):
            checkpoint['meta'].pop('config', None)  # mmengine's resume would execute this text
        if self._resume:
            check_average(self, checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        load_checkpoint_into(self.model, checkpoint, strict, revise_keys, filename)
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def resume(self, filename: str, *args, **kwargs) -> None:
        """mmengine's method.

        Raises:
            BrokenCheckpointError: the file holds weights, but not the state of a training.
        """
        self._resume = True
        try:
            super().resume(filename, *args, **kwargs)
        except KeyError as error:
            raise BrokenCheckpointError(
                f'{filename}: has no {error}, expected a checkpoint of a training, from which it can go on; '
                f"to start a training with its weights: --cfg-options load_from='{filename}'"
            ) from error

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        *args,
        backend_args: dict | None = None,
        **kwargs,
    ) -> None:
        """mmengine's method; the file appears atomically where ``out_dir`` is on the local disk."""
        if not is_main_process():
            return
        options = dict(backend_args=backend_args, **kwargs)
        if file_client_args or backend_args or '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, file_client_args, *args, **options)
            return
        with atomic_path(Path(out_dir, filename)) as temporary:
            # ``filename`` may contain a folder
            super().save_checkpoint(str(temporary.parent), temporary.name, file_client_args, *args, **options)

    def load_or_resume(self) -> None:
        """Load ``load_from``, or resume; without ``load_from`` from the last complete checkpoint of the run.

        A training that does not resume begins with the weights of ``init_from``.
        """
        from_start = (
            isinstance(self._train_loop, BaseLoop) and self._load_from is None and not self._has_loaded
        )
        if self._resume and self._load_from is None and not self._has_loaded:
            path = (
                [find_last_whole_checkpoint(self.work_dir, *self._checkpoint_folders())]
                if is_main_process()
                else [None]
            )
            broadcast_object_list(path)
            if path[0] is None:
                self.logger.warning(
                    f'resume: no complete checkpoint in {self.work_dir}; training starts from the beginning'
                )
            else:
                self.logger.info(f'resume: {path[0]}')
                self.resume(path[0])
                from_start = False
            self._has_loaded = True
        if from_start and self.cfg.get('init_from'):
            load_initial_weights(self, self.cfg.init_from)
            self._has_loaded = True
        super().load_or_resume()
        if getattr(self, 'only_tests', False):
            model = self.model.module if is_model_wrapper(self.model) else self.model
            prepare_for_inference((model.module if isinstance(model, BaseTTAModel) else model).eval())

    def _checkpoint_folders(self) -> list[Path]:
        # the hook appends the name of the work folder itself, but only when training begins
        name = Path(self.work_dir).name
        return [
            hook.folder(self.work_dir) if hasattr(hook, 'folder') else Path(hook.out_dir or '', name)
            for hook in self.hooks
            if isinstance(hook, CheckpointHook) and (hook.out_dir or hasattr(hook, 'folder'))
        ]
