"""Tables, plots, overlays and pages."""
