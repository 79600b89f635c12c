"""Stores for tests: each a row with the same face, whatever stands behind it. A service is started on a free port,
waits until it answers, and is stopped by its process id.

    store.config()          its element of blockstores.stores
    store.namespace(name)   a storage namespace on it that nobody else has
    store.put(space, key, data)   an object, without sluice
    store.stop(), .start()  for services: away, and back with what it had
"""
import base64
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from harness import SOURCE, clean_env, free_port, go_tool


class Store:
    """A row. kind is the type in the configuration, id the store's id there."""
    kind = None
    scheme = None

    def __init__(self, id, **more):
        self.id, self.more = id, more
        self.folder = tempfile.mkdtemp(prefix=f"sluice-store-{id}-")

    def block(self):
        return {}

    def config(self, **more):
        return {"id": self.id, "type": self.kind, self.kind: self.block(), "description": f"The store {self.id}",
                **self.more, **more}

    def start(self):
        return self

    def stop(self):
        pass

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def namespace(self, name):
        return f"{self.scheme}://{name}"

    def put_tree(self, space, folder):
        """Every file below the folder as an object below the namespace."""
        for at, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(at, name)
                with open(path, "rb") as f:
                    self.put(space, os.path.relpath(path, folder).replace(os.sep, "/"), f.read())


class Local(Store):
    kind = scheme = "local"

    def block(self):
        return {"path": self.folder}

    def put(self, space, key, data):
        path = os.path.join(self.folder, space.removeprefix("local://"), key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)


class Mem(Store):
    """In the server's memory: what it holds ends with the server, and nobody else can put anything there."""
    kind = scheme = "mem"
    put = None


