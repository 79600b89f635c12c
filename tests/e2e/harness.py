"""Starts real servers for tests, and checks what comes of them. Each server has a folder of its own and a
port that the system chose; it is stopped by its process id."""
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from warm_aws import Warm

SLUICE = os.environ["SLUICE_BIN"]
SOURCE = os.environ["SLUICE_SOURCE"]
VENV = os.path.join(SOURCE, "build", "venv", "bin")
KEY, SECRET = "AKIAJTESTTESTTESTTESQ", "secret/for+tests0123456789abcdefghijklmno"
REGION = "us-east-1"


def use_venv(name):
    """The rest of this test runs in build/venv-NAME (tools/lib.sh); to be called before what only that
    has is imported."""
    home = os.path.join(SOURCE, "build", "venv" + (name and "-" + name))
    if os.path.realpath(sys.prefix) != os.path.realpath(home):
        python = os.path.join(home, "bin", "python")
        os.execv(python, [python, *sys.argv])


def go_tool(name):
    """The path of a program that tools/lib.sh builds from source; without it, the test fails."""
    path = os.path.join(SOURCE, "build", "go", "bin", name)
    if not os.path.exists(path):
        raise AssertionError(f"{path} is not there: tools/test builds it (build/go.log says why it didn't)")
    return path


def clean_env(**more):
    """The environment without what would reach into a client (proxies, bundles, profiles)."""
    env = {k: v for k, v in os.environ.items()
           if not re.match(r"(?i)(aws_|https?_proxy|all_proxy|ssl_cert|requests_ca|curl_ca|lakefs_|sluice_)", k)}
    env.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION=REGION,
               AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null",
               AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_PAGER="", HOME=tempfile.gettempdir())
    env.update(more)
    return env


taken = []


def free_port():
    """A port that is this process's until it ends, also while nobody listens there: none that the system gives to clients,
    and none that another test has chosen."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        low, high = map(int, f.read().split())
    ports = range(10000, low) if low >= 12000 else range(high + 1, 65536)
    for port in random.sample(ports, len(ports)):
        sign = socket.socket(socket.AF_UNIX)
        try:
            sign.bind(f"\0sluice-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            sign.close()
            continue
        taken.append(sign)
        return port
    raise AssertionError(f"no port of {ports} is free")


def wait_for(condition, what="the condition", seconds=60):
    """Until condition() answers something, which is answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError(f"{what} didn't come within {seconds} s")


def while_it_lasts(attempt, lives=(3, 12, 60, 240)):
    """attempt(until): what must go well until that time, in whole seconds, is over. Where it is over before the attempt is, on
    a machine that stands still now and then, it may try again with more time; it tells so by failing, whichever way."""
    for life in lives:
        until = int(time.time()) + life
        try:
            return attempt(until)
        except Exception:
            if time.time() < until or life == lives[-1]:
                raise
            traceback.print_exc()


