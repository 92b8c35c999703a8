"""The REST of the server extension, driven by its own description with whatever fits and does not.

A request that the description allows must not be refused as malformed, one that it forbids must
be; whatever comes back, its status, headers and content must be what the description says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from jupyter_launch.frontends.server_routes import DESCRIPTION
from tests.jupyter_server import JupyterServer, recorded, serving

RUNS = ["finished-0", "finished-1"]
FREE = {
    "POST /runs", "POST /runs/{id}/relaunch", "PATCH /runs/{id}", "POST /queues",
    "PATCH /queues/{queue}", "GET /runs/{id}/find",
}  # fmt: skip
"""Operations in whose requests more can be wrong than a schema can say."""


def _description() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    described["components"]["parameters"]["Id"]["schema"] = {"enum": [*RUNS, "unknown"]}
    return described


schema = schemathesis.openapi.from_dict(
    _description(),
    config=SchemathesisConfig.from_dict(
        {
            "phases": {"examples": {"enabled": False}},
            # Strangers are another test's business.
            "generation": {"with-security-parameters": False},
            "checks": {
                "positive_data_acceptance": {
                    # No schema can say which ranges a log has.
                    "expected-statuses": ["2xx", "404", "409", "416"]
                }
            },
        }
    ),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    for server in serving(tmp_path_factory.mktemp("api")):
        store = server.store()
        for run_id in RUNS:
            recorded(store, b"a line\nanother \x1b[31mline\x1b[0m\n" * 100, run_id=run_id)
        store.close()
        yield server


@schema.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_it_is_as_described(case: schemathesis.Case[Any], server: JupyterServer) -> None:
    case.call_and_validate(
        base_url=server.api,
        headers={"Authorization": f"token {server.token}"},
        excluded_checks=[positive_data_acceptance] if case.operation.label in FREE else [],
        timeout=30,
    )
