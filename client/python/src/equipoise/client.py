"""The service's client."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
import types
import uuid
from typing import TYPE_CHECKING, Any, Collection, Iterable, Iterator, Mapping, Sequence

import grpc

from equipoise import _proto, metrics
from equipoise.access import read_access
from equipoise.errors import InvalidArgument, JobFailed, error_of, was_cut_off
from equipoise.job_file import JobSource, read_job, set_path
from equipoise.jobs import (FINAL_STATES, Attempt, Checkpoint, Event, Host, Job, JobState, Rank, WeightRecord,
                            from_message)

if TYPE_CHECKING:
    import pandas

_ANSWER_S = 10.0
_BETWEEN_TRIES_S = 0.1
# As client/connection/connection.cc and common/protocol/reconnection.h.
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.keepalive_time_ms", 20000),
    ("grpc.keepalive_timeout_ms", 10000),
)
_SETTINGS = ("trade_off", "step_size", "learning_rate", "max_steps", "priority")


class Client:
    """A connection to a coordinator. May be used from several threads, and as a context manager.

    A call waits at most `timeout` for a coordinator that is away, and 10 s for its answer; where it went away meanwhile
    the call is made again with the same request id, so that nothing happens twice.

    Args:
        address: "HOST:PORT"; None: EQUIPOISE_COORDINATOR.
        token: The token that says who calls. It is sent over TLS or to this machine only.
        token_file: A file with it, of mode 0600, in place of `token`; None: EQUIPOISE_TOKEN_FILE.
        tls_ca: Who signs the coordinator's certificate, a PEM file; None: EQUIPOISE_TLS_CA. Without either, calls go
            without TLS.
        tls_cert: The certificate to show it, a PEM file; None: EQUIPOISE_TLS_CERT.
        tls_key: The private key of `tls_cert`; None: EQUIPOISE_TLS_KEY.
        timeout: Seconds that a coordinator which is away is waited for.

    Raises:
        InvalidArgument: An address that is not HOST:PORT, a token that would cross a network in plain text, a key or a
            token file that others can read.
    """

    def __init__(self, address: str | None = None, *, token: str | None = None,
                 token_file: str | os.PathLike[str] | None = None, tls_ca: str | os.PathLike[str] | None = None,
                 tls_cert: str | os.PathLike[str] | None = None, tls_key: str | os.PathLike[str] | None = None,
                 timeout: float = 10.0) -> None:
        access = read_access(address, token, token_file, tls_ca, tls_cert, tls_key)
        self._address = access.address
        self._timeout = timeout
        self._advice = ("one with TLS is called with tls_ca" if access.ca is None else
                        "is its certificate of this name, and signed by tls_ca?")
        self._metadata = (("authorization", f"Bearer {access.token}"),) if access.token else ()
        target = f"dns:///{access.address}"
        if access.ca is None:
            self._channel = grpc.insecure_channel(target, options=_CHANNEL_OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(access.ca, access.key, access.certificate)
            self._channel = grpc.secure_channel(target, credentials, options=_CHANNEL_OPTIONS)

    @property
    def address(self) -> str:
        """HOST:PORT of the coordinator."""
        return self._address

    def close(self) -> None:
        """Closes the connection; iterators of `watch` end with an exception."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"equipoise.Client({self._address!r})"

    # Jobs.

    def submit(self, job: JobSource, *, name: str | None = None, workers: int | None = None, external: bool = False,
               settings: Mapping[str, Any] | None = None, request_id: str | None = None,
               validate_only: bool = False) -> Job:
        """Hands a job to the coordinator.

        Args:
            job: A dictionary, the path of a YAML file, or the text of one (docs/configuration.md). Relative paths are
                relative to the file, else to the current folder. The ranks read them: they must be right there.
            name: In place of the job's.
            workers: Ranks, in place of launch.workers.
            external: You start the ranks yourself, with mpirun or srun.
            settings: Single settings in place of the job's: {"loss.beta": 0.2}.
            request_id: Submitting again with the same one gives the same job. None: one of its own.
            validate_only: Check everything, store nothing.

        Returns:
            The job, which waits in the queue.

        Raises:
            InvalidArgument: The text names the field, the value and what would be right.
            WrongState: Another job has the output folder.
        """
        spec = read_job(job, settings)
        if name is not None:
            spec.name = name
        if workers is not None:
            spec.launch.workers = workers
        if external:
            spec.launch.mode = 2  # LAUNCH_MODE_EXTERNAL
        return self._job("CreateTrainingJob", spec=spec, request_id=request_id or _new_request_id(),
                         validate_only=validate_only)

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises JobNotFound."""
        return self._job("GetTrainingJob", id=job_id)

    def list(self, filter: str = "", *, states: Iterable[JobState | str] | str = ()) -> Iterator[Job]:
        """All jobs, newest first; pages are fetched as they are needed.

        Args:
            filter: 'state = RUNNING AND name : "dpo"', as `jobs list --filter` takes it (docs/protocol.md).
            states: Only jobs in one of these.
        """
        numbers = [_state_number(state) for state in _states(states)]
        for page in self._pages("ListTrainingJobs", filter=filter, states=numbers):
            yield from (from_message(Job, job) for job in page.jobs)

    def watch(self, job_id: str, *, timeout: float | None = None) -> Iterator[Job]:
        """The job as it is, then every change of it, until it has ended.

        Changes within 50 ms, and those that a slow reader missed, arrive as one. A coordinator that went away is waited
        for as in other calls, and the iterator goes on where it was: nothing is seen twice.

        Args:
            job_id: The job.
            timeout: Seconds, after which TimeoutError is raised; None: no limit.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        seen, is_final = 0, False
        while not is_final:
            if deadline is not None and time.monotonic() >= deadline:
                raise _too_late(job_id, timeout or 0)
            # Waits for a coordinator that is away, and says who may not.
            newest = self.get(job_id)
            if newest.revision > seen:
                seen, is_final = newest.revision, newest.is_final
                yield newest
            if is_final:
                return
            for job in self._stream(job_id, seen, deadline):
                seen, is_final = job.revision, job.is_final
                yield job
            if not is_final:
                time.sleep(_BETWEEN_TRIES_S)

    def wait(self, job_id: str, *, until: Collection[JobState | str] | str = FINAL_STATES, timeout: float | None = None,
             check: bool = True) -> Job:
        """Waits until the job has ended, or is in another state.

        Args:
            job_id: The job.
            until: States to wait for, such as "paused"; the end of the job is waited for always.
            timeout: Seconds, after which TimeoutError is raised; None: no limit.
            check: Raise JobFailed where the job ended in a state that was not waited for, or without success.

        Returns:
            The job as it is then.
        """
        wanted = _states(until)
        job = next(job for job in self.watch(job_id, timeout=timeout) if job.is_final or job.state in wanted)
        has_failed = job.is_final and (job.state not in wanted or
                                       (job.state != JobState.SUCCEEDED and wanted >= FINAL_STATES))
        if check and has_failed:
            raise JobFailed(f"the job {job.id} is {job.state}: {job.state_reason or 'no reason given'}", job)
        return job

    def pause(self, job_id: str, *, etag: str = "") -> Job:
        """Asks the ranks to make a checkpoint and leave; `wait(job_id, until="paused")` waits for that."""
        return self._change("PauseTrainingJob", job_id, etag)

    def resume(self, job_id: str, *, etag: str = "") -> Job:
        """Puts a paused job back into the queue, from which it goes on."""
        return self._change("ResumeTrainingJob", job_id, etag)

    def cancel(self, job_id: str, *, etag: str = "") -> Job:
        """Ends the job."""
        return self._change("CancelTrainingJob", job_id, etag)

    def checkpoint(self, job_id: str, *, etag: str = "") -> Job:
        """Asks for a checkpoint at the end of a step; `checkpoint_step` of the job tells when it is there."""
        return self._change("CheckpointTrainingJob", job_id, etag)

    def evaluate(self, job_id: str, *, etag: str = "") -> Job:
        """Asks for an evaluation at the end of a step; `validation_step` of the job tells when it is there."""
        return self._change("EvaluateTrainingJob", job_id, etag)

    def set(self, job_id: str, *, etag: str = "", **settings: float) -> Job:
        """Changes settings while the job runs: trade_off, step_size, learning_rate, max_steps, priority.

        Those of training hold from the end of a step on, on all ranks alike; `settings_changes` of the job tells of
        which.

        Args:
            job_id: The job.
            etag: Only if the job has this one; EtagMismatch otherwise.
            **settings: The new values.
        """
        unknown = [name for name in settings if name not in _SETTINGS]
        if unknown or not settings:
            raise InvalidArgument(f"{unknown[0] if unknown else 'nothing'} is no setting of a running job, expected "
                                  f"{', '.join(_SETTINGS)}; fork makes a new job with others")
        try:
            message = _proto.message("TrainingJobSettings", **settings)
        except (TypeError, ValueError) as problem:
            raise InvalidArgument(f"{settings}: {problem}") from None
        return self._job("UpdateTrainingJob", id=job_id, settings=message, etag=etag, request_id=_new_request_id())

    def fork(self, job_id: str, *, step: int | None = None, name: str | None = None,
             output: str | os.PathLike[str] | None = None, workers: int | None = None,
             settings: Mapping[str, Any] | None = None, etag: str = "") -> Job:
        """A new job that goes on from a checkpoint of another one, with the settings that held there.

        Args:
            job_id: The other job, which goes on as it is.
            step: The checkpoint of this step; None: the newest.
            name: In place of the other job's.
            output: Its folder; None: the other one's with -fork-STEP.
            workers: Its ranks; None: as many.
            settings: Others: {"robust.trade_off": 0.5}.
            etag: Only if the other job has this one; EtagMismatch otherwise.

        Raises:
            WrongState: There is no checkpoint yet.
        """
        parent = self._call("GetTrainingJob", id=job_id)
        if step is None and parent.HasField("checkpoint_step"):
            step = parent.checkpoint_step
        # Where there is none the service says so.
        spec = _forked_spec(parent, step or 0, settings or {})
        if name is not None:
            spec.name = name
        if output is not None:
            spec.output = str(pathlib.Path(output).absolute())
        if workers is not None:
            spec.launch.workers = workers
        fields: dict[str, Any] = {} if step is None else {"step": step}
        return self._job("ForkTrainingJob", id=job_id, spec=spec, etag=etag, request_id=_new_request_id(), **fields)

    def delete(self, job_id: str, *, etag: str = "") -> None:
        """Deletes a job that has ended, with its history; what it wrote into its output stays."""
        self._call("DeleteTrainingJob", id=job_id, etag=etag, request_id=_new_request_id())

    # What is known of a job.

    def attempts(self, job_id: str) -> Sequence[Attempt]:
        """The attempts, oldest first."""
        return [from_message(Attempt, one) for page in self._pages("ListAttempts", id=job_id) for one in page.attempts]

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The checkpoints that are there, oldest first."""
        return [from_message(Checkpoint, one) for page in self._pages("ListCheckpoints", id=job_id)
                for one in page.checkpoints]

    def events(self, job_id: str) -> Sequence[Event]:
        """What happened to the job, oldest first."""
        return [from_message(Event, one) for page in self._pages("ListEvents", id=job_id) for one in page.events]

    def ranks(self, job_id: str) -> Sequence[Rank]:
        """The ranks of the job's live attempt; none where it has none."""
        return [from_message(Rank, one) for page in self._pages("ListRanks", id=job_id) for one in page.ranks]

    def weight_records(self, job_id: str) -> Iterator[WeightRecord]:
        """The group weights of every step that is on record, and the sums that they come from, by step."""
        for page in self._pages("ListGroupWeights", id=job_id):
            names = tuple(page.group_names)
            for record in page.records:
                yield dataclasses.replace(from_message(WeightRecord, record), group_names=names)

    def weights(self, job_id: str) -> pandas.DataFrame:
        """The group weights alpha as a DataFrame: a row for each step on record, from 0, a column for each group.

        Raises:
            ImportError: pandas is not installed.
        """
        metrics.require_pandas()
        names: Sequence[str] = ()
        steps, alphas = [], []
        for page in self._pages("ListGroupWeights", id=job_id):
            names = names or [*page.group_names]
            steps += [record.step for record in page.records]
            alphas += [[*record.alpha] for record in page.records]
        return metrics.weights_frame(names, steps, alphas)

    def curves(self, job_id: str, split: str | None = "train") -> pandas.DataFrame:
        """The curves of the job as `read_metrics` gives them, from its output folder, which must be seen from here.

        Raises:
            ImportError: pandas is not installed.
            FileNotFoundError: The output is on another machine, or the job has not logged anything yet.
        """
        return metrics.read_metrics(pathlib.Path(self.get(job_id).output) / metrics.METRICS_FILE, split)

    # Hosts.

    def hosts(self) -> Sequence[Host]:
        """The hosts on which the coordinator starts ranks, in the order of its hostfile; then cordoned ones that are in
        it no more. None where the coordinator has no hostfile."""
        return [from_message(Host, one) for page in self._pages("ListHosts") for one in page.hosts]

    def cordon(self, host: str, reason: str) -> Host:
        """Places no attempt on the host any more, until `uncordon`; jobs that run there go on.

        Args:
            host: Its name, as the hostfile has it.
            reason: A sentence for others, of 1 to 256 bytes; the newest one holds.

        Raises:
            HostNotFound: The coordinator has no such host.
        """
        return from_message(Host, self._call("CordonHost", name=host, reason=reason, request_id=_new_request_id()))

    def uncordon(self, host: str) -> Host:
        """Places attempts on the host again, whoever has cordoned it, once it answers. Raises HostNotFound."""
        return from_message(Host, self._call("UncordonHost", name=host, request_id=_new_request_id()))

    # Calls.

    def _method(self, name: str, /, **fields: Any) -> tuple[Any, _proto.Message]:
        """The call of that name, as a function of its request, and the request."""
        descriptor = _proto.method(name)
        request, answer = (_proto.message_class(kind) for kind in (descriptor.input_type, descriptor.output_type))
        make = self._channel.unary_stream if name.startswith("Watch") else self._channel.unary_unary
        call = make(f"/{descriptor.containing_service.full_name}/{name}", request_serializer=request.SerializeToString,
                    response_deserializer=answer.FromString)
        return call, request(**fields)

    def _call(self, name: str, /, **fields: Any) -> _proto.Message:
        """The answer. Each call here is safe to repeat: it reads, or has a request id."""
        invoke, request = self._method(name, **fields)
        start = time.monotonic()
        while True:
            left = start + self._timeout - time.monotonic()
            try:
                return invoke(request, timeout=max(left, 0) + _ANSWER_S, wait_for_ready=True, metadata=self._metadata)
            except grpc.RpcError as failed:
                if left <= 0 or not was_cut_off(failed):
                    raise error_of(failed, self._address, self._advice) from None
            time.sleep(_BETWEEN_TRIES_S)

    def _job(self, name: str, /, **fields: Any) -> Job:
        return from_message(Job, self._call(name, **fields))

    def _change(self, name: str, job_id: str, etag: str) -> Job:
        return self._job(name, id=job_id, etag=etag, request_id=_new_request_id())

    def _pages(self, name: str, /, **fields: Any) -> Iterator[_proto.Message]:
        token = ""
        while True:
            page = self._call(name, page_token=token, **fields)
            yield page
            token = page.next_page_token
            if not token:
                return

    def _stream(self, job_id: str, seen: int, deadline: float | None) -> Iterator[Job]:
        """Changes after the revision `seen`, until the stream breaks or the job has ended."""
        invoke, request = self._method("WatchTrainingJob", id=job_id, after_revision=seen)
        left = None if deadline is None else max(deadline - time.monotonic(), 0.001)
        stream = invoke(request, timeout=left, metadata=self._metadata)
        try:
            for message in stream:
                yield from_message(Job, message)
        except grpc.RpcError as failed:
            if deadline is not None and failed.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return  # whoever waits looks at the time
            if not was_cut_off(failed):
                raise error_of(failed, self._address, self._advice) from None
        finally:
            stream.cancel()


