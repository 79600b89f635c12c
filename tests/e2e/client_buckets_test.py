"""Buckets made, listed and removed by real clients: repositories and, with a dot, their branches."""
import threading

from botocore.exceptions import ClientError

from harness import Server, aws_programs, error, main, refusal

BRANCHES = "gateways: {s3: {list_branch_buckets: true}}\n"


def message(fn, **kw):
    return refusal(fn, **kw).response["Error"]["Message"]


def names(c, **kw):
    return [b["Name"] for b in c.list_buckets(**kw)["Buckets"]]


def paged(c, size, **kw):
    """All pages; each but the last is full and goes on exactly where the one before ended."""
    pages = [[b["Name"] for b in p.get("Buckets", [])] for p in
             c.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": size}, **kw)]
    assert all(len(p) == size for p in pages[:-1]), pages
    assert 1 <= len(pages[-1]) <= size or len(pages) == 1, pages
    return [n for p in pages for n in p]


def refused_names(c):
    for bad in ("ab", "x" * 64, "under_score1"):
        assert error(c.create_bucket, Bucket=bad)[0] == "InvalidBucketName", bad
    assert error(c.create_bucket, Bucket="first.a.b")[0] == "InvalidBucketName"
    assert "first" in message(c.create_bucket, Bucket="nosuch.first")
    assert error(c.create_bucket, Bucket="nosuch.first") == ("NoSuchBucket", 404)


def test_repository():
    with Server(repos=()) as s:
        c = s.boto3()
        made = c.create_bucket(Bucket="first")
        assert made["Location"] == "/first"
        assert error(c.create_bucket, Bucket="first") == ("BucketAlreadyOwnedByYou", 409)
        refused_names(c)
        c.head_bucket(Bucket="first")
        c.put_object(Bucket="first", Key="main/a/b", Body=b"x")
        assert c.get_object(Bucket="first.main", Key="a/b")["Body"].read() == b"x"
        assert error(c.delete_bucket, Bucket="first") == ("BucketNotEmpty", 409)
        assert "a/b" in message(c.delete_bucket, Bucket="first")
        c.delete_object(Bucket="first", Key="main/a/b")
        c.delete_bucket(Bucket="first")
        assert error(c.head_bucket, Bucket="first")[1] == 404
        assert error(c.delete_bucket, Bucket="first") == ("NoSuchBucket", 404)
        assert error(c.put_object, Bucket="first", Key="main/x", Body=b"") == ("NoSuchBucket", 404)
        # Its namespace stays taken: another one, and nothing of the old one shows.
        for _ in range(3):
            c.create_bucket(Bucket="first")
            assert "Contents" not in c.list_objects_v2(Bucket="first", Prefix="main/")
            c.put_object(Bucket="first", Key="main/new", Body=b"y")
            assert c.get_object(Bucket="first", Key="main/new")["Body"].read() == b"y"
            c.delete_object(Bucket="first", Key="main/new")
            c.delete_bucket(Bucket="first")
        assert names(c) == []


def test_branch():
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket="example", Key="main/of-main", Body=b"x")
        made = c.create_bucket(Bucket="example.Dev_1")
        assert made["Location"] == "/example.Dev_1"
        assert error(c.create_bucket, Bucket="example.Dev_1") == ("BucketAlreadyOwnedByYou", 409)
        assert error(c.create_bucket, Bucket="example.main") == ("BucketAlreadyOwnedByYou", 409)
        assert "Contents" not in c.list_objects_v2(Bucket="example.Dev_1")  # nothing was committed
        c.head_bucket(Bucket="example.Dev_1")
        c.put_object(Bucket="example.Dev_1", Key="k", Body=b"dev")
        assert c.get_object(Bucket="example", Key="Dev_1/k")["Body"].read() == b"dev"
        assert error(c.delete_bucket, Bucket="example") == ("BucketNotEmpty", 409)
        assert "Dev_1" in message(c.delete_bucket, Bucket="example")
        assert error(c.delete_bucket, Bucket="example.Dev_1") == ("BucketNotEmpty", 409)
        c.delete_object(Bucket="example.Dev_1", Key="k")
        c.delete_bucket(Bucket="example.Dev_1")
        assert error(c.head_bucket, Bucket="example.Dev_1")[1] == 404
        assert error(c.put_object, Bucket="example.Dev_1", Key="k", Body=b"") == ("NoSuchBucket", 404)
        c.create_bucket(Bucket="example.Dev_1")
        assert "Contents" not in c.list_objects_v2(Bucket="example.Dev_1")
        c.delete_bucket(Bucket="example.Dev_1")
        c.delete_object(Bucket="example.main", Key="of-main")
        assert error(c.delete_bucket, Bucket="example.main") == ("InvalidBucketState", 409)
        c.delete_bucket(Bucket="example")
        assert names(c) == []


