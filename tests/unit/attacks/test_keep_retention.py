"""What retention deletes when the clock was set back, or went wrong for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.backup_folder import SCHEDULED, Kept, surplus

HOUR_US = 3_600_000_000
NOON_US = 1_900_000_000_000_000


def _kept(made_at_us: int, seq: int) -> Kept:
    name = Path(f"holdfast.db-{made_at_us}-seq{seq}")
    return Kept(path=name, made_at_us=made_at_us, seq=seq, reason=SCHEDULED)


def _newest_first(backups: list[Kept]) -> list[Kept]:
    return sorted(backups, key=lambda kept: (kept.made_at_us, kept.seq), reverse=True)


@pytest.mark.parametrize("keep", [0, 1, 3, 14])
@pytest.mark.parametrize("back_h", [30, 24 * 365])
def test_a_clock_that_was_set_back_does_not_delete_what_was_just_made(
    keep: int, back_h: int
) -> None:
    before = [_kept(NOON_US + hour * HOUR_US, 100 + hour) for hour in range(20)]
    after = [_kept(NOON_US + (19 - back_h + hour) * HOUR_US, 200 + hour) for hour in range(3)]
    gone = surplus(_newest_first(before + after), keep, 0)
    assert after[-1] not in gone
    assert before[-1] not in gone  # by its time it is the newest


def test_after_a_restore_the_new_history_is_kept_although_its_seqs_are_lower() -> None:
    lost = [_kept(NOON_US + hour * HOUR_US, 500 + hour) for hour in range(5)]
    new = [_kept(NOON_US + (10 + hour) * HOUR_US, 300 + hour) for hour in range(5)]
    gone = surplus(_newest_first(lost + new), 2, 0)
    assert not set(new[-2:]) & set(gone)
    assert set(new[:3]) <= set(gone)
