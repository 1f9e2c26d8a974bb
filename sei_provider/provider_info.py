"""What Airflow's provider discovery reads (entry point `apache_airflow_provider`)."""

from __future__ import annotations

from typing import Any

from sei_provider import __version__

_INTEGRATION = "Harness SEI"


def get_provider_info() -> dict[str, Any]:
    """The provider as Airflow's `provider_info.schema.json` describes it; `package-name` is the distribution's name."""
    return {
        "package-name": "airflow-provider-sei",
        "name": _INTEGRATION,
        "description": "Exports of Harness SEI (AI DLC Insights) as typed, partitioned Parquet.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://developer.harness.io/docs/software-engineering-insights/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["sei_provider.hooks.sei"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "sei_provider.operators.export",
                    "sei_provider.operators.report",
                    "sei_provider.operators.publish",
                    "sei_provider.operators.check",
                ],
            }
        ],
        "triggers": [{"integration-name": _INTEGRATION, "python-modules": ["sei_provider.triggers.export"]}],
        "cli": ["sei_provider.cli.definition.get_sei_cli_commands"],
        "connection-types": [
            {
                "connection-type": "sei",
                "hook-class-name": "sei_provider.hooks.sei.SeiHook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {"host": "https://app.harness.io/prod1/sei/api"},
                },
                "conn-fields": {
                    "org_identifier": _text("Organization identifier"),
                    "project_identifier": _text("Project identifier"),
                    "account_identifier": _text("Account identifier"),
                    "requests_per_minute": _number("Requests per minute", 400, "What SEI allows to this key"),
                    "machines": _number("Machines", 1, "How many machines share that limit"),
                    "week_starts_on": _text("Week starts on", "A weekday; Monday if empty"),
                    "timezone": _text("Time zone", "The zone in which a day ends, as in Europe/Berlin; UTC if empty"),
                    "ca_bundle": _text("CA bundle", "Path of a PEM file on the workers"),
                    "personal_data_secret": {
                        "label": "Personal data secret",
                        "schema": {"type": ["string", "null"], "format": "password"},
                        "description": "The key under which names and e-mail addresses are hashed",
                    },
                    "level_field": _text("Level field", "aggregationLevel for clusters that want that name"),
                },
            }
        ],
    }


def _text(label: str, description: str | None = None) -> dict[str, Any]:
    described = {"description": description} if description else {}
    return {"label": label, "schema": {"type": ["string", "null"]}, **described}


def _number(label: str, default: int, description: str) -> dict[str, Any]:
    schema = {"type": ["integer", "null"], "default": default, "minimum": 1}
    return {"label": label, "schema": schema, "description": description}
