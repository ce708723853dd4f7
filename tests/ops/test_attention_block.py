"""The block that the package's own transformers share."""

import math

import torch

from videolit.ops.attention_block import AttentionBlock


def by_hand(block, sequence, seen):
    """Attend one head and one step at a time (Vaswani et al. 2017, equation 1)."""
    batch, steps, size = sequence.shape
    width = size // block.heads
    parts = block.queries_keys_values(block.norm(sequence))
    found = torch.zeros_like(sequence)
    for row in range(batch):
        for head in range(block.heads):
            here = slice(head * width, (head + 1) * width)
            queries, keys, values = (
                parts[row, :, n * size : (n + 1) * size][:, here] for n in range(3)
            )
            for step in range(steps):
                visible = seen[row, 0, step].nonzero()[:, 0]
                weights = (keys[visible] @ queries[step] / math.sqrt(width)).softmax(0)
                found[row, step, here] = weights @ values[visible]
    sequence = sequence + block.join(found)
    return sequence + block.each(sequence)


def test_it_is_attention_and_a_perceptron_added_to_what_went_in():
    torch.manual_seed(0)
    block = AttentionBlock(12, 3, 0.5).double().eval()
    sequence = torch.randn(2, 7, 12, dtype=torch.float64)
    seen = torch.rand(2, 1, 7, 7) < 0.5
    seen |= torch.eye(7, dtype=torch.bool)
    torch.testing.assert_close(block(sequence, seen), by_hand(block, sequence, seen))


def test_dropout_drops_both_parts_in_training_only():
    torch.manual_seed(0)
    block, seen = AttentionBlock(8, 2, 0.99), torch.ones(1, 1, 5, 5, dtype=torch.bool)
    sequence = torch.randn(1, 5, 8)
    unchanged = (block.train()(sequence, seen) == sequence).float().mean()
    assert unchanged > 0.8
    assert not (block.eval()(sequence, seen) == sequence).any()


def test_checkpoints_know_its_weights_by_these_names():
    expected = [
        *("norm.weight", "norm.bias", "queries_keys_values.weight", "queries_keys_values.bias"),
        *("join.weight", "join.bias", "each.0.weight", "each.0.bias"),
        *("each.1.weight", "each.1.bias", "each.3.weight", "each.3.bias"),
    ]
    assert list(AttentionBlock(8, 2, 0.0).state_dict()) == expected
