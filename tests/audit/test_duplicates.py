"""Groups of copies against counting every pair of clips."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.audit.audio_hash import AudioHash
from earmark.benchmark.audit.duplicates import HashedClip, find_copies, split_pairs, straddling

SPLITS = ["train", "valid", "test"]


def clip(number: int, split: str, audio: str, label: int | None, source: str | None) -> HashedClip:
    hashed = AudioHash(audio, 8000, 100, 0, 0, False, silent=audio == "silence")
    return HashedClip(
        split, f"{split}.tar", f"k{number:02d}", hashed, None if label is None else (label,), source
    )


CLIPS = st.lists(
    st.tuples(
        st.sampled_from(SPLITS),
        st.sampled_from(["a", "b", "c", "d", "silence"]),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, "s", "t", "u"]),
    ),
    max_size=12,
).map(lambda facts: [clip(number, *fact) for number, fact in enumerate(facts)])


@settings(deadline=None)
@given(CLIPS)
def test_counts_are_those_of_all_pairs_of_clips(clips: list[HashedClip]) -> None:
    across, within, conflicts = set(), set(), set()
    shared: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for one, other in combinations(clips, 2):
        if one.hash.sha256 != other.hash.sha256 or one.hash.silent:
            continue
        if one.split == other.split:
            within |= {one.key, other.key}
        else:
            across |= {one.key, other.key}
            first, second = sorted((one, other), key=lambda c: SPLITS.index(c.split))
            shared.setdefault((first.split, second.split), set()).update(
                {(c.split, c.key) for c in (one, other)}
            )
        if None not in (one.label, other.label) and one.label != other.label:
            conflicts |= {one.hash.sha256}
    found = find_copies(reversed(clips), SPLITS)
    # a clip in a group across splits has a copy in another split, whichever it is in
    assert {c.key for copies in found if copies.across for c in copies.clips} == across
    assert sum(copies.twice_in_one for copies in found) == len(within)
    assert {copies.clips[0].hash.sha256 for copies in found if copies.conflict} == conflicts
    assert {pair.splits: pair.clips for pair in split_pairs(found, SPLITS)} == {
        pair: tuple(sum(split == name for split, _ in held) for name in pair)
        for pair, held in shared.items()
    }
    places = [[(SPLITS.index(c.split), c.key) for c in copies.clips] for copies in found]
    assert places == sorted(sorted(group) for group in places)


@settings(deadline=None)
@given(CLIPS)
def test_straddling_sources_are_named_with_their_clips(clips: list[HashedClip]) -> None:
    found = straddling(clips, SPLITS)
    for source in ("s", "t", "u"):
        held = Counter(clip.split for clip in clips if clip.source == source)
        assert found.get(source, {}) == (held if len(held) > 1 else {})
    assert found.keys() <= {"s", "t", "u"}  # a clip without a source is its own


def test_labels_in_conflict_are_those_of_labelled_clips() -> None:
    clips = [clip(n, "train", "a", label, None) for n, label in enumerate([0, None, 1, 0])]
    (copies,) = find_copies(clips, SPLITS)
    assert (copies.conflict, copies.labelled, copies.across) == (True, 3, False)
    (same,) = find_copies(clips[:2], SPLITS)
    assert not same.conflict
