"""The README's figures are those of the recorded results."""

import importlib.util
import json
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def test_the_tables_are_those_of_the_evidence():
    path = REPOSITORY / "tests" / "evidence" / "action.py"
    spec = importlib.util.spec_from_file_location("evidence_action", path)
    evidence = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evidence)
    shown = (REPOSITORY / "README.md").read_text().split(evidence.BEGIN)[1].split(evidence.END)[0]
    assert shown.strip() == evidence.tables(json.loads(evidence.RESULTS.read_text())).strip()
