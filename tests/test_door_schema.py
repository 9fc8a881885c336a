"""schemathesis: calls made from the OpenAPI, good and bad ones, against the door of an engine that runs."""

import pytest
import schemathesis
from door_rig import rig, until
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from hftlab.engine.door import gate

EXAMPLES = 5
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance, unsupported_method)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    for name in ("READ_BURST", "CONTROL_BURST", "FAILED_BURST"):
        patch.setattr(gate, name, 1e9)  # the rates have their own test
    with rig(tmp_path_factory.mktemp("schema") / "run") as made:
        until(lambda: made.board.frame().orders())
        yield made
    patch.undo()


def test_every_call_that_the_schema_allows_and_some_that_it_does_not_is_answered_as_it_says(desk):
    schema = schemathesis.openapi.from_url(f"{desk.door.url}/openapi.json", headers=desk.headers())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {"POST /trading/halt", "GET /health", "POST /strategies/{name}/activate"} <= {one.label for one in operations}
    for operation in operations:
        for mode in GenerationMode:
            _try(operation, mode, desk)
    assert desk._thread.is_alive()


def _try(operation, mode, desk):
    @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def tried(case):
        answer = case.call(headers=desk.headers())
        # 503 and 504 are answers too: an ill feed, an engine that is busy.
        case.validate_response(answer, checks=[one for one in CHECKS if answer.status_code < 503 or one is not not_a_server_error])

    try:
        tried()
    except Unsatisfiable:  # a call without any parameter has no wrong form
        assert mode is GenerationMode.NEGATIVE
