"""Temporary credentials: made by STS's own clients and through REST, honoured by S3 in each form of signature, bounded
to a policy, and at an end with their time, their access key and their user."""
import datetime
import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import boto3
from botocore.config import Config
from client_auth_test import User, audit, repo, statement
from harness import KEY, REGION, SECRET, Server, aws_programs, clean_env, error, go_tool, main, md5, sign, while_it_lasts
from rest import Rest

ALL = [statement("fs:*", "*")]


def sts(server, key=KEY, secret=SECRET, token=None):
    return boto3.client("sts", endpoint_url=server.url, aws_access_key_id=key, aws_secret_access_key=secret,
                        aws_session_token=token, region_name=REGION, config=Config(retries={"max_attempts": 1}),
                        verify=server.cert if server.tls else None)


def s3(server, c, url=None, **config):
    config.setdefault("s3", {"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=url or server.url, aws_access_key_id=c["AccessKeyId"],
                        aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"],
                        region_name=REGION, config=Config(retries={"max_attempts": 1}, **config))


def as_aws(made):
    return {"AccessKeyId": made["access_key_id"], "SecretAccessKey": made["secret_access_key"],
            "SessionToken": made["session_token"]}


def test_boto3_makes_and_uses_them():
    with Server(repos=("example",)) as server:
        client = sts(server)
        me = client.get_caller_identity()
        assert (me["UserId"], me["Account"], me["Arn"]) == ("admin", "0" * 12, "arn:lakefs:auth:::user/admin")
        before = time.time()
        c = client.get_session_token()["Credentials"]
        assert 43190 <= c["Expiration"].timestamp() - before <= 43260
        assert c["AccessKeyId"].startswith("ASIA") and len(c["AccessKeyId"]) == 20 and len(c["SecretAccessKey"]) == 40
        for seconds in (900, 129600):
            got = client.get_session_token(DurationSeconds=seconds)["Credentials"]
            assert abs(got["Expiration"].timestamp() - time.time() - seconds) < 60
            assert got["Expiration"].tzinfo == datetime.timezone.utc or got["Expiration"].utcoffset() == datetime.timedelta(0)

        # Whose they are, and that they make no others.
        theirs = sts(server, c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"])
        assert theirs.get_caller_identity()["UserId"] == "admin"
        assert error(theirs.get_session_token) == ("AccessDenied", 403)
        assert error(theirs.get_federation_token, Name="xx", Policy=json.dumps({"statement": ALL})) == ("AccessDenied", 403)

        t = s3(server, c)
        body = os.urandom(100_000)
        t.put_object(Bucket="example", Key="main/a b/ü", Body=body)
        assert t.get_object(Bucket="example", Key="main/a b/ü")["Body"].read() == body
        assert [o["Key"] for o in t.list_objects_v2(Bucket="example", Prefix="main/")["Contents"]] == ["main/a b/ü"]
        assert t.copy_object(Bucket="example", Key="main/copy", CopySource="example/main/a b/ü")
        # Parts, with checksums in trailers.
        up = t.create_multipart_upload(Bucket="example", Key="main/big")
        first, second = os.urandom(5 << 20), os.urandom(1000)
        parts = [{"PartNumber": n, "ETag": t.upload_part(Bucket="example", Key="main/big", UploadId=up["UploadId"],
                                                         PartNumber=n, Body=data)["ETag"]}
                 for n, data in ((1, first), (2, second))]
        t.complete_multipart_upload(Bucket="example", Key="main/big", UploadId=up["UploadId"],
                                    MultipartUpload={"Parts": parts})
        assert md5(t.get_object(Bucket="example", Key="main/big")["Body"].read()) == md5(first + second)

        # Links, of both versions of signatures.
        for version in ("s3v4", "s3"):
            maker = s3(server, c, signature_version=version)
            link = maker.generate_presigned_url("get_object", Params={"Bucket": "example", "Key": "main/a b/ü"})
            assert "ecurity-" in link or "ecurity_" in link
            assert urllib.request.urlopen(link).read() == body
            put = maker.generate_presigned_url("put_object", Params={"Bucket": "example", "Key": "main/put-" + version})
            req = urllib.request.Request(put, data=b"by link", method="PUT", headers={"Content-Type": ""} if version == "s3" else {})
            assert urllib.request.urlopen(req).status == 200
            assert t.get_object(Bucket="example", Key="main/put-" + version)["Body"].read() == b"by link"
            name = "X-Amz-Security-Token=" if version == "s3v4" else "x-amz-security-token="
            a, b = link.split(name)
            rest = b.split("&", 1)[1:] if "&" in b else []
            without = (a + "&".join(rest)).rstrip("&?")
            wrong = a + name + urllib.parse.quote(client.get_session_token()["Credentials"]["SessionToken"]) + "".join(
                "&" + x for x in rest)
            for bad, status in ((without, 403), (wrong, 400)):
                try:
                    urllib.request.urlopen(bad)
                    raise AssertionError(bad)
                except urllib.error.HTTPError as e:
                    assert e.code == status, (version, bad, e.read())
        # SigV2 in a header.
        assert s3(server, c, signature_version="s3").list_objects_v2(Bucket="example")["KeyCount"] >= 1
        # A link to STS.
        for method in ("GET", "POST"):
            link = client.generate_presigned_url("get_caller_identity", HttpMethod=method)
            req = urllib.request.Request(link, method=method)
            assert b"<UserId>admin</UserId>" in urllib.request.urlopen(req).read()
        # Each is in the audit, and no secret anywhere in the log.
        end = time.monotonic() + 60
        while c["AccessKeyId"] not in server.log_text() and time.monotonic() < end:
            time.sleep(0.02)
        made = [e for e in audit(server) if e["msg"] == "session created"]
        assert c["AccessKeyId"] in [e["temporary_access_key_id"] for e in made]
        assert all(e["by"] == "admin" and e["access_key_id"] == KEY and e["source_ip"] == "127.0.0.1" and
                   e["request_id"] for e in made)
        text = server.log_text()
        assert c["SecretAccessKey"] not in text and c["SessionToken"] not in text


def test_virtual_hosts():
    extra = 'gateways: {s3: {domain_name: ["s3.localhost"]}}\n'
    with Server(repos=("example",), extra=extra) as server:
        c = sts(server).get_session_token()["Credentials"]
        # The gateway's host serves STS as well.
        host = f"http://s3.localhost:{server.port}"
        old = socket.getaddrinfo
        socket.getaddrinfo = lambda h, *a, **k: old("127.0.0.1" if str(h).endswith("localhost") else h, *a, **k)
        try:
            there = boto3.client("sts", endpoint_url=host, aws_access_key_id=KEY, aws_secret_access_key=SECRET,
                                 region_name=REGION)
            assert there.get_caller_identity()["UserId"] == "admin"
            v = s3(server, c, url=host, s3={"addressing_style": "virtual"})
            v.put_object(Bucket="example", Key="main/x", Body=b"virtual")
            assert v.get_object(Bucket="example", Key="main/x")["Body"].read() == b"virtual"
            link = v.generate_presigned_url("get_object", Params={"Bucket": "example", "Key": "main/x"})
            assert link.startswith(f"http://example.s3.localhost:{server.port}/")
            assert urllib.request.urlopen(link).read() == b"virtual"
        finally:
            socket.getaddrinfo = old


def test_aws_cli():
    with Server(repos=("example",)) as server:
        assert aws_programs()
        for n, aws in enumerate(aws_programs()):
            c = json.loads(server.aws(aws, "sts", "get-session-token", "--duration-seconds", "900").stdout)["Credentials"]
            env = clean_env(AWS_ACCESS_KEY_ID=c["AccessKeyId"], AWS_SECRET_ACCESS_KEY=c["SecretAccessKey"],
                            AWS_SESSION_TOKEN=c["SessionToken"])

            def run(*args, env=env, **kw):
                return subprocess.run([aws, "--endpoint-url", server.url, *args], env=env, capture_output=True, **kw)

            data = os.urandom(9 << 20)
            with open(server.path("up"), "wb") as f:
                f.write(data)
            at = f"s3://example/main/cli-{n}"
            for args in (["s3", "cp", server.path("up"), at], ["s3", "cp", at, server.path("down")], ["s3", "ls", at]):
                done = run(*args)
                assert done.returncode == 0, done
            with open(server.path("down"), "rb") as f:
                assert f.read() == data
            link = run("s3", "presign", at).stdout.decode().strip()
            assert urllib.request.urlopen(link).read() == data
            who = json.loads(run("sts", "get-caller-identity").stdout)
            assert who["UserId"] == "admin"
            # Without its token the key is nobody's; with another's, neither.
            for token in ("", c["SessionToken"][:-2] + "AA", "nonsense"):
                bad = run("s3", "ls", at, env={**env, "AWS_SESSION_TOKEN": token} if token else
                          {k: v for k, v in env.items() if k != "AWS_SESSION_TOKEN"})
                said = bad.stderr.decode()
                assert bad.returncode and ("InvalidToken" if token else "InvalidAccessKeyId") in said, said


def test_signed_chunks():
    """minio-go signs each chunk over plain HTTP."""
    with Server(repos=("example",)) as server:
        c = sts(server).get_session_token()["Credentials"]
        env = clean_env(MC_HOST_t=f"http://{c['AccessKeyId']}:{urllib.parse.quote(c['SecretAccessKey'], safe='')}:"
                                  f"{c['SessionToken']}@127.0.0.1:{server.port}", HOME=server.folder)
        data = os.urandom(200_000)
        with open(server.path("up"), "wb") as f:
            f.write(data)
        for args in (["cp", server.path("up"), "t/example/main/mc"], ["cp", "t/example/main/mc", server.path("down")]):
            done = subprocess.run([go_tool("mc"), "--quiet", *args], env=env, capture_output=True, text=True)
            assert done.returncode == 0, done
        with open(server.path("down"), "rb") as f:
            assert f.read() == data


def test_what_is_bounded_stays_bounded():
    with Server(repos=("example", "other")) as server:
        api = Rest(server.url)
        for name in ("example", "other"):
            for path in ("team/x", "else/x"):
                api.call("POST", f"/repositories/{name}/branches/main/objects", 201, body=b"x", path=path)
        scope = [statement(["fs:ReadObject", "fs:WriteObject"], repo("example", "/object/team/*")),
                 statement("fs:ListObjects", repo("example"))]
        by_rest = as_aws(api.call("POST", "/sluice/sts/session", 201,
                                  doc={"duration_seconds": 900, "policy": {"statement": scope}}).json)
        by_list = as_aws(api.call("POST", "/sluice/sts/session", 201, doc={"policy": scope}).json)
        by_name = sts(server).get_federation_token(Name="job-42", Policy=json.dumps({"statement": scope}),
                                                   DurationSeconds=900)
        assert by_name["FederatedUser"]["FederatedUserId"] == "0" * 12 + ":job-42"
        # GetSessionToken with a policy is ours: botocore sends it if told that there is one.
        client = sts(server)
        shape = client.meta.service_model.operation_model("GetSessionToken").input_shape
        shape.members["Policy"] = client.meta.service_model.operation_model("GetFederationToken").input_shape.members["Policy"]
        by_extension = client.get_session_token(Policy=json.dumps({"statement": scope}))["Credentials"]
        for c in (by_rest, by_list, by_name["Credentials"], by_extension):
            t = s3(server, c)
            assert t.get_object(Bucket="example", Key="main/team/x")["Body"].read() == b"x"
            t.put_object(Bucket="example", Key="main/team/y", Body=b"y")
            keys = [o["Key"] for o in t.list_objects_v2(Bucket="example", Prefix="main/")["Contents"]]
            assert "main/team/x" in keys
            for call, kw in ((t.get_object, dict(Bucket="example", Key="main/else/x")),
                             (t.put_object, dict(Bucket="example", Key="main/else/y", Body=b"")),
                             (t.delete_object, dict(Bucket="example", Key="main/team/x")),
                             (t.get_object, dict(Bucket="other", Key="main/team/x")),
                             (t.list_objects_v2, dict(Bucket="other")),
                             (t.list_buckets, {}),
                             (t.copy_object, dict(Bucket="example", Key="main/team/z", CopySource="other/main/team/x")),
                             (t.copy_object, dict(Bucket="example", Key="main/team/z", CopySource="example/main/else/x"))):
                assert error(call, **kw) == ("AccessDenied", 403), (call, kw)
        # A scope gives nothing that the user hasn't.
        u = User(server, api, "reader", statement(["fs:ReadObject"], repo("example", "*")))
        wide = as_aws(u.rest.call("POST", "/sluice/sts/session", 201, doc={"policy": ALL}).json)
        t = s3(server, wide)
        assert t.get_object(Bucket="example", Key="main/else/x")["Body"].read() == b"x"
        assert error(t.put_object, Bucket="example", Key="main/else/x", Body=b"") == ("AccessDenied", 403)
        assert error(t.get_object, Bucket="other", Key="main/team/x") == ("AccessDenied", 403)
        # What the user may changes while the session lasts.
        api.call("PUT", "/auth/groups/Developers/members/reader", 201)
        t.put_object(Bucket="example", Key="main/else/z", Body=b"")
        end = time.monotonic() + 60
        while server.log_text().count('"scoped session created"') < 5 and time.monotonic() < end:
            time.sleep(0.02)
        assert server.log_text().count('"scoped session created"') == 5


def test_they_end():
    with Server(repos=("example",), extra='auth.sts.max_duration: "20m"\n') as server:
        api = Rest(server.url)
        # As long as the server's key says, and the access key lasts.
        assert error(sts(server).get_session_token, DurationSeconds=1201) == ("ValidationError", 400)
        got = sts(server).get_session_token()["Credentials"]
        assert abs(got["Expiration"].timestamp() - time.time() - 1200) < 60

        def valid(soon):
            brief = User(server, api, f"brief{soon}", *ALL, expires_at=soon)
            c = sts(server, brief.key, brief.secret).get_session_token()["Credentials"]
            assert int(c["Expiration"].timestamp()) == soon
            t = s3(server, c)
            t.list_objects_v2(Bucket="example")
            return soon, c, t
        soon, c, t = while_it_lasts(valid)
        link = t.generate_presigned_url("list_objects_v2", Params={"Bucket": "example"})
        while time.time() < soon + 0.1:
            time.sleep(0.1)
        assert error(t.list_objects_v2, Bucket="example") == ("ExpiredToken", 400)
        assert error(sts(server, *[c[k] for k in ("AccessKeyId", "SecretAccessKey", "SessionToken")]).get_caller_identity) == (
            "ExpiredToken", 403)
        try:
            urllib.request.urlopen(link)
            raise AssertionError(link)
        except urllib.error.HTTPError as e:
            assert b"ExpiredToken" in e.read()

        def gone(c):
            assert error(s3(server, c).list_objects_v2, Bucket="example") == ("InvalidAccessKeyId", 403)

        u = User(server, api, "joe", *ALL)
        second = api.call("POST", "/auth/users/joe/credentials", 201).json
        of_first, of_second = (sts(server, *k).get_session_token()["Credentials"] for k in (
            (u.key, u.secret), (second["access_key_id"], second["secret_access_key"])))
        api.call("DELETE", f"/auth/users/joe/credentials/{u.key}", 204)
        gone(of_first)
        s3(server, of_second).list_objects_v2(Bucket="example")
        api.call("DELETE", "/auth/users/joe", 204)
        gone(of_second)
        User(server, api, "joe")
        gone(of_second)


def test_what_is_refused():
    with Server(repos=("example",), extra="auth.limits.failures: 0\n") as server:
        api = Rest(server.url)
        assert error(sts(server, secret="wrong").get_session_token) == ("SignatureDoesNotMatch", 403)
        assert error(sts(server, key="AKIAJNOBODYNOBODYNO").get_session_token) == ("InvalidClientTokenId", 403)
        assert error(sts(server).get_access_key_info, AccessKeyId="A" * 20) == ("InvalidAction", 400)
        for policy in ("x", "{}", "[]", '{"statement": []}', '{"Statement": []}',
                       json.dumps({"statement": [statement("s3:GetObject", "*")]}),
                       json.dumps({"statement": [statement("fs:*", "arn:aws:s3:::x")]})):
            code = error(sts(server).get_federation_token, Name="xx", Policy=policy)
            assert code == ("MalformedPolicyDocument", 400), (policy, code)
        long = json.dumps({"statement": [statement("fs:ReadObject", repo("r", "/object/" + "x" * 60 + str(n))) for n in range(20)]})
        assert error(sts(server).get_federation_token, Name="xx", Policy=long) == ("PackedPolicyTooLarge", 400)
        assert error(sts(server).get_federation_token, Name="xx")[0] == "ValidationError"
        for doc in ({"duration_seconds": 1}, {"duration_seconds": "x"}, {"policy": 1}, {"policy": {}}, []):
            api.fails(400, "POST", "/sluice/sts/session", doc=doc)
        # Nobody's, and a login's.
        Rest(server.url, None).fails(401, "POST", "/sluice/sts/session")
        token = api.call("POST", "/auth/login", 200, doc={"access_key_id": KEY, "secret_access_key": SECRET}).json["token"]
        said = api.fails(401, "POST", "/sluice/sts/session", headers={"Authorization": "Bearer " + token}).message
        assert "access key" in said
        # REST has no place for the token.
        made = api.call("POST", "/sluice/sts/session", 201).json
        assert sorted(made) == ["access_key_id", "expires_at", "secret_access_key", "session_token"]
        said = Rest(server.url, made["access_key_id"], made["secret_access_key"]).fails(401, "GET", "/repositories").message
        assert "temporary" in said and "S3" in said
        # Plain requests to STS's address.
        for method, path, body, status, code in (
                ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15", 403, b"MissingAuthenticationToken"),
                ("POST", "/", b"Action=%zz", 400, b"ValidationError"), ("POST", "/", b"", 400, b"InvalidAction"),
                ("POST", "/", b"Action=" + b"x" * 40000, 400, b"")):
            req = urllib.request.Request(server.url + path, data=body, method=method,
                                         headers={"Content-Type": "application/x-www-form-urlencoded"})
            try:
                urllib.request.urlopen(req)
                raise AssertionError(body)
            except urllib.error.HTTPError as e:
                text = e.read()
                assert e.code == status and code in text and b"<ErrorResponse" in text, (body[:50], e.code, text)
        # S3's errors, in S3's form, for a request that is S3's.
        assert error(server.boto3().list_objects_v2, Bucket="none")[0] == "NoSuchBucket"


def test_every_changed_byte_of_a_token_is_noticed():
    with Server(repos=("example",), extra="auth.limits.failures: 0\n") as server:
        c = sts(server).get_session_token()["Credentials"]
        token, conn = c["SessionToken"], server.connect()

        def ask(token, key=c["AccessKeyId"]):
            headers = sign("HEAD", server.url + "/example", {"X-Amz-Security-Token": token}, key=key,
                           secret=c["SecretAccessKey"])
            conn.request("HEAD", "/example", headers=headers)
            a = conn.getresponse()
            a.read()
            return a.status

        assert ask(token) == 200
        for at in range(len(token)):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1:]
            assert ask(changed) == 400, at
        for other in (token[:-1], token + "A", token + "=", token.upper(), "A" * 5000, token * 2):
            assert ask(other) == 400, other[:80]
        assert ask(token, key="ASIA" + "A" * 16) == 400
        assert ask(token, key=KEY) == 400 and ask(token) == 200
        conn.close()


if __name__ == "__main__":
    main(globals())
