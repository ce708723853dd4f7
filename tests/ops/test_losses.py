import pytest
import torch

from videolit.ops.losses import cross_entropy


@pytest.mark.parametrize("weighted", [False, True])
def test_hard_and_one_hot_labels_have_one_scale(weighted):
    torch.manual_seed(0)
    logits, label = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 3])
    weight = torch.tensor([0.1, 1.0, 2.0, 5.0]) if weighted else None
    soft = torch.nn.functional.one_hot(label, 4).float()
    expected = torch.nn.functional.cross_entropy(logits, label, weight=weight)
    torch.testing.assert_close(cross_entropy(logits, label, weight), expected)
    torch.testing.assert_close(cross_entropy(logits, soft, weight), expected)


def test_smoothing_spreads_soft_labels():
    logits = torch.randn(3, 4)
    soft = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1.0, 0], [0.2, 0.3, 0.1, 0.4]])
    expected = torch.nn.functional.cross_entropy(logits, soft, label_smoothing=0.2)
    found = cross_entropy(logits, soft, torch.ones(4), 0.2)
    torch.testing.assert_close(found, expected)
