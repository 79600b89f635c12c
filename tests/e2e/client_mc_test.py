"""MinIO's mc, unmodified."""
import json
import os

from cli_tools import FILES, Tool, every_place, fetch, same_tree, started
from harness import KEY, SECRET, go_tool, main, md5, write_tree


class Mc(Tool):
    def __init__(self, server, folder):
        super().__init__(server, folder)
        self("alias", "set", "s", server.url, KEY, SECRET, "--api", "S3v4", "--path", "on")

    def command(self, *args):
        return [go_tool("mc"), "--config-dir", os.path.join(self.folder, "mc"), "--quiet", "--no-color",
                "--disable-pager", *args]

    def records(self, *args):
        return [json.loads(line) for line in self("--json", *args).splitlines()]

    def names(self, base):
        return sorted(r["key"] for r in self.records("ls", "--recursive", base + "/"))


def trees(s, m, d, bucket, root):
    base, src, dst = f"s/{bucket}/{root}tree", os.path.join(d, "src"), os.path.join(d, "dst")
    write_tree(src, FILES)
    m("mirror", src, base)
    assert m.names(base) == sorted(FILES)
    assert m.records("diff", src, base) == []
    assert not [r for r in m.records("mirror", src, base) if r.get("source")], "an unchanged tree was sent again"
    m("mirror", base, dst)
    same_tree(src, dst)
    write_tree(src, {"a.txt": b"HELLO\n\n", "new/one": b"1"})
    os.remove(os.path.join(src, "xy/z"))
    assert len(m.records("diff", src, base)) == 3
    m("mirror", "--overwrite", "--remove", src, base)
    assert m.records("diff", src, base) == []
    m("mirror", "--overwrite", "--remove", base, dst)
    same_tree(src, dst)

    files = {os.path.relpath(os.path.join(p, f), src): os.path.getsize(os.path.join(p, f))
             for p, _, fs in os.walk(src) for f in fs}
    found = m("find", base, "--name", "*.txt").split("\n")[:-1]
    assert sorted(found) == sorted(f"{base}/{n}" for n in files if n.endswith(".txt")), found
    du = m.records("du", base)[-1]
    assert (du["size"], du["objects"]) == (sum(files.values()), len(files)), du
    tree = m("tree", "--files", base)
    assert "multipart.bin" in tree and "deep" in tree, tree
    assert sorted(r["key"] for r in m.records("ls", base + "/")) == \
        ["a.txt", "dir/", "empty", "multipart.bin", "new/", "x"]

    m("cp", "--recursive", base + "/", base + "2/")
    assert m.names(base + "2") == sorted(files)
    m("mv", "--recursive", base + "2/", base + "3/")
    assert m.names(base + "2") == [] and m.names(base + "3") == sorted(files)
    m("cp", "--recursive", base + "3/", dst + "3/")
    same_tree(src, dst + "3")
    m("rm", "--recursive", "--force", base + "3/dir/")
    assert m.names(base + "3") == sorted(n for n in files if not n.startswith("dir/"))
    m("rm", "--recursive", "--force", f"s/{bucket}/{root}")
    assert m.names(f"s/{bucket}/{root}".rstrip("/")) == []


