"""The demo's models learn what they must, and the control cannot."""

import json

import pytest

from videolit import cli
from videolit.synth.actions import TIME_PAIRS, single_frame_ceiling


@pytest.mark.slow
# It says how busy the machine is, not how good the model.
@pytest.mark.filterwarnings("ignore:.*waiting for data")
@pytest.mark.timeout(1800)
def test_the_demo_learns_the_order_of_time(tmp_path):
    out = tmp_path / "demo"
    assert cli.main(["demo", "--out", str(out)]) == 0
    found = {}
    for name in ("small_r2plus1d", "small_cnn_rnn", "single_frame"):
        folder = out / "runs" / name / "test_0"
        card = json.loads(next(folder.glob("evaluation-*.json")).read_text())
        audit = json.loads(next(folder.glob("audit-*.json")).read_text())
        found[name] = (card["metrics"], audit)
        assert card["metrics"]["majority"] == pytest.approx(0.1)
    pairs = [name for pair in TIME_PAIRS for name in pair]
    for name, least in {"small_r2plus1d": 0.85, "small_cnn_rnn": 0.75}.items():
        metrics, audit = found[name]
        assert metrics["accuracy"] >= least
        # Played backwards, sitting down is standing up.
        reversed_pairs = [audit["per_class"][action]["reversed"] for action in pairs]
        assert sum(reversed_pairs) / len(reversed_pairs) < 0.1
        assert audit["frozen"] < 0.3
        assert "depends on the order" in audit["sentence"]
    # The control learns what can be learnt without order, and no order at all.
    control, audit = found["single_frame"]
    assert 0.35 <= control["accuracy"] <= single_frame_ceiling()
    for changed in ("shuffled", "reversed"):
        assert audit[changed] == pytest.approx(control["accuracy"], abs=0.01)
