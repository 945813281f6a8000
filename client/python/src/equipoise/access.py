"""How the service is called: its address, TLS and the token, as the command line takes them."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import pathlib
import stat

from equipoise.errors import InvalidArgument

_SHORTEST_TOKEN = 16


@dataclasses.dataclass(frozen=True)
class Access:
    """What a connection needs; repr() shows no secret."""

    address: str
    ca: bytes | None = dataclasses.field(default=None, repr=False)
    certificate: bytes | None = dataclasses.field(default=None, repr=False)
    key: bytes | None = dataclasses.field(default=None, repr=False)
    token: str = dataclasses.field(default="", repr=False)


def read_access(address: str | None, token: str | None, token_file: str | os.PathLike[str] | None,
                tls_ca: str | os.PathLike[str] | None, tls_cert: str | os.PathLike[str] | None,
                tls_key: str | os.PathLike[str] | None) -> Access:
    """Arguments that are None come from the environment. Raises InvalidArgument for what does not fit together, and for
    a token or key that others can read."""
    address = address or os.environ.get("EQUIPOISE_COORDINATOR", "")
    if not address:
        raise InvalidArgument("which coordinator? Client(\"HOST:PORT\") or EQUIPOISE_COORDINATOR says it")
    host = _host_of(address)
    ca_file = tls_ca or os.environ.get("EQUIPOISE_TLS_CA")
    # A certificate that is given goes with a key that is given.
    is_given = tls_cert is not None or tls_key is not None
    cert_file = tls_cert if is_given else os.environ.get("EQUIPOISE_TLS_CERT")
    key_file = tls_key if is_given else os.environ.get("EQUIPOISE_TLS_KEY")
    if bool(cert_file) != bool(key_file):
        raise InvalidArgument("tls_cert and tls_key go together: a certificate and its private key")
    if cert_file and not ca_file:
        raise InvalidArgument("tls_cert needs tls_ca: the certificate authority of the coordinator's certificate")
    if token is not None and token_file is not None:
        raise InvalidArgument("token and token_file are given, expected one of them")
    if token is None:
        token_file = token_file or os.environ.get("EQUIPOISE_TOKEN_FILE")
        content = _read_secret(pathlib.Path(token_file), 0o077, "a token") if token_file else b""
        token = content.decode("ascii", "replace")
    token = token.rstrip("\r\n")
    if token and (len(token) < _SHORTEST_TOKEN or not all(" " < letter < "\x7f" for letter in token)):
        raise InvalidArgument("the token is none: expected one line, as `equipoise token create` prints it")
    if token and not ca_file and not _is_loopback(host):
        raise InvalidArgument(f"the token would cross the network to {address} in plain text; expected tls_ca with the "
                              "certificate authority of the coordinator")
    return Access(address, pathlib.Path(ca_file).read_bytes() if ca_file else None,
                  pathlib.Path(cert_file).read_bytes() if cert_file else None,
                  _read_secret(pathlib.Path(key_file), 0o037, "a private key") if key_file else None, token)


def _host_of(address: str) -> str:
    host, colon, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    is_host = bool(host) and ((host.startswith("[") and host.endswith("]")) or not set(":[]/ ") & set(host))
    if colon and is_port and is_host:
        return host
    raise InvalidArgument(f'the coordinator\'s address is "{address}", expected HOST:PORT such as 127.0.0.1:7443')


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read_secret(path: pathlib.Path, forbidden: int, what: str) -> bytes:
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InvalidArgument(f"{path}: is not a file")
        if found.st_uid not in (os.geteuid(), 0):
            raise InvalidArgument(f"{path}: is another user's, expected {what} of this user")
        if found.st_mode & forbidden:
            raise InvalidArgument(f"{path}: has mode {stat.S_IMODE(found.st_mode):04o}, so that others have access to "
                                  f"{what}; expected at most {0o777 & ~forbidden & 0o640:04o}")
        return file.read(1 << 20)
