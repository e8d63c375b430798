"""The editing method: model, attention, inversion, null-text optimisation and guided sampling."""
