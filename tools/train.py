"""Train a segmentor: ``python tools/train.py configs/<architecture>/<experiment>.py``."""

import argparse

from mmengine.device import get_device

from mmseg.engine import build_runner
from mmseg.utils.launch import add_common_arguments, enable_amp, end_distributed_run, load_config
from mmseg.utils.smoke import drop_pretrained, shrink


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Train a segmentor')
    parser.add_argument('config', nargs='?', help='config of the experiment')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='auto | CHECKPOINT',
        help="go on with the last whole checkpoint of the work folder ('auto', the default), or with this one",
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision: float16 on the GPU, bfloat16 on the CPU'
    )
    parser.add_argument('--smoke', action='store_true', help='a trial of four iterations with small images')
    parser.add_argument('--from-scratch', action='store_true', help='start without any pretrained weights')
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.config is None and str(args.resume).endswith('.py'):
        args.config, args.resume = args.resume, 'auto'  # train.py --resume CONFIG
    if args.config is None:
        parser.error('the config is missing')
    return args


def main(argv: list[str] | None = None) -> None:
    """Build the runner that the command line describes, and train."""
    args = parse_args(argv)
    cfg = load_config(args)
    if args.smoke:
        shrink(cfg)
    if args.from_scratch:
        drop_pretrained(cfg)
    if args.amp:
        enable_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    runner = build_runner(cfg)
    if get_device() == 'cpu':
        runner.logger.info('No CUDA device: training on the CPU.')
    runner.train()
    end_distributed_run()


if __name__ == '__main__':
    main()
