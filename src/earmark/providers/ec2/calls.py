"""EC2's API: boto3 writes and reads the messages, our transport carries them.

boto3's exceptions cannot tell whether a request left: urllib3 reports a TLS error
while *reading* an answer just as one of the handshake, and a timeout of the
handshake as one of reading. So its `before-send` event, with which a handler may
answer in its HTTP client's place (moto's mocks rest on it too), hands every signed
request to `transport`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from earmark.domain.deadline import Deadline
from earmark.domain.errors import ProviderError, Refused, Throttled
from earmark.providers.transport import Request, exchange, trust

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

#: Codes of errors, all with a status of 400 to 499, with which EC2 says that nothing
#: was done and nothing will be ("Error codes for the Amazon EC2 API").
REFUSALS = frozenset(
    {
        "AccessDenied",
        "AuthFailure",
        "Blocked",
        "DryRunOperation",
        "IncompleteSignature",
        "IncorrectInstanceState",
        "IncorrectState",
        "InstanceLimitExceeded",
        "InvalidClientTokenId",
        "InvalidInstanceID",
        "InvalidInstanceID.Malformed",
        "InvalidInstanceID.NotFound",
        "InvalidInstanceID.NotLinkable",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingAuthenticationToken",
        "MissingParameter",
        "OperationNotPermitted",
        "OptInRequired",
        "PendingVerification",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnsupportedOperation",
        "VcpuLimitExceeded",
    }
)
#: The same, whatever the status: EC2 counts its own lack of room, and more calls than
#: it allows, among the server's errors.
REFUSALS_OF_THE_SERVER = frozenset(
    {
        "InsufficientHostCapacity",
        "InsufficientInstanceCapacity",
        "RequestLimitExceeded",
    }
)

_deadline: ContextVar[Deadline] = ContextVar("deadline of the call")


class NotEc2(ProviderError):
    """Something answered, but not EC2; whether EC2 got the request is not known."""

    code = "unexpected-answer"


class Clients:
    """boto3's clients for one key and region, safe to share between threads.

    They know only what they are given: no environment, no files under `~/.aws`, no
    instance metadata. `reading` may ask three times, `changing` once.
    """

    def __init__(
        self, region: str, access_key_id: str, secret: str, endpoint_url: str | None
    ) -> None:
        self._trusted = trust()
        create = partial(
            _session().create_client,
            "ec2",
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret,
            endpoint_url=endpoint_url,
        )
        self.reading = self._client(create, attempts=3)
        self.changing = self._client(create, attempts=1)
        self.endpoint = str(self.reading.meta.endpoint_url)

    def _client(self, create: Callable[..., Any], attempts: int) -> Any:
        from botocore.config import Config

        retries: Any = {"mode": "standard", "total_max_attempts": attempts}
        client = create(config=Config(retries=retries))
        client.meta.events.register("before-send.ec2", self._carry)
        return client

    def _carry(self, request: "AWSPreparedRequest", **_: Any) -> "AWSResponse":
        """Send in the place of botocore's HTTP client."""
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        body: Any = request.body or b""
        answer = exchange(
            Request(
                str(request.method),
                str(request.url),
                {name: _text(value) for name, value in request.headers.items()},
                body if isinstance(body, bytes) else str(body).encode(),
            ),
            _deadline.get(),
            self._trusted,
        )
        headers = HTTPHeaders.from_dict(dict(answer.headers))
        raw: Any = _Body(answer.body)
        return AWSResponse(str(request.url), answer.status, headers, raw)


class Calls:
    """EC2 as one key, until a deadline."""

    def __init__(self, clients: Clients, deadline: Deadline) -> None:
        self._clients = clients
        self._until = deadline
        self.endpoint = clients.endpoint

    def read(self, operation: str, rows: str, **parameters: Any) -> list[Any]:
        """Ask, again if EC2 is busy; raises whatever goes wrong."""
        with self._deadline():
            answer = getattr(self._clients.reading, operation)(**parameters)
        return _rows(answer, rows)

    def pages(
        self, operation: str, rows: str, filters: Sequence[Any] = ()
    ) -> list[Any]:
        """Return the rows of all pages of a listing."""
        paginator = self._clients.reading.get_paginator(operation)
        asked = {"Filters": list(filters)} if filters else {}
        with self._deadline():
            pages = paginator.paginate(PaginationConfig={"PageSize": 500}, **asked)
            return [row for page in pages for row in _rows(page, rows)]

    def change(self, operation: str, rows: str, **parameters: Any) -> list[Any]:
        """Ask once for something to be done, and return what EC2 says is happening.

        Raises `NotSent` when no byte left, `Refused` for a declared no. Any other
        exception leaves it open whether EC2 will do it.
        """
        from botocore.exceptions import ClientError

        try:
            with self._deadline():
                answer = getattr(self._clients.changing, operation)(**parameters)
        except ClientError as error:
            raise _refusal(error.response) or error from None
        return _rows(answer, rows)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        mark = _deadline.set(self._until)
        try:
            yield
        finally:
            _deadline.reset(mark)


class _Body:
    """A body in the form in which botocore reads one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._content


def _session() -> Any:
    """Return a botocore session for which every setting has its default."""
    from botocore.configprovider import (
        BOTOCORE_DEFAUT_SESSION_VARIABLES,
        ConfigValueStore,
        ConstantProvider,
    )
    from botocore.session import Session

    store = ConfigValueStore()
    for name, (_, _, default, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        store.set_config_provider(name, ConstantProvider(default))
    for file in ("config_file", "credentials_file"):
        store.set_config_variable(file, "/dev/null")
    # AWS_ENDPOINT_URL and its kin are read past the store.
    store.set_config_variable("ignore_configured_endpoint_urls", True)
    session = Session()
    session.register_component("config_store", store)
    return session


def _rows(answer: Mapping[str, Any], name: str) -> list[Any]:
    """Return a part of the answer that EC2 never leaves out.

    botocore reads any XML as an answer, the page of a gateway too, and then finds
    nothing in it. That must not pass for a region without instances.
    """
    if name not in answer:
        raise NotEc2(f"The answer is none of EC2's: it has no {name}.")
    rows: list[Any] = answer[name]
    return rows


def _refusal(response: Mapping[str, Any]) -> Refused | None:
    code = str(response["Error"].get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    declared = code in REFUSALS and 400 <= status <= 499
    if not declared and code not in REFUSALS_OF_THE_SERVER:
        return None
    message = str(response["Error"].get("Message", "")).rstrip(".")
    kind = Throttled if code == "RequestLimitExceeded" else Refused
    return kind(f"EC2 refused: {message}.", code=code)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
