"""What strangers send to buckets, uploads, copies, tags and listings: S3's own error each time, never a 500,
and the object beside it stays what it was."""
import socket
import threading
import time
from urllib.parse import quote, unquote_to_bytes

from client_hostile_test import code, signed, status
from harness import Server, main, sign

B = "example"
WITNESS = b"witness"
PART = b"p" * (5 << 20)
DOMAIN = 'gateways: {s3: {domain_name: ["s3.test"]}}'


def canonical(path):
    """What a signature says of this path and query."""
    def again(s, safe=""):
        return quote(unquote_to_bytes(s), safe=safe + "-_.~")
    path, _, query = path.partition("?")
    pairs = [p.partition("=") for p in query.split("&") if p]
    return again(path, "/") + "?" * bool(pairs) + "&".join(again(k) + "=" + again(v.replace("+", " ")) for k, _, v in pairs)


def server(**kw):
    return Server(repos=(B, "other"), **kw)


class Site:
    """Sends bad requests; looks at the witness after each."""

    def __init__(self, s):
        self.s = s
        self.c = s.boto3()
        self.c.put_object(Bucket=B, Key="main/witness", Body=WITNESS)

    def ask(self, method, path, want, headers=None, body=b"", **kw):
        """want: "400 MalformedXML", or several of these with '|' between."""
        got = signed(self.s, method, canonical(path), body, headers=headers, raw_path=path, **kw)
        said = f"{status(got)} {code(got) or ''}".strip()
        allowed = [w if method != "HEAD" else w.split()[0] for w in want.split("|")]
        assert said in allowed, f"{method} {path[:200]} {headers} {body[:200]}: {said}, not {want}\n{got[-1500:]}"
        self.look()
        return got

    def look(self):
        got = signed(self.s, "GET", f"/{B}/main/witness")
        assert status(got) == 200 and got.endswith(b"\r\n\r\n" + WITNESS), got

    def upload(self, key="main/m", bucket=B, **kw):
        return self.c.create_multipart_upload(Bucket=bucket, Key=key, **kw)["UploadId"]

    def calm(self):
        """The log has no failure of ours."""
        for line in self.s.log_text().splitlines():
            assert '"status":500' not in line and '"level":"ERROR"' not in line, line


def complete(parts):
    return ("<CompleteMultipartUpload>" + "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in parts)
        + "</CompleteMultipartUpload>").encode()


def tagging(tags):
    return ("<Tagging><TagSet>" + "".join(f"<Tag><Key>{k}</Key><Value>{v}</Value></Tag>" for k, v in tags)
            + "</TagSet></Tagging>").encode()


BOMB = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><%s><x>&b;</x></%s>'


def bad_documents(root):
    """Documents that are none, whatever the operation."""
    r = root.encode()
    return [b"<", b"not xml", b"<" + r, b"<" + r + b">", b"<Other/>", BOMB % (r, r),
            b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><' + r + b">&x;</" + r + b">",
            b"<" + r + b">" + b"<a>" * 5000 + b"</a>" * 5000 + b"</" + r + b">",
            b"<" + r + b"".join(b' a%d="x"' % i for i in range(3000)) + b"/>",
            b"<" + r + b">\xff</" + r + b">", b"<" + r + b">\0</" + r + b">", b"<" + r + b">&#0;</" + r + b">",
            b"<" + r + b">&undefined;</" + r + b">", b"\xff\xfe<" + r + b"/>",
            b"<" + r + b"></" + r + b"><" + r + b"/>", b"<" + r + b">" + b"<a/>" * 100001 + b"</" + r + b">"]


def test_bucket_names():
    with server(extra=DOMAIN) as s:
        t = Site(s)
        for name in ("a..b", ".main", "repo.", "..", ".", "...", "%2e%2e", "%2E", "example..main", "example.main~1",
                     "example.main@", "example.main%5E2", "example.-x", "-x-", "ab", "EXAMPLE", "Example.main", "_lakefs",
                     "x" * 64, "x" * 3000, "exam%20ple", "exam%00ple", "exam%ffple", "example.%ff", "example.%00", "a%2Fb",
                     "example.a.b", "example." + "b" * 901, "example.b%0d%0aX:y", "%3Cb%3E", "example.%3Cb%3E"):
            t.ask("PUT", "/" + name, "400 InvalidBucketName|400 InvalidURI")
            t.ask("GET", "/" + name, "404 NoSuchBucket|400 InvalidURI" + ("|200" if name in ("example.main~1", "example.main@") else ""))
            t.ask("DELETE", "/" + name, "404 NoSuchBucket|400 InvalidURI")
            t.ask("PUT", f"/{name}/k", "404 NoSuchBucket|400 InvalidURI|404 NoSuchKey", body=b"x")
        for name in ("example", "example.main"):
            t.ask("PUT", "/" + name, "409 BucketAlreadyOwnedByYou")
        t.ask("PUT", "/nosuchrepo.branch", "404 NoSuchBucket")
        t.ask("DELETE", "/example.main", "409 InvalidBucketState")
        t.ask("DELETE", "/example", "409 BucketNotEmpty")
        # by the host's name
        for host, want in (("EXAMPLE.main.S3.TEST", "200"), ("example.MAIN.s3.test", "200"), ("a..b.s3.test", "404 NoSuchBucket"),
                           (".s3.test", "404 NoSuchBucket|200|400 InvalidURI"), ("example.main.s3.test.", "403 SignatureDoesNotMatch|404 NoSuchBucket|200"),
                           ("example.main.s3.testx", "200"), ("xs3.test", "200")):
            got = signed(s, "GET", "/", headers={"Host": host})
            said = f"{status(got)} {code(got) or ''}".strip()
            assert said in want.split("|"), (host, got)
            t.look()
        names = [b["Name"] for b in t.c.list_buckets()["Buckets"]]
        assert names == ["example", "other"], names
        t.calm()