class Service(Store):
    """One with a process of its own."""

    def __init__(self, id, **more):
        super().__init__(id, **more)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.proc = None

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.proc = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env=clean_env(**self.env()), cwd=self.folder)
        end = time.monotonic() + 120
        while not self.ready():
            if self.proc.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.folder, "log"), errors="replace") as f:
                    raise AssertionError(f"{type(self).__name__} did not start:\n{f.read()[-4000:]}")
            time.sleep(0.05)
        self.prepare()
        return self

    def stop(self):
        if self.proc:
            self.proc.kill()
            self.proc.wait()
        self.proc = None

    def freeze(self):
        """Takes connections, answers nothing."""
        self.proc.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.proc.send_signal(signal.SIGCONT)

    def env(self):
        return {}

    def answers(self, path, *statuses):
        """Whether a GET is answered; with statuses: so."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as r:
                return not statuses or r.status in statuses
        except urllib.error.HTTPError as e:
            return not statuses or e.code in statuses
        except OSError:
            return False

    def prepare(self):
        """Buckets, after each start."""


class S3(Service):
    kind = scheme = "s3"
    bucket = "bucket-one"
    key, secret = "testkey", "testsecret123"

    def block(self):
        return {"endpoint": self.url, "force_path_style": True, "discover_bucket_region": False,
                "credentials": {"access_key_id": self.key, "secret_access_key": self.secret}}

    def namespace(self, name):
        return f"s3://{self.bucket}/{name}"

    def client(self):
        import boto3
        from botocore.config import Config
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            os.environ.pop(name, None)
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=self.key,
                            aws_secret_access_key=self.secret, region_name="us-east-1",
                            config=Config(s3={"addressing_style": "path"}))

    def prepare(self):
        s3 = self.client()
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            s3.create_bucket(Bucket=self.bucket)

    def put(self, space, key, data):
        prefix = space.removeprefix(f"s3://{self.bucket}/")
        self.client().put_object(Bucket=self.bucket, Key=f"{prefix}/{key}", Body=data)


class Versitygw(S3):
    def command(self):
        for name in ("data", "iam"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        return [go_tool("versitygw"), "--port", f"127.0.0.1:{self.port}", "--quiet", "--health", "/health",
                "--iam-dir", os.path.join(self.folder, "iam"), "posix", os.path.join(self.folder, "data")]

    def env(self):
        return {"ROOT_ACCESS_KEY": self.key, "ROOT_SECRET_KEY": self.secret}

    def ready(self):
        return self.answers("/health", 200)

    def add_key(self, key, secret):
        """Another pair of keys that may do everything, for who changes them."""
        subprocess.run([go_tool("versitygw"), "admin", "-a", self.key, "-s", self.secret, "-er", self.url,
                        "create-user", "-a", key, "-s", secret, "-r", "admin"], check=True, capture_output=True,
                       env=clean_env())

    def drop_key(self, key):
        subprocess.run([go_tool("versitygw"), "admin", "-a", self.key, "-s", self.secret, "-er", self.url,
                        "delete-user", "-a", key], check=True, capture_output=True, env=clean_env())


class S3Proxy(S3):
    bucket = "bucket-two"
    jar = os.path.join(SOURCE, "build", "services", "s3proxy", "s3proxy-4.1.0-jar-with-dependencies.jar")

    def command(self):
        data = os.path.join(self.folder, "data")
        os.makedirs(data, exist_ok=True)
        with open(os.path.join(self.folder, "conf"), "w") as f:
            f.write(f"s3proxy.authorization=aws-v2-or-v4\ns3proxy.endpoint={self.url}\n"
                    f"s3proxy.identity={self.key}\ns3proxy.credential={self.secret}\n"
                    f"jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={data}\n")
        return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", self.jar, "--properties",
                os.path.join(self.folder, "conf")]

    def env(self):
        return {"LC_ALL": "C.UTF-8"}  # the JVM's idea of file names

    def ready(self):
        return self.answers("/")


class Azurite(Service):
    kind, scheme = "azure", "https"
    account, container = "acct1", "container-one"
    key = base64.b64encode(b"key-for-acct1-0123456789").decode()

    def command(self):
        return [os.path.join(SOURCE, "build", "services", "azurite", "node_modules", ".bin", "azurite-blob"),
                "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location",
                os.path.join(self.folder, "data"), "--skipApiVersionCheck", "--silent", "--disableTelemetry"]

    def env(self):
        return {"AZURITE_ACCOUNTS": f"{self.account}:{self.key}"}

    def ready(self):
        return self.answers("/")

    def block(self):
        return {"storage_account": self.account, "storage_access_key": self.key,
                "test_endpoint_url": f"{self.url}/{self.account}"}

    def namespace(self, name):
        return f"https://{self.account}.blob.core.windows.net/{self.container}/{name}"

    def ask(self, method, path, query=(), data=None, **headers):
        """A request signed with the account's key."""
        import email.utils
        import hashlib
        import hmac
        headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-12-02",
                   **{k.replace("_", "-"): v for k, v in headers.items()}}
        canonical = "".join(f"{k}:{v}\n" for k, v in sorted(headers.items()))
        resource = f"/{self.account}/{self.account}{path}" + "".join(f"\n{k}:{v}" for k, v in sorted(query))
        length = str(len(data)) if data else ""
        kind = "application/octet-stream" if data is not None else ""
        text = f"{method}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{canonical}{resource}"
        mac = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(mac).decode()}"
        if kind:
            headers["Content-Type"] = kind
        url = f"{self.url}/{self.account}{path}" + ("?" + "&".join(f"{k}={v}" for k, v in query) if query else "")
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers, method=method)) as r:
            return r.read()

    def prepare(self):
        with contextlib.suppress(urllib.error.HTTPError):
            self.ask("PUT", f"/{self.container}", [("restype", "container")])

    def put(self, space, key, data):
        prefix = space.split(f"/{self.container}/", 1)[1]
        self.ask("PUT", f"/{self.container}/{prefix}/{key}", data=data, x_ms_blob_type="BlockBlob")


class FakeGcs(Service):
    """In memory: what it holds ends with it."""
    kind, scheme = "gs", "gs"
    bucket = "gcs-bucket"

    def command(self):
        return [go_tool("fake-gcs-server"), "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port),
                "-backend", "memory", "-external-url", self.url, "-public-host", f"127.0.0.1:{self.port}",
                "-log-level", "warn"]

    def ready(self):
        return self.answers("/_internal/healthcheck", 200)

    def block(self):
        return {"endpoint": self.url, "bucket_project_id": "project"}

    def namespace(self, name):
        return f"gs://{self.bucket}/{name}"

    def post(self, path, data, kind):
        req = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": kind}, method="POST")
        with urllib.request.urlopen(req) as r:
            return r.read()

    def prepare(self):
        with contextlib.suppress(urllib.error.HTTPError):
            self.post("/storage/v1/b?project=project", b'{"name": "%s"}' % self.bucket.encode(), "application/json")

    def put(self, space, key, data):
        import urllib.parse
        name = space.removeprefix(f"gs://{self.bucket}/") + "/" + key
        self.post(f"/upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={urllib.parse.quote(name, safe='')}",
                  data, "application/octet-stream")
