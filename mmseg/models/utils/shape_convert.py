"""Tokens (N, L, C) and maps (N, C, H, W)."""

from torch import Tensor, nn


def nlc_to_nchw(x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
    """Tokens (N, H * W, C) as a map (N, C, H, W).

    Raises:
        ValueError: the tokens are not (N, H * W, C).
    """
    height, width = hw_shape
    if x.ndim != 3 or x.shape[1] != height * width:
        raise ValueError(f'tokens of shape {tuple(x.shape)} are no map of {height} x {width}')
    return x.transpose(1, 2).reshape(len(x), x.shape[2], height, width)


def nchw_to_nlc(x: Tensor) -> Tensor:
    """A map (N, C, H, W) as tokens (N, H * W, C).

    Raises:
        ValueError: ``x`` has not four dimensions.
    """
    if x.ndim != 4:
        raise ValueError(f'a map is (N, C, H, W), got {tuple(x.shape)}')
    return x.flatten(2).transpose(1, 2).contiguous()


def nchw2nlc2nchw(module: nn.Module, x: Tensor, contiguous: bool = False, **kwargs) -> Tensor:
    """Apply a module of tokens to a map (N, C, H, W); ``kwargs`` are the module's."""
    size = x.shape[2:]
    tokens = x.flatten(2).transpose(1, 2)
    tokens = module(tokens.contiguous() if contiguous else tokens, **kwargs)
    x = tokens.transpose(1, 2).unflatten(2, size)
    return x.contiguous() if contiguous else x


def nlc2nchw2nlc(
    module: nn.Module, x: Tensor, hw_shape: tuple[int, int], contiguous: bool = False, **kwargs
) -> Tensor:
    """Apply a module of maps to tokens (N, H * W, C); ``kwargs`` are the module's."""
    x = nlc_to_nchw(x, hw_shape)
    x = module(x.contiguous() if contiguous else x, **kwargs).flatten(2).transpose(1, 2)
    return x.contiguous() if contiguous else x
