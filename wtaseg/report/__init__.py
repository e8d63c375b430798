"""Tables, plots, overlays and pages of results."""
