"""Runs sluicectl, also under lakectl's name, in a folder and an environment of its own."""
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

from harness import KEY, SECRET, clean_env

BIN = os.environ.get("SLUICECTL_BIN") or os.path.join(os.path.dirname(os.environ["SLUICE_BIN"]), "sluicectl")
FILES = {"one.txt": "hello lakectl\n", "tree/a.txt": "a\n", "tree/b.txt": "b\n", "tree/sub/c.txt": "c\n"}


class Ctl:
    """with Ctl(url) as ctl: ctl("repo", "list"). ctl.lakectl(...) goes by a link of that name."""

    def __init__(self, url, key=KEY, secret=SECRET, files=FILES):
        self.folder = tempfile.mkdtemp(prefix="sluicectl-test-")
        self.work = os.path.join(self.folder, "work")
        self.link = os.path.join(self.folder, "bin", "lakectl")
        os.makedirs(os.path.dirname(self.link))
        os.makedirs(os.path.join(self.folder, "home"))
        os.symlink(BIN, self.link)
        self.write(files)
        self.url, self.key, self.secret = url, key, secret

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def write(self, files):
        for name, text in files.items():
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "wb") as f:
                f.write(text.encode() if isinstance(text, str) else text)

    def env(self, **more):
        env = {k: v for k, v in clean_env().items() if not re.match("LAKECTL_|SLUICECTL_|NO_COLOR|AWS_", k)}
        env.update(HOME=os.path.join(self.folder, "home"), LAKECTL_SERVER_ENDPOINT_URL=self.url,
                   LAKECTL_CREDENTIALS_ACCESS_KEY_ID=self.key, LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=self.secret,
                   PATH=os.path.dirname(self.link) + ":" + os.path.dirname(BIN) + ":" + os.environ["PATH"],
                   ASAN_OPTIONS="detect_leaks=1")
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    def run(self, program, args, stdin=None, env=None, code=None, text=True):
        if isinstance(stdin, str) and not text:
            stdin = stdin.encode()
        done = subprocess.run([program, *args], cwd=self.work, env=self.env(**(env or {})), capture_output=True, text=text,
                              input=stdin if stdin is not None else ("" if text else b""), timeout=500)
        said = done.stderr if text else done.stderr.decode(errors="replace")
        assert "Sanitizer" not in said and "runtime error" not in said, said
        assert done.returncode >= 0, (args, done)
        if code is not None:
            assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done

    def __call__(self, *args, code=0, **kw):
        return self.run(BIN, args, code=code, **kw)

    def lakectl(self, *args, code=0, **kw):
        return self.run(self.link, args, code=code, **kw)

    def shell(self, script, **kw):
        """As somebody types it, with `lakectl` on the path."""
        return self.run("bash", ["-euo", "pipefail", "-c", script], **kw)

    def on_terminal(self, *args, columns=120, until=None):
        """What the program writes on a terminal of its own, and its exit code. until: seen(text) -> signal to send."""
        import fcntl
        import struct
        import termios
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        proc = subprocess.Popen([BIN, *args], cwd=self.work, env=self.env(), stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown, end, sent = b"", time.monotonic() + 300, False
        while time.monotonic() < end:
            ready, _, _ = select.select([master], [], [], 0.2)
            if ready:
                try:
                    more = os.read(master, 65536)
                except OSError:
                    more = b""
                if not more:
                    break
                shown += more
            sig = until and not sent and until(shown.decode(errors="replace"))
            if sig:
                proc.send_signal(sig)
                sent = True
        os.close(master)
        code = proc.wait(60)
        text = shown.decode(errors="replace")
        assert "Sanitizer" not in text, text
        return text, code