class Server:
    """sluice on its embedded default: with Server() as s: s.url, s.port, s.pid."""

    def __init__(self, repos=("example",), tls=False, extra="", folder=None, database=None, fresh=True,
                 stores=None):
        """database: the section of the configuration, for another one than the embedded default; fresh: it has to be
        set up. stores: elements of blockstores.stores (services.py makes them), instead of a single local store;
        with them no repository is made."""
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="sluice-test-")
        self.port = free_port()
        self.tls = tls
        self.proc, self.marks = None, 0
        self.repos = repos if stores is None else ()
        self.stores = stores
        self.extra = extra
        self.database = database or f'{{type: local, local: {{path: "{self.path("kv")}"}}}}'
        self.embedded, self.fresh = not database, fresh
        self.key, self.secret = KEY, SECRET
        self.encrypt = "encrypt-encrypt-encrypt"
        self.cert = os.path.join(self.folder, "cert.pem")
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def configure(self):
        tls = ""
        if self.tls:
            key = os.path.join(self.folder, "key.pem")
            if not os.path.exists(key):
                subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                                "-keyout", key, "-out", self.cert], check=True, capture_output=True)
            tls = f'tls:\n  enabled: true\n  cert_file: "{self.cert}"\n  key_file: "{key}"\n'
        with open(self.path("config.yaml"), "w") as f:
            f.write(f'''listen_address: "127.0.0.1:{self.port}"
logging: {{format: json, level: INFO}}
database: {self.database}
{self.blockstores()}
auth: {{encrypt: {{secret_key: "{self.encrypt}"}}}}
{tls}{self.extra}''')

    def blockstores(self):
        signing = {"secret_key": "sign-sign-sign"}
        if self.stores is None:
            one = {"type": "local", "local": {"path": self.path("objects")}, "signing": signing}
            return "blockstore: " + json.dumps(one)
        return "blockstores: " + json.dumps({"signing": signing, "stores": self.stores})

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def env(self, **more):
        """With a cache of the server's own: others run beside it."""
        return clean_env(LAKEFS_COMMITTED_LOCAL_CACHE_DIR=self.path("cache"), **more)

    def command(self, *args, check=True):
        done = subprocess.run([SLUICE, *args, "--config", self.path("config.yaml")], env=self.env(),
                              capture_output=True, text=True)
        if check and done.returncode:
            raise AssertionError(f"sluice {args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def prepare(self):
        self.configure()
        if not os.path.exists(self.path("kv")) if self.embedded else self.fresh:
            self.fresh = False
            self.command("setup", "--user-name", "admin", "--access-key-id", KEY,
                         "--secret-access-key", SECRET)
            for repo in self.repos:
                self.command("repo", "create", repo)

    def start(self):
        self.log = open(self.path("server.log"), "ab")
        self.proc = subprocess.Popen([SLUICE, "run", "--config", self.path("config.yaml")],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                     env=self.env(ASAN_OPTIONS="detect_leaks=1"))
        self.pid = self.proc.pid
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.proc.poll() is not None:
                raise AssertionError(f"server ended with {self.proc.returncode}:\n{self.log_text()[-4000:]}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            time.sleep(0.05)
        raise AssertionError("server did not start:\n" + self.log_text()[-4000:])

    def reload(self, taken=True):
        """Writes the configuration as it is now and sends SIGHUP; waits until the server has taken it, or, with
        taken=False, refused it."""
        self.configure()
        words = '"reloaded: ' if taken else '"the configuration was not taken'
        before = self.log_text().count(words)
        self.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log_text().count(words) > before, f"{words} in the log")

    def log_text(self):
        """Whole lines, while it writes."""
        with open(self.path("server.log"), errors="replace") as f:
            text = f.read()
        return text[:text.rfind("\n") + 1] if self.proc else text

    def wait_for_log(self, words):
        """What a loop logs is written behind its answer."""
        wait_for(lambda: words in self.log_text(), f"{words} in the log")

    def settled_log(self):
        """The log when it has all requests that were answered: when it has one that came after them."""
        self.marks += 1
        path = f"/api/v1/repositories/mark-{self.marks}"
        with contextlib.closing(self.connect()) as h:
            h.request("GET", path)
            h.getresponse().read()
        self.wait_for_log(f'"{path}"')
        return self.log_text()

    def stop(self, sig=signal.SIGTERM):
        """Ends the server; after SIGTERM it must have gone down cleanly: no leak, no report."""
        if not self.proc:
            return
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            code = self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise AssertionError("server did not stop:\n" + self.log_text()[-4000:])
        self.proc = None
        self.log.close()
        text = self.log_text()
        if "Sanitizer" in text or "runtime error" in text:
            raise AssertionError("sanitizer report:\n" + text[-8000:])
        if sig == signal.SIGTERM and code != 0:
            raise AssertionError(f"server ended with {code}:\n" + text[-4000:])

    def __enter__(self):
        self.prepare()
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, value, tb):
        try:
            self.stop()
        except AssertionError:
            if kind is None:
                raise
            traceback.print_exc()
        finally:
            if kind is not None:
                print("-- server log --\n" + self.log_text()[-6000:])
            if self.own:
                shutil.rmtree(self.folder, ignore_errors=True)

    def peak_kib(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")

    def boto3(self, **config):
        import boto3
        from botocore.config import Config
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            os.environ.pop(name, None)
        config.setdefault("retries", {"max_attempts": 1})
        config.setdefault("s3", {"addressing_style": "path"})
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=self.key,
                            aws_secret_access_key=self.secret,
                            region_name=REGION, config=Config(**config), verify=self.cert if self.tls else None)

    def aws(self, program, *args, stdin=None, check=True, text=True):
        """Runs an aws-cli (a path, or a Warm one) against this server; returns the finished process."""
        args = ["--endpoint-url", self.url, *(["--ca-bundle", self.cert] if self.tls else []), *args]
        env = clean_env(AWS_ACCESS_KEY_ID=self.key, AWS_SECRET_ACCESS_KEY=self.secret)
        if isinstance(program, Warm):
            done = program.run(args, env)
        else:
            done = subprocess.run([program, *args], input=stdin, capture_output=True, text=text, env=env)
        if check and done.returncode:
            raise AssertionError(f"{program} {args}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)


def refusal(fn, **kw):
    """The botocore ClientError that the call ends in; it must."""
    from botocore.exceptions import ClientError
    try:
        fn(**kw)
    except ClientError as e:
        return e
    raise AssertionError(f"{kw} was not refused")


def error(fn, **kw):
    """(code, status) of the call's refusal."""
    answer = refusal(fn, **kw).response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def write_tree(root, files):
    """{path: bytes} below root."""
    for name, data in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)