def test_create_bucket():
    with server() as s:
        t = Site(s)
        for doc in bad_documents("CreateBucketConfiguration"):
            t.ask("PUT", "/fresh", "400 MalformedXML", body=doc)
        def conf(inner):
            return b"<CreateBucketConfiguration>" + inner + b"</CreateBucketConfiguration>"
        t.ask("PUT", "/fresh", "400 MalformedXML", body=conf(b"<Unknown/>"))
        for loc in (b"nowhere", b"x" * 5000, b"../..", "é".encode() * 600):
            t.ask("PUT", "/fresh", "400 InvalidLocationConstraint", body=conf(b"<LocationConstraint>" + loc + b"</LocationConstraint>"))
        t.ask("PUT", "/fresh", "501 NotImplemented", body=conf(b"<Location><Name>x</Name></Location>"))
        t.ask("PUT", "/example.dev", "400 InvalidLocationConstraint", body=conf(b"<LocationConstraint>nowhere</LocationConstraint>"))
        t.ask("PUT", "/fresh", "501 NotImplemented", {"x-amz-bucket-object-lock-enabled": "true"})
        t.ask("PUT", "/fresh", "501 NotImplemented", {"x-amz-acl": "public-read"})
        t.ask("PUT", "/fresh", "400 InvalidArgument", {"x-amz-object-ownership": "x" * 4000})
        t.ask("PUT", "/fresh", "400 EntityTooLarge|400 MalformedXML", {"Content-Length": str(9 << 20)})
        t.ask("PUT", "/fresh?acl", "404 NoSuchBucket|501 NotImplemented")
        t.ask("PUT", "/example?policy", "501 NotImplemented")
        t.ask("PUT", "/fresh?uploads", "400 InvalidRequest")
        t.ask("PUT", "/fresh?newthing", "501 NotImplemented")
        t.ask("DELETE", "/example?newthing", "501 NotImplemented")
        t.ask("DELETE", "/example?tagging", "501 NotImplemented")
        t.ask("GET", "/fresh", "404 NoSuchBucket")
        # two at once: one is made, the other hears of it
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(signed(s, "PUT", "/fresh"))) for _ in range(8)]
        [x.start() for x in threads]
        [x.join() for x in threads]
        said = sorted((status(a), code(a)) for a in answers)
        assert said[0] == (200, None) and all(x in ((409, "BucketAlreadyOwnedByYou"), (409, "OperationAborted")) for x in said[1:]), said
        t.calm()


def test_names_that_begin_with_each_other():
    """Repositories that wait for those between them and their branches: as many as a name is long."""
    with server(extra="gateways: {s3: {list_branch_buckets: true}}\n") as s:
        t = Site(s)
        names = ["aaa" + "-" * n for n in range(61)]
        for name in reversed(names):
            t.ask("PUT", "/" + name, "200")
        t.ask("PUT", "/" + names[-1] + "-", "400 InvalidBucketName")
        want = sorted(n + e for n in names + ["example", "other"] for e in ("", ".main"))
        assert [b["Name"] for b in t.c.list_buckets()["Buckets"]] == want
        got, token = [], {}
        while not got or token:
            page = t.c.list_buckets(MaxBuckets=7, **token)
            got += [b["Name"] for b in page["Buckets"]]
            token = {"ContinuationToken": page["ContinuationToken"]} if "ContinuationToken" in page else {}
        assert got == want, got
        for token in ("-" * 20000, "aaa" + "-" * 20000, "aaa" + "-" * 60 + ".", "a" * 63 + "." + "b" * 5000):
            took = []
            for _ in range(3):  # the least of them, for the machine may stand still
                start = time.monotonic()
                t.ask("GET", "/?continuation-token=" + token, "200")
                took.append(time.monotonic() - start)
            assert min(took) < 5, took
        t.calm()


