"""Histories that once failed, and one for each part of the owner rule that fails without it."""

from __future__ import annotations

from history_steps import Change, History, Night, Setting
from ownership_model import (
    OwnerRule,
    WithEveryTombstone,
    WithoutClearNumber,
    WithoutDaysOfSprints,
    WithoutReach,
    WithoutTombstones,
    WithoutWhatLiesBelow,
    WithSlashes,
)

ALL_PARENTS = 1 << 0 | 1 << 1 | 1 << 2

MOVED_SPRINT: History = (
    Setting("sprint", "leaf", False, True),
    [Night(), Change("move_sprint", 0, 5, 0), Night(days=6)],
)
"""Its old days lie before the second request, its new ones across the first day of it."""
CLEARED_AFTER_A_MOVE: History = (
    Setting("monthly", "parent", False, True),
    [Night(), Night(), Night(), Change("move", 0, 1, 0), Change("split_below", 2, 0, 0), Night(kind="clear_failed")],
)
"""A scope that is new since comes by the clear of the first night, and reaches less far than the third."""
CLEARED_AFTER_A_SHORTER_SPRINT: History = (
    Setting("sprint", "leaf", False, True),
    [
        Night(),
        Night(),
        Change("rename_parent", 2, 0, 0),
        Change("move_sprint", 2, 0, 0),
        *[Night()] * 3,
        Night(kind="clear"),
    ],
)
"""A sprint ends earlier by now, so the cleared night reaches its last day; the old paths had it to a later one."""
WITHOUT: list[tuple[type[OwnerRule], History]] = [
    (  # The first of two nights is cleared in March: 20 days are not the month.
        WithoutReach,
        (Setting("monthly", "leaf", False, True), [Night(), Night(days=10), Night(kind="clear", days=30)]),
    ),
    (  # The parents fail, a team is deleted, then all succeed.
        WithoutWhatLiesBelow,
        (Setting("monthly", "all", True, True), [Night(failing=ALL_PARENTS), Change("delete", 2, 0, 0), Night()]),
    ),
    (  # A team is deleted and the one above it renamed.
        WithoutTombstones,
        (
            Setting("monthly", "all", False, True),
            [Night(), Change("delete", 2, 0, 0), Change("rename", 0, 0, 7), Night()],
        ),
    ),
    (  # Two teams swap names.
        WithEveryTombstone,
        (Setting("monthly", "leaf", False, True), [Night(), Change("swap", 2, 3, 0), Night()]),
    ),
    (  # The same over two half-failed nights.
        WithEveryTombstone,
        (
            Setting("monthly", "leaf", False, True),
            [Night(), Change("swap", 2, 3, 0), Night(failing=1 << 4), Night(failing=~(1 << 4))],
        ),
    ),
    (  # The same after a manual run, whose one export the night takes up.
        WithEveryTombstone,
        (
            Setting("monthly", "leaf", False, True),
            [Night(), Change("swap", 2, 3, 0), Night(failing=1 << 4), Night(kind="soon")],
        ),
    ),
    (  # Two teams swap names, then the run before is cleared.
        WithoutClearNumber,
        (Setting("monthly", "leaf", False, True), [Night(), Change("swap", 2, 3, 0), Night(kind="clear")]),
    ),
    (  # `Eng/CI/CD` is no child of `Eng/CI`.
        WithSlashes,
        (Setting("monthly", "all", False, True), [Night(order=2)]),
    ),
    (  # The team above is renamed while a sprint runs out of the requests.
        WithoutDaysOfSprints,
        (Setting("sprint", "leaf", False, True), [Night(), Change("rename", 0, 0, 7), Night()]),
    ),
]
