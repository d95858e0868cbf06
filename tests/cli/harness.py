# SPDX-License-Identifier: MIT
"""Runs the binary and checks what it says. A test is a function whose name begins with test_."""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback


class Failure(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, want, what):
    need(got == want, f"{what}: want {want!r}, got {got!r}")


class Cli:
    """The binary, a scratch folder, and an environment of its own."""

    def __init__(self, agave, data, scratch):
        self.agave, self.data, self.scratch = agave, data, scratch
        self.gemma = os.path.join(data, "gemma3", "model-f32.gguf")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("AGAVE_", "XDG_")) and k not in ("NO_COLOR", "TERM")}
        self.env.update(HOME=scratch, XDG_STATE_HOME=os.path.join(scratch, "state"), LC_ALL="C.UTF-8")

    def run(self, *args, stdin=b"", code=0, env=None, timeout=60):
        """(stdout, stderr) as text; the exit status must be `code` (None: any)."""
        r = subprocess.run([self.agave, *args], input=stdin, capture_output=True, timeout=timeout,
                           env={**self.env, **(env or {})})
        out, err = r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")
        need(code is None or r.returncode == code,
             f"agave {' '.join(args)}: exit status {r.returncode}, want {code}\n{out[-500:]}\n{err[-1500:]}")
        return out, err

    def fails(self, *args, names, **more):
        """An error: status 1, nothing on stdout, one line that holds all of `names`."""
        out, err = self.run(*args, code=1, **more)
        equal(out, "", "stdout of a failure")
        lines = [x for x in err.splitlines() if x.startswith("error: ")]
        equal(len(lines), 1, f"error lines of {args}: {err!r}")
        for name in [names] if isinstance(names, str) else names:
            need(name in lines[0], f"{args}: {name!r} is not in {lines[0]!r}")

    def answer(self, *args, **more):
        return self.run(*args, **more)[0]

    def file(self, name, content):
        path = os.path.join(self.scratch, name)
        with open(path, "wb") as f:
            f.write(content)
        return path


class Terminal:
    """The binary on a pseudo-terminal of its own."""

    def __init__(self, cli, *args, env=None, columns=100):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            full = {**cli.env, "TERM": "xterm", "COLUMNS": str(columns), **(env or {})}
            os.execve(cli.agave, [cli.agave, *args], full)
        self.seen = ""

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += part.decode(errors="replace")
        return bool(part)

    def until(self, text, seconds=20):
        """Waits for the text, takes all up to its end away and returns it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                raise Failure(f"terminal: {text!r} did not come; seen: {self.seen[-1500:]!r}")
        at = self.seen.index(text) + len(text)
        got, self.seen = self.seen[:at], self.seen[at:]
        return got

    def send(self, text):
        os.write(self.fd, text.encode() if isinstance(text, str) else text)

    def end(self, seconds=10):
        """Exit status; the rest of the output is in `seen`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.read(0.1):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.pid = 0
                    return os.waitstatus_to_exitcode(status)
        raise Failure(f"terminal: the program did not end; seen: {self.seen[-1500:]!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def main(tests):
    agave, data = os.environ.get("AGAVE") or sys.argv[1], sys.argv[2]  # AGAVE: an installed one
    wanted, bad = sys.argv[3:], 0
    for name, test in tests:
        if wanted and name not in wanted and name.split(".")[0] not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="agave-cli-") as scratch:
            begin = time.monotonic()
            try:
                test(Cli(agave, data, scratch))
                word = "ok"
            except Exception as e:  # every test is run, whatever one of them does
                word = f"FAILED: {e}" if isinstance(e, Failure) else traceback.format_exc()
                bad += 1
            print(f"{name}: {word} ({time.monotonic() - begin:.1f} s)", flush=True)
    print(json.dumps({"failed": bad}))
    sys.exit(1 if bad else 0)
