"""Token alignment against worked examples, and finding a word."""

import pytest
import torch

from augment.diffusion.prompts import align_ids, align_tokens, word_positions

SOURCE = 'photo of a crack'


@pytest.fixture(scope='module')
def tokenizer(tiny_model):
    return tiny_model.tokenizers[0]


@pytest.mark.parametrize(
    ('source', 'target', 'expected'),
    [
        ('abcd', 'abcd', [0, 1, 2, 3]),
        ('abz', 'abxyz', [0, 1, -1, -1, 2]),  # insertion before the end
        ('abz', 'xabz', [-1, 0, 1, 2]),  # insertion at the start
        ('axz', 'ayz', [0, -1, 2]),  # replaced: two gaps (0) score more than a mismatch (-1)
        ('abcz', 'acz', [0, 2, 3]),  # dropped
        ('az', 'aaz', [0, -1, 1]),  # either a would do; the later one counts as new, as in the published code
        ('', 'ab', [-1, -1]),
    ],
)
def test_align_ids(source, target, expected):
    assert align_ids([ord(c) for c in source], [ord(c) for c in target]) == expected


def test_inserted_words_are_new_and_padding_maps_to_itself(tokenizer):
    # <start> photo of a crack with peeling <end>: 'with' and 'peeling' are at 5 and 6.
    alignment = align_tokens(tokenizer, SOURCE, SOURCE + ' with peeling')
    assert alignment.source[[0, 1, 2, 3, 4, 7]].tolist() == [0, 1, 2, 3, 4, 5]
    assert alignment.shared.tolist() == [1.0] * 5 + [0.0] * 2 + [1.0] * 70
    assert torch.equal(alignment.source[8:], torch.arange(8, 77))


def test_a_word_of_two_tokens_shifts_what_follows(tokenizer):
    # <start> photo of a blister ing crack <end>
    alignment = align_tokens(tokenizer, SOURCE, 'photo of a blistering crack')
    assert alignment.source[[3, 6, 7]].tolist() == [3, 4, 5]
    assert alignment.shared[:8].tolist() == [1, 1, 1, 1, 0, 0, 1, 1]
    assert word_positions(tokenizer, 'photo of a blistering crack', 'blistering') == [4, 5]


def test_equal_prompts_align_to_the_identity(tokenizer):
    alignment = align_tokens(tokenizer, SOURCE, SOURCE)
    assert torch.equal(alignment.source, torch.arange(77))
    assert alignment.shared.all()


def test_word_positions_counts_whole_words_only(tokenizer):
    assert word_positions(tokenizer, 'rust of a deep rust', 'rust') == [1, 5]
    assert word_positions(tokenizer, 'a deep scratch with rust', 'deep scratch') == [2, 3]
    assert word_positions(tokenizer, 'Photo of Rust', 'rust') == [3]
    with pytest.raises(ValueError, match='crust'):  # c r ust ends in a token that 'rust' has not
        word_positions(tokenizer, 'a crust', 'rust')
    with pytest.raises(ValueError, match='blister'):
        word_positions(tokenizer, 'a blistering', 'ing')


@pytest.mark.parametrize('word', ['peeling', '', ' '])
def test_word_that_is_absent_names_prompt_and_remedy(tokenizer, word):
    with pytest.raises(ValueError, match=f'{word}.*photo of a crack.*as a whole'):
        word_positions(tokenizer, SOURCE, word)


def test_too_long_prompt(tokenizer, tiny_model):
    with pytest.raises(ValueError, match='over 77 tokens'):
        align_tokens(tokenizer, SOURCE, 'crack ' * 80)
    with pytest.raises(ValueError, match='82 tokens, at most 77'):
        tiny_model.encode_prompt(['crack ' * 80])
