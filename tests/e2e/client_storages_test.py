"""Stores come, change, go, and go down, under a server that goes on: SIGHUP, missing stores, the way from one store to
several, and which store a new repository is put on."""
import contextlib
import os
import subprocess
import threading
import urllib.request

from harness import KEY, SECRET, SLUICE, SOURCE, Server, clean_env, error, main, refusal, sign, wait_for
from rest import Rest
from services import Local, Mem, S3Proxy, Versitygw


@contextlib.contextmanager
def serving(*stores, **more):
    """(server, its REST client, its boto3 client); stores: rows, or (row, keys of its element)."""
    elements = [s[0].config(**s[1]) if isinstance(s, tuple) else s.config() for s in stores]
    with Server(stores=elements, **more) as server:
        yield server, Rest(server.url), server.boto3()


def create(api, name, space, *status, **more):
    return api.call("POST", "/repositories", *(status or (201,)), doc=dict(name=name, storage_namespace=space, **more)).json


def storages(api):
    return {s["id"]: s for s in api.get("/sluice/storages")["results"]}


def metrics(server):
    with urllib.request.urlopen(server.url + "/metrics") as r:
        return r.read().decode()


def check_repos(server, *more, env=(), status=0):
    done = subprocess.run([SLUICE, "config", "check", server.path("config.yaml"), "--repos", *more],
                          env=server.env(SLUICE_ACCESS_KEY_ID=KEY, SLUICE_SECRET_ACCESS_KEY=SECRET, **dict(env)),
                          capture_output=True, text=True)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout


class SlowUpload:
    """A PUT whose body stands still half-way until finish()."""

    def __init__(self, server, repo, key, data):
        self.data, self.half = data, len(data) // 2
        path = f"/{repo}/main/{key}"
        headers = sign("PUT", server.url + path)
        self.http = server.connect()
        self.http.putrequest("PUT", path, skip_host=False)
        for k, v in headers.items():
            self.http.putheader(k, v)
        self.http.putheader("Content-Length", str(len(data)))
        self.http.endheaders()
        self.http.send(data[:self.half])

    def finish(self):
        self.http.send(self.data[self.half:])
        answer = self.http.getresponse()
        body = answer.read()
        self.http.close()
        return answer.status, body


class Load:
    """Objects put and read by several threads, until the block ends; then none of it may have failed."""

    def __init__(self, server, repos):
        self.server, self.repos, self.failed, self.done = server, repos, [], 0
        self.stop = threading.Event()

    def work(self, n):
        s3 = self.server.boto3()
        i = 0
        while not self.stop.is_set():
            repo, key, data = self.repos[i % len(self.repos)], f"main/load/{n}", os.urandom(1 + i * 7919 % 300_000)
            i += 1
            try:
                s3.put_object(Bucket=repo, Key=key, Body=data)
                assert s3.get_object(Bucket=repo, Key=key)["Body"].read() == data
                self.done += 1
            except Exception as e:
                self.failed.append(f"{repo}: {e}")

    def __enter__(self):
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(3)]
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.failed, self.failed[:5]
        assert self.done, "nothing was put"


def test_stores_come_and_change():
    """New stores appear, changed keys are taken, and no request is dropped meanwhile."""
    with Local("one") as one, Versitygw("cloud") as cloud, Local("two") as two, \
            serving((one, {"backward_compatible": True}), cloud) as (server, api, s3):
        create(api, "on-one", one.namespace("on-one"), storage_id="one")
        create(api, "on-cloud", cloud.namespace("on-cloud"), storage_id="cloud")
        s3.put_object(Bucket="on-cloud", Key="main/kept", Body=b"kept")
        data = os.urandom(12 << 20)
        cloud.add_key("secondkey", "secondsecret")
        with Load(server, ["on-one", "on-cloud"]):
            slow = [SlowUpload(server, r, "slow", data) for r in ("on-one", "on-cloud")]
            # another store, and other keys for the second
            cloud.key, cloud.secret, root = "secondkey", "secondsecret", (cloud.key, cloud.secret)
            server.stores = [one.config(backward_compatible=True), cloud.config(description="By other keys"),
                             two.config()]
            server.reload()
            create(api, "on-two", two.namespace("on-two"), storage_id="two")
            s3.put_object(Bucket="on-two", Key="main/x", Body=b"new")
            for upload in slow:
                status, body = upload.finish()
                assert status == 200, (status, body)
            for _ in range(3):  # nothing has changed
                server.reload()
        for repo in ("on-one", "on-cloud"):
            assert s3.get_object(Bucket=repo, Key="main/slow")["Body"].read() == data
        got = storages(api)
        assert list(got) == ["one", "cloud", "two"], got
        assert got["cloud"]["description"] == "By other keys" and got["one"]["default"]
        assert [got[i]["repositories"] for i in got] == [1, 1, 1]
        # it is the new keys that are used: the service takes these no more
        cloud.key, cloud.secret = root
        cloud.drop_key("secondkey")
        wait_for(lambda: refused(s3, "on-cloud"), "refused keys")
        server.stores[1] = cloud.config()
        server.reload()
        assert s3.get_object(Bucket="on-cloud", Key="main/kept")["Body"].read() == b"kept"
        log = server.log_text()
        assert '"a new store"' in log and "opened anew" in log


