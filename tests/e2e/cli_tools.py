"""What the tests of command-line clients share: files, and running a program at a server. Each test runs on a
prefix (bucket repo, keys branch/...) and on a branch's own bucket (repo.branch, keys at its root)."""
import contextlib
import filecmp
import os
import re
import subprocess
import tempfile
import urllib.request

from harness import Server, clean_env

# bucket, and what stands before the keys
PLACES = (("example", "main/"), ("example.main", ""))
MIB = 1 << 20

FILES = {
    "a.txt": b"hello\n",
    "empty": b"",
    "x": b"a name that is a folder's beginning",
    "xy/z": b"in the folder",
    "dir/b c.bin": bytes(range(256)) * 300,
    "dir/deep/\u00fcml\u00e4ut \u65e5\u672c \U0001f600.txt": "gr\u00fc\u00dfe".encode(),
    "dir/plus+and%25&amp;#?=.txt": b"percent",
    "dir/quote'\"~!()*;,@.txt": b"marks",
    "multipart.bin": os.urandom(11 * MIB + 17),
}


def same_tree(a, b):
    def names(root):
        return sorted(os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs)
    assert names(a) == names(b), (names(a), names(b))
    for name in names(a):
        assert filecmp.cmp(os.path.join(a, name), os.path.join(b, name), shallow=False), name


def fetch(url):
    with urllib.request.urlopen(url) as r:
        return r.read()


class Tool:
    """A program with its settings, in a folder of its own."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.env = {k: v for k, v in clean_env(HOME=folder).items() if not re.match("RCLONE_|MC_|S3CMD", k)}

    def command(self, *args):
        raise NotImplementedError

    def __call__(self, *args, stdin=None, check=True, text=True, both=False):
        """Standard output (both: with standard error); check: it must succeed, else it must fail."""
        done = subprocess.run([*self.command(*args)], env=self.env, input=stdin, capture_output=True, text=text,
                              cwd=self.folder, timeout=240)
        if (done.returncode == 0) != check:
            raise AssertionError(f"{type(self).__name__} {args}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr if both else done.stdout


@contextlib.contextmanager
def started(tool):
    with Server(repos=("example",)) as s, tempfile.TemporaryDirectory() as d:
        yield s, tool(s, d), d


def every_place(tool, test):
    for bucket, root in PLACES:
        with started(tool) as (s, t, d):
            test(s, t, d, bucket, root)
