"""How the venue answers, as a state: ok, backing off, or an outage that is waited out (X16).

An outage is said once when it begins and once when it is over, not at every failed query.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define
from loguru import logger

from actors.effects import Effect, Notify
from actors.reconciling.passes import Pass
from fsm.events import AlertRaised

#: Passes without any usable answer, one after the other, before it is called an outage.
_SILENT_PASSES = 3
#: Passes of which a part failed, one after the other, before somebody hears of it.
_INCOMPLETE_PASSES = 5


class LinkState(StrEnum):
    """What the reconciler makes of the venue's answers."""

    OK = "ok"
    BACKING_OFF = "backing_off"
    OUTAGE = "outage"


@define(slots=True)
class Link:
    """The state since `since_us`; `failures` counts passes with a failed query in a row."""

    state: LinkState = LinkState.OK
    since_us: int | None = None
    failures: int = 0
    silent: int = 0
    next_try_us: int | None = None

    def passed(self, run: Pass, now_us: int) -> list[Effect]:
        """A pass is over: where the link stands now, and what people hear of it."""
        self.failures = self.failures + 1 if run.failures else 0
        mute = bool(run.failures) and not run.answered
        self.silent = self.silent + 1 if mute else 0
        maintenance = mute and any("maintenance" in text.lower() for text in run.failures)
        state = LinkState.OK
        if self.silent >= _SILENT_PASSES or maintenance:
            state = LinkState.OUTAGE
        elif run.failures:
            # Some answers are not yet the end of an outage.
            over = self.state is not LinkState.OUTAGE
            state = LinkState.BACKING_OFF if over else LinkState.OUTAGE
        if self.failures == _INCOMPLETE_PASSES and state is LinkState.BACKING_OFF:
            self.since_us = now_us if self.since_us is None else self.since_us
            why = "; ".join(run.failures[:2])
            return [_alert("warning", "RECONCILIATION_INCOMPLETE", f"no whole pass: {why}")]
        if state is self.state:
            self.since_us = now_us if self.since_us is None else self.since_us
            return []
        was, self.state, self.since_us = self.state, state, now_us
        logger.info("VENUE_LINK {} after {}: {}", state, was, "; ".join(run.failures[:1]) or "-")
        if state is LinkState.OUTAGE:
            why = run.failures[0]
            return [_alert("warning", "VENUE_OUTAGE", f"the venue does not answer: {why}")]
        if was is LinkState.OUTAGE:
            return [_alert("info", "VENUE_BACK", "the venue answers again")]
        return []

    def waits(self, now_us: int) -> bool:
        """Whether queries fail, and the next pass is set for later."""
        return self.failures > 0 and self.next_try_us is not None and now_us < self.next_try_us

    def delay_us(self, usual_us: int, least_us: int, most_us: int) -> int:
        """How long to the next pass: doubled with each failed one, at most `most_us`."""
        if not self.failures:
            return usual_us
        return min(max(usual_us, least_us) << min(self.failures - 1, 6), most_us)


def _alert(severity: str, token: str, text: str) -> Notify:
    return Notify(AlertRaised(severity=severity, token=token, text=text))
