"""Features of utterances that others extracted and padded to one length."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StoredSequences:
    """Features that others extracted, as they stored them: padded arrays of some parts.

    The arrays stay where they were read, since joining the parts of MOSEI would need as much
    memory again.

    Args:
        parts: For each part, arrays by modality: float32 ``(N, T, D)``.
        lengths: For each part and modality, int64 ``(N,)``, the steps that are no padding; a
            modality without is taken whole.
        places: For each utterance its part and its row there.
    """

    parts: tuple[Mapping[str, NDArray[np.float32]], ...]
    lengths: tuple[Mapping[str, NDArray[np.int64]], ...]
    places: Mapping[str, tuple[int, int]]

    @property
    def num_features(self) -> dict[str, int]:
        """Numbers of each step, ``D``, by modality."""
        return {name: int(array.shape[2]) for name, array in self.parts[0].items()}

    def read(self, utterance_id: str) -> dict[str, NDArray[np.float32]]:
        """Return the features of an utterance by modality, float32 ``(T, D)``, without padding.

        Values that are not finite become 0: MOSI's sound features have -inf at some steps.

        Raises:
            InputError: If there are none of this name.
        """
        if utterance_id not in self.places:
            raise InputError(f"no stored features of {utterance_id!r}")
        part, row = self.places[utterance_id]
        found: dict[str, NDArray[np.float32]] = {}
        for name, array in self.parts[part].items():
            lengths = self.lengths[part].get(name)
            steps = array.shape[1] if lengths is None else max(int(lengths[row]), 1)
            values = np.asarray(array[row, :steps], np.float32)
            found[name] = np.where(np.isfinite(values), values, np.float32(0))
        return found
