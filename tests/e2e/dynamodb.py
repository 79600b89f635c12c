"""A DynamoDB Local of the test's own: in a new folder, on a free port of loopback, ended by its process id."""
import ctypes
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
SECRET = "nobody-may-see-me"


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class DynamoDB:
    """with DynamoDB() as d: d.section("table"), d.records("table")."""

    def __init__(self, in_memory=True, heap="384m"):
        """in_memory: faster; after a restart nothing is there. heap: of Java; a scan takes all of a table into it."""
        self.heap = heap
        self.data = ["-inMemory"] if in_memory else ["-dbPath", "."]
        self.folder = tempfile.mkdtemp(prefix="sluice-ddb-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.proc = None

    def section(self, table="kvstore", **more):
        """For a server's configuration."""
        extra = "".join(f", {k}: {v}" for k, v in more.items())
        return (f'{{type: dynamodb, dynamodb: {{table_name: {table}, endpoint: "{self.url}", aws_region: us-east-1, '
                f'aws_access_key_id: testkey, aws_secret_access_key: {SECRET}{extra}}}}}')

    def client(self):
        import boto3
        return boto3.client("dynamodb", endpoint_url=self.url, region_name="us-east-1",
                            aws_access_key_id="testkey", aws_secret_access_key=SECRET)

    def items(self, table="kvstore"):
        return [i for page in self.client().get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
                for i in page["Items"]]

    def records(self, table="kvstore"):
        """{(partition, key): value}, all bytes."""
        return {(i["PartitionKey"]["B"], i["ItemKey"]["B"]): i["ItemValue"]["B"] for i in self.items(table)}

    def make_table(self, table):
        """As lakeFS does."""
        self.client().create_table(
            TableName=table, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "B"} for n in ("PartitionKey", "ItemKey")],
            KeySchema=[{"AttributeName": "PartitionKey", "KeyType": "HASH"},
                       {"AttributeName": "ItemKey", "KeyType": "RANGE"}])

    def put(self, table, partition, key, value):
        self.client().put_item(TableName=table, Item={
            "PartitionKey": {"B": partition}, "ItemKey": {"B": key}, "ItemValue": {"B": value}})

    def answers(self):
        try:
            urllib.request.urlopen(self.url + "/", timeout=5)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        shim = os.path.join(os.path.dirname(SLUICE), "tests", "kv", "libloopback_bind.so")
        self.proc = subprocess.Popen(
            ["java", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
             f"-Djava.library.path={JARS}", "-cp", JARS + "/*",
             "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-port", str(self.port), "-sharedDb",
             "-disableTelemetry", *self.data],
            cwd=self.folder, env=clean_env(LD_PRELOAD=shim), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            preexec_fn=die_with_parent)
        log.close()
        end = time.monotonic() + 180
        while not self.answers():
            assert self.proc.poll() is None and time.monotonic() < end, open(log.name).read()[-4000:]
            time.sleep(0.1)

    def stop(self):
        """At once, as if the machine had failed."""
        if self.proc:
            self.proc.kill()
            self.proc.wait(60)
            self.proc = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *what):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
