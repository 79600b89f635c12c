"""Several servers over one database and one store, behind haproxy: with Cluster(section, 2) as c: c.url, c.servers."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

from harness import KEY, SECRET, Server, free_port
from rest import Rest

HAPROXY = "/usr/sbin/haproxy"


class Node(Server):
    """One of them: its objects are in the cluster's folder."""

    def __init__(self, cluster, **more):
        self.cluster = cluster
        super().__init__(folder=tempfile.mkdtemp(prefix="node-", dir=cluster.folder), **more)

    def path(self, *parts):
        if parts and parts[0] == "objects":
            return os.path.join(self.cluster.folder, *parts)
        return super().path(*parts)


class Cluster:
    def __init__(self, database, n, extra=""):
        self.folder = tempfile.mkdtemp(prefix="sluice-cluster-")
        self.servers = [Node(self, database=database, fresh=i == 0, extra=extra) for i in range(n)]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key, self.secret, self.tls = KEY, SECRET, False
        self.proc, self.kills = None, 0

    boto3 = Server.boto3

    def balance(self):
        """As docs/how-to/many-servers.md has it, with shorter times."""
        lines = "\n".join(f"    server s{i} 127.0.0.1:{s.port} check" for i, s in enumerate(self.servers))
        config = os.path.join(self.folder, "haproxy.cfg")
        with open(config, "w") as f:
            f.write(f"""global
    maxconn 2000
defaults
    mode http
    timeout connect 20s
    timeout client 120s
    timeout server 120s
    timeout check 5s
    retries 5
    option redispatch 1
    retry-on conn-failure
frontend sluice
    bind 127.0.0.1:{self.port}
    default_backend servers
backend servers
    balance roundrobin
    option httpchk GET /_health
    http-check expect status 200
    default-server inter 200ms fall 3 rise 1
{lines}
""")
        self.log = open(os.path.join(self.folder, "haproxy.log"), "ab")
        self.proc = subprocess.Popen([HAPROXY, "-db", "-f", config], stdin=subprocess.DEVNULL, stdout=self.log,
                                     stderr=self.log)
        end = time.monotonic() + 60
        while True:
            assert self.proc.poll() is None and time.monotonic() < end, open(self.log.name).read()
            with contextlib.suppress(OSError):
                if Rest(self.url).ask("GET", "/repositories").status == 200:
                    return
            time.sleep(0.1)

    def harass(self, seconds, least):
        """One of the servers is killed and started again, and again, for so long, and so often at least."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.kills < least:
            time.sleep(random.uniform(0.5, 2.5))
            victim = random.choice(self.servers)
            victim.stop(signal.SIGKILL)
            self.kills += 1
            time.sleep(random.uniform(0, 1))
            victim.start()

    def __enter__(self):
        assert os.path.exists(HAPROXY), "haproxy isn't installed: tools/lib.sh has its package"
        try:
            for s in self.servers:
                s.prepare()
                s.start()
            self.balance()
        except BaseException as e:
            self.__exit__(type(e), e, None)
            raise
        return self

    def __exit__(self, kind, value, tb):
        if self.proc:
            self.proc.terminate()
            self.proc.wait(60)
            self.log.close()
        failed = None
        for i, s in enumerate(self.servers):
            if kind is not None and s.proc:
                print(f"-- log of server {i} --\n" + s.log_text()[-3000:])
            try:
                s.stop()
            except AssertionError as e:
                failed = e
        shutil.rmtree(self.folder, ignore_errors=True)
        if failed and kind is None:
            raise failed
