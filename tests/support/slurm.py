"""A Slurm of its own on this machine: munged, slurmctld and a slurmd for each of its nodes n1, n2, in one folder and on
free ports. It takes root. The partition `urgent` preempts what runs in `debug`, the default one."""

import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time

NODES = ("n1", "n2")
START_WAIT = 30  # seconds
KILL_WAIT = 15   # between SIGTERM and SIGKILL to a job that is to end at once
TELL_WAIT = 180  # for messages that slurmctld sends again each minute
NODE_WAIT = 15   # until a slurmd that says nothing has failed

CONFIGURATION = """\
ClusterName=equipoise
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/run/c.pid
SlurmdPidFile={folder}/run/d-%n.pid
SlurmctldLogFile={folder}/log/c.log
SlurmdLogFile={folder}/log/d-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MpiDefault=none
ReturnToService=2
SlurmdTimeout={node_wait}
KillWait={kill_wait}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=2000 Gres=gpu:2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=2000 Gres=gpu:2
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=120
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def free_ports(number):
    """Ports that were free just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


class Slurm:
    """Daemons in the foreground; `environment` has what Slurm's commands need."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.daemons = {}
        for name in ("state", "run", "log", "munge", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, mode=0o700 if name == "munge" else 0o755)
        key = self.folder / "munge/munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        configuration = self.folder / "slurm.conf"
        configuration.write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], ports=free_ports(3), folder=self.folder, kill_wait=KILL_WAIT,
            node_wait=NODE_WAIT))
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
        self.environment = {**os.environ, "SLURM_CONF": str(configuration),
                            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        munge = self.folder / "munge"
        try:
            self._start("munged", "munged", "-F", "--force", f"--key-file={key}", f"--socket={munge}/munge.socket",
                        f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed")
            self._await("munged", (munge / "munge.socket").exists)
            self._start("slurmctld", "slurmctld", "-D", "-c", "-f", str(configuration))
            for node in NODES:
                self.start_node(node)
            for node in NODES:
                self._await(node, lambda node=node: self.state_of_node(node).startswith("IDLE"))
        except BaseException:
            self.close()
            raise

    def _start(self, name, *command):
        # Their standard output is a file: a log that nobody reads would stop them.
        with open(self.folder / f"log/{name}.out", "a") as out:
            self.daemons[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                  env=self.environment)

    def _await(self, name, is_reached, limit=START_WAIT):
        end = time.monotonic() + limit
        while not is_reached():
            if self.daemons[name].poll() is not None or time.monotonic() > end:
                logs = "".join(f"{log}:\n{log.read_text()}" for log in sorted((self.folder / "log").iterdir()))
                raise RuntimeError(f"{name} does not come up (it takes root):\n{logs}")
            time.sleep(0.05)

    def start_node(self, node):
        self._start(node, "slurmd", "-D", "-f", self.environment["SLURM_CONF"], "-N", node)

    def return_node(self, node):
        """Starts its slurmd again, and waits until nothing is left there of the job that was lost, and slurmctld has
        told it to end that job, which it tries each minute. Slurm 22.05 takes a late answer for one about the job's
        next run, takes the node away from that, and lets its srun wait for ever."""
        self.start_node(node)
        self.await_idle()
        self._await("slurmctld", self._has_told_all, TELL_WAIT)

    def return_lost_nodes(self):
        for node in NODES:
            if self.daemons[node].poll() is not None:
                self.return_node(node)

    def _has_told_all(self):
        counts = re.findall(r"^Agent (?:queue size|count): *(\d+)$", self.run("sdiag"), re.MULTILINE)
        if len(counts) != 2:
            raise RuntimeError("sdiag does not say what slurmctld has still to send")
        return counts == ["0", "0"]

    def await_idle(self):
        """Until every node is free, and nothing of a job that has ended is COMPLETING."""
        for node in NODES:
            self._await(node, lambda node=node: self.state_of_node(node) == "IDLE")

    def kill_node(self, node):
        self.daemons[node].kill()
        self.daemons[node].wait()

    def lose_node(self, node):
        """Its slurmd and all processes of jobs there die, as with the machine."""
        self.kill_node(node)
        self._kill(self.processes(node))

    @staticmethod
    def _kill(pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def run(self, *command, check=True, **variables):
        """Standard output of a command of Slurm, as that of a user: `variables` beside those of this process."""
        result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=60, env={**self.environment, **variables})
        if check and result.returncode != 0:
            raise RuntimeError(f"{command} ended with {result.returncode}: {result.stdout}{result.stderr}")
        return result.stdout

    def state_of_node(self, node):
        return self._field(self.run("scontrol", "show", "node", node, "--oneliner", check=False), "State")

    @staticmethod
    def _field(line, name):
        found = re.search(rf"\b{name}=(\S*)", line)
        return found[1] if found else ""

    def submit(self, *arguments, **variables):
        """The number of the batch job."""
        return self.run("sbatch", "--parsable", *arguments, **variables).strip()

    def job(self, number, field):
        return self._field(self.run("scontrol", "show", "job", number, "--oneliner", check=False), field)

    def processes(self, node=None):
        """Processes of jobs, on one node or on all: what has its environment from the daemons of steps, and these."""
        mine = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        of_node = f"SLURMD_NODENAME={node}".encode()
        daemons = {daemon.pid for daemon in self.daemons.values()}
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in daemons | {os.getpid()}:
                continue
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                if mine in variables and (node is None or of_node in variables):
                    found.append(int(entry.name))
            except OSError:  # it has just ended
                continue
        return found

    def close(self):
        """Ends the jobs, then the daemons, then what is left of either."""
        if "slurmctld" in self.daemons:
            for number in self.run("squeue", "--noheader", "--format=%A", check=False).split():
                self.run("scancel", "--signal=KILL", "--full", number, check=False)
                self.run("scancel", number, check=False)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._kill(self.processes())


def require_tools():
    """Names the first program that is missing: these tests must not pass for want of one."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for tool, package in (("munged", "munge"), ("slurmctld", "slurmctld"), ("slurmd", "slurmd"),
                          ("sbatch", "slurm-client"), ("mpirun", "openmpi-bin")):
        if shutil.which(tool, path=path) is None:
            raise RuntimeError(f"{tool} is not installed (Debian package {package}); deploy/bootstrap --slurm installs it")
