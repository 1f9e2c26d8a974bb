"""Steps of a history, changes of an org tree and runs, which hypothesis makes and shrinks."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Setting:
    """Traits that stay the same through a history."""

    granularity: str
    scopes: str
    """`leaf`, `parent` or `all`: teams that have none below them, that have some, or both."""
    root: bool
    """True if the tree's root is among them."""
    contains_children: bool
    """True if the export of a team has rows of the teams below it."""
    sprints: str = "overlap"
    """Rule by which SEI picks sprints for a range: those that `overlap` it, `start` or `end` within it."""


@dataclass(frozen=True)
class Change:
    """Change of the org tree or of the sprints."""

    kind: str
    one: int
    two: int
    name: int


@dataclass(frozen=True)
class Night:
    """A run: of the next days (`night`), of some minutes later (`soon`), an earlier run cleared (`clear`), or only its
    failed scopes (`clear_failed`)."""

    kind: str = "night"
    days: int = 1
    failing: int = 0
    """Bit by bit, the scopes that fail."""
    order: int = 0
    """Place at which the exports begin, and their direction."""
    periods: int = 0
    """Number of periods before the present one that it asks for too."""
    cleared: int = 0
    dead_scopes: bool = False
    """True if teams that are no more are asked for too, with an empty answer."""
    reading: str = "a"
    empty: int = 0
    """Bit by bit, the scopes that SEI answers with a header only."""
    unknown_paths: int = 0
    """Bit by bit, the scopes of which rows of an unknown team are in quarantine."""
    knows_paths: bool = False
    """True if their team is known all the same."""


Step = Change | Night
History = tuple[Setting, list[Step]]


numbers = st.integers(0, 9)
masks = st.one_of(st.just(0), st.just(0), st.integers(0, 1023))
changes = st.builds(
    Change,
    st.sampled_from(
        [
            "rename",
            "swap",
            "succeed",
            "rename_parent",
            "move",
            "move_to_root",
            "split",
            "split_below",
            "delete",
            "move_sprint",
            "rename_sprint",
            "delete_sprint",
        ]
    ),
    numbers,
    numbers,
    numbers,
)
nights = st.builds(
    Night,
    kind=st.sampled_from(["night", "night", "night", "soon", "clear", "clear_failed"]),
    days=st.sampled_from([1, 1, 2, 6, 13, 30]),
    failing=masks,
    order=numbers,
    periods=st.integers(0, 1),
    cleared=st.integers(0, 3),
    dead_scopes=st.booleans(),
    reading=st.sampled_from(["a", "a", "a", "b"]),
    empty=st.sampled_from([0] * 9 + [1 << 3, 1 << 1, 1 << 0]),
    unknown_paths=st.sampled_from([0] * 9 + [1 << 3, 1 << 1, 1 << 0]),
    knows_paths=st.booleans(),
)
settings_of_histories = st.builds(
    Setting,
    granularity=st.sampled_from(["monthly", "monthly", "weekly", "quarterly", "sprint"]),
    scopes=st.sampled_from(["leaf", "parent", "all"]),
    root=st.booleans(),
    contains_children=st.sampled_from([True, True, False]),
    sprints=st.sampled_from(["overlap", "start", "end"]),
)
histories = st.tuples(
    settings_of_histories, st.lists(st.one_of(nights, changes), min_size=3, max_size=14).map(lambda s: [Night(), *s])
)
