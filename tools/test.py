"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse

from mmseg.engine import build_runner
from mmseg.utils.launch import (
    add_common_arguments,
    draw_predictions,
    enable_tta,
    end_distributed_run,
    load_config,
    write_predictions,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Test a segmentor')
    parser.add_argument('config', help='config of the experiment')
    parser.add_argument('checkpoint', help='checkpoint to test')
    parser.add_argument('--out', help='folder to write predictions to, as PNGs of class ids')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='folder to write painted images to')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays open')
    parser.add_argument('--tta', action='store_true', help='average over flips and scales of each image')
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Build the runner that the command line describes, and test."""
    args = parse_args(argv)
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        draw_predictions(cfg, args.show, args.wait_time, args.show_dir)
    if args.tta:
        enable_tta(cfg)
    if args.out is not None:
        write_predictions(cfg, args.out)
    build_runner(cfg).test()
    end_distributed_run()


if __name__ == '__main__':
    main()