def refused(s3, repo):
    try:
        s3.get_object(Bucket=repo, Key="main/kept")["Body"].read()
    except Exception:
        return True
    return False


def test_a_store_that_is_missing():
    """Repositories whose store the configuration lacks answer 503, saying what to do; the rest serves."""
    with Local("stays") as stays, Local("goes") as goes, \
            serving((stays, {"backward_compatible": True}), goes) as (server, api, s3):
        create(api, "here", stays.namespace("here"), storage_id="stays")
        create(api, "gone", goes.namespace("gone"), storage_id="goes")
        for repo in ("here", "gone"):
            s3.put_object(Bucket=repo, Key="main/x", Body=repo.encode())
            api.commit(repo, "main", "first")
        server.stores = [stays.config(backward_compatible=True)]

        def lacking():
            for ask in (lambda: api.fails(503, "GET", "/repositories/gone/refs/main/objects", path="x").message,
                        lambda: api.fails(503, "POST", "/repositories/gone/branches/main/objects", path="y",
                                          body=b"y").message,
                        lambda: str(refusal(s3.get_object, Bucket="gone", Key="main/x")),
                        lambda: str(refusal(s3.put_object, Bucket="gone", Key="main/y", Body=b"y"))):
                words = ask()
                assert '"goes"' in words and "put it back into blockstores.stores" in words, words
            assert error(s3.get_object, Bucket="gone", Key="main/x") == ("ServiceUnavailable", 503)
            assert s3.get_object(Bucket="here", Key="main/x")["Body"].read() == b"here"
            s3.put_object(Bucket="here", Key="main/more", Body=b"more")
            assert {r["id"]: r["storage_id"] for r in api.pages("/repositories")} == {"here": "stays", "gone": "goes"}
            goes_now = storages(api)["goes"]
            assert goes_now["health"]["state"] == "missing" and goes_now["repository_ids"] == ["gone"], goes_now
            wait_for(lambda: 'sluice_store_repositories{store="goes",configured="false"} 1' in metrics(server),
                     "the metric", 60)
            said = check_repos(server, status=1)
            assert 'repository "gone": its store "goes" is not configured' in said and "here" not in said, said
            assert "2 repositories, 1 without their store" in said

        server.reload()
        lacking()
        server.wait_for_log("repositories are on a store that the configuration lacks")
        server.stop()
        said = check_repos(server, status=1)  # from the database itself
        assert 'repository "gone": its store "goes" is not configured' in said, said
        server.start()
        lacking()
        # what needs no store is still there, and the way out is open
        assert api.get("/repositories/gone/branches/main")["id"] == "main"
        server.stores.append(goes.config())
        server.reload()
        assert s3.get_object(Bucket="gone", Key="main/x")["Body"].read() == b"gone"
        assert storages(api)["goes"]["health"]["state"] == "ok"
        assert "2 repositories, 0 without their store" in check_repos(server)


def test_a_bad_configuration_is_not_taken():
    with Local("one") as one, Local("two") as two, serving(one, two) as (server, api, s3):
        create(api, "repo", one.namespace("repo"), storage_id="one")
        bad = {
            "is another store's id, too": [one.config(), two.config(id="one")],
            "a second backward compatible store": [one.config(backward_compatible=True),
                                                   two.config(backward_compatible=True)],
            "one of": [one.config(), two.config(type="tape")],
            "store \\\"two\\\" (blockstores.stores)": [one.config(), dict(two.config(), local={"path": "/proc/no/such"})],
            "unknown key": [dict(one.config(), colour="red")],
        }
        for words, stores in bad.items():
            good, server.stores = server.stores, stores
            server.reload(taken=False)
            server.stores = good
            last = [l for l in server.log_text().splitlines() if "was not taken" in l][-1]
            assert words in last, (words, last)
            s3.put_object(Bucket="repo", Key="main/x", Body=b"x")
            assert list(storages(api)) == ["one", "two"]
        server.reload()


