"""Exported models: files of fewer bits, what these cost in accuracy, and how fast they are."""

from wtaseg.deploy.export import ExportOptions, export_model

__all__ = ['ExportOptions', 'export_model']
