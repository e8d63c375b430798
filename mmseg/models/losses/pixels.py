"""Logits, labels and weights of pixels in the form that the losses compute with."""

import torch
import torch.nn.functional as F


def as_float32(pred: torch.Tensor) -> torch.Tensor:
    """``pred`` in float32 if it is in half precision; float32 and float64 stay as they are.

    Products of probabilities and sums over a million pixels exceed the range of float16 and the eight bits of
    bfloat16, so every loss computes in float32 whatever the autocast dtype.
    """
    return pred if pred.dtype in (torch.float32, torch.float64) else pred.float()


def one_hot(target: torch.Tensor, num_classes: int, dtype: torch.dtype) -> torch.Tensor:
    """Label ids (N, ...) as (N, num_classes, ...); an id outside [0, num_classes) gives zeros in all classes."""
    ids = torch.arange(num_classes, device=target.device).view(1, -1, *[1] * (target.ndim - 1))
    return (target.unsqueeze(1) == ids).to(dtype)


def dense_weight(weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Weights per pixel, (N, H, W), (N, 1, H, W) or flat, in the shape of ``target`` and in float32.

    Raises:
        ValueError: if the number of weights is not the number of pixels.
    """
    if weight.numel() != target.numel():
        raise ValueError(
            f'weight of shape {tuple(weight.shape)} does not fit labels of shape {tuple(target.shape)}: '
            'give one weight per pixel'
        )
    return weight.reshape(target.shape).float()


def weights_of_labels(class_weight: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The class weight of each label, in the shape of ``target``; 0 where the label is no class."""
    known = (target >= 0) & (target < len(class_weight))
    return F.embedding(target.clamp(0, len(class_weight) - 1), class_weight.unsqueeze(1)).squeeze(-1) * known
