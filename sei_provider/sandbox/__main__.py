"""`python -m sei_provider.sandbox`: the SEI export API on localhost, until it is stopped."""

from __future__ import annotations

import argparse
import os

from sei_provider.sandbox.app import create_app
from sei_provider.sandbox.data.dialect import TRAITS
from sei_provider.sandbox.options import SandboxOptions
from sei_provider.sandbox.server import address, listen, run

KEY_VARIABLE = "SEI_SANDBOX_KEY"


def main() -> None:
    """Read the command line, print where the sandbox listens, and serve."""
    parser = argparse.ArgumentParser(prog="python -m sei_provider.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on; 0 takes a free one")
    parser.add_argument("--teams", type=int, default=40, help="number of leaf teams in the organisation")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long an export takes")
    parser.add_argument(
        "--key",
        default=os.environ.get(KEY_VARIABLE) or "sandbox",
        help=f"the API key that is accepted; everybody here sees it, so a secret one comes by {KEY_VARIABLE}",
    )
    parser.add_argument(
        "--allowed-hosts",
        default="",
        help="names, with commas, by which clients ask for it, beside IP addresses and localhost",
    )
    parser.add_argument("--base-path", default="/", help="path before every call's path, such as /prod1/sei/api")
    parser.add_argument("--timeout-teams", type=int, help="an export with more teams in its scope fails")
    parser.add_argument("--timeout-days", type=int, help="an export with more days in its range fails")
    parser.add_argument("--requests-per-minute", type=int, help="more requests in 60 seconds get HTTP 429")
    parser.add_argument("--clock-speed", type=float, default=1.0, help="how fast the sandbox's clock runs")
    parser.add_argument(
        "--no-reuse", dest="reuse", action="store_false", help="an identical request makes another export"
    )
    parser.add_argument(
        "--dialect",
        default="",
        help=f"traits of a cluster that differs where SEI's documents are silent, with commas: {', '.join(TRAITS)}",
    )
    parser.add_argument("--fault-rate", type=float, help="probability, 0 to 1, that a call gets a transient fault")
    parser.add_argument("--seed", type=int, help="makes the faults of --fault-rate the same every time")
    arguments = vars(parser.parse_args())
    arguments["allowed_hosts"] = tuple(filter(None, arguments["allowed_hosts"].split(",")))
    host, port = arguments.pop("host"), arguments.pop("port")
    try:
        options = SandboxOptions(**arguments)
    except ValueError as error:
        name, _, problem = str(error).partition(" ")
        parser.error(f"argument --{name.replace('_', '-')}: {problem}")
    with listen(host, port) as listening:
        print(f"sandbox listening on {address(listening, options.base_path)}", flush=True)
        run(create_app(options), listening)


if __name__ == "__main__":
    main()
