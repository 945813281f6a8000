"""What can go wrong, as exceptions: one class for each reason that the service gives with a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equipoise import _proto

if TYPE_CHECKING:
    from equipoise.jobs import Job


class EquipoiseError(Exception):
    """The service refused a call, or could not be asked.

    Attributes:
        reason: The service's reason, such as "WRONG_STATE"; None where it gave none.
        code: The name of the gRPC code, such as "FAILED_PRECONDITION"; None where no call was made.
        field: The path of the field of the request that is wrong, such as "spec.loss.beta"; None where none is named.
        retry_after: The seconds after which the call may be made again; None where that is not known.
    """

    def __init__(
        self,
        text: str,
        *,
        reason: str | None = None,
        code: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = code
        self.field = field
        self.retry_after = retry_after


class CoordinatorUnreachable(EquipoiseError, ConnectionError):
    """Nobody answered at the address, or not in time."""


class InvalidArgument(EquipoiseError, ValueError):
    """A job or an argument that does not fit; the text names the field, the value and what would be right."""


class RequestIdReused(InvalidArgument):
    """Another request had this request id first."""


class JobNotFound(EquipoiseError, LookupError):
    """There is no such job."""


class HostNotFound(EquipoiseError, LookupError):
    """The service has no such host."""


class WrongState(EquipoiseError):
    """The job, or what it needs, is not in a state for this call."""


class EtagMismatch(EquipoiseError):
    """The job is not as the caller has seen it: get it again."""


class NoValidToken(EquipoiseError, PermissionError):
    """No token came with the call, or one that the service does not know."""


class RoleTooLow(EquipoiseError, PermissionError):
    """The token is known, and its role may not do this."""


class LimitReached(EquipoiseError):
    """Too many jobs, watchers or calls."""


class StateNotStored(EquipoiseError):
    """The service can store nothing at the moment, as on a full disk. Nothing has changed; the same call may succeed
    later."""


class FilesUnreachable(EquipoiseError):
    """The file system of the job's files does not answer the service. Nothing has changed; the same call may succeed
    later."""


class StateLost(EquipoiseError):
    """What the service has stored would be lost: its files were deleted or replaced."""


class ShuttingDown(CoordinatorUnreachable):
    """The service is about to end."""


class RecordDamaged(EquipoiseError):
    """What is stored of the job cannot be read."""


class JobFailed(EquipoiseError):
    """The job that was waited for has not succeeded.

    Attributes:
        job: As it ended.
    """

    def __init__(self, text: str, job: Job) -> None:
        super().__init__(text)
        self.job = job


CLASS_OF_REASON: dict[str, type[EquipoiseError]] = {
    "NO_VALID_TOKEN": NoValidToken,
    "ROLE_TOO_LOW": RoleTooLow,
    "STATE_NOT_STORED": StateNotStored,
    "STATE_LOST": StateLost,
    "FILES_UNREACHABLE": FilesUnreachable,
    "SHUTTING_DOWN": ShuttingDown,
    "INVALID_ARGUMENT": InvalidArgument,
    "REQUEST_ID_REUSED": RequestIdReused,
    "ETAG_MISMATCH": EtagMismatch,
    "JOB_NOT_FOUND": JobNotFound,
    "HOST_NOT_FOUND": HostNotFound,
    "JOB_ENDED": WrongState,
    "JOB_CANCELLED": WrongState,
    "WRONG_STATE": WrongState,
    "LIMIT_REACHED": LimitReached,
    "RECORD_DAMAGED": RecordDamaged,
    "INTERNAL": EquipoiseError,
}

_TYPES = "type.googleapis.com/google.rpc."
_DETAILS = "grpc-status-details-bin"


def _details(call: Any) -> dict[str, Any]:
    """The details of a failed call (error.proto) by the names of their messages, as far as they can be read."""
    found: dict[str, Any] = {}
    for key, value in call.trailing_metadata() or ():
        if key != _DETAILS:
            continue
        status = _proto.message("RpcStatus")
        try:
            status.ParseFromString(value)
            for detail in status.details:
                name = detail.type_url.removeprefix(_TYPES)
                if name in ("ErrorInfo", "BadRequest", "RetryInfo"):
                    content = _proto.message(name)
                    content.MergeFromString(detail.value)
                    found.setdefault(name, content)
        except ValueError:  # what a newer service sends may not be read; DecodeError is one
            return found
    return found


def reason_of(call: Any) -> str | None:
    """The reason of the ErrorInfo that comes with a failed call; None where there is none of ours."""
    info = _details(call).get("ErrorInfo")
    return str(info.reason) if info is not None and info.domain == _proto.PACKAGE else None


def was_cut_off(call: Any) -> bool:
    """Whether nobody knows what became of the call, because the service went away; it may come back and answer."""
    code = call.code().name
    return code == "UNAVAILABLE" or (code in ("CANCELLED", "UNKNOWN", "INTERNAL") and reason_of(call) is None)


def error_of(call: Any, address: str, advice: str) -> EquipoiseError:
    """The exception that tells a caller of a failed gRPC call; `advice` is for one without an answer."""
    code, text, reason = call.code().name, call.details() or "", reason_of(call)
    kind = CLASS_OF_REASON.get(reason or "")
    if kind is None and (was_cut_off(call) or code == "DEADLINE_EXCEEDED"):
        kind = CoordinatorUnreachable
        text = f"the coordinator at {address} went away or did not answer in time: {text}; {advice}"
    details = _details(call)
    wrong = details["BadRequest"].field_violations if "BadRequest" in details else ()
    delay = details["RetryInfo"].retry_delay if "RetryInfo" in details else None
    return (kind or EquipoiseError)(
        text,
        reason=reason,
        code=code,
        field=str(wrong[0].field) if wrong else None,
        retry_after=delay.seconds + delay.nanos / 1e9 if delay is not None else None,
    )
