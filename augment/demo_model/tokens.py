"""CLIP tokenizers over a small vocabulary: some words of one token each, every other word letter by letter."""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789,.-!'
START, END = '<|startoftext|>', '<|endoftext|>'
WORD_END = '</w>'  # ends the last token of a word
MAX_TOKENS = 77  # as in CLIP
PAD_TOKENS = (END, '!' + WORD_END)
"""Of SDXL's two tokenizers: the first fills up with the end token, the second with ``!``."""


def split_by(merges: Sequence[tuple[str, str]], text: str, end: str) -> list[str]:
    """The symbols that byte-pair encoding makes of ``text``, its last letter carrying ``end``."""
    rank = {pair: number for number, pair in enumerate(merges)}
    symbols = [*text[:-1], text[-1] + end]
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: rank.get(pair, len(rank)))
        if best not in rank:
            break
        at = next(i for i, pair in enumerate(pairwise(symbols)) if pair == best)
        symbols[at : at + 2] = [''.join(best)]
    return symbols


def vocabulary(
    words: Iterable[str], parts: Sequence[tuple[str, str]] = ()
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair vocabulary (token to id) and merges.

    Args:
        words: Become one token each.
        parts: Pairs ``(text, end)``: pieces of words that become a token, ``end`` being '' or WORD_END.
    """
    tokens = [*LETTERS, *(letter + WORD_END for letter in LETTERS)]
    merges: list[tuple[str, str]] = []
    for text, end in (*((word, WORD_END) for word in words), *parts):
        # What earlier words' merges leave of this one is joined from the left.
        symbols = split_by(merges, text, end)
        merges += [(''.join(symbols[:i]), symbols[i]) for i in range(1, len(symbols))]
    tokens += [START, END, *(left + right for left, right in merges)]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, merges


def write_tokenizer(
    directory: Path, pad_token: str, words: Iterable[str], parts: Sequence[tuple[str, str]] = ()
) -> CLIPTokenizer:
    """Write vocab.json and merges.txt to ``directory`` and load them as a CLIP tokenizer."""
    tokens, merges = vocabulary(words, parts)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / 'vocab.json').write_text(json.dumps(tokens))
    lines = ['#version: 0.2', *(' '.join(pair) for pair in merges)]
    (directory / 'merges.txt').write_text('\n'.join(lines) + '\n')
    return CLIPTokenizer.from_pretrained(directory, pad_token=pad_token, model_max_length=MAX_TOKENS)
