"""Each notebook runs from the first cell to the last."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


def executed(name, folder):
    """Run a notebook in a folder; return all that it printed, and its pictures."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    # Tables are shown in colour, as data.
    printed = "".join(
        output.get("text", "")
        + re.sub(r"\x1b\[[\d;]*m", "", output.get("data", {}).get("text/plain", "") + "\n")
        for output in outputs
    )
    images = {"image/png", "image/jpeg"}
    return printed, [output for output in outputs if images & set(output.get("data", {}))]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_action(tmp_path):
    """The article's steps, done right: unseen people are recognised, one model helps the other."""
    printed, pictures = executed("action.ipynb", tmp_path)
    accuracy = {
        name: float(value)
        for name, value in re.findall(r"^(R\(2\+1\)D|CNN \+ GRU|both): (0\.\d+)$", printed, re.M)
    }
    assert accuracy["R(2+1)D"] >= 0.8
    assert accuracy["CNN + GRU"] >= 0.65
    assert accuracy["both"] >= min(accuracy["R(2+1)D"], accuracy["CNN + GRU"])
    assert len(pictures) >= 5


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_summary(tmp_path):
    """The learned gate of summaries: unseen videos are ranked as people do, beyond single frames."""
    printed, pictures = executed("summary.ipynb", tmp_path)
    tau = dict(re.findall(r"^(ours|each step alone): tau (-?0\.\d+)", printed, re.M))
    assert float(tau["ours"]) >= 0.40
    assert float(tau["ours"]) >= float(tau["each step alone"]) + 0.10
    # No model at all, measured by the same code.
    assert abs(float(re.search(r'"random_tau": (-?\d\.[\de-]+)', printed)[1])) < 0.02
    assert "'audio': 'kept'" in printed
    assert len(pictures) >= 3


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_sentiment(tmp_path):
    """The learned gate of sentiment: unseen speakers, and irony that no modality tells alone."""
    printed, pictures = executed("sentiment.ipynb", tmp_path)
    told = dict(re.findall(r"^(model|(?:video|sound|text)'s own head) +(\d\.\d+)", printed, re.M))
    shares = {name: float(value) for name, value in told.items()}
    together = shares.pop("model")
    assert len(shares) == 3
    assert together >= 0.90
    assert together >= max(shares.values()) + 0.05
    assert float(re.search(r"^irony: (\d\.\d+)", printed, re.M)[1]) >= 0.85
    assert "'sound': 'mocking'" in printed
    assert len(pictures) >= 3


def test_notebooks_are_committed_with_their_outputs():
    for path in FOLDER.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code), path.name
        assert not [
            output for cell in code for output in cell.outputs if output.output_type == "error"
        ]
        assert path.stat().st_size < 1_000_000
