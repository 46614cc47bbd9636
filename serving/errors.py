"""Errors of the serving room.

ServingError
├── SettingsError           a setting is not allowed
├── Abandoned               the client left before its answer was ready
├── RefusedRequest          a request gets a problem instead of an answer
│   ├── MalformedJson       the body is not JSON
│   ├── NotJson             the body is declared to be something else
│   ├── InvalidRequest      a field is missing, unknown or of the wrong type
│   ├── TooManyItems        more items than one request may hold
│   ├── BodyTooLarge        more bytes than one request may hold
│   ├── SlowBody            the body did not arrive within the deadline
│   ├── KeyRefused          no key or an unknown one
│   ├── AdminOnly           the key is not an admin's
│   ├── RateLimited         the key has used up its share
│   ├── Overloaded          the queue is full
│   ├── DeadlineExceeded    the answer would come too late
│   └── Unavailable         draining, or the engine is out of order
└── ClientError             raised by the Python client
    ├── ServiceUnreachable  no answer at all
    └── ServiceRefused      the answer is a problem

Which HTTP status an error becomes is said once, in `serving.problems`.
"""

from collections.abc import Sequence
from typing import ClassVar


class ServingError(Exception):
    """Base of everything the serving room raises on purpose.

    Attributes:
        code: short stable name, the same in answers, metrics and logs.
    """

    code: ClassVar[str] = "serving_error"


class SettingsError(ServingError):
    """A setting is not allowed."""

    code = "settings_error"


class Abandoned(ServingError):
    """The client left before its answer was ready; there is nobody to answer."""

    code = "abandoned"


class RefusedRequest(ServingError):
    """A request gets a problem instead of an answer.

    Attributes:
        retry_after_s: whole seconds after which trying again makes sense, or None.
    """

    code = "refused"
    retry_after_s: int | None = None


class MalformedJson(RefusedRequest):
    """The body is not JSON."""

    code = "malformed_json"


class NotJson(RefusedRequest):
    """The body is declared to be something else than JSON."""

    code = "not_json"

    def __init__(self, declared: str) -> None:
        super().__init__(f"the body is declared as {declared[:80]!r}; send JSON with Content-Type: application/json")


class InvalidRequest(RefusedRequest):
    """A field is missing, unknown or of the wrong type.

    Attributes:
        fields: (JSON pointer, what is wrong) of each.
    """

    code = "invalid_request"

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self.fields = tuple(fields)
        first = "; ".join(f"{pointer} {detail}" for pointer, detail in self.fields[:3])
        more = f"; and {len(self.fields) - 3} more" if len(self.fields) > 3 else ""
        super().__init__(f"the request is not understood: {first}{more}")


class TooManyItems(RefusedRequest):
    """More items than one request may hold."""

    code = "too_many_items"

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"the request has {count:,} items, the limit is {limit:,}; send them in several requests")


class BodyTooLarge(RefusedRequest):
    """More bytes than one request may hold."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit:,} bytes; send fewer or shorter texts a request")


class SlowBody(RefusedRequest):
    """The body did not arrive within the deadline."""

    code = "slow_body"


class KeyRefused(RefusedRequest):
    """No key or an unknown one."""

    code = "key_refused"


class AdminOnly(RefusedRequest):
    """The key is not an admin's."""

    code = "admin_only"


class RateLimited(RefusedRequest):
    """The key has used up its share."""

    code = "rate_limited"

    def __init__(self, per_s: float, retry_after_s: int) -> None:
        super().__init__(f"this key may send {per_s:g} requests a second; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Overloaded(RefusedRequest):
    """The queue is full."""

    code = "overloaded"

    def __init__(self, what: str, retry_after_s: int) -> None:
        super().__init__(f"{what}; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class DeadlineExceeded(RefusedRequest):
    """The answer would come too late."""

    code = "deadline_exceeded"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"not answered within {timeout_s:g} s; try again, or with fewer texts a request")


class Unavailable(RefusedRequest):
    """Draining, or the engine is out of order."""

    code = "unavailable"
    retry_after_s = 1


class ClientError(ServingError):
    """Base of what the Python client raises."""

    code = "client_error"


class ServiceUnreachable(ClientError):
    """The service gave no answer at all."""

    code = "service_unreachable"


class ServiceRefused(ClientError):
    """The service answered with a problem.

    Attributes:
        status: of the HTTP answer.
        problem_code: the problem's ``code``, such as ``too_many_items``.
        request_id: to find the request in the service's log.
    """

    code = "service_refused"

    def __init__(self, status: int, problem_code: str, detail: str, request_id: str | None) -> None:
        super().__init__(f"{status} {problem_code}: {detail}")
        self.status, self.problem_code, self.request_id = status, problem_code, request_id
