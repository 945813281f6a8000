"""Equipoise from Python: jobs that train language models so that no group of people is left behind.

    import equipoise

    with equipoise.Client("head:7443") as client:
        job = client.submit("job.yaml")
        for job in client.watch(job.id):
            print(job.state, job.step, job.loss)
        client.weights(job.id).plot()
"""

from equipoise.client import Client
from equipoise.errors import (CoordinatorUnreachable, EquipoiseError, EtagMismatch, FilesUnreachable, HostNotFound,
                              InvalidArgument, JobFailed, JobNotFound, LimitReached, NoValidToken, RecordDamaged,
                              RequestIdReused, RoleTooLow, ShuttingDown, StateLost, StateNotStored, WrongState)
from equipoise.jobs import (Attempt, Checkpoint, Cordon, Event, Failure, Group, Host, Job, JobState, OpenRequests, Rank,
                            Settings, SettingsChange, WeightRecord)
from equipoise.metrics import read_lines, read_metrics

__version__ = "0.1.0"

__all__ = [
    "Attempt", "Checkpoint", "Client", "CoordinatorUnreachable", "Cordon", "EquipoiseError", "EtagMismatch", "Event",
    "Failure", "FilesUnreachable", "Group", "Host", "HostNotFound", "InvalidArgument", "Job", "JobFailed",
    "JobNotFound", "JobState", "LimitReached", "NoValidToken", "OpenRequests", "Rank", "RecordDamaged",
    "RequestIdReused", "RoleTooLow", "Settings", "SettingsChange", "ShuttingDown", "StateLost", "StateNotStored",
    "WeightRecord", "WrongState", "read_lines", "read_metrics"
]
