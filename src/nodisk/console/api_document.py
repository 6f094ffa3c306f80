"""The description of the console's API (OpenAPI 3.1.0), from its endpoints: ``python -m nodisk.console.api_document``
writes docs/reference/console-api.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nodisk import files
from nodisk.console import rights
from nodisk.console.api import ENDPOINTS
from nodisk.console.api_endpoint import Endpoint
from nodisk.machines.buttons.button import Outcome
from nodisk.upgrade.plan import Runs

PAGE = Path("docs/reference/console-api.json")
_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time"}
_REF = "#/components/schemas/{model}"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _object(**keys: Any) -> dict[str, Any]:
    """An object that has these keys always, and perhaps more in a later version."""
    return {"type": "object", "properties": keys, "required": list(keys)}


def _list(of: Any) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_CLASS = {
    "name": _TEXT,
    "ends": _TIME,
    "size": _TEXT,
    "role": _TEXT,
    "teachers": _list(_TEXT),
    "students": _NUMBER,
    "suspended": _NUMBER,
}
_MESSAGE = _object(text=_TEXT, by=_TEXT, since=_TIME, until=_TIME)
_MEMBER = _object(
    name=_TEXT,
    label=_TEXT,
    namespace=_TEXT,
    suspended=_FLAG,
    credential_until=_maybe(_TIME),
    last_sign_in=_maybe(_TIME),
    door=_maybe(_TEXT),
)
_CAME = _object(name=_TEXT, outcome={"enum": [str(one) for one in Outcome]}, detail=_TEXT)
ANSWERS = {
    "Status": _object(lab=_TEXT, time=_TIME, server=_TEXT, api=_TEXT, armed=_FLAG, machines=_list({"type": "object"}))
    | {"description": "docs/reference/status.md has all of it."},
    "Event": _object(id=_NUMBER, time=_TIME, kind=_TEXT, machine=_maybe(_TEXT), detail=_TEXT, source=_TEXT),
    "Events": _object(events=_list(_ref("Event"))),
    "UnknownMachines": _object(machines=_list(_object(mac=_TEXT, ignored=_FLAG, first_seen=_TIME, last_seen=_TIME))),
    "Class": _object(**_CLASS),
    "Classes": _object(classes=_list(_ref("Class"))),
    "ClassWithStudents": _object(**_CLASS, message=_maybe(_MESSAGE), cards=_FLAG, members=_list(_MEMBER)),
    "Cards": _object(**{"class": _TEXT}, cards=_list(_object(login=_TEXT, code=_TEXT)), page=_TEXT)
    | {"description": "Whoever has a code can sign in as that student. `page` is HTML, to be printed."},
    "NextBoots": _object(
        machines=_list(_object(name=_TEXT, next_boot=_maybe(_TEXT), default=_TEXT)), entries=_list(_TEXT)
    ),
    "Adopted": _object(command=_TEXT, name=_TEXT, mac=_TEXT, address=_TEXT, seat=_maybe(_TEXT)),
    "Addons": _object(addons=_list(_object(name=_TEXT, state=_TEXT, source=_TEXT, problem=_TEXT, images=_TEXT))),
    "Troubles": _object(
        troubles=_list(_object(namespace=_TEXT, object=_TEXT, kind=_TEXT, pods=_NUMBER, words=_TEXT, hint=_TEXT))
    ),
    "Order": _object(
        number=_TEXT, command=_TEXT, by=_TEXT, began=_TIME, targets=_list(_TEXT), done=_FLAG, came=_list(_CAME)
    ),
    "Upgrade": _object(
        build=_TEXT,
        machines=_list(_object(name=_TEXT, booted={"enum": [str(one) for one in Runs]})),
        steps=_list(_list(_TEXT)),
        done=_list(_TEXT),
        away=_list(_TEXT),
        underway=_FLAG,
        back=_FLAG,
        runs=_FLAG,
    ),
    "UpgradeBegun": _object(command=_TEXT, targets=_list(_TEXT)),
    "Refusal": _object(error=_TEXT),
}
ANSWER = {
    "/api/status": "Status",
    "/api/events": "Events",
    "/api/unknown": "UnknownMachines",
    "/api/classes": "Classes",
    "/api/classes/{name}": "ClassWithStudents",
    "/api/addons": "Addons",
    "/api/classes/{name}/cards": "Cards",
    "/api/classes/{name}/troubles": "Troubles",
    "/api/next-boot": "NextBoots",
    "/api/orders/{number}": "Order",
    "/api/upgrade": "Upgrade",
}
"""Path → the shape of its answer to a question."""
BEGUN = {"/api/unknown/{mac}/adopt": "Adopted", "/api/upgrade": "UpgradeBegun"}
"""The same where something is asked to be done; all others are answered with an order."""


def document() -> dict[str, Any]:
    """All of it."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    shapes = [one.body for one in ENDPOINTS if one.body is not None]
    bodies = {shape.__name__: shape.model_json_schema(ref_template=_REF) for shape in shapes}
    kinds = {name: kind for body in bodies.values() for name, kind in body.pop("$defs", {}).items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nodisk's console",
            "version": "1",
            "description": "By HTTPS at the console's address, with a certificate of the lab's CA. "
            "`nodisk console token NAME --role ROLE` prints a token.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": bodies | kinds | ANSWERS,
        },
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names
    ]
    parameters += [{"name": name, "in": "query", "description": text, "schema": _TEXT} for name, text in one.query]
    roles = ", ".join(str(role) for role in rights.RIGHTS if rights.may(role, one.right))
    told = "done" if one.status == 200 else "begun"
    found: dict[str, Any] = {
        "summary": one.summary,
        "description": f"As `{one.command}`. Roles: {roles}.",
        "operationId": one.handler.__name__.strip("_"),
        "parameters": parameters,
        "responses": {
            str(one.status): {
                "description": told,
                "content": _json(_ref(ANSWER[one.path] if one.body is None else BEGUN.get(one.path, "Order"))),
            },
            "default": {"description": "refused", "content": _json(_ref("Refusal"))},
        },
    }
    if one.body is not None:
        found["requestBody"] = {"required": True, "content": _json(_ref(one.body.__name__))}
    return found


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def text() -> str:
    """The document as it is written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


async def described(request: Request) -> Response:
    """The document, for anybody: there is nothing secret in it."""
    return JSONResponse(document())


ROUTES = (Route("/api/openapi.json", described),)

if __name__ == "__main__":
    files.write(PAGE, text())
