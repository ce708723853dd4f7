import numpy as np
import pytest

from videolit.ops import sampling
from videolit.types import ClipSpec, InputError


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("count", "num_frames"),
    [(count, num) for count in (1, 2, 5, 8, 17, 300) for num in (1, 2, 5, 8) if num <= count],
)
def test_uniform_takes_one_frame_of_each_segment(count, num_frames):
    edges = np.arange(num_frames + 1) * count / num_frames
    for seed in range(50):
        indices = sampling.uniform(count, num_frames, generator=generator(seed))
        assert (np.diff(indices) > 0).all()
        assert indices[0] >= 0
        assert indices[-1] < count
        assert (indices >= np.floor(edges[:-1])).all()
        assert (indices <= np.ceil(edges[1:])).all()


def test_uniform_reaches_every_frame_and_tests_at_the_middle():
    drawn = {int(i) for s in range(400) for i in sampling.uniform(20, 4, generator=generator(s))}
    assert drawn == set(range(20))
    assert sampling.uniform(20, 4).tolist() == [2, 7, 12, 17]


def test_dense_draws_every_start_including_the_last():
    starts = {int(sampling.dense(10, 4, 2, generator=generator(s))[0]) for s in range(200)}
    assert starts == {0, 1, 2, 3}
    assert sampling.dense(10, 4, 2, view=0.0).tolist() == [0, 2, 4, 6]
    assert sampling.dense(10, 4, 2, view=1.0).tolist() == [3, 5, 7, 9]


@pytest.mark.parametrize(
    ("short", "indices", "real"),
    [
        ("loop", [0, 1, 2, 0, 1], [1, 1, 1, 1, 1]),
        ("hold", [0, 1, 2, 2, 2], [1, 1, 1, 1, 1]),
        ("mask", [0, 1, 2, 2, 2], [1, 1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("mode", ["uniform", "dense"])
def test_short_videos(short, indices, real, mode):
    spec = ClipSpec(sampling=mode, num_frames=5, short=short)
    choice = sampling.choose_frames(np.arange(3) / 10, spec, generator=generator())
    assert choice.indices.tolist() == indices
    assert choice.real.tolist() == [bool(r) for r in real]


def test_loop_keeps_the_rhythm_of_the_stride():
    spec = ClipSpec(sampling="dense", num_frames=5, frame_stride=2)
    choice = sampling.choose_frames(np.arange(5) / 10, spec)
    assert choice.indices.tolist() == [0, 2, 4, 0, 2]


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 300])
@pytest.mark.parametrize("fps", [None, 8.0])
def test_clips_always_have_their_length(count, fps):
    spec = ClipSpec(sampling="dense", num_frames=16, fps=fps)
    for train in (None, generator()):
        choice = sampling.choose_frames(np.arange(count) / 25, spec, generator=train)
        assert choice.indices.shape == choice.real.shape == (16,)
        assert 0 <= choice.indices.min() <= choice.indices.max() < count
        assert choice.real[0]


def test_fps_means_the_same_moments_at_any_frame_rate():
    spec = ClipSpec(sampling="dense", num_frames=4, fps=5.0)
    for rate in (10, 15, 20, 30):
        timestamps = np.arange(10 * rate) / rate
        choice = sampling.choose_frames(timestamps, spec, view=0, num_views=2)
        np.testing.assert_allclose(
            timestamps[choice.indices], [0.0, 0.2, 0.4, 0.6], atol=1 / rate - 1e-6
        )


def test_fps_follows_the_clock_of_a_variable_frame_rate():
    timestamps = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 2.0, 2.5, 3.0])
    spec = ClipSpec(sampling="dense", num_frames=4, fps=1.0)
    choice = sampling.choose_frames(timestamps, spec, view=0, num_views=2)
    assert choice.indices.tolist() == [0, 3, 5, 7]


def test_views_spread_from_the_first_start_to_the_last():
    spec = ClipSpec(sampling="dense", num_frames=4)
    starts = [
        int(sampling.choose_frames(np.arange(20) / 10, spec, view=v, num_views=3).indices[0])
        for v in range(3)
    ]
    assert starts == [0, 8, 16]
    spec = ClipSpec(sampling="uniform", num_frames=4)
    views = [
        sampling.choose_frames(np.arange(20) / 10, spec, view=v, num_views=2).indices.tolist()
        for v in range(2)
    ]
    assert views == [[1, 6, 11, 16], [3, 8, 13, 18]]


