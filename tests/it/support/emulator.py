"""Runs an emulator of AWS, or a proxy in front of one, for as long as standard input stays open.

usage: emulator.py ministack|moto|microburst [UPSTREAM]

Picks a free port of 127.0.0.1, starts the server, and prints "ready PORT" once it answers. Ends the server, and
itself, when standard input is closed: that happens however the test process ends, SIGKILL included, so no server
outlives its tests.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HOST = "127.0.0.1"
STARTS = 5
READY_WITHIN_SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def command(kind, port, upstream):
    if kind == "ministack":
        return [sys.executable, "-m", "ministack"]
    if kind == "moto":
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    if kind == "microburst":
        return [sys.executable, "-m", "microburst", "-u", *upstream, "--host", HOST, "--port", str(port)]
    sys.exit(f"unknown emulator {kind!r}; use ministack, moto or microburst")


def environment(port, folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MINISTACK_"))}
    own = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,sns,events,sts,iam,kms",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": folder,
        "S3_DATA_DIR": os.path.join(folder, "s3"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # it looks for containers to clean up; those of the developer are none of its business
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return {**kept, **own}


def answers(port):
    try:
        urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def start(kind, folder, upstream):
    """A server that answers and its port, or None where it ended (another program may have taken the port)."""
    port = free_port()
    with open(os.path.join(folder, "log"), "ab") as log:
        server = subprocess.Popen(
            command(kind, port, upstream),
            env=environment(port, folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        if answers(port):
            # who answers may be another program while ours is about to fail for want of the port
            time.sleep(0.2)
            if server.poll() is None:
                return server, port
        time.sleep(0.05)
    end(server)
    return None


def end(server):
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    server.wait()


def main(kind, *upstream):
    with tempfile.TemporaryDirectory(prefix="trailhound-emulator-") as folder:
        for _ in range(STARTS):
            started = start(kind, folder, upstream)
            if started:
                break
        else:
            with open(os.path.join(folder, "log"), errors="replace") as log:
                sys.exit(f"{kind} did not start; its log ends:\n{log.read()[-4000:]}")
        server, port = started
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # the tests share the terminal's process group; an interrupt reaches us by the closing of standard input
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            print(f"ready {port}", flush=True)
            while sys.stdin.buffer.read(4096):
                pass
        finally:
            end(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
