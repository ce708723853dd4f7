"""F1 of frames, baselines, highlights, and figures per video on one and two processes."""

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from videolit.metrics import (
    VideoFigures,
    human_keyshot_f1,
    keyshot_f1,
    keyshot_scores,
    mean_average_precision_chunks,
    performance_over_random,
    random_scores,
    uniform_summary,
)
from videolit.types import InputError


def plain_f1(summary, user):
    """The published way, padded to the longer."""
    length = max(len(summary), len(user))
    one, two = np.zeros(length, int), np.zeros(length, int)
    one[: len(summary)], two[: len(user)] = summary, user
    both = sum(a & b for a, b in zip(one, two, strict=True))
    precision, recall = both / sum(one), both / sum(two)
    return 2 * precision * recall / (precision + recall) if both else 0


def test_keyshot_f1_is_the_published_one_of_each_length():
    rng = np.random.default_rng(0)
    for length in (80, 100, 93):
        summary, users = rng.random(length) < 0.15, rng.random((6, 93)) < 0.2
        expected = [plain_f1(summary, user) for user in users]
        assert keyshot_scores(summary, users).f1 == pytest.approx(expected, abs=1e-12)
        assert keyshot_f1(summary, users) == pytest.approx(np.mean(expected), abs=1e-12)
        assert keyshot_f1(summary, users, "max") == pytest.approx(max(expected), abs=1e-12)
        assert keyshot_f1(torch.tensor(summary), torch.tensor(users)) == keyshot_f1(summary, users)


def test_precision_and_recall_are_not_swapped():
    found = keyshot_scores([1, 1, 1, 1, 0], [[0, 0, 0, 1, 1], [1, 0, 0, 0, 0]])
    assert found.precision.tolist() == [0.25, 0.25]
    assert found.recall.tolist() == [0.5, 1]
    assert found.f1 == pytest.approx([1 / 3, 0.4])


def test_nothing_in_common_is_zero():
    assert keyshot_f1([1, 0, 0], [[0, 1, 0]]) == 0
    assert keyshot_f1([0, 0, 0], [[0, 1, 0]]) == 0
    assert keyshot_f1([1, 0, 0], [[0, 0, 0]]) == 0
    assert keyshot_f1([0, 0, 0], [[0, 0, 0]]) == 0
    assert keyshot_f1([0, 1, 0], [[0, 1, 0]]) == 1


def test_keyshot_f1_says_what_is_wrong():
    with pytest.raises(InputError, match=r"user summaries \(U, N\), got \(3,\) and \(3,\)"):
        keyshot_f1(np.ones(3), np.ones(3))
    with pytest.raises(InputError, match="reduce must be 'mean' or 'max', got 'best'"):
        keyshot_f1(np.ones(3), np.ones((1, 3)), "best")
    with pytest.raises(InputError, match=r"two or more, got \(1, 3\)"):
        human_keyshot_f1(np.ones((1, 3)))


def test_people_are_compared_with_the_others():
    users = np.random.default_rng(1).random((4, 60)) < 0.3
    table = np.array([[plain_f1(a, b) for b in users] for a in users])
    others = table[~np.eye(4, dtype=bool)].reshape(4, 3)
    assert human_keyshot_f1(users) == pytest.approx(others.mean(), abs=1e-12)
    assert human_keyshot_f1(users, "max") == pytest.approx(others.max(axis=1).mean(), abs=1e-12)


def test_performance_over_random_is_a_ratio():
    assert performance_over_random(0.6, 0.5) == pytest.approx(1.2)
    with pytest.raises(InputError, match="above 0, got 0"):
        performance_over_random(0.6, 0)


def test_random_scores_come_again_from_their_seed():
    assert (random_scores(9, 3) == random_scores(9, 3)).all()
    assert (random_scores(9, 3) != random_scores(9, 4)).any()
    many = random_scores(10_000, 0)
    assert many.min() >= 0
    assert many.max() < 1
    assert many.mean() == pytest.approx(0.5, abs=0.02)


