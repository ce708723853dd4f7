"""What ``videolit check`` writes: a page to look at, a table of all files, a list to exclude."""

from __future__ import annotations

import collections
import csv
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videolit.data.leaks import Finding
from videolit.data.manifest import SPLITS, Manifest
from videolit.data.survey import Checked
from videolit.data.unreadable import QUARANTINE
from videolit.ops.files import atomic_path
from videolit.plots.charts import class_bars, histograms
from videolit.plots.report import Report
from videolit.types import InputError

COLUMNS = (
    *("path", "status", "reason", "seconds", "fps", "frames", "width", "height", "codec"),
    *("pix_fmt", "rotation", "audio", "decoder", "label", "split", "group"),
)
# The page is to be read; files.csv holds them all.
_MOST_ROWS = 200
_SHOWN_VIDEOS = 6


@dataclasses.dataclass(frozen=True)
class Survey:
    """All that a check found out.

    Attributes:
        manifest: The data set.
        results: One per file.
        findings: What samples share.
        empty_parts: Rows whose part of the file begins after its end.
        fast: Only three frames of each file were decoded.
    """

    manifest: Manifest
    results: Sequence[Checked]
    findings: Sequence[Finding]
    empty_parts: Sequence[Checked]
    fast: bool

    @property
    def good(self) -> list[Checked]:
        """The files that can be read."""
        return [result for result in self.results if not result.reason]

    @property
    def bad(self) -> list[Checked]:
        """The files that cannot be read."""
        return [result for result in self.results if result.reason]

    @property
    def leaks(self) -> list[Finding]:
        """What splits share."""
        return [finding for finding in self.findings if finding.crosses_splits]

    @property
    def is_wrong(self) -> bool:
        """Whether anything must be mended before training."""
        return bool(self.bad or self.empty_parts or self.leaks)


def length_of(results: Sequence[Checked]) -> str:
    """Return the length of some videos in words."""
    hours = sum(result.seconds for result in results) / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def imbalance(manifest: Manifest) -> str:
    """Say how many classes there are and how their sizes differ; ``""`` without classes."""
    counts, names = manifest.class_counts(), manifest.class_names
    if not len(counts):
        return ""
    order = counts.argsort(kind="stable")
    least, most = order[0], order[-1]
    if counts[least] == counts[most]:
        return f"{len(counts)} classes, {counts[most]} samples each."
    told = (
        f"{len(counts)} classes, {counts[least]} ({names[least]}) to {counts[most]} "
        f"({names[most]}) samples each"
    )
    if counts[least] == 0:
        return f"{told}: some have no sample."
    ratio = counts[most] / counts[least]
    advice = (
        ": strongly imbalanced, so look at the figures of each class and not at accuracy alone"
        if ratio >= 5
        else ""
    )
    return f"{told}, {ratio:.1f} times as many{advice}."


def write_report(out: str, data: str, survey: Survey) -> None:
    """Write ``files.csv``, ``quarantine.jsonl`` and ``report.html``, each as a whole.

    Args:
        out: Folder, made if need be.
        data: As the user named the data set.
        survey: What was found.

    Raises:
        InputError: If the folder cannot be written.
    """
    rows: dict[str, list[int]] = collections.defaultdict(list)
    for row in range(len(survey.manifest)):
        rows[survey.manifest.path(row)].append(row)
    try:
        _write_files(Path(out, "files.csv"), survey, rows)
        _write_quarantine(Path(out, QUARANTINE), survey, rows)
        _page(data, survey, rows).save(Path(out, "report.html"))
    except OSError as error:
        raise InputError(f"cannot write to {out!r}: {error.strerror or error}") from error