def test_what_is_asked_for():
    with Server() as s:
        c = s.boto3()
        where = lambda place: {"CreateBucketConfiguration": {"LocationConstraint": place}}
        assert error(c.create_bucket, Bucket="there", **where("eu-west-1")) == ("InvalidLocationConstraint", 400)
        assert "us-east-1" in message(c.create_bucket, Bucket="there", **where("eu-west-1"))
        c.create_bucket(Bucket="there", **where("us-east-1"), ACL="private", ObjectOwnership="BucketOwnerEnforced")
        assert error(c.create_bucket, Bucket="locked", ObjectLockEnabledForBucket=True)[0] == "NotImplemented"
        assert error(c.create_bucket, Bucket="public", ACL="public-read")[0] == "NotImplemented"
        assert error(c.create_bucket, Bucket="tagged",
                     CreateBucketConfiguration={"Tags": [{"Key": "a", "Value": "b"}]})[0] == "NotImplemented"
        assert names(c) == ["example", "there"]


def test_stores():
    with Server(repos=()) as s:
        s.stop()
        with open(s.path("config.yaml")) as f:
            text = f.read()
        lines = [l for l in text.splitlines() if not l.startswith("blockstore:")]
        lines.append(f'''blockstores:
  signing: {{secret_key: "sign-sign-sign"}}
  stores:
    - {{id: "fast", backward_compatible: true, type: local, local: {{path: "{s.path("objects")}"}}}}
    - {{id: "cheap", type: local, default_namespace_prefix: "local://team/", local: {{path: "{s.path("more")}"}}}}''')
        with open(s.path("config.yaml"), "w") as f:
            f.write("\n".join(lines) + "\n")
        s.start()
        c = s.boto3()
        where = lambda place: {"CreateBucketConfiguration": {"LocationConstraint": place}}
        c.create_bucket(Bucket="plain")
        c.create_bucket(Bucket="pinned", **where("cheap"))
        text = message(c.create_bucket, Bucket="other", **where("slow"))
        assert "us-east-1, fast, cheap" in text, text
        for bucket, folder in (("plain", "objects/plain"), ("pinned", "more/team/pinned")):
            c.put_object(Bucket=bucket, Key="main/x", Body=b"x" * 1000)
            import os
            assert os.path.isdir(s.path(folder, "data")), folder


