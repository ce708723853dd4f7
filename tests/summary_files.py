"""Small files of summary data sets, in the schemas of their authors."""

from __future__ import annotations

import h5py
import numpy as np


def eccv16_video(num_frames=100, step=15, users=3, seed=0, features=8):
    """One video's values; change points are inclusive."""
    rng = np.random.default_rng(seed)
    picks = np.arange(0, num_frames, step)
    stops = np.array([*range(30, num_frames - 10, 30), num_frames])
    firsts = np.array([0, *stops[:-1]])
    return {
        "features": rng.random((len(picks), features), np.float32),
        "picks": picks.astype(np.int32),
        "n_frames": num_frames,
        "n_steps": len(picks),
        "gtscore": rng.random(len(picks)),
        "gtsummary": (rng.random(len(picks)) > 0.5).astype(np.float32),
        "user_summary": (rng.random((users, num_frames)) > 0.5).astype(np.float32),
        "change_points": np.stack([firsts, stops - 1], 1).astype(np.int32),
        "n_frame_per_seg": (stops - firsts).astype(np.int32),
    }


def write_groups(path, videos):
    """Write a group for each video; values of None are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in videos.items():
            group = file.create_group(name)
            for key, value in values.items():
                if value is not None:
                    group[key] = value
    return path


def write_tvsum_mat(path, levels):
    """Write MATLAB 7.3's struct tvsum50 for ``{id: (U, N) levels}``: references to cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        cells = file.create_group("#refs#")
        table = file.create_group("tvsum50")
        rows = [
            {
                "video": np.array([[ord(c)] for c in name], np.uint16),
                "title": np.array([[ord(c)] for c in f"Title of {name}"], np.uint16),
                "category": np.array([[86], [84]], np.uint16),
                "length": np.array([[values.shape[1] / 30]]),
                "nframes": np.array([[float(values.shape[1])]]),
                "user_anno": values.astype(np.float64),
                "gt_score": values.mean(0, keepdims=True),
            }
            for name, values in levels.items()
        ]
        for key in rows[0]:
            column = table.create_dataset(key, (len(rows), 1), h5py.ref_dtype)
            for place, row in enumerate(rows):
                cell = cells.create_dataset(f"{key}{place}", data=row[key])
                column[place, 0] = cell.ref
    return path


def write_tvsum_tsv(path, levels):
    """Write ``ydata-anno.tsv`` for ``{id: (U, N) levels}``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{name}\tVT\t{','.join(str(int(level)) for level in user)}\n"
        for name, values in levels.items()
        for user in values
    ]
    path.write_text("".join(rows))
    return path
