"""Which routes there are by the application's arguments."""

import pytest
from fastapi import FastAPI

from serve.http.routes.service import model_routes
from serve.profiles import load_profile
from serve.settings import AppArgs


@pytest.mark.parametrize("allowed", [True, False])
def test_the_audit_of_weights_is_for_operators(allowed: bool) -> None:
    args = AppArgs(operator_routes=allowed) if allowed else AppArgs()
    api = FastAPI()
    api.include_router(model_routes(None, load_profile("embedded"), args, {}, None))
    assert ("/v1/models/{name}/weights" in api.openapi()["paths"]) is allowed