def single(s, m, d, bucket, root):
    base, at = f"s/{bucket}/{root}one", os.path.join(d, "a.txt")
    with open(at, "w") as f:
        f.write("hello\nworld\n")
    m("cp", "--attr", "k=v;Cache-Control=no-cache;Content-Language=de", at, base + "/a.txt")
    m("cp", base + "/a.txt", base + "/b c+\u00e9.txt")
    m("mv", base + "/b c+\u00e9.txt", base + "/moved.txt")
    for name in ("a.txt", "moved.txt"):
        stat = m.records("stat", f"{base}/{name}")[0]
        assert stat["size"] == 12 and stat["etag"] == md5(b"hello\nworld\n"), stat
        want = {"Cache-Control": "no-cache", "Content-Language": "de", "Content-Type": "text/plain", "X-Amz-Meta-K": "v"}
        assert stat["metadata"] == want, stat
    m("cp", "--attr", "new=other", base + "/a.txt", base + "/more.txt")
    metadata = m.records("stat", base + "/more.txt")[0]["metadata"]
    assert (metadata["X-Amz-Meta-K"], metadata["X-Amz-Meta-New"]) == ("v", "other"), metadata
    assert m("cat", base + "/a.txt") == "hello\nworld\n"
    assert m("cat", "--offset", "6", base + "/a.txt") == "world\n"
    assert m("head", "-n", "1", base + "/a.txt") == "hello\n"
    m("pipe", base + "/piped", stdin="from a pipe")
    assert m("cat", base + "/piped") == "from a pipe"
    m("put", "--part-size", "5MiB", "--parallel", "3", write_bin(d), base + "/parts.bin")
    m("get", base + "/parts.bin", os.path.join(d, "back.bin"))
    with open(os.path.join(d, "back.bin"), "rb") as f:
        assert f.read() == FILES["multipart.bin"]
    assert m.records("stat", base + "/parts.bin")[0]["etag"].endswith("-3")
    m("cp", base + "/parts.bin", base + "/copied.bin")
    assert m("cat", base + "/copied.bin", text=False) == FILES["multipart.bin"]
    assert fetch(m.records("share", "download", "--expire", "1m", base + "/piped")[0]["share"]) == b"from a pipe"
    m("mv", base + "/piped", os.path.join(d, "here"))
    assert open(os.path.join(d, "here")).read() == "from a pipe"
    for verb in ("cat", "stat", "rm"):
        m(verb, base + "/piped", check=False)


def write_bin(d):
    at = os.path.join(d, "m.bin")
    with open(at, "wb") as f:
        f.write(FILES["multipart.bin"])
    return at


def tags(s, m, d, bucket, root):
    at = f"s/{bucket}/{root}tagged"
    m("pipe", at, stdin="x")
    m("tag", "set", at, "colour=deep blue&size=10")
    assert m.records("tag", "list", at)[0]["tagset"] == {"colour": "deep blue", "size": "10"}
    m("tag", "set", at, "one=1")
    assert m.records("tag", "list", at)[0]["tagset"] == {"one": "1"}
    m("tag", "remove", at)
    assert not m.records("tag", "list", at)[0].get("tagset")
    m("cp", "--tags", "k=v", write_bin(d), at + "2")
    m("cp", at + "2", at + "3")
    for copy in (at + "2", at + "3"):
        assert m.records("tag", "list", copy)[0]["tagset"] == {"k": "v"}
    m("tag", "set", at + "-absent", "a=b", check=False)


def uploads(s, m, d, bucket, root):
    b = s.boto3()
    for name in ("a", "b"):
        b.create_multipart_upload(Bucket=bucket, Key=f"{root}up/{name}")
    base = f"s/{bucket}/{root}up"
    assert sorted(r["key"] for r in m.records("ls", "--incomplete", "--recursive", base + "/")) == ["a", "b"]
    m("rm", "--incomplete", "--recursive", "--force", base + "/")
    assert m.records("ls", "--incomplete", "--recursive", base + "/") == []


def test_mc_trees():
    every_place(Mc, trees)


def test_mc_single():
    every_place(Mc, single)


def test_mc_tags():
    every_place(Mc, tags)


def test_mc_uploads():
    every_place(Mc, uploads)


def test_mc_buckets():
    with started(Mc) as (s, m, d):
        m("mb", "s/made")
        m("mb", "s/made", check=False)
        m("mb", "--ignore-existing", "s/made")
        m("mb", "s/example.work")
        m("pipe", "s/example.work/dir/file", stdin="on a branch")
        assert m("cat", "s/example/work/dir/file") == "on a branch"
        assert [r["key"] for r in m.records("ls", "s")] == ["example/", "made/"]
        assert m.records("stat", "s/made")[0]["name"] == "made/"
        m("rb", "--force", "s/made")  # its branches are prefixes: not empty to mc
        m("rb", "--force", "s/example.work")
        assert [r["key"] for r in m.records("ls", "s")] == ["example/"]
        assert [r["key"] for r in m.records("ls", "s/example")] == ["main/"]
        m("ls", "s/absent", check=False)


if __name__ == "__main__":
    main(globals())
