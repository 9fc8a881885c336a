"""A throw-away certificate authority: real clients keep the real names of the venues and trust only what they are told to."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from hftlab.errors import InputError


def make_authority(hosts: Sequence[str], ca_file: Path, *, keep: bool = False) -> ssl.SSLContext:
    """Return a server context whose certificate names `hosts`; who signed it is written to `ca_file` (PEM).

    With `keep` the authority's own key lies beside it (.key, for its owner only), so that clients go on trusting a venue that was
    started again; else it is never written anywhere. Raises InputError without the package trustme.
    """
    try:
        import trustme
    except ImportError as error:
        raise InputError("the TLS port needs the package trustme, which is not installed: pip install trustme, or tls=False.") from error
    key_file = ca_file.with_suffix(".key")
    if keep and key_file.exists():
        authority = trustme.CA.from_pem(ca_file.read_bytes(), key_file.read_bytes())
    else:
        authority = trustme.CA(organization_name="hftlab loopback venue")
        authority.cert_pem.write_to_path(str(ca_file))
        if keep:
            key_file.touch(mode=0o600)
            authority.private_key_pem.write_to_path(str(key_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", *sorted(set(hosts))).configure_cert(context)
    return context
