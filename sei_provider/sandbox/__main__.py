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
    parser.add_argument("--teams", type=_at_least_1, default=40, help="number of leaf teams in the organisation")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long an export takes")
    parser.add_argument("--key", default="sandbox", help="the API key that is accepted")
    parser.add_argument("--base-path", default="/", help="path before every call's path, such as /prod1/sei/api")
    parser.add_argument("--timeout-teams", type=_at_least_1, help="most teams in the scope of an export that is done")
    parser.add_argument("--timeout-days", type=_at_least_1, help="most days in the range of an export that is done")
    parser.add_argument("--requests-per-minute", type=_at_least_1, help="most requests in 60 seconds before a 429")
    parser.add_argument("--clock-speed", type=_above_0, default=1.0, help="how fast the sandbox's clock runs")
    parser.add_argument("--weather", type=_probability, help="how probable it is, 0 to 1, that a call goes wrong")
    parser.add_argument("--seed", type=int, help="makes the weather the same every time")
    options = parser.parse_args()
    app = create_app(
        Organisation(options.teams),
        seconds=options.seconds,
        clock_speed=options.clock_speed,
        key=options.key,
        base_path=options.base_path,
        timeout_teams=options.timeout_teams,
        timeout_days=options.timeout_days,
        requests_per_minute=options.requests_per_minute,
        weather=options.weather,
        seed=options.seed,
    )
    with listen(options.host, options.port) as listening:
        print(f"sandbox listening on {address(listening, options.base_path)}", flush=True)
        run(app, listening)


def _at_least_1(text: str) -> int:
    number = int(text)
    if number < 1:
        message = f"must be at least 1, not {text}"
        raise argparse.ArgumentTypeError(message)
    return number


def _above_0(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        message = f"must be above 0, not {text}"
        raise argparse.ArgumentTypeError(message)
    return number


def _probability(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1:
        message = f"must be above 0 and at most 1, not {text}"
        raise argparse.ArgumentTypeError(message)
    return number


if __name__ == "__main__":
    main()
