"""`python -m tests.public_surface`: what users rely on, one name a line, with its arguments and their defaults.

`tests/public_surface.txt` pins it. After a change that is meant: `python -m tests.public_surface --write`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PINNED = Path(__file__).with_suffix(".txt")
FACES = ("sei_provider.api", "sei_provider.lake")
"""Packages whose `__all__` is public."""
CLASSES = (
    "sei_provider.api.SeiClient",
    "sei_provider.api.AsyncSeiClient",
    "sei_provider.api.ExportRequest",
    "sei_provider.api.Scope",
    "sei_provider.hooks.sei.SeiHook",
    "sei_provider.triggers.export.SeiExportTrigger",
    "sei_provider.triggers.freshness.SeiFreshnessTrigger",
)
CONSTRUCTORS = (
    "sei_provider.api.SeiClient",
    "sei_provider.api.AsyncSeiClient",
    "sei_provider.operators.export.SeiExportOperator",
    "sei_provider.operators.report.SeiReportOperator",
    "sei_provider.operators.publish.SeiPublishOperator",
    "sei_provider.operators.check.SeiCheckOperator",
    "sei_provider.sensors.freshness.SeiFreshnessSensor",
)
"""Classes that take more arguments than their own `__init__` names."""


def main() -> None:
    """Print the surface, or write it where it is pinned."""
    text = "\n".join([*lines(), ""])
    if "--write" in sys.argv:
        PINNED.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def lines() -> Iterator[str]:
    """Return the lines of the surface."""
    for face in FACES:
        module = importlib.import_module(face)
        for name in sorted(module.__all__):
            found = getattr(module, name)
            yield f"{face}.{name}{arguments(found) if inspect.isfunction(found) else ''}"
    for path in CLASSES:
        cls = _found(path)
        yield f"{path}{arguments(cls)}"
        for name, method in sorted(vars(cls).items()):
            if not name.startswith("_") and not isinstance(method, type):
                plain = getattr(method, "__func__", method)
                yield f"{path}.{name}{arguments(plain) if inspect.isfunction(plain) else ''}"
    for path in CONSTRUCTORS:
        yield from (f"{path} {argument}" for argument in constructor_arguments(_found(path)))


def arguments(function: Any) -> str:
    """Return a signature without types."""
    signature = inspect.signature(function)
    plain = [each.replace(annotation=each.empty) for each in signature.parameters.values() if each.name != "self"]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def constructor_arguments(derived: type) -> Iterator[str]:
    """Return the arguments of a class and of its bases, without Airflow's own."""
    for cls in reversed(derived.__mro__):
        if cls.__module__.startswith("sei_provider") and "__init__" in vars(cls):
            for each in inspect.signature(vars(cls)["__init__"]).parameters.values():
                if each.name != "self" and each.kind is not each.VAR_KEYWORD:
                    yield str(each.replace(annotation=each.empty))


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main()
