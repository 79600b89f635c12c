"""The program itself: commands, exit codes, restarts, reload, stop."""
import os
import signal
import subprocess
import threading
import time

from harness import KEY, SECRET, SLUICE, SOURCE, Server, clean_env, main, wait_for

B = "example"


def run(*args, **kw):
    return subprocess.run([SLUICE, *args], env=clean_env(**kw), capture_output=True, text=True)


def test_usage():
    assert run("version").stdout.startswith("sluice version: ")
    assert run("help").returncode == 0
    for bad in (["nonsense"], ["run", "--nonsense"], ["run", "--config"], ["setup"], ["repo", "destroy", "x"],
                ["run", "stray"], ["setup", "--user-name", "a", "--access-key-id", "b"]):
        done = run(*bad)
        assert done.returncode == 2 and done.stderr, bad


def test_bad_configuration():
    with Server() as s:
        bad = s.path("bad.yaml")
        with open(bad, "w") as f:
            f.write("listen_adress: x\ndatabase: {type: nosql}\nblockstore: {type: local}\n")
        for command in (["config", "check", bad], ["run", "--config", bad], ["setup", "--user-name", "x", "--config", bad]):
            done = run(*command)
            assert done.returncode == 2, (command, done)
            text = done.stdout + done.stderr
            assert "bad.yaml:1" in text and "listen_adress" in text and "listen_address" in text, text
            assert "auth.encrypt.secret_key" in text, text
        good = run("config", "check", s.path("config.yaml"))
        assert good.returncode == 0, good


def test_reference_pages_are_what_the_program_says():
    for words, page in ((["reference", "s3"], "s3.md"), (["config", "reference"], "configuration.md")):
        with open(os.path.join(SOURCE, "docs", "reference", page)) as f:
            assert run(*words).stdout == f.read(), f"docs/reference/{page}: make it anew with sluice {' '.join(words)}"


def test_second_start_keeps_everything():
    with Server() as s:
        s.boto3().put_object(Bucket=B, Key="main/kept", Body=b"kept")
        s.stop()
        s.start()
        assert s.boto3().get_object(Bucket=B, Key="main/kept")["Body"].read() == b"kept"
        again = s.command("setup", "--user-name", "other", check=False)
        assert again.returncode != 0 and "in use by process" in again.stderr, again.stderr
        s.stop()
        again = s.command("setup", "--user-name", "other", check=False)
        assert again.returncode == 1 and "set up already" in again.stderr, again.stderr
        twice = s.command("repo", "create", B, check=False)
        assert twice.returncode == 1 and "not unique" in twice.stderr, twice.stderr
        made = s.command("superuser", "--user-name", "second").stdout
        assert "access_key_id: AKIAJ" in made, made
        s.start()
        s.boto3().list_buckets()


def test_second_server_on_the_folder():
    with Server() as s:
        other = s.command("run", check=False)
        assert other.returncode == 2 and "in use by process" in other.stderr, other


def test_set_up_from_the_configuration():
    with Server(repos=(), extra=f'installation: {{user_name: admin, access_key_id: "{KEY}", secret_access_key: "{SECRET}"}}\n') as s:
        s.boto3().list_buckets()


def test_wrong_encryption_key():
    with Server() as s:
        s.stop()
        text = open(s.path("config.yaml")).read()
        with open(s.path("config.yaml"), "w") as f:
            f.write(text.replace("encrypt-encrypt-encrypt", "another-key-altogether"))
        s.start()
        try:
            s.boto3().list_buckets()
            raise AssertionError("opened with the wrong key")
        except Exception as e:
            assert "InternalError" in str(e), e
        s.wait_for_log("auth.encrypt.secret_key")


def test_graceful_stop():
    """A running upload finishes, a new connection is refused."""
    with Server() as s:
        c = s.boto3()
        from harness import sign
        h = s.connect()
        headers = sign("PUT", s.url + "/example/main/slow")
        h.putrequest("PUT", "/example/main/slow")
        for k, v in headers.items():
            h.putheader(k, v)
        h.putheader("Content-Length", "10")
        h.putheader("Expect", "100-continue")
        h.endheaders()
        assert h.sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it is begun
        h.send(b"12345")
        stopper = threading.Thread(target=s.stop)
        stopper.start()
        time.sleep(0.7)
        h.send(b"67890")
        r = h.getresponse()
        assert r.status == 200, (r.status, r.read())
        stopper.join()
        s.start()
        assert s.boto3().get_object(Bucket=B, Key="main/slow")["Body"].read() == b"1234567890"


def test_reload_takes_a_new_certificate():
    import ssl
    with Server(tls=True) as s:
        def serial():
            pem = ssl.get_server_certificate(("127.0.0.1", s.port))
            return pem
        before = serial()
        os.remove(s.path("key.pem"))
        s.configure()
        assert serial() == before
        os.kill(s.pid, signal.SIGHUP)
        wait_for(lambda: serial() != before, "the new certificate")
        s.boto3().list_buckets()


def await_log(s, holds):
    """The log is written behind the answers, and a reload behind its signal."""
    wait_for(lambda: holds(s.log_text()), "what is to be logged")


def requests_in(text):
    return text.count('"msg":"request"')


def test_reload_takes_the_logging_section():
    with Server() as s:
        s.boto3().list_buckets()
        await_log(s, requests_in)
        text = open(s.path("config.yaml")).read()
        def reload(text):
            with open(s.path("config.yaml"), "w") as f:
                f.write(text)
            os.kill(s.pid, signal.SIGHUP)

        def logged():
            with open(s.path("other.log")) as f:
                return f.read()
        quiet = text.replace("level: INFO", f'level: ERROR, output: ["{s.path("other.log")}"]')
        assert quiet != text
        reload(quiet)
        wait_for(lambda: os.path.exists(s.path("other.log")), "the other log")
        # One reload is over when the next one tells that it failed; and what was logged before that is there.
        for n in (1, 2):
            reload(text + "nonsense: 1\n")
            wait_for(lambda n=n: logged().count("nonsense") == n, "the refusal")
            s.boto3().list_buckets()
            assert not requests_in(logged())


def test_health_and_metrics():
    with Server() as s:
        s.boto3().list_buckets()
        h = s.connect()
        h.request("GET", "/_health")
        r = h.getresponse()
        assert r.status == 200 and r.read()

        def metrics():
            h.request("GET", "/metrics")
            r = h.getresponse()
            assert r.status == 200
            return r.read().decode()
        # A request is counted behind its answer.
        wait_for(lambda: 's3_requests_total{operation="ListBuckets",outcome="ok"} 1' in metrics(), "the count")
        text = metrics()
        for name in ("http_requests_total", "kv_requests_total", "process_resident_memory_bytes"):
            assert name in text, name


if __name__ == "__main__":
    main(globals())
