import pytest
import torch

from videolit.ops.losses import binary_cross_entropy, cross_entropy, focal_loss, ranking_loss


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


def test_binary_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 2.0], [-1.0, 0.5]])
    target = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    chance = logits.sigmoid()
    losses = -(target * chance.log() + (1 - target) * (1 - chance).log())
    torch.testing.assert_close(binary_cross_entropy(logits, target), losses.sum(1).mean())
    weight = torch.tensor([3.0, 0.5])
    torch.testing.assert_close(
        binary_cross_entropy(logits, target, weight), (losses * weight).sum(1).mean()
    )
    # Smoothing by 0.2: 1 becomes 0.9 and 0 becomes 0.1.
    near = 0.1 + 0.8 * target
    losses = -(near * chance.log() + (1 - near) * (1 - chance).log())
    torch.testing.assert_close(
        binary_cross_entropy(logits, target, smoothing=0.2), losses.sum(1).mean()
    )


def test_focal_loss_without_gamma_is_cross_entropy():
    torch.manual_seed(0)
    logits, target = torch.randn(5, 4), torch.rand(5, 4).softmax(1)
    weight = torch.tensor([0.1, 1.0, 2.0, 5.0])
    torch.testing.assert_close(focal_loss(logits, target, 0.0), cross_entropy(logits, target))
    torch.testing.assert_close(
        focal_loss(logits, target, 0.0, weight), cross_entropy(logits, target, weight)
    )
    several = (torch.rand(5, 4) < 0.5).float()
    torch.testing.assert_close(
        focal_loss(logits, several, 0.0, weight, binary=True),
        binary_cross_entropy(logits, several, weight),
    )


@pytest.mark.parametrize("binary", [False, True])
def test_focal_loss_forgets_the_easy_by_the_papers_factor(binary):
    # One sample at a time: FL = (1 - p)^gamma CE, with p the probability of the right answer.
    for right in (0.6, 0.9, 0.99):
        logit = torch.tensor([[right / (1 - right), 1.0]]).log()
        if binary:
            logit = logit[:, :1]
        target = torch.eye(2)[:1, : logit.shape[1]]
        loss = focal_loss(logit, target, 2.0, binary=binary)
        expected = (1 - right) ** 2 * -torch.tensor(right).log()
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)


def test_focal_loss_has_a_finite_gradient_where_all_is_sure():
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0]], requires_grad=True)
    for binary in (False, True):
        focal_loss(logits, torch.eye(2), 0.5, binary=binary).backward()
        assert torch.isfinite(logits.grad).all()


def ranked(seed=0, users=3, steps=6):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, steps, generator=generator)
    said = torch.randint(0, 4, (1, users, steps), generator=generator) / 4
    return logits, said, torch.ones(1, steps, dtype=torch.bool), torch.ones(1, users).bool()


def pairs_by_loop(logits, said):
    losses = []
    for i in range(len(logits)):
        for j in range(i + 1, len(logits)):
            shares = [1.0 if a[i] > a[j] else 0.5 if a[i] == a[j] else 0.0 for a in said]
            share = sum(shares) / len(shares)
            chance = torch.sigmoid(logits[i] - logits[j])
            losses.append(-(share * chance.log() + (1 - share) * (1 - chance).log()))
    return torch.stack(losses).mean()


def test_ranking_loss_is_the_mean_over_pairs():
    logits, said, mask, known = ranked()
    torch.testing.assert_close(
        ranking_loss(logits, said, mask, known), pairs_by_loop(logits[0], said[0])
    )


def test_ranking_loss_sees_neither_padding_nor_missing_annotators():
    logits, said, mask, known = ranked()
    shorter = mask.clone()
    shorter[:, 4:] = False
    fewer = torch.tensor([[True, True, False]])
    wild_logits, wild = logits.clone(), said.clone()
    wild_logits[:, 4:], wild[:, :, 4:], wild[:, 2] = 99.0, 7.0, 5.0
    torch.testing.assert_close(
        ranking_loss(wild_logits, wild, shorter, fewer),
        pairs_by_loop(logits[0, :4], said[0, :2, :4]),
    )
    # Videos count equally, whatever their length.
    both = ranking_loss(
        torch.cat([logits, wild_logits]), torch.cat([said, wild]),
        torch.cat([mask, shorter]), torch.cat([known, fewer]),
    )  # fmt: skip
    parts = [pairs_by_loop(logits[0], said[0]), pairs_by_loop(logits[0, :4], said[0, :2, :4])]
    torch.testing.assert_close(both, torch.stack(parts).mean())


def test_ranking_loss_pulls_logits_towards_the_order_of_most():
    said = torch.tensor([[[0.0, 1.0, 0.5], [0.0, 1.0, 0.5], [1.0, 0.0, 0.5]]])
    logits = torch.zeros(1, 3, requires_grad=True)
    ranking_loss(logits, said, torch.ones(1, 3).bool(), torch.ones(1, 3).bool()).backward()
    # Two of three rank 1 > 2 > 0: the step against the gradient does too.
    assert (-logits.grad[0]).argsort(descending=True).tolist() == [1, 2, 0]


@pytest.mark.parametrize("case", ["one step", "no annotator"])
def test_ranking_loss_is_zero_where_nothing_can_be_compared(case):
    logits, said, mask, known = ranked()
    logits.requires_grad_()
    if case == "one step":
        mask[:, 1:] = False
    else:
        known[:] = False
    loss = ranking_loss(logits, said, mask, known)
    loss.backward()
    assert float(loss.detach()) == 0
    assert (logits.grad == 0).all()


def test_ranking_loss_of_long_videos_draws_steps():
    logits, said, mask, known = ranked(steps=60)
    torch.manual_seed(0)
    drawn = [float(ranking_loss(logits, said, mask, known, 20)) for _ in range(30)]
    assert len(set(drawn)) > 20
    assert sum(drawn) / 30 == pytest.approx(float(pairs_by_loop(logits[0], said[0])), abs=0.05)
