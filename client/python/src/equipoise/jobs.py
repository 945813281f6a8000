"""What the service says of jobs, as immutable values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import types
import typing
from typing import Any, Callable, Mapping, Sequence, TypeVar

from equipoise import _proto
from equipoise.job_file import is_repeated, spec_to_dict


class JobState(str, enum.Enum):
    """Where a job is. UNSPECIFIED: in a state that only a newer client knows."""

    UNSPECIFIED = "unspecified"
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def _missing_(cls, value: object) -> JobState:
        for state in cls:
            if isinstance(value, str) and value.lower() == state.value:
                return state
        known = ", ".join(state.value for state in cls if state is not cls.UNSPECIFIED)
        raise ValueError(f"{value!r} is no state of a job, expected one of {known}")

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in FINAL_STATES


_Digest = bytes  # a field below has the name

FINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclasses.dataclass(frozen=True)
class Group:
    """One group of a job's training data, as it stands now."""

    name: str
    pair_count: float
    """N_g, sum of memberships in the training data."""
    weight: float
    """alpha_g in [0, 1]."""
    train_loss: float | None
    """Mean loss of the group in the newest logged batch; None when no pair of it was in one yet."""
    train_reward_accuracy: float | None
    validation_loss: float | None
    """Of the newest evaluation."""
    validation_reward_accuracy: float | None
    initial_validation_loss: float | None
    """Of the evaluation before the first step."""
    initial_validation_reward_accuracy: float | None


@dataclasses.dataclass(frozen=True)
class Failure:
    """The failure of an attempt: of the rank that failed first, as far as it is known."""

    generation: int
    time: datetime.datetime | None
    kind: str
    """Who must act: "invalid_input" the user, "infrastructure" the operator, "program" the developers."""
    reason: str
    rank: int | None
    host: str
    signal: int | None
    exit_code: int | None
    phase: str
    step: int
    last_collective: str
    log_lines: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a job that can be changed while it runs; None: as before."""

    trade_off: float | None
    step_size: float | None
    learning_rate: float | None
    max_steps: int | None
    priority: int | None


@dataclasses.dataclass(frozen=True)
class SettingsChange:
    """Settings that were changed while the job ran."""

    version: int
    settings: Settings
    effective_step: int | None
    """Steps that were done when they took effect; None: not yet."""
    create_time: datetime.datetime | None
    requester: str
    """The name of the caller's token; empty: the service has no tokens, or it is not known."""
    request_id: str


@dataclasses.dataclass(frozen=True)
class OpenRequests:
    """Checkpoints and evaluations that people have asked for, since the newest attempt began."""

    checkpoints: int
    evaluations: int
    checkpoint_step: int | None
    """Steps that were done when the newest one was asked for that is not there yet; None: none is open."""
    evaluation_step: int | None


@dataclasses.dataclass(frozen=True)
class Job:
    """A training job, as the service saw it at one moment."""

    id: str
    spec: Mapping[str, Any]
    """The job as it was submitted, as a job file has it; defaults not filled in."""
    state: JobState
    state_reason: str
    """Why the state is what it is, in one sentence."""
    revision: int
    generation: int
    """Number of the attempt, from 1; 0 before the first."""
    step: int
    """Optimiser steps done."""
    total_steps: int
    """Optimiser steps planned; 0: the data is not read yet."""
    world_size: int
    create_time: datetime.datetime | None
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None
    groups: tuple[Group, ...]
    loss: float | None
    pairs_per_second: float | None
    time_left: datetime.timedelta | None
    phase: str
    failure_kind: str
    """As Failure.kind where the state is FAILED, else ""."""
    conditions: tuple[str, ...]
    """Trouble that did not change the state, in sentences, newest last."""
    validation_step: int | None
    checkpoint_step: int | None
    restarts: int
    etag: str
    failure: Failure | None
    """Of the newest attempt that failed."""
    settings_changes: tuple[SettingsChange, ...]
    parent_id: str
    """The job whose checkpoint this one began with; "": this one is no fork."""
    parent_step: int
    priority: int
    running_time: datetime.timedelta | None
    ledger_chain: bytes
    """What `equipoise verify RUN --chain` compares, from SUCCEEDED on."""
    open_requests: OpenRequests | None
    asked_evaluation_steps: tuple[int, ...]
    """Steps that were done at evaluations that people had asked for, the newest 64."""
    skipped_steps: int
    """Steps in which no parameter has changed, as a loss or the gradient was not finite, once the ranks have ended."""

    @property
    def name(self) -> str:
        """The name in the job's file."""
        return str(self.spec.get("name", ""))

    @property
    def output(self) -> str:
        """The folder that the ranks write into, on their machine."""
        return str(self.spec.get("output", ""))

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state.is_final

    @property
    def worst_group(self) -> Group | None:
        """The group with the largest loss of the newest evaluation, else of the newest batch; None: none is known."""
        for losses in ([(group.validation_loss, group) for group in self.groups],
                       [(group.train_loss, group) for group in self.groups]):
            # A loss that is not finite is the worst.
            known = [(loss if loss == loss else float("inf"), group) for loss, group in losses if loss is not None]
            if known:
                return max(known, key=lambda pair: pair[0])[1]
        return None


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One start of a job's ranks."""

    generation: int
    start_time: datetime.datetime | None
    end_time: datetime.datetime | None
    start_step: int
    """Steps done when it began training."""
    world_size: int
    end_reason: str
    failure: Failure | None


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is there."""

    step: int
    generation: int
    manifest_digest: _Digest
    bytes: int
    """Of all its files; 0: not known."""
    create_time: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    revision: int
    time: datetime.datetime | None
    generation: int
    state: JobState
    """That the job was in from then on; UNSPECIFIED: the event is no change of state."""
    text: str


@dataclasses.dataclass(frozen=True)
class Rank:
    """A rank of a job's live attempt."""

    rank: int
    host: str
    pid: int
    phase: str
    step: int
    silent_for: datetime.timedelta | None
    """Since it was last heard of."""
    stalled_for: datetime.timedelta | None
    """Since what it does last went on."""
    last_collective: str


