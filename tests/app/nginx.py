"""nginx, from Debian (`tools/install-test-tools`), with servers of a test's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .support import until

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {home}/pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  {http}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def running_nginx(home: Path, http: str, port: int) -> AsyncIterator[None]:
    """One process with these directives, which listens on `port`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed; run: tools/install-test-tools")
    home.mkdir()
    (home / "nginx.conf").write_text(CONFIG.format(home=home, http=http))
    log = home / "error.log"
    process = subprocess.Popen([program, "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(log)])
    try:

        def is_there() -> bool:
            assert process.poll() is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        await until(is_there, "nginx does not listen")
        yield
    finally:
        process.terminate()
        process.wait(30)