def test_sub_resources():
    with server() as s:
        t = Site(s)
        for q in ("policy", "cors", "lifecycle", "tagging", "replication", "website", "encryption", "publicAccessBlock", "object-lock"):
            t.ask("GET", f"/example?{q}", "|".join(f"404 {x}" for x in (
                "NoSuchBucketPolicy", "NoSuchCORSConfiguration", "NoSuchLifecycleConfiguration", "NoSuchTagSet",
                "ReplicationConfigurationNotFoundError", "NoSuchWebsiteConfiguration", "ServerSideEncryptionConfigurationNotFoundError",
                "NoSuchPublicAccessBlockConfiguration", "ObjectLockConfigurationNotFoundError")))
            t.ask("GET", f"/nosuch?{q}", "404 NoSuchBucket")
            t.ask("PUT", f"/example?{q}", "501 NotImplemented", body=b"<x/>")
        for q in ("policy&cors", "acl&acl", "policy=%00", "acl=" + "x" * 3000):
            got = signed(s, "GET", f"/example?{q}")
            assert status(got) in (200, 400, 404), got
            t.look()
        t.ask("GET", "/example/main/witness?acl&tagging&attributes&uploadId=x", "|".join(("200", "400 InvalidRequest", "404 NoSuchUpload")))
        t.ask("GET", "/example/main/witness?legal-hold", "501 NotImplemented")
        t.ask("DELETE", "/example/main/witness?policy", "400 InvalidRequest")
        t.ask("DELETE", "/example/main/witness?whatever", "501 NotImplemented")
        t.ask("DELETE", "/example/main/witness?uploadId", "404 NoSuchUpload")
        t.ask("DELETE", "/example/main/witness?tagging=1&uploadId=", "400 InvalidRequest|404 NoSuchUpload|204")
        t.ask("POST", "/example/main/witness?restore", "501 NotImplemented")
        t.ask("POST", "/example/main/witness", "405 MethodNotAllowed")
        t.calm()


def test_listings():
    with server() as s:
        t = Site(s)
        for q in ("max-keys=-1", "max-keys=x", "max-keys=99999999999999999999", "max-keys=1e3", "max-keys=%00", "encoding-type=base64",
                  "list-type=3", "list-type=2&continuation-token=!!!", "list-type=2&continuation-token=%2F%2F%2F%2F",
                  "list-type=2&continuation-token=/////w==", "versions&version-id-marker=null", "versions&key-marker=main/a&version-id-marker=x",
                  "uploads&max-uploads=-1", "uploads&max-uploads=x", "uploads&encoding-type=x"):
            t.ask("GET", "/example?prefix=main/&" + q, "400 InvalidArgument")
        for q in ("prefix=%ff", "prefix=%", "marker=%zz", "%ff=1", "&".join(f"a{i}=b" for i in range(70))):
            t.ask("GET", "/example?" + q, "400 InvalidURI|400 InvalidRequest")
        for q in ("max-keys=0", "max-keys=2147483647", "prefix=" + "x" * 5000, "prefix=..%2F..%2F", "delimiter=" + "%2F" * 1000,
                  "marker=" + "z" * 5000, "prefix=main%2F%01%02&delimiter=%01", "list-type=2&start-after=%EF%BF%BF", "prefix=main~1%2F",
                  "prefix=nosuch%2F", "prefix=%2F", "prefix=.%2F", "prefix=main%2F&prefix=other%2F", "versions&prefix=main%2F&delimiter=%2F",
                  "uploads&key-marker=" + "k" * 3000 + "&upload-id-marker=x", "uploads&max-uploads=0", "uploads&prefix=%01"):
            got = t.ask("GET", "/example?" + q, "200")
            assert b"</List" in got
        for q in ("max-buckets=0", "max-buckets=10001", "max-buckets=-1", "max-buckets=x"):
            t.ask("GET", "/?" + q, "400 InvalidArgument")
        for q in ("prefix=" + "x" * 5000, "prefix=..", "prefix=.", "continuation-token=" + "-" * 4000, "continuation-token=.", "continuation-token=%01",
                  "bucket-region=nowhere", "prefix=%3Cb%3E"):
            t.ask("GET", "/?" + q, "200")
        # keys that XML can't hold, as they are and escaped
        for key in ("main/a\x01b", "main/<&\">", "main/\ufffe", "main/line\nend\r"):
            t.c.put_object(Bucket=B, Key=key, Body=b"x")
        got = signed(s, "GET", "/example?prefix=main%2F")
        assert status(got) == 200 and b"main/a&#x1;b" in got and b"&lt;&amp;&quot;&gt;" in got and b"&#13;" in got, got
        keys = [o["Key"] for o in t.c.list_objects_v2(Bucket=B, Prefix="main/")["Contents"]]
        assert keys == sorted(keys) and len(keys) == 5, keys
        t.calm()


