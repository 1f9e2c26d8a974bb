"""The options of one sandbox, checked once for the command line, the tests and the application."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.dialect import parse_dialect

if TYPE_CHECKING:
    from collections.abc import Callable


_LONGEST = 366 * 24 * 3600
_FASTEST = 10**9
"""With longer exports or a faster clock its times would leave the calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """Everything that can be chosen about a sandbox; `ValueError` names the option that makes no sense."""

    teams: int = 40
    """Number of leaf teams in the organisation."""
    seconds: float = 0.2
    """Seconds from the creation of an export to its end."""
    clock: Callable[[], float] = time.time
    """Returns seconds since 1970; the sandbox's own clock starts at its time."""
    clock_speed: float = 1.0
    """Speed of the sandbox's clock against `clock`, for exports and the rate limit alike."""
    key: str = "sandbox"
    """The API key that is accepted."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which it is asked, beside IP addresses and localhost; any other may be another site's."""
    base_path: str = "/"
    """Stands before every documented path, but in no link (CONTRACT row 5)."""
    timeout_teams: int | None = None
    """An export with more teams in its scope fails; None for no limit."""
    timeout_days: int | None = None
    """An export with more days in its range fails; None for no limit."""
    requests_per_minute: int | None = None
    """More requests in 60 seconds of the sandbox's clock get 429; None for no limit."""
    reuse: bool = True
    """True if an identical request within 30 minutes gets the same export (CONTRACT, "Reuse")."""
    dialect: str = ""
    """Traits of a cluster that differs where SEI's documents are silent: `data.dialect.TRAITS`, joined by commas."""
    fault_rate: float | None = None
    """Probability that a call gets one of `faults.TRANSIENT_FAULTS`; None for no faults."""
    seed: int | None = None
    """Makes the faults of `fault_rate` the same for the same sequence of calls."""

    def __post_init__(self) -> None:
        for name in ("teams", "timeout_teams", "timeout_days", "requests_per_minute"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"{name} must be at least 1, not {value}"
                raise ValueError(msg)
        parse_dialect(self.dialect)
        if not 0 <= self.seconds <= _LONGEST:
            msg = f"seconds must be a number from 0 to {_LONGEST:,}, not {self.seconds:g}"
            raise ValueError(msg)
        if not 0 < self.clock_speed <= _FASTEST:
            most = f" and at most {_FASTEST:,}" if self.clock_speed > _FASTEST else ""
            msg = f"clock_speed must be above 0{most}, not {self.clock_speed:g}"
            raise ValueError(msg)
        if self.fault_rate is not None and not 0 < self.fault_rate <= 1:
            msg = f"fault_rate must be above 0 and at most 1, not {self.fault_rate:g}"
            raise ValueError(msg)
