"""Several hosts on this machine: network, name and mount namespaces joined by a bridge, and what stands for ssh.

Each host is a process that only holds the namespaces; with it they are gone. Nothing is left in the machine's own
network. It takes root and a kernel with network namespaces: where they cannot be made, the test fails.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

HOST_LIMIT = 9


class Host:
    """One host: `name`, `address`, and programs that run there."""

    def __init__(self, name, address, holder):
        self.name, self.address, self.holder = name, address, holder

    def command(self, *arguments):
        """A command line that runs `arguments` there."""
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "-u", "--wd=/",
                *[str(argument) for argument in arguments]]

    def run(self, *arguments, input=None):
        return subprocess.run(self.command(*arguments), input=input, text=True, capture_output=True, check=True).stdout

    def processes(self, word):
        """The pids of the processes in this host's network whose command line has `word`."""
        own = os.stat(f"/proc/{self.holder.pid}/ns/net").st_ino
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                inside = entry.name.isdigit() and os.stat(entry / "ns/net").st_ino == own
                if inside and word in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(entry.name))
            except OSError:  # it has just ended
                continue
        return found

    def ranks(self):
        """The pids of ranks, and of what starts them here: not of the question which ranks a host has left."""
        found = []
        for pid in self.processes("equipoise-worker"):
            try:
                arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if b"processes" not in arguments:
                found.append(pid)
        return found

    def block_all_but_ssh(self):
        """A firewall that admits what this host has asked for, and ssh."""
        self.run("nft", "-f", "-", input="""
            table inet closed {
              chain arriving {
                type filter hook input priority 0; policy drop;
                iif lo accept
                ct state established,related accept
                tcp dport 22 accept
              }
            }
            """)

    def admit(self, ports):
        """Opens a range of TCP ports in that firewall: "50000-50099"."""
        self.run("nft", "add", "rule", "inet", "closed", "arriving", "tcp", "dport", ports, "accept")

    def lose(self, ports, share=100):
        """Loses `share` percent of the TCP packets, on the loopback too, that match one of `ports`: "dport 7443" is what
        goes to that port, "sport 7443" what comes from it."""
        chance = f"numgen random mod 100 < {share}" if share < 100 else ""
        rules = "\n".join(f"tcp {port} {chance} drop" for port in ports)
        self.run("nft", "-f", "-", input=f"""
            table inet lossy {{
              chain leaving {{
                type filter hook output priority 0;
                {rules}
              }}
            }}
            """)

    @contextlib.contextmanager
    def parted_from(self, *others):
        """Meanwhile no packet goes to these hosts, and none that they send arrives."""
        addresses = ", ".join(other.address for other in others)
        self.run("nft", "-f", "-", input=f"""
            table inet parted {{
              chain arriving {{
                type filter hook input priority 0;
                ip saddr {{ {addresses} }} counter drop
              }}
              chain leaving {{
                type filter hook output priority 0;
                ip daddr {{ {addresses} }} counter drop
              }}
            }}
            """)
        try:
            yield
        finally:
            dropped = re.findall(r"packets (\d+)", self.run("nft", "list", "table", "inet", "parted"))
            self.run("nft", "delete", "table", "inet", "parted")
        if not any(int(count) for count in dropped):
            raise RuntimeError(f"{self.name} has sent nothing to {addresses} and has heard nothing of them")

    def open_firewall(self):
        self.run("nft", "flush", "ruleset")


class Cluster:
    """Hosts eqn1, eqn2 ... at 10.77.0.1, 10.77.0.2 ..., which know each other by name, and `agent` in place of ssh."""

    def __init__(self, folder, number):
        if number > HOST_LIMIT:
            raise ValueError(f"{number} hosts, at most {HOST_LIMIT} are possible")
        self.folder = pathlib.Path(folder)
        self.holders = []
        try:
            self.switch = self._hold("switch")
            self._in(self.switch, "ip", "link", "add", "bridge0", "type", "bridge")
            self._in(self.switch, "ip", "link", "set", "bridge0", "up")
            self._write_names(number)
            self.hosts = [self._add_host(i) for i in range(1, number + 1)]
            self.agent = self._write_agent()
        except BaseException:
            self.close()
            raise

    def _hold(self, name):
        # `ready` is written when the namespaces are there.
        holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--uts", "--propagation", "private", "sh", "-c",
             f"hostname {name} && echo ready && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.holders.append(holder)
        if holder.stdout.readline().strip() != "ready":
            raise RuntimeError("namespaces for hosts cannot be made (this test wants root): " + holder.stderr.read())
        return holder

    @staticmethod
    def _in(holder, *arguments):
        subprocess.run(["nsenter", "-t", str(holder.pid), "-m", "-n", "-u", *arguments], check=True)

    def _write_names(self, number):
        lines = ["127.0.0.1 localhost"] + [f"10.77.0.{i} eqn{i}" for i in range(1, number + 1)]
        (self.folder / "names").write_text("\n".join(lines) + "\n")

    def _add_host(self, i):
        holder = self._hold(f"eqn{i}")
        self._in(self.switch, "ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns",
                 str(holder.pid))
        self._in(self.switch, "ip", "link", "set", f"port{i}", "master", "bridge0", "up")
        host = Host(f"eqn{i}", f"10.77.0.{i}", holder)
        host.run("ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "link", "set", "lo", "up")
        host.run("mount", "--bind", self.folder / "names", "/etc/hosts")
        return host

    def _write_agent(self):
        """What mpirun calls as it would call ssh: a host, then a command. The environment does not travel along."""
        cases = "\n".join(f"  {host.name}|{host.address}) pid={host.holder.pid} ;;" for host in self.hosts)
        agent = self.folder / "agent"
        agent.write_text(f"""#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$1; shift
case $host in
{cases}
  *) echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255 ;;
esac
exec env -i PATH=/usr/bin:/bin HOME=/nonexistent TMPDIR=/tmp OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \\
  nsenter -t "$pid" -m -n -u --wd=/ sh -c "$*"
""")
        agent.chmod(0o755)
        return agent

    def cut_off(self, host):
        """Takes the host's plug out."""
        self._in(self.switch, "ip", "link", "set", f"port{host.name[3:]}", "down")

    def plug_in(self, host):
        self._in(self.switch, "ip", "link", "set", f"port{host.name[3:]}", "up")

    def close(self):
        # Open MPI's daemons on hosts that were cut off wait for minutes.
        for host in getattr(self, "hosts", []):
            for pid in host.processes(""):
                if pid != host.holder.pid:
                    os.kill(pid, signal.SIGKILL)
        for holder in self.holders:
            holder.kill()
            holder.wait()
            for stream in (holder.stdin, holder.stdout, holder.stderr):
                stream.close()


def require_tools():
    """Names the first program that is missing: these tests must not pass for want of one."""
    for tool, package in (("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"), ("mpirun", "openmpi-bin")):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            raise RuntimeError(f"{tool} is not installed (Debian package {package}); deploy/bootstrap --tests installs it")
