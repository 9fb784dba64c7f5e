# SPDX-License-Identifier: MIT
"""Runs in a lab host: does what labhost.py asks through a virtual serial port.

A line of JSON for each request, {"id", "argv", "environ", "stdin", "timeout"}, and one
for each answer, {"id", "status", "stdout", "stderr"}; a status of null is a command that
had not ended in its time.  Requests run side by side.
"""
import json
import os
import signal
import subprocess
import sys
import threading

PORT = "agent"


def port():
    folder = "/sys/class/virtio-ports"
    for name in os.listdir(folder):
        with open(f"{folder}/{name}/name", encoding="ascii") as f:
            if f.read().strip() == PORT:
                return f"/dev/{name}"
    raise FileNotFoundError(f"{folder} has no port called {PORT}")


def run(request):
    try:
        child = subprocess.Popen(
            request["argv"], env={**os.environ, **request["environ"]}, text=True,
            stdin=subprocess.PIPE if request["stdin"] is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace",
            start_new_session=True)
    except OSError as e:
        return 127, "", f"{request['argv'][0]}: {e.strerror}"
    try:
        out, err = child.communicate(request["stdin"], request["timeout"])
        return child.returncode, out, err
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGTERM)
    try:
        out, err = child.communicate(timeout=20)  # what it cleans up
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
    return None, out, err


def main():
    end = open(port(), "r+b", buffering=0)
    sending = threading.Lock()

    def say(**answer):
        data = json.dumps(answer).encode() + b"\n"
        with sending:
            while data:
                data = data[end.write(data):]

    def serve(request):
        status, out, err = run(request)
        say(id=request["id"], status=status, stdout=out, stderr=err)

    say(id="up", kernel=os.uname().release)
    rest = b""
    while data := end.read(65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()
    return 1  # nobody is there any more


if __name__ == "__main__":
    sys.exit(main())
