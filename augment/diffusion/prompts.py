"""Which tokens of two prompts belong together, and which tokens a word has.

In prompt-to-prompt refinement (Hertz et al. 2023, section 3.2 and its published code) the words that the new prompt
shares with the old one keep their attention. Shared words come from a global alignment of the token sequences
(Needleman & Wunsch 1970).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

GAP, MATCH, MISMATCH = 0, 1, -1  # scores of the published code
WORD_END = '</w>'  # ends the last token of a word in CLIP's vocabulary


@dataclass(frozen=True)
class Alignment:
    """Counterparts of the target's tokens, over the tokenizer's full length.

    Attributes:
        source: ``(77,)`` int64, for each target position the source position whose attention it takes over.
        shared: ``(77,)`` float32, 1 where there is such a counterpart and 0 at new tokens.
    """

    source: Tensor
    shared: Tensor


def align_ids(source: list[int], target: list[int]) -> list[int]:
    """For each target token the index of its source token, or -1 where it is new.

    Of several best alignments the published code's is taken: read from the end, a token that is new in the
    target comes before one that is dropped from the source, and that before a pair.
    """
    rows, columns = len(source) + 1, len(target) + 1
    score = [[GAP * (i + j) for j in range(columns)] for i in range(rows)]
    for i in range(1, rows):
        for j in range(1, columns):
            pair = MATCH if source[i - 1] == target[j - 1] else MISMATCH
            score[i][j] = max(score[i][j - 1] + GAP, score[i - 1][j] + GAP, score[i - 1][j - 1] + pair)
    counterpart = [-1] * len(target)
    i, j = len(source), len(target)
    while j > 0:
        if i == 0 or score[i][j] == score[i][j - 1] + GAP:
            j -= 1
        elif score[i][j] == score[i - 1][j] + GAP:
            i -= 1
        else:
            i, j = i - 1, j - 1
            counterpart[j] = i
    return counterpart


def align_tokens(tokenizer: Any, source: str, target: str) -> Alignment:
    """Align two prompts as the text encoders see them, with start and end tokens; padding maps to itself."""
    source_ids, target_ids = tokenizer(source).input_ids, tokenizer(target).input_ids
    length = tokenizer.model_max_length
    if max(len(source_ids), len(target_ids)) > length:
        raise ValueError(f'prompts {source!r} and {target!r}: one has over {length} tokens; shorten it')
    counterpart = align_ids(source_ids, target_ids) + list(range(len(target_ids), length))
    positions = torch.tensor(counterpart)
    return Alignment(positions.clamp(min=0), (positions >= 0).float())


def word_positions(tokenizer: Any, prompt: str, word: str) -> list[int]:
    """Positions of every occurrence of ``word`` in the prompt's tokens, the start token being position 0.

    A word may be several tokens and may be several words ('deep scratch'); parts of longer words don't count.

    Raises:
        ValueError: The word is empty or the prompt doesn't have it.
    """
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(prompt).input_ids)
    wanted = tokenizer.convert_ids_to_tokens(tokenizer(word).input_ids[1:-1])
    positions: list[int] = []
    for start in range(1, len(tokens) - len(wanted)):
        begins_a_word = start == 1 or tokens[start - 1].endswith(WORD_END)
        if wanted and begins_a_word and tokens[start : start + len(wanted)] == wanted:
            positions += range(start, start + len(wanted))
    if not positions:
        raise ValueError(
            f'word {word!r} is not in the prompt {prompt!r}, whose tokens are {tokens[1:-1]}; '
            'use a word that is in the target prompt as a whole'
        )
    return positions
