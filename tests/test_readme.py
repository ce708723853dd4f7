"""The README's figures are those of the recorded results."""

import importlib.util
import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "name",
    ["action", "data", "encoders", "real", "sentiment", "summary", "talking", "transfer"],
)
def test_the_tables_are_those_of_the_evidence(name, monkeypatch):
    folder = REPOSITORY / "tests" / "evidence"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location(f"evidence_{name}", folder / f"{name}.py")
    evidence = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evidence)
    shown = (REPOSITORY / "README.md").read_text().split(evidence.BEGIN)[1].split(evidence.END)[0]
    assert shown.strip() == evidence.tables(json.loads(evidence.RESULTS.read_text())).strip()
