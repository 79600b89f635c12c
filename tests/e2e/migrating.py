"""Migrations as people run them: two configurations, a terminal or none, and a kill in the middle."""
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import time

import kvdump
from harness import SLUICE, Server

PATIENCE = 300


class Pair:
    """A server's database, and another folder for it to go to; the same configuration but for that."""

    def __init__(self, server, a=None, b=None):
        """a, b: configurations that are there."""
        self.server = server
        if a:
            self.a, self.b = a, b
            return
        self.a, self.b = server.path("config.yaml"), server.path("b.yaml")
        server.configure()
        with open(self.a) as f:
            text = f.read()
        with open(self.b, "w") as f:
            f.write(text.replace(server.path("kv"), server.path("kv-b")))

    def run(self, *args, code=0, **more):
        done = subprocess.run([SLUICE, *args], env=self.server.env(), capture_output=True, text=True, **more)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return done

    def migrate(self, *more, code=0):
        return self.run("migrate", "--from", self.a, "--to", self.b, *more, code=code)

    def digest(self, config):
        return self.run("kv", "digest", "--config", config).stdout

    def same(self):
        """Both digests, which must be one."""
        a, b = self.digest(self.a), self.digest(self.b)
        assert a == b, (a, b)
        return a

    def start_migration(self, **more):
        return subprocess.Popen([SLUICE, "migrate", "--from", self.a, "--to", self.b], env=self.server.env(), **more)


class OnTerminal:
    """The migration on a terminal of its own; what it writes there is in .shown."""

    def __init__(self, pair, columns=120):
        self.master, slave = pty.openpty()
        import fcntl
        import struct
        import termios
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.proc = pair.start_migration(stderr=slave, stdout=subprocess.PIPE, text=True)
        os.close(slave)
        self.shown = ""

    def read(self, seconds):
        """False at the end."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        with contextlib.suppress(OSError):  # EIO: nobody has it open any more
            data = os.read(self.master, 65536)
            self.shown += data.decode().replace("\r\n", "\n")
            return bool(data)
        return False

    def until_copied(self, percent):
        """Waits until the bar of the copying says so; False when it is past that, or over."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            seen = re.findall(r"copying .*?(\d+)%", self.shown)
            if seen and int(seen[-1]) >= percent:
                return int(seen[-1]) < 100
            if not self.read(1):
                return False
        raise AssertionError("nothing was copied: " + self.shown[-500:])

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)

    def wait(self):
        while self.read(PATIENCE):
            pass
        os.close(self.master)
        self.out = self.proc.stdout.read()
        self.proc.stdout.close()
        _, status, self.usage = os.wait4(self.proc.pid, 0)
        self.proc.returncode = os.waitstatus_to_exitcode(status)
        return self.proc.returncode


def config_of(server, name, database):
    """The path of the server's configuration with another database."""
    was, server.database = server.database, database
    server.configure()
    server.database = was
    path = server.path(name + ".yaml")
    os.replace(server.path("config.yaml"), path)
    server.configure()
    return path


def local(path):
    return f'{{type: local, local: {{path: "{path}"}}}}'


def killed_and_resumed(pair, kill_at, look=lambda terminal: None):
    """Seconds, how often it was killed, and what the last run showed. Killed where the bar has each of these
    per cents; the target opens nowhere meanwhile. look(terminal) of each run that was killed, and the one after."""
    begun, kills = time.monotonic(), 0
    for percent in kill_at:
        terminal = OnTerminal(pair)
        if terminal.until_copied(percent):
            terminal.kill()
        code = terminal.wait()
        if code == 0:  # it was over before
            break
        assert code == -signal.SIGKILL, (code, terminal.shown[-500:])
        kills += 1
        out = pair.run("migrate", "version", "--config", pair.b, code=2)
        assert "isn't complete" in out.stderr, out.stderr
        look(terminal)
    else:
        terminal = OnTerminal(pair)
        assert terminal.wait() == 0, terminal.shown[-500:]
        look(terminal)
    return time.monotonic() - begun, kills, terminal


def chain(server, pg, db, kill_at, told, **of_dynamodb):
    """rocksdb -> postgres -> dynamodb -> rocksdb, each killed and gone on with; equal to the source at the end. Answers the
    configuration of the last. told(from, to, seconds, kills, terminal); of_dynamodb: its section's."""
    stages = [("rocksdb", server.database), ("postgres", pg.section()), ("dynamodb", db.section(**of_dynamodb)),
              ("rocksdb-again", local(server.path("kv-again")))]
    configs = [config_of(server, name, database) for name, database in stages]
    source = Pair(server).digest(configs[0])
    for i in range(3):
        pair = Pair(server, configs[i], configs[i + 1])
        told(stages[i][0], stages[i + 1][0], *killed_and_resumed(pair, kill_at))
        assert pair.same() == source
    return configs[-1]


def with_staged(n, **more):
    """A stopped server whose branch main has n staged objects more, many/0000000 and on. It has to be removed
    with shutil.rmtree(server.folder)."""
    server = Server(folder=tempfile.mkdtemp(prefix="sluice-test-"), **more)
    with server:
        server.boto3().put_object(Bucket="example", Key="main/one", Body=b"x" * 100)
    server.command("kv", "dump", server.path("dump"))
    partitions = kvdump.read(server.path("dump"))
    token = kvdump.staged_token(partitions)
    one = partitions[token][b"one"]

    def staged():
        for i in range(n):
            key = b"many/%07d" % i
            yield key, kvdump.staged_like(one, key)
        yield b"one", one

    kvdump.write(server.path("dump"), {**{p: sorted(v.items()) for p, v in partitions.items()}, token: staged()})
    server.command("kv", "load", server.path("dump"), "--clear-target")
    os.remove(server.path("dump"))
    return server