def answers(c, bucket):
    for fn, code in ((c.get_bucket_policy, "NoSuchBucketPolicy"), (c.get_bucket_cors, "NoSuchCORSConfiguration"),
                     (c.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
                     (c.get_bucket_tagging, "NoSuchTagSet"),
                     (c.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
                     (c.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
                     (c.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
                     (c.get_public_access_block, "NoSuchPublicAccessBlockConfiguration"),
                     (c.get_bucket_website, "NoSuchWebsiteConfiguration"),
                     (c.get_bucket_policy_status, "NoSuchBucketPolicy")):
        assert error(fn, Bucket=bucket) == (code, 404), code
    assert c.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "BucketOwnerEnforced"}]
    assert "Status" not in c.get_bucket_versioning(Bucket=bucket)
    assert c.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert c.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "Status" not in c.get_bucket_accelerate_configuration(Bucket=bucket)
    assert "LoggingEnabled" not in c.get_bucket_logging(Bucket=bucket)
    assert "TopicConfigurations" not in c.get_bucket_notification_configuration(Bucket=bucket)
    acl = c.get_bucket_acl(Bucket=bucket)
    assert acl["Grants"] == [{"Grantee": {"ID": acl["Owner"]["ID"], "DisplayName": acl["Owner"]["DisplayName"],
                                          "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}], acl
    head = c.head_bucket(Bucket=bucket)
    assert head["BucketRegion"] == "us-east-1"


def test_unset():
    with Server() as s:
        c = s.boto3()
        c.put_object(Bucket="example", Key="main/o", Body=b"")
        for bucket, key in (("example", "main/o"), ("example.main", "o")):
            answers(c, bucket)
            assert c.get_object_acl(Bucket=bucket, Key=key)["Grants"][0]["Permission"] == "FULL_CONTROL"
            assert error(c.get_object_acl, Bucket=bucket, Key=key + "x") == ("NoSuchKey", 404)
        assert error(c.get_bucket_policy, Bucket="example.none") == ("NoSuchBucket", 404)
        assert error(c.put_bucket_policy, Bucket="example", Policy="{}") == ("NotImplemented", 501)
        assert error(c.delete_bucket_cors, Bucket="example") == ("NotImplemented", 501)


def test_versions():
    """Each object is its only version."""
    with Server() as s:
        c = s.boto3()
        keys = sorted(f"{d}{i}" for d in ("", "a/", "a/b/", "\u00e9 +&/") for i in range(4))
        for k in keys:
            c.put_object(Bucket="example", Key="main/" + k, Body=b"x")
        for bucket, at in (("example", "main/"), ("example.main", "")):
            every = c.list_object_versions(Bucket=bucket, Prefix=at)
            assert [v["Key"] for v in every["Versions"]] == [at + k for k in keys]
            assert all(v["VersionId"] == "null" and v["IsLatest"] and v["Size"] == 1 for v in every["Versions"])
            assert "DeleteMarkers" not in every and not every["IsTruncated"]
            for size in (1, 3, 5, 16):
                pages = c.get_paginator("list_object_versions").paginate(
                    Bucket=bucket, Prefix=at, PaginationConfig={"PageSize": size})
                assert [v["Key"] for p in pages for v in p.get("Versions", [])] == [at + k for k in keys], size
                pages = list(c.get_paginator("list_object_versions").paginate(
                    Bucket=bucket, Prefix=at, Delimiter="/", PaginationConfig={"PageSize": size}))
                assert [v["Key"] for p in pages for v in p.get("Versions", [])] == [at + k for k in "0123"]
                assert [x["Prefix"] for p in pages for x in p.get("CommonPrefixes", [])] == [at + "a/", at + "\u00e9 +&/"]
            assert error(c.list_object_versions, Bucket=bucket, VersionIdMarker="null")[0] == "InvalidArgument"
            assert error(c.list_object_versions, Bucket=bucket, KeyMarker="a", VersionIdMarker="x")[0] == "InvalidArgument"
        assert [p["Prefix"] for p in c.list_object_versions(Bucket="example")["CommonPrefixes"]] == ["main/"]
        c.delete_objects(Bucket="example", Delete={"Objects": [
            {"Key": v["Key"], "VersionId": v["VersionId"]}
            for v in c.list_object_versions(Bucket="example", Prefix="main/")["Versions"]]})
        assert "Versions" not in c.list_object_versions(Bucket="example", Prefix="main/")
        c.delete_bucket(Bucket="example")


REPOS = ["abc", "abc-d", "abc-d-e", "abc-dx", "abc0", "abcd", "xyz", "xyz-1"]


def test_order_and_pages():
    with Server(repos=(), extra=BRANCHES) as s:
        c = s.boto3()
        every = []
        for repo in REPOS:
            c.create_bucket(Bucket=repo)
            every += [repo, repo + ".main"]
            for branch in ("-no", "a-b", "B_1", "z")[1:]:
                c.create_bucket(Bucket=f"{repo}.{branch}")
                every.append(f"{repo}.{branch}")
        every.sort()
        assert names(c) == every
        for size in (1, 2, 3, 7, len(every) - 1, len(every), 1000):
            assert paged(c, size) == every, size
        for prefix in ("a", "abc", "abc-", "abc-d", "abc-d.", "abc.", "abc.m", "abc.main", "abc.mainx", "x", "q", "abc-d-e.z"):
            want = [n for n in every if n.startswith(prefix)]
            assert names(c, Prefix=prefix) == want, prefix
            for size in (1, 2, 5):
                assert paged(c, size, Prefix=prefix) == want, (prefix, size)
        # A token that names what is no bucket (any more) goes on behind it.
        for token in ("abc-", "abc.", "abc.c", "abc-d.n", "abc/", "b", "zzz", "abc-d-e.zz", "\u00e9"):
            want = [n for n in every if n > token]
            assert names(c, ContinuationToken=token) == want, token
        assert names(c, BucketRegion="eu-west-1") == []
        assert c.list_buckets(BucketRegion="us-east-1")["Buckets"][0]["BucketRegion"] == "us-east-1"


def test_hundreds():
    with Server(repos=(), extra=BRANCHES) as s:
        c = s.boto3()
        todo = [f"repo-{i:03}" for i in range(60)] + [f"repo-{i:03}.b{j:03}" for i in (0, 30) for j in range(150)]

        def make(part):
            for name in part:
                c.create_bucket(Bucket=name)
        make(todo[:60])
        threads = [threading.Thread(target=make, args=(todo[60 + i::4],)) for i in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        every = sorted(todo + [f"repo-{i:03}.main" for i in range(60)])
        assert names(c) == every
        assert paged(c, 100) == every
        assert paged(c, 7) == every
    with Server(repos=("one", "two")) as s:
        c = s.boto3()
        c.create_bucket(Bucket="one.dev")
        assert names(c) == ["one", "two"]  # branches aren't shown unless asked for
        assert names(c, Prefix="one.") == []


def test_putting_while_it_is_deleted():
    """What was acknowledged is there, or the bucket's deletion came before it."""
    with Server() as s:
        def attempt(bucket, key):
            c, done = s.boto3(), []

            def put():
                w = s.boto3()
                try:
                    w.put_object(Bucket=bucket, Key=key, Body=b"kept")
                    done.append(True)
                except ClientError as e:
                    assert e.response["Error"]["Code"] in ("NoSuchBucket", "SlowDown"), e
            t = threading.Thread(target=put)
            t.start()
            try:
                c.delete_bucket(Bucket=bucket)
                deleted = True
            except ClientError as e:
                assert e.response["Error"]["Code"] in ("BucketNotEmpty", "SlowDown"), e
                deleted = False
            t.join()
            assert not (deleted and done), "acknowledged and deleted"
            if done:
                assert c.get_object(Bucket=bucket, Key=key)["Body"].read() == b"kept"
                c.delete_object(Bucket=bucket, Key=key)
            if not deleted:
                c.delete_bucket(Bucket=bucket)
            c.create_bucket(Bucket=bucket)
        s.boto3().create_bucket(Bucket="example.dev")
        for _ in range(25):
            attempt("example.dev", "k")
        s.boto3().create_bucket(Bucket="alone")
        for _ in range(25):
            attempt("alone", "main/k")


def test_aws_cli():
    for program in aws_programs():
        with Server(repos=()) as s:
            s.aws(program, "s3", "mb", "s3://made")
            assert s.aws(program, "s3", "mb", "s3://made", check=False).returncode != 0
            s.aws(program, "s3api", "create-bucket", "--bucket", "made.dev")
            s.aws(program, "s3api", "head-bucket", "--bucket", "made.dev")
            s.aws(program, "s3", "cp", "-", "s3://made.dev/x", stdin="x")
            s.aws(program, "s3", "ls")
            assert "x" in s.aws(program, "s3", "ls", "s3://made.dev").stdout
            assert "BucketNotEmpty" in s.aws(program, "s3", "rb", "s3://made.dev", check=False).stderr
            s.aws(program, "s3", "rb", "--force", "s3://made.dev")
            s.aws(program, "s3", "rb", "s3://made")
            assert s.aws(program, "s3", "ls").stdout == ""


if __name__ == "__main__":
    main(dict(globals()))
