"""`python -m tests.triggers.triggerer`: the part of a triggerer that runs triggers, until SIGTERM.

It is what `airflow triggerer` runs, and prints what a test waits for: that it is up, and each event it has dealt with.
All that it needs of Airflow's inside stands here; configuration and database come by the environment.
"""

from __future__ import annotations

import signal

import attrs
from airflow.jobs.job import Job
from airflow.jobs.triggerer_job_runner import TriggererJobRunner, TriggerRunnerSupervisor


@attrs.define(kw_only=True)
class _Supervisor(TriggerRunnerSupervisor):
    def handle_events(self) -> None:
        dealt_with = [entry[0] for entry in self.events]
        super().handle_events()
        for trigger_id in dealt_with:
            print(f"dealt with an event of trigger {trigger_id}", flush=True)  # noqa: T201 - the test reads it


def main() -> None:
    """Announce a triggerer, and run what triggers the database gives it."""
    job = TriggererJobRunner(Job(), capacity=10).job  # which makes it a triggerer's
    job.prepare_for_execution()
    supervisor = _Supervisor.start(job=job, capacity=10)

    def stop(*_: object) -> None:
        supervisor.stop = True

    signal.signal(signal.SIGTERM, stop)
    print(f"triggerer {job.id} runs", flush=True)  # noqa: T201 - the same
    supervisor.run()
    supervisor.kill(force=True)
    job.complete_execution()


if __name__ == "__main__":
    main()
