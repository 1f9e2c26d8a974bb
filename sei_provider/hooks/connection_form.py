"""The connection form for Airflow 3.1, made from the provider's metadata that later versions read themselves."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sei_provider.provider_info import get_provider_info


def widgets() -> dict[str, Any]:
    """Return a wtforms field for each of our `conn-fields`; raises `ImportError` if wtforms is not installed."""
    wtforms = import_module("wtforms")
    kinds = {"string": wtforms.StringField, "integer": wtforms.IntegerField, "boolean": wtforms.BooleanField}
    made = {}
    for name, described in _connection_type()["conn-fields"].items():
        schema = described["schema"]
        kind = wtforms.PasswordField if schema.get("format") == "password" else kinds[schema["type"][0]]
        made[name] = kind(described["label"], description=described["description"], default=schema.get("default"))
    return made


def field_behaviour() -> dict[str, Any]:
    """Return which fields of every connection are hidden, and the labels of the others."""
    return {name.replace("-", "_"): value for name, value in _connection_type()["ui-field-behaviour"].items()}


def _connection_type() -> dict[str, Any]:
    described: dict[str, Any] = get_provider_info()["connection-types"][0]
    return described
