"""What nobody finishes goes after the configured time, and nothing else does."""
import os
import re
import signal
import threading
import time

from botocore.exceptions import ClientError
from harness import Server, main

B = "example"
PART = 5 << 20
# What is young stays: a server that stands still must not find that of what it is writing itself.
SHORT = """gateways: {s3: {abandoned_uploads_after: 8s}}
graveler: {dropped_tokens_after: 1s}
server: {hygiene_interval: 300ms, temporaries_after: 1h}
"""


def code(call, **args):
    try:
        call(Bucket=B, **args)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return None


def until(what, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def create(s3, key):
    return s3.create_multipart_upload(Bucket=B, Key=key)["UploadId"]


def put_part(s3, key, upload, number, body):
    return s3.upload_part(Bucket=B, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]


def complete(s3, key, upload, etags):
    parts = [{"PartNumber": i + 1, "ETag": e} for i, e in enumerate(etags)]
    return s3.complete_multipart_upload(Bucket=B, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def files(s, *below):
    return [os.path.join(at, n) for at, _, names in os.walk(s.path("objects", *below)) for n in names]


def metric(s, name):
    conn = s.connect()
    conn.request("GET", "/metrics")
    text = conn.getresponse().read().decode()
    conn.close()
    return {labels: int(v) for labels, v in re.findall(rf"^{name}(\S*) (\d+)$", text, re.M)}


def read(s3, key):
    return s3.get_object(Bucket=B, Key=key)["Body"].read()


def test_abandoned_upload():
    with Server(extra=SHORT) as s:
        s3 = s.boto3()
        body = os.urandom(PART)
        done = create(s3, "main/done")
        complete(s3, "main/done", done, [put_part(s3, "main/done", done, 1, body),
                                         put_part(s3, "main/done", done, 2, b"end")])
        left = create(s3, "main/left")
        put_part(s3, "main/left", left, 1, body)
        assert len(s3.list_parts(Bucket=B, Key="main/left", UploadId=left)["Parts"]) == 1
        # one that is gone on with stays, however long it takes
        busy = create(s3, "main/busy")
        etags, begun = [], time.monotonic()
        while time.monotonic() - begun < 12 or code(s3.list_parts, Key="main/left", UploadId=left) != "NoSuchUpload":
            etags.append(put_part(s3, "main/busy", busy, len(etags) + 1, body))
            time.sleep(1)
            assert time.monotonic() - begun < 90
        complete(s3, "main/busy", busy, etags)
        assert code(s3.upload_part, Key="main/left", UploadId=left, PartNumber=2, Body=b"x") == "NoSuchUpload"
        assert code(s3.abort_multipart_upload, Key="main/left", UploadId=left) == "NoSuchUpload"
        until(lambda: not files(s, ".sluice"))
        assert read(s3, "main/done") == body + b"end"
        assert read(s3, "main/busy") == body * len(etags)
        until(lambda: all(metric(s, "sluice_hygiene_removed_total").get(f'{{kind="{k}"}}') for k in ("uploads", "parts")))
        removed = metric(s, "sluice_hygiene_removed_total")
        assert removed['{kind="uploads"}'] == 1 and removed['{kind="parts"}'] == 1, removed
        assert abs(metric(s, "sluice_hygiene_last_sweep_timestamp_seconds")[""] - time.time()) < 60
        s.wait_for_log('"uploads":1')
        lines = [x for x in s.log_text().splitlines() if '"component":"hygiene"' in x]
        assert any('"uploads":1' in x and '"level":"info"' in x for x in lines), lines
        assert not any('"level":"warn"' in x for x in lines), lines


def test_temporaries():
    with Server(extra=SHORT) as s:
        s3 = s.boto3()
        s3.put_object(Bucket=B, Key="main/kept", Body=b"kept")
        old = s.path("objects", ".sluice", "tmp", "0123456789abcdef0123456789abcdef")
        unknown = s.path("objects", ".sluice", "multipart", "0123456789abcdef0123456789abcdef")
        made = s.path("made")
        os.mkdir(made)
        open(os.path.join(made, "00001.x"), "w").close()
        open(made + ".old", "w").close()
        for path in (made + ".old", os.path.join(made, "00001.x"), made):
            os.utime(path, (1000, 1000))
        os.rename(made, unknown)  # as old as they are, from the first moment
        os.rename(made + ".old", old)
        until(lambda: not os.path.exists(old) and not os.path.exists(unknown))
        assert read(s3, "main/kept") == b"kept"


def test_defaults_leave_what_is_young():
    with Server(extra="server: {hygiene_interval: 200ms}\n") as s:
        s3 = s.boto3()
        upload = create(s3, "main/x")
        etag = put_part(s3, "main/x", upload, 1, b"x")
        young = s.path("objects", ".sluice", "tmp", "0123456789abcdef0123456789abcdef")
        open(young, "w").close()
        until(lambda: metric(s, "sluice_hygiene_last_sweep_timestamp_seconds").get("", 0) > 0)
        time.sleep(1)
        assert os.path.exists(young)
        complete(s3, "main/x", upload, [etag])
        assert read(s3, "main/x") == b"x"


def test_killed_in_the_middle_of_uploads():
    with Server(extra=SHORT.replace("8s", "1h")) as s:
        s3 = s.boto3()
        body = os.urandom(PART)
        uploads, whole, stop = [], {}, threading.Event()

        def client(i):
            mine = s.boto3()
            try:
                for n in range(1000):
                    key = f"main/{i}/{n}"
                    upload = create(mine, key)
                    uploads.append((key, upload))
                    etags = [put_part(mine, key, upload, p, body) for p in (1, 2)]
                    if stop.is_set():
                        return
                    complete(mine, key, upload, etags)
                    whole[key] = True
            except Exception:
                assert stop.is_set()
        threads = [threading.Thread(target=client, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        until(lambda: len(whole) >= 4)
        stop.set()
        s.stop(signal.SIGKILL)
        for t in threads:
            t.join()
        s.start()
        assert any(code(s3.list_parts, Key=k, UploadId=u) is None for k, u in uploads)
        s.stop()
        s.extra = SHORT.replace("temporaries_after: 1h", "temporaries_after: 1s")  # nobody writes any more
        s.configure()
        s.start()
        for key, upload in uploads:
            until(lambda: code(s3.list_parts, Key=key, UploadId=upload) == "NoSuchUpload")
        until(lambda: not files(s, ".sluice"))
        for key in whole:
            assert read(s3, key) == body * 2
        listed = [o["Key"] for o in s3.list_objects_v2(Bucket=B, Prefix="main/").get("Contents", [])]
        assert set(whole) <= set(listed)
        for key in listed:
            assert read(s3, key) == body * 2


def test_stops_at_once():
    with Server(extra=SHORT) as s:
        s3 = s.boto3()
        for i in range(20):
            create(s3, f"main/{i}")
        begun = time.monotonic()
        s.stop()
        assert time.monotonic() - begun < 25  # a request would have 30


if __name__ == "__main__":
    main(globals())
