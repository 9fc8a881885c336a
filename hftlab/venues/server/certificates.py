"""A throw-away certificate authority: real clients keep the real names of the venues and trust only what they are told to."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from hftlab.errors import InputError


def make_authority(hosts: Sequence[str], directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server context whose certificate names `hosts`, and the file (PEM) of the authority that signed it.

    The authority lives in memory and in `directory` only, and signs nothing else. Raises InputError without the package trustme.
    """
    try:
        import trustme
    except ImportError as error:
        raise InputError("the TLS port needs the package trustme, which is not installed: pip install trustme, or tls=False.") from error
    authority = trustme.CA(organization_name="hftlab loopback venue")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", *sorted(set(hosts))).configure_cert(context)
    path = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, path
