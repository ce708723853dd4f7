import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from videolit.metrics import SegmentMAP, segment_average_precision, segment_map
from videolit.types import InputError

TRUTH = [[0, 0.0, 10.0], [0, 20.0, 30.0], [1, 5.0, 9.0]]


def test_by_hand():
    perfect = [[*row, 0.5] for row in TRUTH]
    assert segment_average_precision(perfect, TRUTH, [0.5, 1.0]).tolist() == [1, 1]
    assert segment_average_precision([], TRUTH).tolist() == [0]
    assert np.isnan(segment_average_precision(perfect, [])).all()
    # tIoU of 0.5 exactly: found at 0.5, not above.
    half = [[0, 0.0, 5.0, 0.9]]
    assert segment_average_precision(half, TRUTH, [0.5, 0.51]).tolist() == [1 / 3, 0]
    # Right, wrong (found before), right: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
    found = [[0, 0.0, 10.0, 0.9], [0, 0.0, 9.0, 0.8], [1, 5.0, 9.0, 0.7]]
    expected = 1 / 3 * 1 + 1 / 3 * 2 / 3
    assert segment_average_precision(found, TRUTH)[0] == pytest.approx(expected)
    # The wrong one first: interpolated precision is 2/3 at both steps.
    found = [[1, 50.0, 60.0, 0.95], [0, 0.0, 10.0, 0.9], [1, 5.0, 9.0, 0.7]]
    assert segment_average_precision(found, TRUTH)[0] == pytest.approx(2 / 3 * 2 / 3)
    # Another video's segment is not found.
    assert segment_average_precision([[1, 0.0, 10.0, 1.0]], TRUTH)[0] == 0


def test_a_second_finding_takes_the_next_true_segment_that_overlaps_enough():
    truth = [[0, 0.0, 10.0], [0, 1.0, 11.0]]
    found = [[0, 0.0, 10.0, 0.9], [0, 0.0, 10.0, 0.8]]
    assert segment_average_precision(found, truth, [0.5, 0.9]).tolist() == [1, 0.5]


def test_classes_that_never_occur_do_not_count():
    truth = [[0, 3, 0.0, 4.0], [1, 5, 2.0, 6.0]]
    found = [[0, 3, 0.0, 4.0, 0.9], [0, 7, 0.0, 4.0, 0.9]]
    assert segment_map(found, truth).tolist() == [0.5]
    assert np.isnan(segment_map(found, [])).all()
    assert segment_map([], truth).tolist() == [0]


def brute_force(found, truth, threshold):
    """One class: the definition by lists, with precision interpolated at each recall level."""
    free = {place: row for place, row in enumerate(truth)}
    marks = []
    for video, start, end, _ in sorted(found, key=lambda row: (-row[3], row[0])):
        overlaps = []
        for place, (true_video, true_start, true_end) in free.items():
            shared = max(0.0, min(end, true_end) - max(start, true_start))
            union = (end - start) + (true_end - true_start) - shared
            if true_video == video and shared / union >= threshold:
                overlaps.append((-shared / union, place))
        marks.append(bool(overlaps))
        if overlaps:
            free.pop(min(overlaps)[1])
    area = 0.0
    for level in range(1, len(truth) + 1):
        # The best precision of any cut of the list that reaches this recall.
        reached = [sum(marks[:n]) / n for n in range(1, len(marks) + 1) if sum(marks[:n]) >= level]
        area += max(reached, default=0.0) / len(truth)
    return area


def random_case(generator, classes=3):
    def segments(count):
        start = generator.uniform(0, 30, count)
        video, label = generator.integers(0, 3, count), generator.integers(0, classes, count)
        return np.column_stack([video, label, start, start + generator.uniform(0.5, 8, count)])

    truth = segments(generator.integers(1, 25))
    near = truth[generator.integers(0, len(truth), 20)].copy()
    near[:, 2:] += generator.normal(0, 0.7, (20, 1))
    found = np.concatenate([near, segments(15)])
    # Few different scores, so that ties occur.
    return np.column_stack([found, generator.integers(1, 9, len(found)) / 10]), truth


def test_equals_brute_force():
    generator = np.random.default_rng(0)
    thresholds = (0.1, 0.3, 0.5, 0.75, 0.95)
    between = 0
    for _ in range(60):
        found, truth = random_case(generator)
        expected = np.zeros(len(thresholds))
        labels = np.unique(truth[:, 1])
        for label in labels:
            mine = found[found[:, 1] == label][:, [0, 2, 3, 4]].tolist()
            true = truth[truth[:, 1] == label][:, [0, 2, 3]].tolist()
            expected += [brute_force(mine, true, t) for t in thresholds]
        result = segment_map(found, truth, thresholds)
        np.testing.assert_allclose(result, expected / len(labels), atol=1e-12)
        between += 0.1 < result[2] < 0.9
    assert between > 40


def test_the_metric_is_the_function_of_all_videos():
    generator = np.random.default_rng(3)
    found, truth = random_case(generator)
    metric = SegmentMAP((0.3, 0.5))
    for video in range(3):
        rows = (torch.tensor(table[table[:, 0] == video]) for table in (found, truth))
        metric.update(*rows)
    expected = segment_map(found, truth, (0.3, 0.5))
    np.testing.assert_allclose(metric.compute().numpy(), expected, rtol=1e-6)
    metric.reset()
    metric.update(torch.empty(0, 5), torch.empty(0, 4))
    assert metric.compute().isnan().all()


@pytest.mark.parametrize(
    ("found", "truth", "thresholds", "message"),
    [
        ([[0, 0, 1, 2]], [[0, 0, 1, 2]], [0.5], "found must have 5 columns"),
        ([], [[0, 1, 2]], [0.5], "truth must have 4 columns"),
        ([], [[0, 0, 2, 1]], [0.5], "truth has a segment that ends before it starts"),
        ([], [], [0.0], "tIoU thresholds lie above 0"),
        ([], [], [], "tIoU thresholds"),
    ],
)
def test_bad_rows(found, truth, thresholds, message):
    with pytest.raises(InputError, match=message):
        segment_map(found, truth, thresholds)


def on_two_processes(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    found, truth = random_case(np.random.default_rng(5))
    metric = SegmentMAP()
    # The second process has no video in the second round.
    for share in (lambda video: video % 2 == rank, lambda video: rank == 0):
        metric.reset()
        for video in filter(share, range(3)):
            rows = (torch.tensor(table[table[:, 0] == video]) for table in (found, truth))
            metric.update(*rows)
        expected = segment_map(found, truth)
        np.testing.assert_allclose(metric.compute().numpy(), expected, rtol=1e-6)
    (folder / f"done{rank}").touch()
    torch.distributed.destroy_process_group()


def test_two_processes_agree(tmp_path):
    mp.spawn(on_two_processes, (tmp_path,), nprocs=2)
    assert sorted(file.name for file in tmp_path.glob("done*")) == ["done0", "done1"]
