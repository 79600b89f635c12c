"""A DynamoDB Local of the test's own: in memory, on a free port of loopback, stopped by its process id."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from harness import SLUICE, SOURCE, clean_env, free_port

JARS = os.path.join(SOURCE, "build", "services", "dynamodb", "lib")


class DynamoDB:
    """with DynamoDB() as db: db.section()."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-ddb-")
        self.port = free_port()
        self.proc = None

    def section(self, table="kvstore"):
        """For a server's configuration."""
        return (f'{{type: dynamodb, dynamodb: {{table_name: {table}, endpoint: "http://127.0.0.1:{self.port}", '
                'aws_region: us-east-1, aws_access_key_id: testkey, aws_secret_access_key: nobody-may-see-me}}')

    def start(self):
        assert os.path.isdir(JARS), f"{JARS} is not there: tools/lib.sh (services) brings it"
        # It has no option for the address that it listens on.
        loopback = glob.glob(os.path.join(os.path.dirname(SLUICE), "tests", "kv", "libloopback_bind.so"))
        assert loopback, "libloopback_bind.so isn't built"
        log = open(os.path.join(self.folder, "log"), "ab")
        self.proc = subprocess.Popen(
            ["java", "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
             f"-Djava.library.path={JARS}", "-cp", f"{JARS}/*", "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
             "-port", str(self.port), "-sharedDb", "-disableTelemetry", "-inMemory"],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=clean_env(LD_PRELOAD=os.path.realpath(loopback[0])))
        log.close()
        end = time.monotonic() + 180
        while not self.answers():
            assert self.proc.poll() is None and time.monotonic() < end, open(log.name).read()[-4000:]
            time.sleep(0.05)

    def answers(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        if self.proc:
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