def _too_late(job_id: str, timeout: float) -> TimeoutError:
    return TimeoutError(f"the job {job_id} had not come so far within {timeout:g} s")


def _states(states: Iterable[JobState | str] | str) -> set[JobState]:
    """One alone stands for itself."""
    return {JobState(state) for state in ([states] if isinstance(states, str) else states)}


def _new_request_id() -> str:
    """With it a call that is made again, as its answer was lost, is the same call."""
    return f"python-{uuid.uuid4()}"


def _state_number(state: JobState | str) -> int:
    values = _proto.message("TrainingJob").DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name
    return int(values[f"JOB_STATE_{JobState(state).value.upper()}"].number)


def _forked_spec(parent: _proto.Message, step: int, settings: Mapping[str, Any]) -> _proto.Message:
    """The job as it was at that step, but for `settings`; as client/verbs/job_fork.cc."""
    spec = _proto.message("JobSpec")
    spec.CopyFrom(parent.spec)
    sections = {"trade_off": "robust", "step_size": "robust", "learning_rate": "optimizer", "max_steps": "training"}
    for change in parent.settings_changes:
        if not change.HasField("effective_step") or change.effective_step > step:
            continue
        for name, section in sections.items():
            if change.settings.HasField(name):
                setattr(getattr(spec, section), name, getattr(change.settings, name))
    spec.ClearField("overwrite")
    spec.output = f"{parent.spec.output.rstrip('/')}-fork-{step}"
    for key, value in settings.items():
        set_path(spec, key, value)
    return spec
