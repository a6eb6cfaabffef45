"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Iterable
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from earmark.domain.errors import BadInput, EarmarkError
from earmark.web import faults
from earmark.web.api.documents import Problem, ProblemField


def answer_errors(api: FastAPI) -> None:
    """Make every error of the API a problem document."""
    api.add_exception_handler(EarmarkError, _known)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, _unknown)


def _respond(problem: Problem) -> Response:
    return JSONResponse(
        problem.model_dump(),
        problem.status,
        {"Cache-Control": "no-store"},
        "application/problem+json",
    )


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, EarmarkError)
    status = faults.status_of(error)
    fields = error.fields if isinstance(error, BadInput) else {}
    problem = Problem(
        type=f"urn:earmark:error:{error.code}",
        title=faults.title_of(status),
        status=status,
        detail=str(error),
        hint=error.hint,
        errors=[
            ProblemField(pointer=_pointer(field.split(".")), detail=text)
            for field, text in fields.items()
        ],
    )
    return _respond(problem)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.detail,
    )
    response = _respond(problem)
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = Problem(
        type="urn:earmark:error:bad-input",
        title=faults.title_of(422),
        status=422,
        detail="The request is not as the API's description wants it.",
        errors=[
            ProblemField(pointer=_pointer(found["loc"][1:]), detail=found["msg"])
            for found in error.errors()
        ],
    )
    return _respond(problem)


async def _unknown(request: Request, error: Exception) -> Response:
    problem = Problem(
        type="about:blank",
        title=faults.title_of(500),
        status=500,
        detail="The request ran into an error of Earmark's own.",
    )
    return _respond(problem)


def _pointer(parts: Iterable[object]) -> str:
    escaped = (str(it).replace("~", "~0").replace("/", "~1") for it in parts)
    return "#/" + "/".join(escaped)
