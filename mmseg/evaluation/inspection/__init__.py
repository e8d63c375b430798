"""Defects found and false alarms: what an inspector decides by. Definitions: docs/inspection.md."""

from .curve import Curve
from .operating_point import ClassPoint, Interval, OperatingPoint, read_operating_point

__all__ = ['ClassPoint', 'Curve', 'Interval', 'OperatingPoint', 'read_operating_point']
