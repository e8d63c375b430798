"""Head of PIDNet. Xu et al., PIDNet: A Real-time Semantic Segmentation Network, CVPR 2023, sections 3.3 and 3.4."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg.registry import MODELS

from ..losses import accuracy
from ..utils.edges import label_edges
from ..utils.targets import GroundTruth, stack_edges, stack_gt
from ..utils.wrappers import resize
from .decode_head import BaseDecodeHead

#: Probability of an edge above which a pixel counts in the boundary-aware loss.
BOUNDARY_THRESHOLD = 0.8
#: Losses of the detail branch, the fused branches, the boundaries, and the fused branches near boundaries.
NUM_LOSSES = 4


class BasePIDHead(BaseModule):
    """Norm, activation and a 3 x 3 convolution, twice but for the second convolution."""

    def __init__(self, in_channels: int, channels: int, norm_cfg: dict | None, act_cfg: dict | None) -> None:
        super().__init__()
        self.conv = ConvModule(
            in_channels,
            channels,
            3,
            padding=1,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            order=('norm', 'act', 'conv'),
        )
        self.norm = build_norm_layer(norm_cfg, channels)[1]
        self.act = build_activation_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h, w)."""
        return self.act(self.norm(self.conv(x)))


@MODELS.register_module()
class PIDHead(BaseDecodeHead):
    """A classifier for the fused branches of PIDNet and, in training, one for details and one for boundaries.

    The edges are those of the transform ``GenerateEdge`` where the pipeline has it, else computed from the labels.

    Args:
        in_channels: of the fused branches; the other two have half of them.
        channels: before the classifiers of the classes.
        num_classes: number of classes.
        norm_cfg, act_cfg: of the convolutions.
        branch_weights: the classes have the loss, or the sum of losses, of ``loss_decode`` in the detail branch, in
            the fused branches and, near boundaries, again in these; the factors of the first, of the boundary loss
            and of the last. None: ``loss_decode`` is a list of four: of details, fused branches, boundaries, and fused
            branches near boundaries.
        edge_width: of the edges in pixels, where they are computed.
        kwargs: of :class:`BaseDecodeHead`.

    Raises:
        ValueError: there are not four losses, without ``branch_weights``; or these are not three.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        branch_weights: Sequence[float] | None = None,
        edge_width: int = 4,
        **kwargs,
    ) -> None:
        super().__init__(
            in_channels, channels, num_classes=num_classes, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs
        )
        self._set_losses(branch_weights)
        self.edge_width = edge_width
        half, quarter = in_channels // 2, in_channels // 4
        self.i_head = BasePIDHead(in_channels, channels, norm_cfg, act_cfg)
        self.p_head = BasePIDHead(half, channels, norm_cfg, act_cfg)
        self.d_head = BasePIDHead(half, quarter, norm_cfg, act_cfg)
        self.p_cls_seg = nn.Conv2d(channels, self.out_channels, kernel_size=1)
        self.d_cls_seg = nn.Conv2d(quarter, 1, kernel_size=1)

    def _set_losses(self, branch_weights: Sequence[float] | None) -> None:
        self.loss_boundary = None
        if branch_weights is None:
            if len(self.losses) != NUM_LOSSES:
                raise ValueError(
                    'PIDHead: loss_decode is a list of four, of details, fused branches, boundaries, and fused branches '
                    'near boundaries; one for the classes needs branch_weights, such as (0.4, 20.0, 1.0)'
                )
        elif len(branch_weights) != NUM_LOSSES - 1:
            raise ValueError(
                f'PIDHead: branch_weights={branch_weights}, expected the factors of three losses: of details, '
                'boundaries and the fused branches near boundaries'
            )
        else:
            self.loss_boundary = MODELS.build(dict(type='BoundaryLoss', loss_weight=branch_weights[1]))
        self.branch_weights = branch_weights

    def _logits(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        detail, fused, boundary = inputs
        return (
            self.p_cls_seg(self.p_head(detail)),
            self.cls_seg(self.i_head(fused)),
            self.d_cls_seg(self.d_head(boundary)),
        )

    def forward(self, inputs: Sequence[Tensor] | Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Logits (N, out_channels, h, w) of the fused branches.

        In training those of details, fused branches and boundaries, the last of shape (N, 1, h, w).
        """
        if self.training:
            return self._logits(inputs)
        return self.cls_seg(self.i_head(inputs if isinstance(inputs, Tensor) else inputs[1]))

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: GroundTruth, train_cfg: dict
    ) -> dict[str, Tensor]:
        """Losses of the backbone's three outputs, in evaluation mode too; see :meth:`loss_by_feat`."""
        return self.loss_by_feat(self._logits(inputs), batch_data_samples)

    def loss_by_feat(
        self, seg_logits: tuple[Tensor, Tensor, Tensor], batch_data_samples: GroundTruth
    ) -> dict[str, Tensor]:
        """``loss_sem_p``, ``loss_sem_i``, ``loss_bd``, ``loss_sem_bd`` and ``acc_seg`` of the three branches.

        The last loss is that of the fused branches for the pixels that the boundary branch takes for an edge.
        """
        gt = stack_gt(batch_data_samples)
        edges = stack_edges(batch_data_samples)
        if edges is None:
            edges = label_edges(gt, self.edge_width, self.ignore_index)
        detail, fused, boundary = (
            resize(logits, gt.shape[1:], mode='bilinear', align_corners=self.align_corners)
            for logits in seg_logits
        )
        on_edge = torch.sigmoid(boundary[:, 0]) > BOUNDARY_THRESHOLD
        near = torch.where(on_edge, gt, torch.full_like(gt, self.ignore_index))
        losses = self.losses
        if self.branch_weights is None:
            of_detail, of_fused, (of_boundary,), of_near = ([loss] for loss in losses)
            weights = (1.0, 1.0)
        else:
            of_detail = of_fused = of_near = losses
            of_boundary = self.loss_boundary
            weights = (self.branch_weights[0], self.branch_weights[2])
        return dict(
            loss_sem_p=self.sum_of_losses(of_detail, detail, gt) * weights[0],
            loss_sem_i=self.sum_of_losses(of_fused, fused, gt),
            loss_bd=of_boundary(boundary, edges),
            loss_sem_bd=self.sum_of_losses(of_near, fused, near) * weights[1],
            acc_seg=accuracy(fused, gt, ignore_index=self.ignore_index),
        )
