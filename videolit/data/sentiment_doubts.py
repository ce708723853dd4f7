"""What may be wrong with a sentiment set: nothing is refused for it, and people should know."""

from __future__ import annotations

from collections import Counter, defaultdict

from videolit.data.sentiment_records import SentimentSet

# A class with fewer utterances is in one split only, or in none that counts.
_FEW = 3
_MOST_NAMED = 5


def doubts_of(data: SentimentSet) -> list[str]:
    """Return what may be wrong with a set's labels and groups, one sentence each.

    Args:
        data: The whole set, before it is divided.
    """
    return [*_of_groups(data), *_of_targets(data), *_of_classes(data)]


def _of_groups(data: SentimentSet) -> list[str]:
    if data.has_splits or any(utterance.group for utterance in data.utterances):
        return []
    return [
        "no utterance names a group or speaker, so the same person may be in training and test: "
        "name them (columns group or speaker)"
    ]


def _of_targets(data: SentimentSet) -> list[str]:
    nothing = sum(
        each.label is None and each.score is None and each.valence is None and each.arousal is None
        for each in data.utterances
    )
    if not nothing:
        return []
    return [
        f"{nothing} of {len(data)} utterances have no label, score, valence or arousal: they "
        "teach nothing and are not measured"
    ]


def _of_classes(data: SentimentSet) -> list[str]:
    counts = Counter(each.label for each in data.utterances if each.label is not None)
    if not counts:
        return []
    found = []
    if len(counts) == 1:
        found.append(f"all labels are {next(iter(counts))!r}: there is nothing to tell apart")
    alike = defaultdict(list)
    for name in sorted(counts):
        alike["".join(name.lower().split())].append(name)
    found += [
        f"classes {' and '.join(map(repr, names))} differ only by case or spaces: are they one?"
        for names in alike.values()
        if len(names) > 1
    ]
    few = sorted(name for name, count in counts.items() if count < _FEW)
    if few:
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        told = ", ".join(f"{name!r} ({counts[name]})" for name in few[:_MOST_NAMED])
        found.append(f"classes with fewer than {_FEW} utterances: {told}{more}: typing errors?")
    return found
