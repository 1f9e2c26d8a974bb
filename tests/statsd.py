"""A StatsD server for the tests: a UDP socket that keeps every line, with the settings that lead Airflow to it."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Self

_LINE = re.compile(r"airflow\.(sei\.[a-z_.]+)((?:,[^=,:]+=[^=,:]*)*):([0-9.e+-]+)\|(c|ms)")
_MARK = "no metric, but all before it has come"


class StatsdServer:
    """Keeps all that comes while it is open."""

    def __init__(self) -> None:
        self._packets: list[str] = []
        self._caught_up = threading.Semaphore(0)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send("")
        self._thread.join()
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of an Airflow that sends its metrics here, with their tags."""
        host, port = self._socket.getsockname()
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host,
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "sei",  # a socket holds few packets, and Airflow sends many
        }

    @property
    def text(self) -> str:
        """All that was sent so far."""
        self._send(_MARK)
        self._caught_up.acquire()
        return "\n".join(self._packets)

    def counts(self, **tags: str) -> Counter[str]:
        """The sum of each counter of the provider, over all lines with these tags."""
        sums: Counter[str] = Counter()
        for name, kind, number in self._lines(tags):
            if kind == "c":
                sums[name] += int(float(number))
        return sums

    def times(self, name: str, **tags: str) -> list[float]:
        """The milliseconds of a timer, of all lines with these tags."""
        return [float(number) for found, kind, number in self._lines(tags) if (found, kind) == (name, "ms")]

    def _lines(self, tags: dict[str, str]) -> list[tuple[str, str, str]]:
        found = []
        for line in self.text.splitlines():
            if ".sei." in line:
                match = _LINE.fullmatch(line)
                assert match, f"no metric of the provider looks like {line}"
                name, its, number, kind = match.groups()
                if tags.items() <= dict(tag.split("=") for tag in its.split(",") if tag).items():
                    found.append((name, kind, number))
        return found

    def _receive(self) -> None:
        while packet := self._socket.recv(65_536).decode():
            if packet == _MARK:
                self._caught_up.release()
            else:
                self._packets.append(packet)

    def _send(self, text: str) -> None:
        """Send a packet; on this machine it comes after all that was sent before."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), self._socket.getsockname())
