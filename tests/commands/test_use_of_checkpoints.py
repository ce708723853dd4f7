"""After a training: which command uses its checkpoint on new files, if any can."""

import pytest

from videolit.commands.trainer import made_from_files
from videolit.encoders import IdentityEncoder, SmallFrameEncoder, SoundEncoder
from videolit.tasks.sentiment import SentimentTask
from videolit.tasks.summary import SummaryTask
from videolit.types import ClipSpec


def test_features_of_unknown_making_cannot_be_made_from_a_file():
    task = SummaryTask(IdentityEncoder(4))
    assert not made_from_files(task)
    task.feature_record = "{}"
    assert made_from_files(task)


def test_frames_are_made_from_a_file():
    task = SummaryTask(SmallFrameEncoder(width=4))
    task.clip_spec = ClipSpec(sampling="whole", num_frames=1000, fps=2.0)
    assert made_from_files(task)


@pytest.mark.parametrize(("stored", "expected"), [(False, True), (True, False)])
def test_stored_sequences_of_any_modality_cannot_be_made_from_a_file(stored, expected):
    sound = IdentityEncoder(8) if stored else SoundEncoder(hidden_size=8, num_layers=0)
    assert made_from_files(SentimentTask(SmallFrameEncoder(width=4), sound=sound)) is expected
