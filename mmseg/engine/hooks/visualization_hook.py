"""Draw predictions during validation and test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.fileio import get
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from mmseg.visualization.display import decode_for_display


@HOOKS.register_module()
class SegVisualizationHook(Hook):
    """Draw ground truth and prediction side by side, on the image, through the runner's visualizer.

    Args:
        draw: whether to draw at all.
        interval: draw every n-th batch.
        show: also open a window.
        wait_time: seconds each window stays open; 0 waits for a key.
        backend_args: of mmengine's storage backend that images are read with.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        backend_args: dict | None = None,
    ) -> None:
        if interval < 1:
            raise ValueError(f'SegVisualizationHook: interval={interval}; expected at least 1')
        if show and not draw:
            raise ValueError(
                'SegVisualizationHook: show=True has no effect with draw=False; set draw=True as well'
            )
        self.draw = draw
        self.interval = interval
        self.show = show
        self.wait_time = wait_time
        self.backend_args = backend_args.copy() if backend_args else None

    def _after_iter(
        self,
        runner,
        batch_idx: int,
        data_batch: Any,
        outputs: Sequence[SegDataSample],
        mode: str = 'val',
    ) -> None:
        if not self.draw or mode == 'train' or not self.every_n_inner_iters(batch_idx, self.interval):
            return
        # runner.iter would build the training loop and with it the training dataset, also in a test
        loop = runner._train_loop
        step = loop.iter if isinstance(loop, BaseLoop) else 0
        for output in outputs:
            content = get(output.img_path, backend_args=self.backend_args)
            image = decode_for_display(content, output.img_path)
            runner.visualizer.add_datasample(
                f'{mode}_{Path(output.img_path).name}',
                image,
                data_sample=output,
                show=self.show,
                wait_time=self.wait_time,
                step=step,
            )
