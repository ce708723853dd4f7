"""Parts of a sound, joined; the sound is a function of the sample's number."""

from __future__ import annotations

import numpy as np

from videolit.data.splice import Span, splice


class Tone:
    """Sound whose sample n is given by a function; says what was asked for."""

    channels = 1

    def __init__(self, rate, function):
        self.rate, self.function, self.position = rate, function, -(10**9)

    def read(self, first, count):
        assert first >= self.position, "only forwards"
        self.position = first + count
        return self.function(np.arange(first, first + count))[None].astype(np.float32)


def spliced(function, spans, crossfade, rate=1000):
    blocks = list(splice(Tone(rate, function), [Span(*span) for span in spans], crossfade))
    assert all(block.shape[1] <= rate // 2 for block in blocks)
    return np.concatenate([block[0] for block in blocks])


def test_splice_without_fades_is_the_parts_themselves():
    spans = [(0.1, 0.9), (1.0, 3.1), (3.1004, 3.1018)]
    found = spliced(lambda n: n, spans, 0.0)
    assert found.tolist() == [*range(100, 900), *range(1000, 3100), 3100]


def test_splice_fades_over_at_joints_with_even_power():
    before = spliced(lambda n: (n < 1500) * 1.0, [(1.0, 1.2), (2.0, 2.3)], 0.02)
    after = spliced(lambda n: (n >= 1500) * 1.0, [(1.0, 1.2), (2.0, 2.3)], 0.02)
    assert len(before) == len(after) == 500
    # Half of the fade lies on each side of the joint at 200.
    assert (before[190:210] > 0).all()
    assert (before[210:] == 0).all()
    assert (after[:190] == 0).all()
    assert np.allclose((before**2 + after**2)[20:-20], 1)
    # The beginning and the end fade alone.
    assert before[0] < 0.05 < 0.99 < before[19]
    assert after[-1] < 0.05 < 0.99 < after[-20]


def test_parts_that_meet_are_joined_as_they_are():
    whole = spliced(lambda n: np.sin(n / 9), [(0.5, 2.5)], 0.02)
    parts = spliced(lambda n: np.sin(n / 9), [(0.5, 1.0), (1.0, 1.007), (1.007, 2.5)], 0.02)
    assert (whole == parts).all()


def test_fades_fit_into_the_shortest_parts():
    spans = [(0.003 * k, 0.003 * k + 0.001) for k in range(50)]
    found = spliced(lambda n: np.ones(len(n)), spans, 0.5)
    assert len(found) == 50
    assert found.max() <= np.sqrt(2) + 1e-6