def test_delete_objects():
    with server() as s:
        t = Site(s)
        for doc in bad_documents("Delete") + [b"<Delete/>", b"<Delete><Object/></Delete>", b"<Delete><Object><Key/></Object></Delete>",
                                              b"<Delete>" + b"<Object><Key>main/x</Key></Object>" * 1001 + b"</Delete>"]:
            t.ask("POST", "/example?delete", "400 MalformedXML", body=doc)
        t.ask("POST", "/example?delete", "400 BadDigest", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"<Delete><Object><Key>main/witness</Key></Object></Delete>")
        t.ask("POST", "/example?delete", "400 BadDigest", {"x-amz-checksum-crc32": "AAAAAA=="}, b"<Delete><Object><Key>main/witness</Key></Object></Delete>")
        t.ask("POST", "/nosuch?delete", "404 NoSuchBucket", body=b"<Delete><Object><Key>main/witness</Key></Object></Delete>")
        t.ask("POST", "/example/main/witness?delete", "400 InvalidRequest|405 MethodNotAllowed")

        def errors(inner, want):
            got = t.ask("POST", "/example?delete", "200" if not want else f"200 {want}", body=b"<Delete>" + inner + b"</Delete>")
            assert got.endswith(b"</DeleteResult>"), got[-300:]
            return got
        errors(b"<Object><Key>main/" + b"k" * 1025 + b"</Key></Object>", "KeyTooLongError")
        # an answer that would be six times as long as what was asked
        long = errors(b"".join(b"<Object><Key>main/%d%s</Key></Object>" % (i, b'"' * 7000) for i in range(1000)), "KeyTooLongError")
        assert len(long) < 16 << 20 and long.count(b"<Error>") == 1000
        errors(b"<Object><Key>main/witness</Key><VersionId>x</VersionId></Object>", "NoSuchVersion")
        errors(b"<Object><Key>main/witness</Key><ETag>x</ETag></Object>", "PreconditionFailed")
        errors(b"<Object><Key>main/witness</Key><Size>x</Size></Object>", "InvalidArgument")
        errors(b"<Object><Key>main/witness</Key><Size>99999999999999999999</Size></Object>", "InvalidArgument")
        errors(b"<Object><Key>main/witness</Key><LastModifiedTime>yesterday</LastModifiedTime></Object>", "InvalidArgument")
        for key in (b"witness", b"../example/main/witness", b"/main/witness", b"other/main/witness", b"main~0/witness", b"main@/witness", b"nosuch/witness"):
            errors(b"<Object><Key>" + key + b"</Key></Object>", "")
        t.ask("DELETE", "/example/main/witness", "412 PreconditionFailed", {"If-Match": '"x"'})
        t.ask("DELETE", "/example/main/witness", "412 PreconditionFailed", {"x-amz-if-match-size": "99"})
        t.ask("DELETE", "/example/main/witness", "400 InvalidArgument", {"x-amz-if-match-size": "-1"})
        t.ask("DELETE", "/example/main/witness", "400 InvalidArgument", {"x-amz-if-match-last-modified-time": "never"})
        t.ask("DELETE", "/example/main/witness?versionId=x", "404 NoSuchVersion|400 InvalidArgument")
        t.calm()