def test_from_one_store_to_several():
    """The single store becomes one of several: its repositories are on the backward compatible one."""
    with Server(repos=("old",)) as server, Mem("ram") as ram:
        api, s3 = Rest(server.url), server.boto3()
        s3.put_object(Bucket="old", Key="main/committed", Body=b"committed")
        api.commit("old", "main", "with one store")
        s3.put_object(Bucket="old", Key="main/staged", Body=b"staged")
        upload = s3.create_multipart_upload(Bucket="old", Key="main/parts")["UploadId"]
        part = s3.upload_part(Bucket="old", Key="main/parts", UploadId=upload, PartNumber=1, Body=b"part")
        config = api.get("/config")
        assert config["storage_config_list"] == [] and config["storage_config"]["blockstore_id"] == ""
        assert "LocationConstraint" not in s3.get_bucket_location(Bucket="old") or \
            s3.get_bucket_location(Bucket="old")["LocationConstraint"] is None

        def several(**flag):
            return [ram.config(), {"id": "disk", "type": "local", "local": {"path": server.path("objects")}, **flag}]

        # without the flag: refused while running, and at start, with the remedy
        server.stores = several()
        server.reload(taken=False)
        assert "set backward_compatible: true for the store that was blockstore before" in server.log_text()
        assert s3.get_object(Bucket="old", Key="main/staged")["Body"].read() == b"staged"
        server.stop()
        done = server.command("run", check=False)
        assert done.returncode == 2 and "backward_compatible: true" in done.stderr, done
        said = check_repos(server, status=1)
        assert 'repository "old": it was made before there were several stores' in said, said

        server.stores = several(backward_compatible=True)
        server.configure()
        server.start()
        api, s3 = Rest(server.url), server.boto3()
        assert check_repos(server) == "1 repositories, 0 without their store\n"
        for key in ("committed", "staged"):
            assert s3.get_object(Bucket="old", Key=f"main/{key}")["Body"].read() == key.encode()
        s3.complete_multipart_upload(Bucket="old", Key="main/parts", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        api.commit("old", "main", "with several")
        assert api.get("/repositories/old")["storage_id"] == "disk"
        assert s3.get_bucket_location(Bucket="old")["LocationConstraint"] == "disk"
        config = api.get("/config")
        assert config["storage_config"]["blockstore_id"] == "disk"
        assert [c["blockstore_id"] for c in config["storage_config_list"]] == ["disk", "ram"]
        s3.create_bucket(Bucket="new")  # who names no store
        assert api.get("/repositories/new")["storage_id"] == "disk"
        # its namespace stays taken, whatever the store is called now
        create(api, "again", "local://old", 400, storage_id="disk")
        assert {i: s["repositories"] for i, s in storages(api).items()} == {"ram": 0, "disk": 2}


def test_where_a_new_repository_goes():
    """By the namespace's kind, then by who sees the bucket, then to the backward compatible store."""
    with Local("disk") as disk, Versitygw("east") as east, S3Proxy("west") as west, Mem("ram") as ram, \
            serving(disk, (east, {"backward_compatible": True}), west, ram) as (server, api, s3):
        where = lambda name, space, **more: create(api, name, space, **more)["storage_id"]
        assert where("a-one", "local://a-one") == "disk"
        assert where("b-one", "mem://b-one") == "ram"
        assert where("c-one", west.namespace("c-one")) == "west"
        assert where("d-one", east.namespace("d-one")) == "east"
        words = create(api, "e-one", "gs://nowhere/e", 400)["message"]
        assert "no store takes namespaces like" in words and '"west" (s3)' in words, words
        assert "invalid value" in create(api, "e-one", "local://e", 400, storage_id="none")["message"]
        create(api, "f-one", east.namespace("f"), 400, storage_id="disk")
        # S3: the default, or the one that is named
        s3.create_bucket(Bucket="g-one", CreateBucketConfiguration={"LocationConstraint": "ram"})
        assert api.get("/repositories/g-one")["storage_id"] == "ram"
        assert s3.get_bucket_location(Bucket="g-one")["LocationConstraint"] == "ram"
        assert error(s3.create_bucket, Bucket="h-one", CreateBucketConfiguration={
            "LocationConstraint": "nowhere"})[0] == "InvalidLocationConstraint"
        for repo in ("a-one", "b-one", "c-one", "d-one", "g-one"):
            s3.put_object(Bucket=repo, Key="main/x", Body=repo.encode())
            assert s3.get_object(Bucket=repo, Key="main/x")["Body"].read() == repo.encode()
        # two of a kind, and none of them the default: the client is asked to say which
        server.stores = [disk.config(), east.config(), west.config(), ram.config()]
        server.reload()
        words = create(api, "i-one", "s3://no-such-bucket/i", 400)["message"]
        assert 'none of "east" (s3), "west" (s3)' in words and "storage_id" in words, words
        config = api.get("/config")
        assert config["storage_config"]["blockstore_id"] == "disk"  # never null
        assert len(config["storage_config_list"]) == 4


def test_a_store_that_is_down():
    """The others serve, who needs it is told at once, and it is taken again when it is back."""
    with Local("disk") as disk, Versitygw("cloud") as cloud:
        quick = dict(cloud.block(), max_retries=0)
        element = dict(cloud.config(), s3=quick)
        with Server(stores=[disk.config(backward_compatible=True), element],
                    extra="server: {stores: {down_after: 3, probe_interval: 200ms}}\n") as server:
            api, s3 = Rest(server.url), server.boto3()
            create(api, "near", disk.namespace("near"), storage_id="disk")
            create(api, "far", cloud.namespace("far"), storage_id="cloud")
            s3.put_object(Bucket="far", Key="main/x", Body=b"x")
            cloud.stop()

            def down():
                refused(s3, "far")
                api.ask("GET", "/repositories/far/refs/main/objects", path="x")
                return storages(api)["cloud"]["health"]["state"] == "down"

            wait_for(down, "the store's end", 120)
            # One that is let through, to see, hears of the connection instead.
            wait_for(lambda: 'store "cloud" (s3)' in api.fails(
                503, "GET", "/repositories/far/refs/main/objects", path="x").message, "being told at once")
            assert 'sluice_store_state{store="cloud"} 2' in metrics(server)
            s3.put_object(Bucket="near", Key="main/x", Body=b"near")
            assert storages(api)["disk"]["health"]["state"] == "ok"
            # a server starts without it
            server.stop()
            server.start()
            api, s3 = Rest(server.url), server.boto3()
            assert s3.get_object(Bucket="near", Key="main/x")["Body"].read() == b"near"
            assert api.call("GET", "/repositories/far/refs/main/objects", 503, 500, path="x").status in (500, 503)
            cloud.start()
            wait_for(lambda: api.ask("GET", "/repositories/far/refs/main/objects", path="x").body == b"x",
                     "the store's return", 120)
            assert storages(api)["cloud"]["health"]["state"] == "ok"
            s3.put_object(Bucket="far", Key="main/y", Body=b"y")


def test_a_store_that_hangs():
    """One that takes connections and says nothing has its share of workers; the others serve on, and so does it when it
    goes on."""
    with Local("disk") as disk, Versitygw("cloud") as cloud, \
            serving((disk, {"backward_compatible": True}), cloud,
                    extra="server: {meta_workers: 8, stores: {patience: 200ms}}\n") as (server, api, s3):
        create(api, "near", disk.namespace("near"), storage_id="disk")
        create(api, "far", cloud.namespace("far"), storage_id="cloud")
        outcomes = []

        def begin():
            client = server.boto3(read_timeout=300)
            try:
                outcomes.append(client.create_multipart_upload(Bucket="far", Key="main/x")["UploadId"])
            except Exception as e:
                outcomes.append(e)

        cloud.freeze()
        try:
            threads = [threading.Thread(target=begin) for _ in range(16)]
            for t in threads:
                t.start()
            # more than the share: 6 of 8 hang, the others were told
            wait_for(lambda: len(outcomes) >= 10, "the refusals", 120)
            assert all('store "cloud" (s3) is slow: 6 calls' in str(o) for o in outcomes), outcomes
            for i in range(20):  # what needs the same workers, on another store
                upload = s3.create_multipart_upload(Bucket="near", Key=f"main/{i}")["UploadId"]
                s3.abort_multipart_upload(Bucket="near", Key=f"main/{i}", UploadId=upload)
            s3.put_object(Bucket="near", Key="main/x", Body=b"x")
            api.commit("near", "main", "while the other hangs")
        finally:
            cloud.thaw()
        for t in threads:
            t.join()
        assert sum(isinstance(o, str) for o in outcomes) == 6, outcomes
        begin()
        assert isinstance(outcomes[-1], str), outcomes


def sdk_sees(server, *ids):
    python = os.path.join(SOURCE, "build", "venv-lakefs", "bin", "python")
    done = subprocess.run([python, os.path.join(os.path.dirname(os.path.abspath(__file__)), "stores_day.py"), "listed",
                           server.url, *ids], capture_output=True, text=True, timeout=300,
                          env=clean_env(SLUICE_BIN=SLUICE, SLUICE_SOURCE=SOURCE, PYTHONDONTWRITEBYTECODE="1"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sdk_sees_several():
    """lakefs's SDK: the list of stores, a repository on each by its storage_id."""
    with Local("disk") as disk, Mem("ram") as ram, serving(ram, (disk, {"backward_compatible": True})) as (server, _, s3):
        sdk_sees(server, "disk", "ram")


def test_the_sdk_sees_one_with_an_id():
    """A list of one: its repositories tell its id, which the SDK must find there."""
    with Local("disk") as disk, serving(disk) as (server, _, s3):
        sdk_sees(server, "disk")


main(globals())