@dataclasses.dataclass(frozen=True)
class WeightRecord:
    """The group weights of one step."""

    step: int
    generation: int
    group: tuple[int, ...]
    """Positions of the groups that the batch has."""
    loss_sum: tuple[float, ...]
    """S_g of each of these groups."""
    pair_count: tuple[float, ...]
    """n_g of each of these groups."""
    alpha: tuple[float, ...]
    """Of every group, after the step."""
    group_loss: tuple[float, ...]
    group_names: tuple[str, ...] = ()
    """Of all groups, by position."""


@dataclasses.dataclass(frozen=True)
class Cordon:
    """Why a host is left out."""

    reason: str
    cause: str
    """Whose sentence it is: "operator", "failures" (three in a row) or "survivor" (a process that cannot be killed)."""
    create_time: datetime.datetime | None


@dataclasses.dataclass(frozen=True)
class Host:
    """A host on which the coordinator starts ranks."""

    name: str
    slots: int
    """Ranks that it has room for; 0 of one that is not in the hostfile any more."""
    used_slots: int
    recent_failures: int
    """Attempts that have failed because of it within the last hour."""
    state: str
    """"ready", "unanswering" or "cordoned"."""
    cordon: Cordon | None
    job_ids: tuple[str, ...]
    """Of the jobs that have its slots, oldest first."""


Value = TypeVar("Value")


def _enum_text(field: Any, number: int) -> str:
    """JOB_STATE_RUNNING is "running"; "" for a value that is not specified or not known."""
    value = field.enum_type.values_by_number.get(number)
    if value is None or number == 0:
        return ""
    prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(value.name.removeprefix(prefix).lower())


def _inner(annotation: Any) -> Any:
    """The class in `X | None` and `tuple[X, ...]`."""
    if isinstance(annotation, types.UnionType):
        return next(inner for inner in typing.get_args(annotation) if inner is not type(None))
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is tuple else annotation


def _reader(field: Any, kind: Any) -> Callable[[Any], Any] | None:
    """What makes a value of one that a message has in the field; None: nothing is to be made."""
    if field.enum_type is not None:
        texts = {number: _enum_text(field, number) for number in field.enum_type.values_by_number}
        if kind is not JobState:
            return lambda number: texts.get(number, "")
        return lambda number: JobState(texts.get(number) or JobState.UNSPECIFIED)
    if field.message_type is None:
        return None
    name = field.message_type.full_name
    if name == "google.protobuf.Timestamp":
        return lambda value: value.ToDatetime(tzinfo=datetime.timezone.utc)
    if name == "google.protobuf.Duration":
        return lambda value: value.ToTimedelta()
    return spec_to_dict if name == f"{_proto.PACKAGE}.JobSpec" else functools.partial(from_message, kind)


@functools.cache
def _readers(kind: Any, descriptor: Any) -> Sequence[tuple[str, bool, bool, Callable[[Any], Any] | None]]:
    """Of each field: its name, whether it is a list, whether it may be absent, and its reader."""
    hints = typing.get_type_hints(kind)
    return [(field.name, is_repeated(field), field.has_presence, _reader(field, _inner(hints[field.name])))
            for field in descriptor.fields if field.name in hints]  # others are of a newer service


def from_message(kind: type[Value], message: _proto.Message) -> Value:
    """The value of a dataclass above with what the message of the same fields says."""
    values: dict[str, Any] = {}
    for name, is_list, may_be_absent, read in _readers(typing.cast(Any, kind), message.DESCRIPTOR):
        value = getattr(message, name)
        if is_list:
            values[name] = tuple(value) if read is None else tuple(read(one) for one in value)
        elif may_be_absent and not message.HasField(name):
            values[name] = {} if name == "spec" else None
        else:
            values[name] = value if read is None else read(value)
    return kind(**values)
