"""What a scenario came to."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen


@frozen
class Failure:
    """One expectation that did not hold. `step` counts from 1; 0 is the start itself."""

    step: int
    path: str
    expected: Any
    actual: Any


@define
class Outcome:
    """What a scenario came to, in the shape that `--json` prints."""

    name: str
    steps: int
    failures: list[Failure] = field(factory=list)
    state: dict[str, Any] = field(factory=dict)
    journal: dict[str, Any] = field(factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything held."""
        return not self.failures

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "name": self.name,
            "passed": self.passed,
            "steps": self.steps,
            "failures": [
                {"step": f.step, "path": f.path, "expected": f.expected, "actual": f.actual}
                for f in self.failures
            ],
            "state": self.state,
            "journal": self.journal,
        }