def aws_programs():
    return [p for p in ("/usr/bin/aws", os.path.join(VENV, "aws")) if os.path.exists(p)]


def sign(method, url, headers=None, payload="UNSIGNED-PAYLOAD", key=KEY, secret=SECRET, when=None):
    """A signed request's headers, by botocore (not by code of ours)."""
    import datetime
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    import botocore.auth as auth

    req = AWSRequest(method=method, url=url, headers=headers or {})
    signer = S3SigV4Auth(Credentials(key, secret), "s3", REGION)
    req.context["timestamp"] = (when or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    if payload:
        req.headers["X-Amz-Content-SHA256"] = payload
    req.headers["X-Amz-Date"] = req.context["timestamp"]
    canonical = signer.canonical_request(req)
    if payload:
        canonical = canonical.rsplit("\n", 1)[0] + "\n" + payload
    signature = signer.signature(signer.string_to_sign(req, canonical), req)
    scope = f"{key}/{signer.credential_scope(req)}"
    signed = signer.signed_headers(signer.headers_to_sign(req))
    req.headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, "
                                    f"Signature={signature}")
    return dict(req.headers)


def md5(data):
    return hashlib.md5(data).hexdigest()


def main_in_venvs(names, tests):
    """main, in each of these environments."""
    if "TEST_VENV" in os.environ:
        main(tests)
    failed = False
    for name in names:
        python = os.path.join(SOURCE, "build", "venv" + (name and "-" + name), "bin", "python")
        print(f"-- {name or 'venv'}", flush=True)
        failed |= subprocess.run([python, *sys.argv], env=dict(os.environ, TEST_VENV=name)).returncode != 0
    sys.exit(failed)


def main(tests):
    """Runs functions named test_*; prints a line each; exits with 1 when one fails."""
    chosen = sys.argv[1:]
    failed = 0
    for name, fn in list(tests.items()):
        if not name.startswith("test_") or (chosen and name not in chosen):
            continue
        start = time.monotonic()
        try:
            fn()
            print(f"ok   {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)