def test_uploads():
    with server() as s:
        t = Site(s)
        up, path = t.upload(), "/example/main/m"
        other = t.upload("main/m", "other")
        second = t.upload("main/n")
        t.c.create_bucket(Bucket="example.dev")
        dev = t.upload("m", "example.dev")
        for bad in ("x", "", "..%2F..%2Fetc", "%00", "%ff", up[:-1], up + "0", up.upper(), "0" * len(up), other, second, dev, "x" * 3000):
            want = "404 NoSuchUpload|400 InvalidURI"
            t.ask("PUT", f"{path}?partNumber=1&uploadId={bad}", want, body=b"x")
            t.ask("GET", f"{path}?uploadId={bad}", want)
            t.ask("DELETE", f"{path}?uploadId={bad}", want)
            t.ask("POST", f"{path}?uploadId={bad}", want, body=complete([(1, "0" * 32)]))
            t.ask("PUT", f"{path}?partNumber=1&uploadId={bad}", want, {"x-amz-copy-source": "/example/main/witness"})
        for n in ("0", "10001", "-1", "x", "", "1.5", "99999999999999999999", "%00", "+1", "0x1"):
            t.ask("PUT", f"{path}?partNumber={n}&uploadId={up}", "400 InvalidArgument", body=b"x")
        t.ask("PUT", f"{path}?uploadId={up}", "405 MethodNotAllowed", body=b"x")
        t.ask("PUT", f"{path}?partNumber=1", "400 InvalidArgument", body=b"x")
        t.ask("PUT", f"{path}?partNumber=1&uploadId={up}", "400 BadDigest", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"x")
        t.ask("PUT", f"{path}?partNumber=1&uploadId={up}", "400 BadDigest", {"x-amz-checksum-sha256": "A" * 43 + "="}, b"x")
        t.ask("PUT", f"{path}?partNumber=1&uploadId={up}", "400 InvalidRequest", {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "x"}, b"x")
        t.ask("PUT", f"{path}?partNumber=1&uploadId={up}", "400 EntityTooLarge", {"Content-Length": str((5 << 30) + 1)})
        for q in ("max-parts=-1", "max-parts=x", "part-number-marker=x", "part-number-marker=-1", "max-parts=99999999999"):
            t.ask("GET", f"{path}?uploadId={up}&{q}", "400 InvalidArgument")
        # Complete
        etag = t.c.upload_part(Bucket=B, Key="main/m", UploadId=up, PartNumber=1, Body=b"x")["ETag"].strip('"')
        small = t.c.upload_part(Bucket=B, Key="main/m", UploadId=up, PartNumber=2, Body=b"y")["ETag"].strip('"')
        for doc in bad_documents("CompleteMultipartUpload") + [b"", b"<CompleteMultipartUpload/>", complete([("x", etag)]), complete([("", etag)]),
                                                               complete([(i, etag) for i in range(1, 10002)]),
                                                               b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"]:
            t.ask("POST", f"{path}?uploadId={up}", "400 MalformedXML", body=doc)
        for parts, want in (([(0, etag)], "InvalidArgument"), ([(10001, etag)], "InvalidArgument"), ([(-1, etag)], "InvalidArgument"),
                            ([(99999999999999999999, etag)], "MalformedXML"), ([(3, etag)], "InvalidPart"), ([(1, "0" * 32)], "InvalidPart"),
                            ([(1, "")], "InvalidPart"), ([(1, "&lt;x&gt;")], "InvalidPart"), ([(1, "x" * 100000)], "InvalidPart"),
                            ([(2, small), (1, etag)], "InvalidPartOrder"), ([(1, etag), (1, etag)], "InvalidPartOrder"),
                            ([(1, etag), (2, small)], "EntityTooSmall"), ([(i, etag) for i in range(1, 10001)], "InvalidPart")):
            t.ask("POST", f"{path}?uploadId={up}", f"400 {want}", body=complete(parts))
        one = complete([(1, etag)])
        sum_of = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag.encode() + b"</ETag>%s</Part></CompleteMultipartUpload>"
        for sums in (b"<ChecksumCRC32>x</ChecksumCRC32>", b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumSHA1>" + b"A" * 27 + b"=</ChecksumSHA1>"):
            t.ask("POST", f"{path}?uploadId={up}", "400 InvalidArgument", body=sum_of % sums)
        for h, want in (({"x-amz-mp-object-size": "2"}, "400 InvalidRequest"), ({"x-amz-mp-object-size": "-1"}, "400 InvalidRequest"),
                        ({"x-amz-mp-object-size": "99999999999999999999"}, "400 InvalidRequest"), ({"x-amz-checksum-type": "x"}, "400 InvalidRequest"),
                        ({"x-amz-checksum-crc32": "x"}, "400 InvalidRequest"), ({"x-amz-checksum-crc32": "AAAAAA==-0"}, "400 InvalidRequest"),
                        ({"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, "400 BadDigest"), ({"If-Match": '"x"'}, "404 NoSuchKey"),
                        ({"If-None-Match": "x"}, "501 NotImplemented"), ({"If-None-Match": "*", "If-Match": "*"}, "501 NotImplemented"),
                        ({"x-amz-copy-source": "example/main/witness"}, "400 InvalidArgument")):
            t.ask("POST", f"{path}?uploadId={up}", want, h, one)
        for h, want in (({"x-amz-checksum-algorithm": "CRC16"}, "400 InvalidRequest"), ({"x-amz-checksum-type": "COMPOSITE"}, "400 InvalidRequest"),
                        ({"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "COMPOSITE"}, "400 InvalidRequest"),
                        ({"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "FULL_OBJECT"}, "400 InvalidRequest"),
                        ({"x-amz-tagging": "a=1&a=2"}, "400 InvalidArgument"), ({"x-amz-meta-a": "x" * 3000}, "400 MetadataTooLarge"),
                        ({"x-amz-server-side-encryption": "aws:kms"}, "501 NotImplemented")):
            t.ask("POST", path + "?uploads", want, h)
        t.ask("POST", "/example/main/" + "k" * 1025 + "?uploads", "400 KeyTooLongError")
        t.ask("POST", "/example/nosuch/k?uploads", "404 NoSuchBucket")
        t.ask("POST", "/example/main~1/k?uploads", "404 NoSuchBucket")
        t.ask("POST", "/example/main?uploads", "404 NoSuchKey")
        t.ask("GET", path + "?uploads", "400 InvalidRequest")
        # after all this the upload is still good
        got = t.ask("POST", f"{path}?uploadId={up}", "200", body=one)
        assert b"<ETag>" in got
        t.ask("GET", f"{path}?uploadId={up}", "404 NoSuchUpload")
        assert t.c.get_object(Bucket=B, Key="main/m")["Body"].read() == b"x"
        t.calm()


def test_copies():
    with server() as s:
        t = Site(s)
        t.c.put_object(Bucket="other", Key="main/o", Body=b"other")
        t.c.put_object(Bucket=B, Key="main/nine", Body=b"123456789")
        up = t.upload()
        t.c.create_bucket(Bucket="example.dev")
        for source, want in (("", "400 InvalidArgument"), ("/", "400 InvalidArgument"), ("example", "400 InvalidArgument"), ("example/main", "400 InvalidArgument"),
                             ("example/main/", "400 InvalidArgument"), ("//main/witness", "400 InvalidArgument"), ("example//witness", "400 InvalidArgument"),
                             ("example/main/%zz", "400 InvalidArgument"), ("example/main/%ff", "400 InvalidArgument"), ("example/main/%00", "400 InvalidArgument"),
                             ("example/main/../../other/main/o", "404 NoSuchKey"), ("example/main/%2e%2e/%2e%2e/other/main/o", "404 NoSuchKey"),
                             ("../other/main/o", "404 NoSuchBucket|400 InvalidArgument"), ("nosuch/main/o", "404 NoSuchBucket"), ("other/nosuch/o", "404 NoSuchKey"),
                             ("other/main/none", "404 NoSuchKey"), ("example/main/witness?versionId=abc", "404 NoSuchVersion|400 InvalidArgument"),
                             ("example/main/witness?x=y", "404 NoSuchKey"), ("arn:aws:s3:::example/main/witness", "404 NoSuchBucket|400 InvalidArgument"),
                             ("http://127.0.0.1/example/main/witness", "404 NoSuchBucket|404 NoSuchKey|400 InvalidArgument"), ("example/main/" + "k" * 2000, "404 NoSuchKey"),
                             ("example." + "b" * 5000 + "/x", "404 NoSuchBucket"), (".main/witness", "404 NoSuchBucket|400 InvalidArgument"),
                             ("example./witness", "404 NoSuchBucket|400 InvalidArgument"), ("EXAMPLE/main/witness", "404 NoSuchBucket")):
            h = {"x-amz-copy-source": source}
            t.ask("PUT", "/example/main/copy", want, h)
            t.ask("PUT", f"/example/main/m?partNumber=1&uploadId={up}", want, h)
        for source in ("example.main/../x", "example.main/..", "example.main/", "example.main/.", "127.0.0.1/x", "a%20b/x", "example.main/%2e%2e/x"):
            t.ask("PUT", "/example.dev/copy", "400 InvalidArgument", {"x-amz-copy-source": source})
        for source in ("example/main", "example/main/", "example/nosuch"):
            t.ask("PUT", "/example.dev/copy", "404 NoSuchKey", {"x-amz-copy-source": source})
        ok = {"x-amz-copy-source": "example/main/witness"}
        for h, want in (({"x-amz-metadata-directive": "MERGE"}, "400 InvalidArgument"), ({"x-amz-tagging-directive": "x"}, "400 InvalidArgument"),
                        ({"x-amz-copy-source-if-match": '"x"'}, "412 PreconditionFailed"), ({"x-amz-copy-source-if-none-match": "*"}, "412 PreconditionFailed"),
                        ({"x-amz-copy-source-if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, "412 PreconditionFailed"),
                        ({"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": "aws:a=b"}, "400 InvalidTag"),
                        ({"x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "x" * 2100}, "400 MetadataTooLarge"),
                        ({"x-amz-checksum-algorithm": "x"}, "400 InvalidRequest"), ({"If-Match": '"x"'}, "404 NoSuchKey"),
                        ({"x-amz-website-redirect-location": "javascript:x"}, "400 InvalidRedirectLocation"),
                        ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, "501 NotImplemented"),
                        ({"x-amz-source-expected-bucket-owner": "123"}, "403 AccessDenied")):
            t.ask("PUT", "/example/main/copy", want, {**ok, **h})
        t.ask("PUT", "/example/main/witness", "400 InvalidRequest", ok)
        t.ask("PUT", "/example/nosuch/copy", "404 NoSuchBucket", ok)
        t.ask("PUT", "/example/main/" + "k" * 1025, "400 KeyTooLongError", ok)
        for method in ("GET", "HEAD", "DELETE"):
            t.ask(method, "/example/main/witness", "400 InvalidArgument", ok)
        t.ask("PUT", "/example/main", "404 NoSuchKey|400 InvalidRequest", ok)
        t.ask("PUT", "/example", "200|400 InvalidRequest|409 BucketAlreadyOwnedByYou", ok)
        nine = {"x-amz-copy-source": "example/main/nine"}
        for r in ("", "bytes=", "bytes=0-", "bytes=-5", "bytes=5-4", "bytes=0-9", "bytes=9-9", "bytes=0-18446744073709551615", "bytes=18446744073709551616-18446744073709551617",
                  "bytes=0-1,3-4", "items=0-1", "0-1", "bytes=a-b", "bytes=0x0-0x1", "bytes=+0-1", "bytes= 0-1"):
            t.ask("PUT", f"/example/main/m?partNumber=1&uploadId={up}", "400 InvalidArgument", {**nine, "x-amz-copy-source-range": r})
        t.ask("PUT", f"/example/main/m?partNumber=1&uploadId={up}", "200", {**nine, "x-amz-copy-source-range": "bytes=8-8"})
        keys = [o["Key"] for o in t.c.list_objects_v2(Bucket=B, Prefix="main/")["Contents"]]
        assert keys == ["main/nine", "main/witness"], keys
        assert t.c.list_objects_v2(Bucket="example.dev")["KeyCount"] == 0
        t.calm()


def test_tags_and_attributes():
    with server() as s:
        t = Site(s)
        path = "/example/main/witness"
        t.ask("PUT", path + "?tagging", "200", body=tagging([("keep", "me")]))
        for doc in bad_documents("Tagging") + [b"", b"<Tagging/>", b"<Tagging><TagSet><Tag/></TagSet></Tagging>", b"<Tagging><TagSet><Other/></TagSet></Tagging>",
                                               b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"]:
            t.ask("PUT", path + "?tagging", "400 MalformedXML", body=doc)
        for tags, want in (([(f"k{i}", "v") for i in range(11)], "BadRequest"), ([(f"k{i}", "v") for i in range(5000)], "BadRequest"),
                           ([("a", "1"), ("a", "2")], "InvalidTag"), ([("", "v")], "InvalidTag"), ([("k" * 129, "v")], "InvalidTag"),
                           ([("k", "v" * 257)], "InvalidTag"), ([("aws:x", "v")], "InvalidTag"), ([("a*b", "v")], "InvalidTag"), ([("a", "&lt;")], "InvalidTag"),
                           ([("a", "x\u0085y")], "InvalidTag"), ([("a\nb", "v")], "InvalidTag")):
            t.ask("PUT", path + "?tagging", f"400 {want}", body=tagging(tags))
        for text in ("a=1&a=2", "%zz=1", "=v", "a=%ff", "&".join(f"k{i}=v" for i in range(11)), "k" * 129 + "=", "a=" + "v" * 257, "aws:a=b", "a=%00", "a=%0d%0aX: y"):
            t.ask("PUT", "/example/main/new", "400 InvalidArgument|400 InvalidTag|400 BadRequest", {"x-amz-tagging": text}, b"x")
        t.ask("PUT", "/example/main/none?tagging", "404 NoSuchKey", body=tagging([("a", "b")]))
        t.ask("PUT", "/example/main?tagging", "404 NoSuchKey", body=tagging([("a", "b")]))
        t.ask("GET", "/example/main/none?tagging", "404 NoSuchKey")
        t.ask("DELETE", "/example/main/none?tagging", "404 NoSuchKey")
        t.ask("PUT", "/example/nosuch/k?tagging", "404 NoSuchKey|404 NoSuchBucket", body=tagging([("a", "b")]))
        t.ask("PUT", path + "?tagging&versionId=x", "404 NoSuchVersion|400 InvalidArgument", body=tagging([("a", "b")]))
        for h, want in (({}, "400 InvalidRequest"), ({"x-amz-object-attributes": ""}, "400 InvalidRequest"), ({"x-amz-object-attributes": "Owner"}, "400 InvalidArgument"),
                        ({"x-amz-object-attributes": "ETag," * 2000}, "200|400 InvalidArgument"), ({"x-amz-object-attributes": "ETag", "x-amz-max-parts": "-1"}, "400 InvalidArgument"),
                        ({"x-amz-object-attributes": "ObjectParts", "x-amz-part-number-marker": "99999999999"}, "400 InvalidArgument"),
                        ({"x-amz-object-attributes": "ETag;"}, "400 InvalidArgument")):
            t.ask("GET", path + "?attributes", want, h)
        t.ask("GET", "/example/main/none?attributes", "404 NoSuchKey", {"x-amz-object-attributes": "ETag"})
        assert t.c.get_object_tagging(Bucket=B, Key="main/witness")["TagSet"] == [{"Key": "keep", "Value": "me"}]
        t.calm()


def test_headers_that_come_back():
    """What was stored or asked for must not begin another line of the answer."""
    with server() as s:
        t = Site(s)
        evil = "x%0d%0aSet-Cookie:%20a=b"
        for name in ("content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding"):
            got = t.ask("GET", f"/example/main/witness?response-{name}={evil}", "200")
            assert b"\r\nset-cookie" not in got.lower(), got
        t.c.put_object(Bucket=B, Key="main/meta", Body=b"x", Metadata={"a": "=?UTF-8?Q?=0D=0ASet-Cookie=3A_a=3Db?="}, ContentType="text/html")
        got = signed(s, "GET", "/example/main/meta")
        assert status(got) == 200 and b"\r\nset-cookie" not in got.lower() and b"content-security-policy: sandbox" in got.lower(), got
        # a name of a host that isn't one, in Complete's Location
        up = t.upload()
        etag = t.c.upload_part(Bucket=B, Key="main/m", UploadId=up, PartNumber=1, Body=b"x")["ETag"].strip('"')
        got = signed(s, "POST", f"/example/main/m?uploadId={up}", complete([(1, etag)]), headers={"Host": "<x>&\"]]>"})
        assert status(got) in (200, 400) and b"<x>" not in got, got
        for n in ("0", "10001", "x", "2", "99999999999999999999"):
            t.ask("GET", f"/example/main/witness?partNumber={n}", "400 InvalidArgument|416 InvalidPartNumber")
        for r, want in (("bytes=7-", "416 InvalidRange"), ("bytes=99999999999999999999-", "416 InvalidRange"), ("bytes=-0", "416 InvalidRange")):
            t.ask("GET", "/example/main/witness", want, {"Range": r})
        t.ask("GET", "/example/main/witness?partNumber=1", "400 InvalidRequest", {"Range": "bytes=0-1"})
        t.ask("PUT", "/example/main/x", "411 MissingContentLength|501 NotImplemented|400 IncompleteBody", {"Transfer-Encoding": "chunked"}, b"1\r\nx\r\n0\r\n\r\n")
        for path in ("/example/main/x", f"/example/main/m?partNumber=1&uploadId={t.upload()}"):
            got = signed(s, "PUT", path, b"x", headers={"Expect": "200-maybe"})
            assert status(got) in (200, 417), got
        t.calm()


def leave(s, method, path, headers, after, body=b""):
    """Sends a request, waits, and is gone without reading."""
    h = sign(method, s.url + path, dict(headers))
    h.setdefault("Host", f"127.0.0.1:{s.port}")
    h.setdefault("Content-Length", str(len(body)))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", s.port), 60) as c:
        c.sendall(head.encode("latin-1") + body)
        time.sleep(after)


def test_clients_that_go():
    """In the middle of copies, of Complete and of parts; and those that send a part slowly."""
    with server() as s:
        t = Site(s)
        big = b"b" * (24 << 20)
        t.c.put_object(Bucket="other", Key="main/big", Body=big)
        up = t.upload()
        for after in (0, 0.002, 0.01, 0.05, 0.2):
            leave(s, "PUT", "/example/main/copy", {"x-amz-copy-source": "other/main/big"}, after)
            leave(s, "PUT", f"/example/main/m?partNumber=1&uploadId={up}", {"x-amz-copy-source": "other/main/big"}, after)
            leave(s, "PUT", f"/example/main/m?partNumber=2&uploadId={up}", {"Content-Length": str(len(PART))}, after, PART[:100000])
            leave(s, "POST", "/example?delete", {"Content-Length": "100000"}, after, b"<Delete>")
            leave(s, "PUT", "/example/main/witness?tagging", {"Content-Length": "1000"}, after, b"<Tagging>")
            t.look()
        parts = [(n, t.c.upload_part(Bucket=B, Key="main/m", UploadId=up, PartNumber=n, Body=PART)["ETag"].strip('"')) for n in (1, 2, 3)]
        doc = complete(parts)
        leave(s, "POST", f"/example/main/m?uploadId={up}", {}, 0, doc)
        end = time.monotonic() + 120  # it goes on without its client, or is asked for again
        while status(got := signed(s, "POST", f"/example/main/m?uploadId={up}", doc)) != 200:
            assert time.monotonic() < end, got
            time.sleep(0.2)
        assert t.c.head_object(Bucket=B, Key="main/m")["ContentLength"] == 3 * len(PART)
        # a byte at a time
        up = t.upload("main/slow")
        h = sign("PUT", s.url + f"/example/main/slow?partNumber=1&uploadId={up}")
        h.update({"Host": f"127.0.0.1:{s.port}", "Content-Length": "20", "Connection": "close"})
        head = f"PUT /example/main/slow?partNumber=1&uploadId={up} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in h.items()) + "\r\n"
        with socket.create_connection(("127.0.0.1", s.port), 60) as c:
            c.sendall(head.encode())
            for _ in range(20):
                c.sendall(b"s")
                time.sleep(0.05)
                t.look()
            assert c.recv(65536).startswith(b"HTTP/1.1 200 ")
        t.c.copy_object(Bucket=B, Key="main/copy", CopySource={"Bucket": "other", "Key": "main/big"})
        assert t.c.get_object(Bucket=B, Key="main/copy")["Body"].read() == big
        assert t.c.get_object(Bucket="other", Key="main/big")["Body"].read() == big
        t.calm()


if __name__ == "__main__":
    main(globals())