def test_whole_takes_everything_and_thins_long_videos():
    spec = ClipSpec(sampling="whole", num_frames=10)
    assert sampling.choose_frames(np.arange(7) / 10, spec).indices.tolist() == list(range(7))
    long = sampling.choose_frames(np.arange(1000) / 10, spec).indices
    assert long.tolist() == [50 + 100 * i for i in range(10)]
    spec = ClipSpec(sampling="whole", num_frames=10, fps=2.0)
    assert sampling.choose_frames(np.arange(20) / 10, spec).indices.tolist() == [0, 5, 10, 15]


def test_no_frame_is_an_error():
    with pytest.raises(InputError, match="no frame"):
        sampling.choose_frames(np.zeros(0), ClipSpec())


def test_fps_reaches_the_last_frame():
    spec = ClipSpec(sampling="dense", num_frames=4, fps=5.0)
    timestamps = np.arange(50) / 25
    last = sampling.choose_frames(timestamps, spec, view=1, num_views=2).indices
    assert last.tolist() == [34, 39, 44, 49]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"fps": -1.0, "sampling": "dense"}, "fps must be above 0"),
        ({"fps": 5.0, "frame_stride": 2, "sampling": "dense"}, "not both"),
        ({"size": 128, "resize": 112}, "resize .112. must be at least size .128."),
        ({"num_crops": 2}, "num_crops must be 1 or 3"),
        ({"sampling": "uniform", "frame_stride": 4}, "use sampling 'dense'"),
        ({"sampling": "whole", "num_views": 2}, "one view"),
        ({"stretch": True, "num_crops": 3}, "no long side"),
    ],
)
def test_clip_spec_refuses(settings, message):
    with pytest.raises(InputError, match=message):
        ClipSpec(**settings)


def test_clip_spec_round_trip_and_unknown_setting():
    spec = ClipSpec(sampling="dense", num_frames=8, fps=12.5, num_views=10, num_crops=3)
    assert ClipSpec.from_dict(spec.to_dict()) == spec
    assert spec.describe() == "8 frames at 12.5 fps, 10 views × 3 crops, 112 px of 112"
    with pytest.raises(InputError, match="newer videolit"):
        ClipSpec.from_dict({**spec.to_dict(), "zoom": 2})


@pytest.mark.parametrize("sampling_kind", ["uniform", "whole"])
def test_speed_below_one_shows_a_share_of_the_video_at_any_place(sampling_kind):
    spec = ClipSpec(sampling=sampling_kind, num_frames=8)
    times = np.arange(80) / 20
    spans, firsts = [], set()
    for seed in range(200):
        chosen = sampling.choose_frames(times, spec, generator=generator(seed), speed=0.5).indices
        assert (np.diff(chosen) > 0).all()
        spans.append(chosen[-1] - chosen[0])
        firsts.add(int(chosen[0]))
    assert max(spans) < 40
    assert min(firsts) <= 2
    assert max(firsts) >= 40
    whole = sampling.choose_frames(times, spec, generator=generator(), speed=2.0).indices
    same = sampling.choose_frames(times, spec, generator=generator()).indices
    np.testing.assert_array_equal(whole, same)


@pytest.mark.parametrize(("speed", "step"), [(0.5, 2), (1.0, 4), (2.0, 8)])
def test_speed_changes_the_step_of_dense_clips(speed, step):
    times = np.arange(200) / 20
    for spec in (
        ClipSpec(sampling="dense", num_frames=6, frame_stride=4),
        ClipSpec(sampling="dense", num_frames=6, fps=5.0),
    ):
        chosen = sampling.choose_frames(times, spec, generator=generator(3), speed=speed).indices
        assert set(np.diff(chosen).tolist()) == {step}


def test_a_lost_frame_is_the_one_before_it():
    choice = sampling.FrameChoice(np.array([3, 5, 7, 9]), np.array([True, True, True, False]))
    lost = np.array([True, False, True, True])
    dropped = sampling.drop_frames(choice, lost)
    assert dropped.indices.tolist() == [3, 5, 5, 5]
    assert dropped.real.tolist() == choice.real.tolist()
