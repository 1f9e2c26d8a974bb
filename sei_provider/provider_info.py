"""The provider's metadata for Airflow's provider discovery (entry point `apache_airflow_provider`)."""

from __future__ import annotations

from typing import Any

from sei_provider import __version__

_INTEGRATION = "Harness SEI"


def get_provider_info() -> dict[str, Any]:
    """Return the metadata by Airflow's `provider_info.schema.json`; `package-name` is the distribution's name."""
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
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["sei_provider.sensors.freshness"]}],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["sei_provider.triggers.export", "sei_provider.triggers.freshness"],
            }
        ],
        "extra-links": ["sei_provider.links.SeiExportLink"],
        "asset-uris": [
            {
                "schemes": ["sei"],
                "handler": "sei_provider.lineage.sanitize_uri",
                "to_openlineage_converter": "sei_provider.lineage.convert_asset_to_openlineage",
            }
        ],
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
                    "org_identifier": _text("Organization identifier", "Required; every call carries it"),
                    "project_identifier": _text("Project identifier", "Required; every call carries it"),
                    "account_identifier": _text("Account identifier", "Needed to list org trees and their teams"),
                    "requests_per_minute": _number("Requests per minute", 400, "SEI's limit for this key"),
                    "machines": _number("Machines", 1, "Number of machines that divide this limit"),
                    "rate_limit_conn_id": _text(
                        "Rate limit connection", "Id of a connection of type redis: all machines count there together"
                    ),
                    "rate_limit_url": _secret(
                        "Rate limit in Redis", "The same without a password, as in redis://host:6379/0"
                    ),
                    "week_starts_on": _text("Week starts on", "A weekday; Monday if empty"),
                    "timezone": _text("Time zone", "The zone of a day's end, such as Europe/Berlin; UTC if empty"),
                    "ca_bundle": _text("CA bundle", "Path of a PEM file, the same on every worker and triggerer"),
                    "allow_http": {
                        "label": "Allow http",
                        "schema": {"type": ["boolean", "null"], "default": False},
                        "description": "Send the key unencrypted to a host other than this machine",
                    },
                    "personal_data_secret": _secret(
                        "Personal data secret",
                        "The key for hashing names and e-mail addresses: 16 bytes or more, not easily guessed",
                    ),
                    "level_field": {
                        "label": "Level field",
                        "schema": {
                            "type": ["string", "null"],
                            "enum": ["metricLevel", "aggregationLevel"],
                            "default": "metricLevel",
                        },
                        "description": "aggregationLevel for clusters that require that name",
                    },
                },
            }
        ],
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"]}, "description": description}


def _secret(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"], "format": "password"}, "description": description}


def _number(label: str, default: int, description: str) -> dict[str, Any]:
    schema = {"type": ["integer", "null"], "default": default, "minimum": 1}
    return {"label": label, "schema": schema, "description": description}
