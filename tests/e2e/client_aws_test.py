"""aws-cli, Debian's v2 and today's v1, unmodified: cp, sync, ls, rm, mv, presign; over http and https."""
import filecmp
import os
import tempfile
import urllib.error
import urllib.request
import ssl

from harness import Server, aws_programs, main, md5, write_tree


FILES = {
    "a.txt": b"hello\n",
    "empty": b"",
    "dir/b c.bin": bytes(range(256)) * 300,
    "dir/deep/\u00fcml\u00e4ut \u65e5\u672c.txt": "gr\u00fc\u00dfe".encode(),
    "dir/plus+and%25.txt": b"percent",
    "big.bin": os.urandom(9 << 20),  # multipart: over aws-cli's 8 MiB
}


def round_trip(s, aws):
    base = "s3://example/main/" + os.path.basename(os.path.dirname(aws)) + "/"
    with tempfile.TemporaryDirectory() as d:
        src, dst = os.path.join(d, "src"), os.path.join(d, "dst")
        write_tree(src, FILES)
        s.aws(aws, "s3", "sync", src, base)
        s.aws(aws, "s3", "sync", base, dst)
        for name in FILES:
            assert filecmp.cmp(os.path.join(src, name), os.path.join(dst, name), shallow=False), name
        # nothing changed: a second sync moves nothing
        assert s.aws(aws, "s3", "sync", src, base).stdout == ""

        listed = s.aws(aws, "s3", "ls", "--recursive", base).stdout
        for name in FILES:
            assert name in listed, (name, listed)
        top = s.aws(aws, "s3", "ls", base).stdout
        assert "PRE dir/" in top and "a.txt" in top and "deep" not in top, top

        s.aws(aws, "s3", "cp", os.path.join(src, "a.txt"), base + "copy.txt")
        got = s.aws(aws, "s3", "cp", base + "copy.txt", "-").stdout
        assert got == "hello\n", got
        s.aws(aws, "s3", "cp", "-", base + "piped", stdin="from a pipe")
        assert s.aws(aws, "s3", "cp", base + "piped", "-").stdout == "from a pipe"

        s.aws(aws, "s3", "mv", base + "copy.txt", base + "moved.txt")
        assert "copy.txt" not in s.aws(aws, "s3", "ls", base).stdout
        s.aws(aws, "s3", "mv", base + "moved.txt", os.path.join(d, "here.txt"))
        assert open(os.path.join(d, "here.txt")).read() == "hello\n"
        s.aws(aws, "s3", "mv", os.path.join(d, "here.txt"), base + "there.txt")
        assert not os.path.exists(os.path.join(d, "here.txt"))
        assert "there.txt" in s.aws(aws, "s3", "ls", base).stdout

        os.remove(os.path.join(src, "a.txt"))
        s.aws(aws, "s3", "sync", "--delete", src, base)
        names = s.aws(aws, "s3", "ls", "--recursive", base).stdout
        assert "/a.txt" not in names and "there.txt" not in names and "big.bin" in names, names

        s.aws(aws, "s3", "rm", "--recursive", base)
        left = s.aws(aws, "s3", "ls", "--recursive", base, check=False)
        assert left.stdout == "", left.stdout


def presigned(s, aws):
    s.aws(aws, "s3", "cp", "-", "s3://example/main/pre signed.txt", stdin="by link")
    url = s.aws(aws, "s3", "presign", "s3://example/main/pre signed.txt", "--expires-in", "60").stdout.strip()
    context = ssl.create_default_context(cafile=s.cert) if s.tls else None
    with urllib.request.urlopen(url, context=context) as r:
        assert r.read() == b"by link"
        assert r.headers["ETag"] == '"%s"' % md5(b"by link")
    try:
        urllib.request.urlopen(url.replace("pre%20signed", "pre%20forged"), context=context)
    except urllib.error.HTTPError as e:
        assert e.code == 403 and b"SignatureDoesNotMatch" in e.read()
    else:
        raise AssertionError("a forged link was served")


def buckets_and_errors(s, aws):
    out = s.aws(aws, "s3", "ls").stdout
    assert "example" in out and "other" in out, out
    assert "PRE main/" in s.aws(aws, "s3", "ls", "s3://example").stdout
    assert "PRE main/" in s.aws(aws, "s3", "ls", "s3://example/").stdout
    s.aws(aws, "s3api", "head-bucket", "--bucket", "example")
    where = s.aws(aws, "s3api", "get-bucket-location", "--bucket", "example").stdout
    assert "null" in where or "us-east-1" in where, where
    for args, code in ((["s3", "cp", "s3://example/main/absent", "-"], "404"),
                       (["s3", "ls", "s3://absent-bucket"], "NoSuchBucket"),
                       (["s3", "cp", "/etc/hostname", "s3://example/no-such-branch/x"], "NoSuchBucket"),
                       (["s3api", "put-object-acl", "--bucket", "example", "--key", "main/x", "--acl",
                         "public-read"], "NotImplemented")):
        done = s.aws(aws, *args, check=False)
        assert done.returncode != 0 and code in done.stderr, (args, done.stderr)


def every(s):
    programs = aws_programs()
    assert len(programs) == 2, programs
    for aws in programs:
        round_trip(s, aws)
        presigned(s, aws)
        buckets_and_errors(s, aws)


def test_aws_cli_over_http():
    with Server(repos=("example", "other")) as s:
        every(s)


def test_aws_cli_over_https():
    with Server(repos=("example", "other"), tls=True) as s:
        every(s)


if __name__ == "__main__":
    main(globals())
