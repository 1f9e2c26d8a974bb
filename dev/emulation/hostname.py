"""Host name for `[core] hostname_callable`, because several "machines" on one kernel share the kernel's."""

import os


def of_container() -> str:
    """Return the host name that `one_machine` gave to this process's service, as a container engine does."""
    return os.environ["HOSTNAME"]
