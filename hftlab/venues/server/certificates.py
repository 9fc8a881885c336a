"""A throw-away certificate authority: real clients keep the real names of the venues and trust only what they are told to."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from hftlab.errors import InputError


def make_authority(hosts: Sequence[str], ca_file: Path) -> ssl.SSLContext:
    """Return a server context whose certificate names `hosts`; who signed it is written to `ca_file` (PEM).

    The authority's own key is never written anywhere and signs nothing else. Raises InputError without the package trustme.
    """
    try:
        import trustme
    except ImportError as error:
        raise InputError("the TLS port needs the package trustme, which is not installed: pip install trustme, or tls=False.") from error
    authority = trustme.CA(organization_name="hftlab loopback venue")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", *sorted(set(hosts))).configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))
    return context
