"""docs/how-to/backup.md: its commands, as they are written, against servers with a disk, an S3 and an Azure."""
import contextlib
import os
import re
import shutil
import subprocess
import time

from harness import KEY, SECRET, SOURCE, Server, aws_programs, clean_env, main
from rest import Rest
from services import Azurite, Local, Versitygw

PAGE = os.path.join(SOURCE, "docs", "how-to", "backup.md")
END = "-- end of a block --"
# Of each store that the page names: where its repositories are made, before the page is followed.
NAMES = ("sales", "events", "images")
# Where the page's python3 has Azure's package.
AZURE_BIN = os.path.join(SOURCE, "build", "venv-azure", "bin")


def fill(api, repo, store, space):
    """Something of everything."""
    api.call("POST", "/repositories", 201, doc={"name": repo, "storage_id": store, "storage_namespace": space})
    def put(branch, path, body):
        api.call("POST", f"/repositories/{repo}/branches/{branch}/objects", 201, body=body, query={"path": path},
                 headers={"x-lakefs-meta-k": "v"})
    for i in range(5):
        put("main", f"dir/ключ {i}", os.urandom(1000 * i))
    api.commit(repo, "main", "first", metadata={"who": "Zoë"})
    api.branch(repo, "dev")
    put("dev", "of/dev", b"of dev")
    api.commit(repo, "dev", "on dev")
    put("main", "dir/ключ 1", b"changed")
    api.commit(repo, "main", "second")
    api.merge(repo, "dev", "main", 200)
    api.call("POST", f"/repositories/{repo}/tags", 201, doc={"id": "v1", "ref": "main~1"})


def told(api, repo):
    """All that a reader sees."""
    at = f"/repositories/{repo}"
    heads = {b["id"]: b["commit_id"] for b in api.pages(at + "/branches")}
    tags = {t["id"]: t["commit_id"] for t in api.pages(at + "/tags")}
    out = {"branches": heads, "tags": tags}
    for ref in {*heads.values(), *tags.values()}:
        out[ref] = (api.pages(f"{at}/refs/{ref}/commits"), [
            ({k: v for k, v in o.items() if k != "physical_address"},
             api.call("GET", f"{at}/refs/{ref}/objects", 200, path=o["path"]).body)
            for o in api.pages(f"{at}/refs/{ref}/objects/ls", user_metadata=True)])
    return out


def blocks():
    with open(PAGE) as f:
        return re.findall(r"^```(\w+)\n(.*?)^```$", f.read(), re.M | re.S)


def follow(env, folder):
    found = blocks()
    script, expected = "", []
    for n, (language, text) in enumerate(found):
        if language == "sh":
            says = found[n + 1][1] if n + 1 < len(found) and found[n + 1][0] == "text" else ""
            script += text + f"echo '{END}'\n"
            expected.append((text, says))
    done = subprocess.run(["bash", "-c", "set -eu\n" + script], env=env, cwd=folder, capture_output=True, text=True,
                          timeout=900)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    shown = done.stdout.split(END + "\n")
    for (text, says), got in zip(expected, shown, strict=False):
        assert got == says, (text, says, got)
    assert len(shown) == len(expected) + 1


def azure_connection(azure):
    return (f"DefaultEndpointsProtocol=http;AccountName={azure.account};AccountKey={azure.key};"
            f"BlobEndpoint={azure.url}/{azure.account}")


def check_azure_sync(api, env, folder, azure):
    """The page's script copies what is missing or another one, and nothing else."""
    def sync(of):
        done = subprocess.run(["python3", "azure_sync.py", f"{azure.container}/{of}", f"{azure.container}/again/{of}"],
                              env=env, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done
        m = re.fullmatch(r"(\d+) of (\d+) blobs copied\n", done.stderr)
        assert m and not done.stdout, done
        return int(m[1]), int(m[2])

    first, all_of_them = sync("az-sales")
    assert first == all_of_them > 10, (first, all_of_them)
    assert sync("az-sales") == (0, first)
    # The manifest has as many bytes as before. Beside it there are a body, the tables of a commit, and those of the dump.
    api.call("POST", "/repositories/az-sales/branches/main/objects", 201, body=b"new", query={"path": "new"})
    api.commit("az-sales", "main", "another")
    api.call("PUT", "/repositories/az-sales/refs/dump", 201)
    more, all_of_them = sync("az-sales")
    assert more == all_of_them - first + 1, (more, all_of_them, first)
    # Of a blob that was put together of blocks the service has no MD5: the younger one counts, by whole seconds.
    for data in (b"one", b"two"):
        at = f"/{azure.container}/az-sales/data/of-blocks"
        azure.ask("PUT", at, [("blockid", "MDAw"), ("comp", "block")], data=data)
        azure.ask("PUT", at, [("comp", "blocklist")], data=b"<BlockList><Latest>MDAw</Latest></BlockList>")
        time.sleep(1.1)
        assert sync("az-sales")[0] == 1
        assert sync("az-sales")[0] == 0
        time.sleep(1.1)


def test_page():
    with contextlib.ExitStack() as stack:
        disk, vault = (stack.enter_context(Local(id)) for id in ("disk", "vault"))
        s3, azure = stack.enter_context(Versitygw("s3")), stack.enter_context(Azurite("azure"))
        stores = [s.config() for s in (disk, vault, s3, azure)]
        old, new = (stack.enter_context(Server(stores=stores)) for _ in range(2))
        here, there = Rest(old.url), Rest(new.url)
        before = {}
        for prefix, store in (("", disk), ("s3-", s3), ("az-", azure), ("disk-", disk)):
            for name in NAMES:
                repo = prefix + name
                fill(here, repo, store.id, store.namespace(repo))
                before[repo] = told(here, repo)
        aws = os.path.dirname(aws_programs()[-1])
        env = clean_env(OLD=old.url, NEW=new.url, KEY=KEY, SECRET=SECRET, VAULT="local://vaulted", DISK=disk.folder,
                        BUCKET=s3.bucket, CONTAINER=azure.container, HOME=old.folder,
                        AZURE=f"https://{azure.account}.blob.core.windows.net/{azure.container}",
                        PATH=os.pathsep.join([AZURE_BIN, aws, os.environ["PATH"]]), AWS_ENDPOINT_URL=s3.url,
                        AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID=s3.key, AWS_SECRET_ACCESS_KEY=s3.secret,
                        AZURE_STORAGE_CONNECTION_STRING=azure_connection(azure))
        follow(env, old.folder)
        # The new server, or the old one, has each again; and the clones live without what they are clones of.
        for prefix in ("", "s3-", "az-", "disk-"):
            assert told(there, prefix + "sales") == before[prefix + "sales"], prefix
            assert told(here if not prefix else there, prefix + "events") == before[prefix + "events"], prefix
            here.call("DELETE", f"/repositories/{prefix}images")
            assert told(here, prefix + "images-clone") == before[prefix + "images"], prefix
        check_azure_sync(here, env, old.folder, azure)
        shutil.rmtree(os.path.join(disk.folder, "disk-images"))
        assert told(here, "disk-images-clone") == before["disk-images"]


if __name__ == "__main__":
    main(globals())
