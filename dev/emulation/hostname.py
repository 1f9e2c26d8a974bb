"""For `[core] hostname_callable`: several "machines" on one kernel share its host name."""

import os


def of_container() -> str:
    """The host name that dev.emulation.one_machine gave to this process's service, as a container engine does."""
    return os.environ["HOSTNAME"]
