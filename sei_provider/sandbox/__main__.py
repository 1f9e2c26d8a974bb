"""`python -m sei_provider.sandbox`: the SEI export API on localhost, until it is stopped."""

from __future__ import annotations

import argparse

from sei_provider.sandbox.app import create_app
from sei_provider.sandbox.organisation import Organisation
from sei_provider.sandbox.server import address, listen, run


def main() -> None:
    """Read the command line, say where the sandbox listens, and serve."""
    parser = argparse.ArgumentParser(prog="python -m sei_provider.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on; 0 takes a free one")
    parser.add_argument("--teams", type=int, default=40, help="number of leaf teams in the organisation")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long an export takes")
    parser.add_argument("--key", default="sandbox", help="the API key that is accepted")
    parser.add_argument("--base-path", default="/", help="path before every call's path, such as /prod1/sei/api")
    options = parser.parse_args()
    if options.teams < 1:
        parser.error(f"--teams must be at least 1, not {options.teams}")
    app = create_app(Organisation(options.teams), seconds=options.seconds, key=options.key, base_path=options.base_path)
    with listen(options.host, options.port) as listening:
        print(f"sandbox listening on {address(listening, options.base_path)}", flush=True)
        run(app, listening)


if __name__ == "__main__":
    main()
