"""sluicectl's memory doesn't grow with what it copies: a file of 200 MiB, and many small ones at once."""
import hashlib
import os
import re
import subprocess

from harness import Server, main
from sluicectl import BIN, Ctl

SIZE, LIMIT_KIB = 200 << 20, 48 << 10


def peak_kib(ctl, *args):
    """Runs it by a process that has no other child, so that the kernel's account is of it alone; stdout is in `out`."""
    done = subprocess.run(["/usr/bin/env", "python3", "-c", "import resource, subprocess, sys\n"
                           "code = subprocess.run(sys.argv[1:], stdout=open('out', 'wb'), stderr=open('err', 'wb')).returncode\n"
                           "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", BIN, *args],
                          cwd=ctl.work, env=ctl.env(), capture_output=True, text=True)
    code, kib = map(int, done.stdout.split())
    with open(ctl.path("err")) as f:
        assert code == 0, (args, f.read())
    return kib


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "md5").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.md5(f.read()).hexdigest()


def test_a_large_file():
    with Server() as server, Ctl(server.url) as ctl:
        with open(ctl.path("big"), "wb") as f:
            block = os.urandom(1 << 20)
            for i in range(SIZE >> 20):
                f.write(block[i:] + block[:i])
        peaks = {
            "upload": peak_kib(ctl, "fs", "upload", "-s", "big", "lakefs://example/main/big"),
            "download": peak_kib(ctl, "fs", "download", "lakefs://example/main/big", "back"),
            "cat": peak_kib(ctl, "fs", "cat", "lakefs://example/main/big"),
        }
        md5 = digest(ctl.path("big"))
        assert digest(ctl.path("back")) == digest(ctl.path("out")) == md5
        assert re.search(f"Checksum: {md5}\n", ctl("fs", "stat", "lakefs://example/main/big").stdout)
        print("peaks in KiB:", peaks)
        assert max(peaks.values()) < LIMIT_KIB, peaks


def test_many_files():
    files = {f"src/{i % 20:02}/{i:05}": os.urandom(20000) for i in range(5000)}
    with Server() as server, Ctl(server.url, files=files) as ctl:
        peaks = {
            "upload": peak_kib(ctl, "fs", "upload", "-r", "-s", "src", "lakefs://example/main/d/"),
            "download": peak_kib(ctl, "fs", "download", "-r", "lakefs://example/main/d/", "down"),
        }
        print("peaks in KiB:", peaks)
        assert max(peaks.values()) < LIMIT_KIB, peaks


if __name__ == "__main__":
    main(globals())
