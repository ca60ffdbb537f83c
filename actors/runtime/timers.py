"""All timers in one heap: a timer is a message with a due time, not a sleeping task."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class TimerHeap:
    """Keyed timers; setting a key again replaces it. Order is (due, order of setting)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._armed: dict[str, tuple[int, object]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._armed)

    def set(self, key: str, due_us: int, message: object) -> None:
        """Arm or replace a timer."""
        self._count += 1
        self._armed[key] = (self._count, message)
        heappush(self._heap, (due_us, self._count, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._armed):
            self._sweep()

    def cancel(self, key: str) -> None:
        """Forget a timer; unknown keys are fine."""
        self._armed.pop(key, None)

    def next_due_us(self) -> int | None:
        """When the earliest timer is due, or None."""
        heap = self._heap
        while heap and not self._is_armed(heap[0]):
            heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now_us: int) -> object | None:
        """The message of the earliest timer that is due, or None; it is disarmed."""
        due = self.next_due_us()
        if due is None or due > now_us:
            return None
        _, _, key = heappop(self._heap)
        return self._armed.pop(key)[1]

    def _is_armed(self, entry: tuple[int, int, str]) -> bool:
        armed = self._armed.get(entry[2])
        return armed is not None and armed[0] == entry[1]

    def _sweep(self) -> None:
        """Drop replaced entries, so that the heap stays as large as what is armed (L9)."""
        self._heap = [entry for entry in self._heap if self._is_armed(entry)]
        heapify(self._heap)
