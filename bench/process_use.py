"""CPU and memory of the processes of one Airflow: of tasks and triggerer, and of the services around them.

LocalExecutor's workers are children of the scheduler, and each forks one process for each task step. So the CPU of
tasks is what the kernel has summed up for the workers' ended children.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.memory import memory_share, peak_memory
from dev.processes import BackgroundProcess
from dev.sampler import Sampler

INTERVAL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """CPU seconds since the start of Airflow, by the kind of process."""

    tasks: float
    """Processes of tasks that have ended."""
    supervisors: float
    """LocalExecutor's workers, which pass on what their task asks of Airflow."""
    triggerer: float
    services: float
    """Scheduler, API server and DAG processor."""

    def since(self, before: ProcessUse) -> ProcessUse:
        """Return what was used since `before`."""
        return ProcessUse(
            self.tasks - before.tasks,
            self.supervisors - before.supervisors,
            self.triggerer - before.triggerer,
            self.services - before.services,
        )


class ProcessSampler(Sampler):
    """Looks at the processes of a running Airflow, around one run.

    Memory is the kernel's own peak (`VmHWM`), so that only the last tenth of a second of a process can be missed. That
    of a forked process begins with what its parent held.
    """

    def __init__(self, processes: Mapping[str, BackgroundProcess]) -> None:
        super().__init__(INTERVAL_SECONDS, missed=psutil.NoSuchProcess)  # a worker may end meanwhile
        self._processes = {name: psutil.Process(process.pid) for name, process in processes.items()}
        self._before = self.use()
        self.task_peak = 0
        """Most bytes of memory that one task process held, with those that it shares with its parent."""
        self.task_share = 0
        """Most bytes that one task process was seen with when pages that processes share are divided among them."""
        self.triggerer_peak = 0

    def used(self) -> ProcessUse:
        """Return what was used since this sampler was made."""
        return self.use().since(self._before)

    def use(self) -> ProcessUse:
        """Return what was used since the start of Airflow."""
        workers = self._processes["scheduler"].children()
        triggerer = self._processes["triggerer"]
        return ProcessUse(
            tasks=sum(_of_ended_children(worker) for worker in workers),
            supervisors=sum(_own(worker) for worker in workers),
            triggerer=sum(_own(process) for process in [triggerer, *triggerer.children(recursive=True)]),
            services=_own(self._processes["scheduler"])
            + sum(
                _own(process) + _of_ended_children(process)
                for name in ("api-server", "dag-processor")
                for process in [self._processes[name], *self._processes[name].children(recursive=True)]
            ),
        )

    def look(self) -> None:
        """Take one sample of memory now."""
        for worker in self._processes["scheduler"].children():
            for task in worker.children():
                self.task_peak = max(self.task_peak, peak_memory(task.pid))
                self.task_share = max(self.task_share, memory_share(task.pid))
        for process in self._processes["triggerer"].children():
            self.triggerer_peak = max(self.triggerer_peak, peak_memory(process.pid))


def _own(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _of_ended_children(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.children_user + times.children_system)
    return 0.0
