"""``wta-seg relabel``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wtaseg.cli import stoppable
from wtaseg.relabel.options import PROPOSAL_DEFAULTS, ProposalOptions


def command(
    root: Path,
    /,
    *,
    out: Path | None = None,
    model: str | None = None,
    device: str | None = None,
    options: ProposalOptions = PROPOSAL_DEFAULTS,
    sheet: Annotated[int, Parameter(validator=Number(gte=0))] = 12,
) -> int:
    """Propose labels for the edits of an augmented dataset, from what each edit changed.

    Example: ``wta-seg relabel data/wta_512_aug_peeling``

    Pixels whose defect vanished become normal, changed pixels that join a defect become part of it; classes stay. The label
    beside each edit is replaced and marked as proposed in manifest.jsonl; labels that are drawn or reviewed stay. Run again,
    it continues where it was; with other parameters, it proposes again. Then: wta-seg review.

    Parameters
    ----------
    root
        dataset of wta-seg augment
    out
        relabel a copy of the dataset in this folder, for example to compare both in a study
    model
        segmenter trained on the originals, whose probabilities count too: a checkpoint, the folder of a training, an
        exported model (.onnx), or the word demo [default: none]
    device
        of the segmenter: cpu, cuda or cuda:1 [default: a GPU if there is one]
    sheet
        edits on the contact sheet review/proposals.png; 0: none
    """
    from wtaseg.relabel.command import copy_dataset, relabel

    with stoppable():
        segmenter = None
        if model is not None:
            from wtaseg.relabel.segmenter import Segmenter

            segmenter = Segmenter(model, device)
        if out is not None:
            root = copy_dataset(root, out)
        summary = relabel(root, options, segmenter, sheet)
    print(summary)
    return 0