def _write_files(target: Path, survey: Survey, rows: dict[str, list[int]]) -> None:
    manifest = survey.manifest
    with (
        atomic_path(target) as part,
        part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for result in survey.results:
            own = rows[result.path]
            seen: list[Any] = [""] * 9
            if not result.reason:
                seen = [f"{result.seconds:.3f}", f"{result.fps:.3f}", result.frames]
                seen += [result.width, result.height, result.codec, result.pix_fmt]
                seen += [result.rotation, "yes" if result.audio else "no"]
            splits = [SPLITS[code] for r in own if (code := int(manifest.splits[r])) >= 0]
            writer.writerow(
                [
                    manifest.video_id(own[0]),
                    "bad" if result.reason else "ok",
                    result.reason,
                    *seen,
                    result.decoder,
                    # A file with several parts may have several of them.
                    "; ".join(dict.fromkeys(manifest.label_name(r) for r in own)),
                    "; ".join(dict.fromkeys(splits)),
                    "; ".join(dict.fromkeys(manifest.group(r) for r in own)),
                ]
            )


def _write_quarantine(target: Path, survey: Survey, rows: dict[str, list[int]]) -> None:
    with atomic_path(target) as part, part.open("w", encoding="ascii") as file:
        for result in survey.bad:
            entry = {
                "path": survey.manifest.video_id(rows[result.path][0]),
                "reason": result.reason,
                "decoder": result.decoder,
            }
            file.write(json.dumps(entry) + "\n")


def _page(data: str, survey: Survey, rows: dict[str, list[int]]) -> Report:
    kind = "first, middle and last frame of each file" if survey.fast else "every frame decoded"
    name = Path(data).name or data
    page = Report(f"Check of {name}", f"{len(survey.results):,} files, {kind}")
    manifest = survey.manifest
    page.facts(
        {
            "files that can be read": (
                len(survey.good),
                f"of {len(survey.results):,}, {length_of(survey.good)}",
            ),
            "broken files": len(survey.bad),
            "shared between splits": len(survey.leaks),
            "notes on copies": len(survey.findings) - len(survey.leaks),
            "classes": (
                len(manifest.class_names),
                f"{len(manifest):,} samples",
            ),
        }
    )
    if survey.fast:
        page.note(
            "Fast check: damage between the three decoded frames is not seen, trimmed copies are "
            "not found, and training checks each file itself when it first reads it.",
            "warn",
        )
    if survey.is_wrong:
        page.note("Something must be mended before training; see below.", "warn")
    else:
        page.note("No broken file, and nothing shared between splits that the data names.", "good")
    _broken(page, survey)
    _shared(page, survey)
    if len(manifest.class_names):
        page.section("Classes", imbalance(manifest))
        page.figure(
            class_bars(_counts(manifest), manifest.class_names),
            "Samples of each class" + (" and split" if (manifest.splits >= 0).any() else ""),
            f"Bars of the number of samples of each class. {imbalance(manifest)}",
        )
    if survey.good:
        _files(page, survey)
        _thumbnails(page, survey, rows)
    return page


def _counts(manifest: Manifest) -> dict[str, Any]:
    """Return the samples of each class by split."""
    names = [(code, SPLITS[code] if code >= 0 else "no split") for code in (0, 1, 2, -1)]
    return {
        name if len(np.unique(manifest.splits)) > 1 or code >= 0 else "samples": manifest.select(
            manifest.splits == code
        ).class_counts()
        for code, name in names
        if (manifest.splits == code).any()
    }


def _broken(page: Report, survey: Survey) -> None:
    bad = [*survey.bad, *survey.empty_parts]
    if not bad:
        return
    page.section("Broken files", f"Repair them, or leave them out: --data.exclude {QUARANTINE}.")
    root = survey.manifest.root
    page.table(
        [{"file": os.path.relpath(r.path, root), "why": r.reason} for r in bad[:_MOST_ROWS]],
        f"{len(bad):,} cannot be used" + _first(len(bad)),
    )


def _shared(page: Report, survey: Survey) -> None:
    notes = [finding for finding in survey.findings if not finding.crosses_splits]
    if survey.leaks:
        page.section(
            "Shared between splits",
            "Scores on these splits would be too good: move what belongs together into one split, "
            "or remove the copies.",
        )
        _findings(page, survey.leaks)
    if notes:
        page.section(
            "Copies",
            "The same recording several times. A seeded split may part copies that have no split "
            "and no common group. Where copies have different labels, look at them: a "
            "label is wrong, or the match is.",
        )
        _findings(page, notes)


def _findings(page: Report, findings: Sequence[Finding]) -> None:
    table = []
    for finding in findings[:_MOST_ROWS]:
        more = len(finding.videos) - _SHOWN_VIDEOS
        table.append(
            {
                "what": finding.kind,
                "files": ", ".join(finding.videos[:_SHOWN_VIDEOS])
                + (f" and {more} more" if more > 0 else ""),
                "splits": " and ".join(finding.splits) or None,
                "labels": ", ".join(finding.labels) or None,
                "detail": finding.detail or None,
            }
        )
    page.table(table, f"{len(findings):,} found" + _first(len(findings)))


def _first(count: int) -> str:
    return f"; the first {_MOST_ROWS} are shown" if count > _MOST_ROWS else ""


def _files(page: Report, survey: Survey) -> None:
    good = survey.good
    page.section("Files")
    values: dict[str, list[float]] = {
        "duration, s": [result.seconds for result in good],
        "frame rate, fps": [result.fps for result in good],
        "short side, pixels": [min(result.width, result.height) for result in good],
    }
    told = "; ".join(
        f"{name}: {np.min(v):.4g} to {np.max(v):.4g}, median {np.median(v):.4g}"
        for name, v in values.items()
    )
    page.figure(histograms(values), told, f"Histograms of the files. {told}")
    kinds = collections.Counter(
        (r.codec, r.pix_fmt, r.rotation, "yes" if r.audio else "no", r.decoder or None)
        for r in good
    )
    names = ("codec", "pixels", "rotation, degrees", "sound", "decoder")
    page.table(
        [
            {**dict(zip(names, kind, strict=True)), "files": count}
            for kind, count in kinds.most_common(_MOST_ROWS)
        ],
        "Kinds of files",
    )


def _thumbnails(page: Report, survey: Survey, rows: dict[str, list[int]]) -> None:
    manifest = survey.manifest
    shown = collections.defaultdict(list)
    for result in survey.good:
        if result.thumbnail is not None:
            row = rows[result.path][0]
            shown[manifest.label_name(row)].append((manifest.video_id(row), result.thumbnail))
    if shown:
        page.section("A look inside", "A frame from the middle of a few videos of each class.")
        for label in sorted(shown):
            page.gallery(label or "videos", shown[label])