def test_uniform_summaries_spread_over_the_video():
    bounds = 10 * np.arange(17)
    shots = np.stack([bounds[:-1], bounds[1:]], axis=1)

    def chosen(ratio):
        return np.flatnonzero(uniform_summary(160, shots, ratio)[::10]).tolist()

    assert chosen(0.07) == [8]
    assert chosen(0.19) == [4, 8, 12]
    assert chosen(0.45) == [2, 4, 6, 8, 10, 12, 14]
    assert chosen(1) == list(range(16))
    assert not uniform_summary(160, shots, 0.06).any()
    # Each shot is met, however many there are; long ones are passed over.
    for count in range(1, 40):
        first = np.arange(count)
        assert uniform_summary(count, np.stack([first, first + 1], axis=1), 1).all()
    assert uniform_summary(10, [[0, 1], [1, 9], [9, 10]], 0.2).sum() == 2
    with pytest.raises(InputError, match="shots up to 160 and 0.15"):
        uniform_summary(150, shots)


def plain_precision(scores, positives):
    """Mean over positives of the share of positives among all ranked as high."""
    return np.mean([positives[scores >= scores[i]].mean() for i in np.flatnonzero(positives)])


@pytest.mark.parametrize("share", [0.5, 0.15])
def test_highlights_are_chunks_of_five_seconds(share):
    rng = np.random.default_rng(2)
    for length in (35, 71, 100, 104):
        scores, true = rng.random(length), rng.random(length)
        parts = np.array([part.mean() for part in np.split(scores, range(5, length, 5))])
        goal = np.array([part.mean() for part in np.split(true, range(5, length, 5))])
        positives = goal >= np.sort(goal)[::-1][int(share * len(goal)) - 1]
        expected = plain_precision(parts, positives)
        found = mean_average_precision_chunks(scores, true, share)
        assert found == pytest.approx(expected, abs=1e-12)
        assert mean_average_precision_chunks(true, true, share) == 1


def test_highlights_of_a_short_video_are_undefined():
    assert math.isnan(mean_average_precision_chunks(np.ones(30), np.ones(30), 0.15))
    assert math.isnan(mean_average_precision_chunks(np.ones(5), np.ones(5)))
    with pytest.raises(InputError, match=r"got \(3,\), \(4,\) and 5"):
        mean_average_precision_chunks(np.ones(3), np.ones(4))
    with pytest.raises(InputError, match="finite"):
        mean_average_precision_chunks([np.nan], [1])


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_figures_count_each_video_once():
    figures = VideoFigures(("tau", "ap"))
    figures.update(torch.tensor([2, 0]), torch.tensor([[0.2, 0.5], [0.4, math.nan]]))
    figures.update(torch.tensor([0]), torch.tensor([[0.4, math.nan]]))
    index, values = figures.compute()
    assert index.tolist() == [0, 2]
    assert values[:, 0].tolist() == pytest.approx([0.4, 0.2])
    assert figures.means() == pytest.approx({"tau": 0.3, "ap": 0.5})
    assert figures.missing() == {"tau": 0, "ap": 1}
    figures.reset()
    assert figures.compute()[1].shape == (0, 2)
    assert math.isnan(figures.means()["tau"])
    figures.update(torch.tensor([4]), torch.tensor([[0.5, 0.5]]))
    assert figures.compute()[1].shape == (1, 2)


def on_two_processes(rank, folder):
    """One of two processes: the second has a video of the first too, or none at all."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    values = torch.arange(10.0).reshape(5, 2)
    figures = VideoFigures(("tau", "rho"))
    mine = torch.tensor([[0, 2, 4], [1, 3, 0]][rank])
    figures.update(mine, values[mine])
    index, found = figures.compute()
    assert index.tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(found, values)
    assert figures.means() == {"tau": 4, "rho": 5}
    figures.reset()
    if rank == 0:
        figures.update(mine, values[mine])
    assert figures.means() == {"tau": 4, "rho": 5}
    assert figures.compute()[0].tolist() == [0, 2, 4]
    (folder / f"done{rank}").touch()
    dist.destroy_process_group()


def test_figures_on_two_processes(tmp_path):
    mp.spawn(on_two_processes, (tmp_path,), nprocs=2)
    assert sorted(file.name for file in tmp_path.glob("done*")) == ["done0", "done1"]
