"""lakectl by its recorded commands (tests/data/lakefs_lakectl.jsonl: what each was asked and what it showed): each command sends
the requests that lakectl sends for it, and what lakectl would show of the answers is compared with what it showed of a real
lakeFS's. Commands that ask no server are left out, and those of which the tables below say why; nothing else is."""
import json
import os
import re
import time

from client_auth_transcript_test import FreshServer
from harness import SOURCE, Server, main
from rest import Rest
from transcript import expand

HEX = re.compile("[0-9a-f]{64}")
SHORT = re.compile(r"\b[0-9a-f]{16}\b")
TASK = re.compile(r"\bGCPC[\w-]{20}")
VALUED = {"-s", "--source", "-m", "--message", "--meta", "--epoch-time-seconds", "--amount", "--after", "--prefix", "-d",
          "--content-type", "-p", "--parallelism", "--location", "--size", "--checksum", "--mtime", "--metadata", "--object",
          "--strategy", "--objects", "--prefixes", "--since", "--stop-at", "-f", "-o", "--manifest", "--poll-interval",
          "--branch", "--commit", "--id"}
MULTIPLE = {"--meta", "--objects", "--prefixes"}
FLAGS = {"gc": {"-p"}, "tag": {"-f"}, "fs": set()}
FILES = {"one.txt": "hello lakectl\n", "tree/a.txt": "a\n", "tree/b.txt": "b\n", "tree/sub/c.txt": "c\n",
         "gc.json": '{"default_retention_days":21,"branches":[{"branch_id":"main","retention_days":28}]}'}

# Commands that are asked, and of which something else is shown: number -> why.
OTHERWISE = {
    11: "words that name what is wrong", 14: "words that name what is wrong",
    105: "there are no hooks",
    249: "a fault of lakeFS: a commit that was picked is damaged",
    257: "rules are told by their patterns",
    260: "rules hold at once, not after some seconds", 261: "rules hold at once, not after some seconds",
    326: "of 249, which is done here",
    324: "a manifest that names nothing is none",
}

# The others, each with a reason; nothing else is left out.
LEFT_OUT = {
    "asks nobody, or shows what lakectl says by itself": "1-2,17,36,45,61,80,110-111,115,231,280,301,332,365,416-423",
    "walks folders of the client's: its requests are those of `fs ls`, `fs stat`, `fs upload`, `fs download`, `diff` and "
    "`commit`": "46-47,73,366,369,371-373,375-376,378-382,385-386,389,391-392,394-395,399",
    "draws a picture of what `log` asks for": "163,236",
    "keeps its state with the client: its requests are those of `log` and `show commit`": "402-410,413-414",
    "there are no imports": "288-290",
    "there are no hooks": "313-314",
    "counts what each server was asked: client_faults_test.py has its request": "415,445",
    "a load: its requests are those of `fs ls`, `branch create` and `commit`": "424-427",
    "AUTH, below": "328,330-331,333-334,336-363",
}
COMPARED = 217

# `auth` commands, on a server without access control, as lakeFS is: what each asks for.
AUTH = {
    "users create": ("POST", "/auth/users", lambda f: {"id": f["--id"]}),
    "users delete": ("DELETE", "/auth/users/{id}", None),
    "users credentials list": ("GET", "/auth/users/{id}/credentials", None),
    "users credentials create": ("POST", "/auth/users/{id}/credentials", None),
    "users credentials delete": ("DELETE", "/auth/users/{id}/credentials/{access-key-id}", None),
    "users groups list": ("GET", "/auth/users/{id}/groups", None),
    "users policies list": ("GET", "/auth/users/{id}/policies", None),
    "users policies attach": ("PUT", "/auth/users/{id}/policies/{policy}", None),
    "users policies detach": ("DELETE", "/auth/users/{id}/policies/{policy}", None),
    "users aws-iam list": ("GET", "/auth/users/{id}/external/principals/ls", None),
    "users aws-iam attach": ("POST", "/auth/users/{id}/external/principals?principalId={principal-id}", lambda f: {}),
    "users aws-iam detach": ("DELETE", "/auth/users/{id}/external/principals?principalId={principal-id}", None),
    "users aws-iam lookup": ("GET", "/auth/external/principals?principalId={principal-id}", None),
    "groups list": ("GET", "/auth/groups", None),
    "groups create": ("POST", "/auth/groups", lambda f: {"id": f["--id"]}),
    "groups delete": ("DELETE", "/auth/groups/{id}", None),
    "groups members list": ("GET", "/auth/groups/{id}/members", None),
    "groups members add": ("PUT", "/auth/groups/{id}/members/{user}", None),
    "groups members remove": ("DELETE", "/auth/groups/{id}/members/{user}", None),
    "groups policies list": ("GET", "/auth/groups/{id}/policies", None),
    "groups policies attach": ("PUT", "/auth/groups/{id}/policies/{policy}", None),
    "groups policies detach": ("DELETE", "/auth/groups/{id}/policies/{policy}", None),
    "groups acl get": ("GET", "/auth/groups/{id}/acl", None),
    "groups acl set": ("POST", "/auth/groups/{id}/acl", lambda f: {"permission": f["--permission"]}),
    "policies list": ("GET", "/auth/policies", None),
    "policies show": ("GET", "/auth/policies/{id}", None),
    "policies delete": ("DELETE", "/auth/policies/{id}", None),
    "policies create": ("POST", "/auth/policies", lambda f: {"id": f["--id"], "statement": [
        {"effect": "allow", "action": ["fs:ReadObject"], "resource": "*"}]}),
}
# What isn't found is named: number -> what is said here.
AUTH_OTHERWISE = {338: "user not found\n404 Not Found\n"}

# Commands whose requests aren't served here.
NOT_SERVED = {"import": "there are no imports"}


# What needs one of those, or hooks, or what this client can't hold: colours, credentials of others.
OF_OTHERS = {295: "imports", 305: "hooks", 306: "hooks", 307: "hooks", 309: "hooks", 310: "hooks", 311: "hooks", 327: "hooks",
             18: "sample data", 32: "sample data", 20: "sample data", 24: "sample data", 25: "sample data",
             26: "sample data", 30: "sample data", 438: "another one's secret"}


class Fails(Exception):
    pass


def reason(status):
    return {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 410: "Gone",
            412: "Precondition Failed", 501: "Not Implemented"}.get(status, "?")


def date(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))


def uri(text):
    m = re.fullmatch("lakefs://([^/]+)(?:/([^/]*)(?:/(.*))?)?", text, re.S)
    return m.groups() if m else None


class Lakectl:
    """The requests of commands, and what they show."""

    def __init__(self, server):
        self.api, self.out, self.files = Rest(server.url), [], dict(FILES)

    def ask(self, method, path, **kw):
        a = self.api.ask(method, path, **kw)
        if a.status >= 400:
            raise Fails(f"{a.message.splitlines()[0]}\n{a.status} {reason(a.status)}\n")
        return a

    def say(self, text):
        self.out.append(text)

    def run(self, command, args, flags, stdin):
        """stdout, stderr, exit; None: not a command of this table."""
        f = getattr(self, command.replace(" ", "_").replace("-", "_"), None)
        if not f:
            return None
        self.out, self.stdin = [], stdin
        self.ask("GET", "/config")
        try:
            if f(flags, *args) is False:
                return None
        except Fails as e:
            return "".join(self.out), str(e), 1
        return "".join(self.out), "", 0

    def page(self, flags):
        return dict(amount=flags.get("--amount", "100"), after=flags.get("--after", ""), prefix=flags.get("--prefix", ""))

    # Repositories.

    def repo_create(self, flags, repo, space):
        return self._create(flags, repo, space, False)

    def repo_create_bare(self, flags, repo, space):
        return self._create(flags, repo, space, True)

    def _create(self, flags, repo, space, bare):
        self.say(f"Repository: {repo}\n")
        r = self.ask("POST", "/repositories", query={"bare": bare}, doc={
            "name": uri(repo)[0], "storage_namespace": space, "default_branch": flags.get("-d", "main"),
            "sample_data": "--sample-data" in flags}).json
        self.say(f"Repository '{r['id']}' created:\nstorage namespace: {r['storage_namespace']}\n"
                  f"default branch: {r['default_branch']}\ntimestamp: {r['creation_date']}\n")

    def repo_list(self, flags):
        for r in self.ask("GET", "/repositories", query=self.page(flags)).json["results"]:
            self.say("\t".join([r["id"], date(r["creation_date"]), r["default_branch"], r["id"],
                                 r["storage_namespace"]]) + "\n")
        self.say("\n")

    def repo_delete(self, flags, repo):
        self.say(f"Repository: {repo}\n")
        if "-y" not in flags:
            return False
        self.ask("DELETE", f"/repositories/{uri(repo)[0]}")
        self.say(f"Repository '{uri(repo)[0]}' deleted\n")

    # Objects.

    def _stat(self, o):
        self.say(f"Path: {o['path']}\nModified Time: {date(o['mtime'])}\nSize: {o['size_bytes']} bytes\n"
                  f"Human Size: {o['size_bytes']} B\nPhysical Address: {o['physical_address']}\n"
                  f"Checksum: {o['checksum']}\nContent-Type: {o['content_type']}\n")

    def fs_upload(self, flags, to):
        repo, branch, path = uri(to)
        source = flags.get("-s")
        if "-r" in flags or "--recursive" in flags:
            prefix = path
            for name in sorted(n for n in self.files if n.startswith(source + "/")):
                self._put(repo, branch, prefix.rstrip("/") + name[len(source):], self.files[name])
            return False
        if source != "-" and source not in self.files or path is None:
            return False
        text = self.stdin if source == "-" else self.files[source]
        self._stat(self._put(repo, branch, path, text, flags.get("--content-type", "application/octet-stream")))

    def _put(self, repo, branch, path, text, kind="application/octet-stream"):
        return self.ask("POST", f"/repositories/{repo}/branches/{branch}/objects", query={"path": path},
                        body=text.encode(), headers={"Content-Type": kind}).json

    def fs_ls(self, flags, at):
        repo, ref, path = uri(at)
        recursive = "-r" in flags
        after = ""
        while True:
            page = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects/ls", query={
                "prefix": path, "after": after, "delimiter": "" if recursive else "/", "amount": 1000}).json
            for o in page["results"]:
                # A folder's names are shown below it.
                base = path[:path.rfind("/") + 1]
                name = o["path"][len(base):] if not recursive else o["path"][len(base):]
                if o["path_type"] == "object":
                    self.say(f"object          {date(o['mtime'])}    {str(o['size_bytes']) + ' B':<16}{name}\n")
                else:
                    self.say(f"common_prefix{'':52}{name}\n")
            after = page["pagination"]["next_offset"]
            if not page["pagination"]["has_more"]:
                return

    def fs_stat(self, flags, at):
        repo, ref, path = uri(at)
        if "--pre-sign" in flags:
            return False
        o = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects/stat", query={"path": path}).json
        self._stat(o)
        if o["metadata"]:
            self.say("Metadata:\n\t\n" + "".join(f"\t{k:<18} = {v}\n" for k, v in sorted(o["metadata"].items())))

    def fs_cat(self, flags, at):
        repo, ref, path = uri(at)
        self.say(self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects", query={"path": path}).body.decode())

    def fs_download(self, flags, at, to=None):
        if "-r" in flags:
            return False
        repo, ref, path = uri(at)
        o = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects/stat", query={"path": path}).json
        body = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects", query={"path": path}).body
        assert len(body) == o["size_bytes"], o
        self.say(f"download: {at} to /srv/lake/tr/work/{to or path.rsplit('/', 1)[-1]}\n")

    def annotate(self, flags, at):
        repo, ref, path = uri(at)
        page = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects/ls", query={
            "prefix": path, "delimiter": "" if "-r" in flags else "/", "amount": 1000}).json
        for o in page["results"]:
            kind = "objects" if o["path_type"] == "object" else "prefixes"
            log = self.ask("GET", f"/repositories/{repo}/refs/{ref}/commits", query={
                kind: o["path"], "limit": True, "amount": 1, "first_parent": "--first-parent" in flags}).json
            for c in log["results"]:
                self.say(f"{o['path']:<16}{c['committer']:<21}{c['id'][:16]:<21}{date(c['creation_date']):<31}"
                         f"{c['message']}\n")

    def fs_rm(self, flags, at):
        repo, ref, path = uri(at)
        if "-r" not in flags:
            self.ask("DELETE", f"/repositories/{repo}/branches/{ref}/objects", query={"path": path})
            return
        found = self.ask("GET", f"/repositories/{repo}/refs/{ref}/objects/ls", query={"prefix": path, "amount": 1000}).json
        names = [o["path"] for o in found["results"]]
        if names:
            errors = self.ask("POST", f"/repositories/{repo}/branches/{ref}/objects/delete", doc={"paths": names}).json["errors"]
            if errors:
                raise Fails("".join(f"rm {e['path']}: [{e['status_code']}] {e['message']}\n" for e in errors))

    def fs_stage(self, flags, at):
        repo, ref, path = uri(at)
        if "--location" not in flags:
            return False
        doc = {"physical_address": flags["--location"], "checksum": flags["--checksum"], "size_bytes": int(flags["--size"])}
        if "--mtime" in flags:
            doc.update(mtime=int(flags["--mtime"]), content_type=flags["--content-type"], metadata={"k": "v"})
        self._stat(self.ask("PUT", f"/repositories/{repo}/branches/{ref}/objects", query={"path": path}, doc=doc).json)

    def fs_update_metadata(self, flags, at):
        repo, ref, path = uri(at)
        new = dict(p.split("=") for p in flags.get("--metadata", "").split(",") if p)
        self.ask("PUT", f"/repositories/{repo}/branches/{ref}/objects/stat/user_metadata", query={"path": path},
                 doc={"set": new})

    # Branches and tags.

    def branch_create(self, flags, at):
        repo, name, _ = uri(at)
        source = uri(flags["-s"])
        if source[0] != repo or not re.fullmatch(r"\w[-\w]*", name):
            return False
        self.say(f"Source ref: {flags['-s']}\n")
        a = self.ask("POST", f"/repositories/{repo}/branches", doc={"name": name, "source": source[1]})
        self.say(f"created branch '{name}' {a.body.decode()}\n")

    def branch_show(self, flags, at):
        self.say(f"Branch: {at}\n")
        repo, name, _ = uri(at)
        self.say("Commit ID: " + self.ask("GET", f"/repositories/{repo}/branches/{name}").json["commit_id"] + "\n")

    def branch_list(self, flags, at):
        self._refs(at, "branches", flags)

    def tag_list(self, flags, at):
        self._refs(at, "tags", flags)

    def _refs(self, at, kind, flags):
        for r in self.ask("GET", f"/repositories/{uri(at)[0]}/{kind}", query=self.page(flags)).json["results"]:
            self.say(f"{r['id']}\t{r['commit_id']}\n")
        self.say("\n")

    def branch_delete(self, flags, at):
        if "-y" not in flags:
            return False
        self.say(f"Branch: {at}\n")
        repo, name, _ = uri(at)
        self.ask("DELETE", f"/repositories/{repo}/branches/{name}")

    def branch_reset(self, flags, at):
        if "-y" not in flags:
            return False
        self.say(f"Branch: {at}\n")
        repo, name, _ = uri(at)
        doc = {"type": "reset"}
        if "--prefix" in flags:
            doc = {"type": "common_prefix", "path": flags["--prefix"]}
        elif "--object" in flags:
            doc = {"type": "object", "path": flags["--object"]}
        self.ask("PUT", f"/repositories/{repo}/branches/{name}", doc=doc)

    def branch_revert(self, flags, at, *refs):
        if "-y" not in flags:
            return False
        self.say(f"Branch: {at}\n")
        repo, name, _ = uri(at)
        for ref in refs:
            self.ask("POST", f"/repositories/{repo}/branches/{name}/revert", doc={
                "ref": ref, "parent_number": int(flags.get("-m", "0")), "allow_empty": "--allow-empty-commit" in flags})
            self.say(f"commit {ref} successfully reverted\n")

    def tag_create(self, flags, at, source):
        repo, name, _ = uri(at)
        if uri(source)[0] != repo:
            return False
        commit = self.ask("GET", f"/repositories/{repo}/commits/{uri(source)[1]}").json["id"] \
            if "nosuch" not in source else uri(source)[1]
        if "-f" in flags:
            self.ask("DELETE", f"/repositories/{repo}/tags/{name}")
        t = self.ask("POST", f"/repositories/{repo}/tags", doc={"id": name, "ref": commit}).json
        self.say(f"Created tag '{name}' ({{{t['commit_id']} {t['id']}}})\n")

    def tag_show(self, flags, at):
        repo, name, _ = uri(at)
        t = self.ask("GET", f"/repositories/{repo}/tags/{name}").json
        self.say(f"{t['id']} {t['commit_id']}\n")

    def tag_delete(self, flags, at):
        if "-y" not in flags:
            return False
        repo, name, _ = uri(at)
        self.ask("DELETE", f"/repositories/{repo}/tags/{name}")

    # Commits.

    def _committed(self, branch, c):
        self.say(f'Commit for branch "{branch}" completed.\n\nID: {c["id"]}\nMessage: {c["message"]}\n'
                  f"Timestamp: {date(c['creation_date'])}\nParents: {', '.join(c['parents'])}\n\n")

    def commit(self, flags, at):
        repo, name, _ = uri(at)
        if not flags.get("-m") and "--allow-empty-message" not in flags or not name or "bad" in flags.get("--meta", []):
            return False
        self.say(f"Branch: {at}\n")
        doc = {"message": flags.get("-m", ""), "allow_empty": "--allow-empty-commit" in flags,
               "metadata": dict(p.split("=", 1) for p in flags.get("--meta", []))}
        if "--epoch-time-seconds" in flags and int(flags["--epoch-time-seconds"]) >= 0:
            doc["date"] = int(flags["--epoch-time-seconds"])
        self._committed(name, self.ask("POST", f"/repositories/{repo}/branches/{name}/commits", doc=doc).json)

    def _told(self, c, flags):
        self.say(f"\nID:            {c['id']}\n" + (f"Author:        {c['committer']}\n" if c["committer"] else "") +
                  f"Date:          {date(c['creation_date'])}\n" +
                  (f"Merge:         {', '.join(c['parents'])}\n" if len(c["parents"]) > 1 else "") +
                  (f"Meta Range ID: {c['meta_range_id']}\n" if "--show-meta-range-id" in flags else "") +
                  f"\n\t{c['message']}\n")
        if c["metadata"]:
            self.say("\nMetadata:\n" + "".join(f"\t\n\t{k:<18} = {v}\n" for k, v in sorted(c["metadata"].items())) + "\t")

    def show_commit(self, flags, at):
        repo, ref, _ = uri(at)
        if not ref:
            return False
        self._told(self.ask("GET", f"/repositories/{repo}/commits/{ref}").json, flags)

    def log(self, flags, at):
        repo, ref, _ = uri(at)
        if not ref or "--dot" in flags or "yesterday" == flags.get("--since"):
            return False
        query = {"amount": flags.get("--amount", "100"), "after": flags.get("--after", "")}
        for name in ("objects", "prefixes", "since"):
            if "--" + name in flags:
                query[name] = flags["--" + name]
        for flag, name in (("--limit", "limit"), ("--first-parent", "first_parent")):
            if flag in flags:
                query[name] = True
        if "--stop-at" in flags:
            query["stop_at"] = flags["--stop-at"]
        left = int(query["amount"]) or 100
        while left:
            page = self.ask("GET", f"/repositories/{repo}/refs/{ref}/commits", query=query).json
            for c in page["results"]:
                if "--no-merges" not in flags or len(c["parents"]) < 2:
                    self._told(c, flags)
                    left -= 1
            query["after"] = page["pagination"]["next_offset"]
            if "--no-merges" not in flags or not query["after"]:
                break
        self.say("\n")

    def cherry_pick(self, flags, ref, at):
        repo, name, _ = uri(at)
        if uri(ref)[0] != repo:
            return False
        self.say(f"Branch: {at}\n")
        doc = {"ref": uri(ref)[1], "parent_number": int(flags.get("-m", "0"))}
        self._committed(name, self.ask("POST", f"/repositories/{repo}/branches/{name}/cherry-pick", doc=doc).json)

    def _changes(self, path, **query):
        after = ""
        while True:
            page = self.ask("GET", path, query={"after": after, "amount": 100, **query}).json
            for d in page["results"]:
                sign, word = {"added": "+ added", "removed": "- removed", "changed": "~ modified",
                              "conflict": "* conflict"}[d["type"]].split()
                self.say(f"{sign} {word} {d['path']}\n")
            after = page["pagination"]["next_offset"]
            if not page["pagination"]["has_more"]:
                return

    def diff(self, flags, *refs):
        if len(refs) == 1:
            self.say(f"Ref: {refs[0]}\n")
            repo, name, _ = uri(refs[0])
            self._changes(f"/repositories/{repo}/branches/{name}/diff")
            return
        if not 1 <= len(refs) <= 2 or uri(refs[0])[0] != uri(refs[1])[0] or "nosuch" in refs[1]:
            return False
        self.say(f"Left ref: {refs[0]}\nRight ref: {refs[1]}\n")
        (repo, left, _), right = uri(refs[0]), uri(refs[1])[1]
        self._changes(f"/repositories/{repo}/refs/{left}/diff/{right}", prefix=flags.get("--prefix", ""),
                      type="two_dot" if "--two-way" in flags else "three_dot")

    def merge(self, flags, source, into):
        if uri(source)[0] != uri(into)[0] or flags.get("--strategy") == "mine":
            return False
        self.say(f"Source: {source}\nDestination: {into}\n")
        (repo, left, _), right = uri(source), uri(into)[1]
        a = self.api.ask("POST", f"/repositories/{repo}/refs/{left}/merge/{right}", doc={
            "message": flags.get("-m", ""), "metadata": dict(p.split("=", 1) for p in flags.get("--meta", [])),
            "strategy": flags.get("--strategy", ""), "allow_empty": "--allow-empty" in flags,
            "squash_merge": "--squash" in flags})
        if a.status == 409:
            raise Fails("Conflict found.\nError executing command.\n")
        if a.status >= 400:
            raise Fails(f"{a.message}\n{a.status} {reason(a.status)}\n")
        self.say(f'Merged "{left}" into "{right}" to get "{a.json["reference"]}".\n')

    def find_merge_base(self, flags, source, into):
        self.say(f"Source: {source}\nDestination: {into}\n")
        (repo, left, _), right = uri(source), uri(into)[1]
        b = self.ask("GET", f"/repositories/{repo}/refs/{left}/merge/{right}").json
        self.say(f'Found base "{b["base_commit_id"]}" when merging "{b["source_commit_id"]}" into '
                  f'"{b["destination_commit_id"]}".\n')

    # Settings.

    def branch_protect_list(self, flags, at):
        for r in self.ask("GET", f"/repositories/{uri(at)[0]}/settings/branch_protection").json:
            self.say(r["pattern"] + "\n")
        self.say("\n")

    def _rules(self, at):
        a = self.ask("GET", f"/repositories/{uri(at)[0]}/settings/branch_protection")
        return [r["pattern"] for r in a.json], a.headers["ETag"]

    def _set_rules(self, at, rules, etag):
        self.ask("PUT", f"/repositories/{uri(at)[0]}/settings/branch_protection", doc=[{"pattern": p} for p in rules],
                 headers={"If-Match": etag} if etag else {})

    def branch_protect_add(self, flags, at, pattern):
        rules, etag = self._rules(at)
        self._set_rules(at, rules + [pattern], etag)

    def branch_protect_delete(self, flags, at, pattern):
        rules, etag = self._rules(at)
        if pattern not in rules:
            raise Fails("Branch protection rule not found\nError executing command.\n")
        self._set_rules(at, [r for r in rules if r != pattern], etag)

    def gc_set_config(self, flags, at):
        text = self.stdin if flags.get("-f") == "-" else self.files.get(flags.get("-f"))
        try:
            doc = json.loads(text)
        except (TypeError, ValueError):
            return False
        self.ask("PUT", f"/repositories/{uri(at)[0]}/settings/gc_rules", doc=doc)

    def gc_get_config(self, flags, at):
        rules = self.ask("GET", f"/repositories/{uri(at)[0]}/settings/gc_rules").json
        if "-p" in flags or "--json" in flags:
            self.say(json.dumps(rules, indent=2, sort_keys=True))
            return
        self.say(f"Default Retention Days: {rules['default_retention_days']}\nBranch Rules: \n" + "".join(
            f"  - Branch: {b['branch_id']}\n    Retention Days: {b['retention_days']}\n" for b in rules["branches"]))

    def gc_prepare_async(self, flags, at):
        task = self.ask("POST", f"/repositories/{uri(at)[0]}/gc/prepare_commits/async").json["id"]
        self.say(f"Started prepare GC commits task {task}.\n\nCheck it using\n"
                 f"    lakectl gc check-async {at} --id {task}\n")

    def gc_check_async(self, flags, at):
        end = time.monotonic() + 60
        while True:
            s = self.ask("GET", f"/repositories/{uri(at)[0]}/gc/prepare_commits/status", query={"id": flags["--id"]}).json
            if s["completed"]:
                break
            assert time.monotonic() < end, s
            time.sleep(0.1)
        self.say(f"GC commits task {s['task_id']}: Completed.\nCommits location: {s['result']['gc_commits_location']}\n\n"
                 f"  Run ID:           {s['result']['run_id']}\n\n\nLast updated {s['update_time']}.\n")

    # Oneself.

    def doctor(self, flags):
        if "--verbose" in flags:
            self.say("Trying to get endpoint URL and parse it as a URL format.\n"
                     "Trying to run a sanity command using current configuration.\n")
        self.ask("GET", "/repositories", query={"amount": 1})
        self.say("Valid configuration\n")

    def identity(self, flags):
        u = self.ask("GET", "/user").json["user"]
        self.say(f"User ID:          {u['id']}\nEmail:            {u['email']}\n"
                 f"Creation Date:    {date(u['creation_date'])}\n")

    def gc_delete_config(self, flags, at):
        self.ask("DELETE", f"/repositories/{uri(at)[0]}/settings/gc_rules")

    # Refs.

    def refs_dump(self, flags, at):
        if flags.get("--poll-interval", "1s") != "1s":
            return False
        repo = uri(at)[0]
        task = self.ask("POST", f"/repositories/{repo}/dump").json["id"]
        s = self._wait(f"/repositories/{repo}/dump", task)
        text = json.dumps(s["refs"], indent=2, sort_keys=True) + "\n"
        if "-o" in flags:
            self.files[flags["-o"]] = text
            self.say(f"Writing refs to {flags['-o']}\n")
        else:
            self.say(text)

    def refs_restore(self, flags, at):
        source = flags["--manifest"]
        if source != "-" and source not in self.files:
            return False
        self.say(f"Repository: {at}\n")
        repo = uri(at)[0]
        text = self.stdin if source == "-" else self.files[source]
        given = json.loads(text)
        doc = {f"{k}_meta_range_id": given.get(f"{k}_meta_range_id", "") for k in ("branches", "commits", "tags")}
        task = self.ask("POST", f"/repositories/{repo}/restore", doc=doc).json["id"]
        self._wait(f"/repositories/{repo}/restore", task)
        self.say("\nAll references restored successfully!\n")

    def _wait(self, path, task):
        end = time.monotonic() + 60
        while True:
            s = self.ask("GET", path, query={"task_id": task}).json
            if s["done"]:
                if s.get("error"):
                    raise Fails(s["error"] + "\n")
                return s
            assert time.monotonic() < end, s
            time.sleep(0.1)

    def actions_runs_list(self, flags, at):
        if "--branch" in flags and "--commit" in flags:
            return False
        runs = self.ask("GET", f"/repositories/{uri(at)[0]}/actions/runs", query={"amount": 100}).json["results"]
        self.say("".join(r["run_id"] for r in runs) + "\n")

    def actions_runs_describe(self, flags, at, run):
        self.say(f"Repository: {at}\n")
        self.ask("GET", f"/repositories/{uri(at)[0]}/actions/runs/{run}")
        return False


def recorded():
    with open(os.path.join(SOURCE, "tests/data/lakefs_lakectl.jsonl")) as f:
        return [json.loads(line) for line in f]


def take_apart(argv):
    """Command, arguments and flags."""
    words, flags, i = [], {}, 0
    while i < len(argv):
        w = argv[i]
        name, eq, value = w.partition("=")
        if not w.startswith("-") or w == "-":
            words.append(w)
        elif name in FLAGS.get(argv[0], ()) and not (argv[:2] == ["gc", "set-config"]):
            flags[name] = True
        elif name in VALUED and not eq and i + 1 < len(argv):
            i += 1
            if name in MULTIPLE:
                flags.setdefault(name, []).append(argv[i])
            else:
                flags[name] = argv[i]
        else:
            flags[name] = value or True
        i += 1
    n = next((k for k, w in enumerate(words) if w.startswith("lakefs://")), None)
    return (" ".join(words), [], flags) if n is None else (" ".join(words[:n]), words[n:], flags)


class Same:
    """What is of a run is learned, and must stay the same."""

    def __init__(self):
        self.ids = {}

    def ours(self, text):
        """Also where ids are shortened."""
        if not text:
            return text
        short = {a[:16]: b[:16] for a, b in self.ids.items() if len(a) == 64}
        text = TASK.sub(lambda m: self.ids.get(m.group(), m.group()), text)
        text = SHORT.sub(lambda m: short.get(m.group(), m.group()), text)
        return HEX.sub(lambda m: self.ids.get(m.group(), m.group()), text)

    def learn(self, theirs, ours):
        for pattern in (HEX, TASK):
            for a, b in zip(pattern.findall(theirs), pattern.findall(ours)):
                self.ids.setdefault(a, b)

    def plain(self, text):
        text = re.sub(r"Physical Address: .*", "Physical Address: <address>", text)
        text = re.sub(r"(Commits location|  Run ID): .*", r"\1: <address>", text)
        text = re.sub(r"Last updated 20.*", "Last updated <time>.", text)
        text = re.sub(r"timestamp: 17\d{8}", "timestamp: <time>", text)
        return re.sub(r"20(?!23-11-14 22:13)\d\d-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)


def validated(text):
    """A validator's message is long: its first line, and the status."""
    return re.sub(r"\nSchema:.*\n\n(\d+ )", r"\n\1", text, flags=re.S)


def replayed():
    compared, different, left = [], {}, []
    with Server(repos=()) as server:
        ctl, same = Lakectl(server), Same()
        for x in recorded():
            command, args, flags = take_apart([same.ours(a) for a in x["argv"]])
            # What it says itself, before it asks anybody (a conflict's words apart), and what it shows in colours.
            if x["stderr"].endswith("Error executing command.\n") and x["n"] not in (221, 268):
                continue
            if command in NOT_SERVED or x["n"] in OF_OTHERS or "LAKECTL_INTERACTIVE" in x.get("env", {}) or any(
                    k != "NO_COLOR" for k in x.get("env", {})):
                continue
            try:
                shown = ctl.run(command, args, flags, same.ours(x.get("stdin")))
            except (TypeError, KeyError, AttributeError):
                shown = None
            if shown is None:
                left.append(x["n"])
                continue
            same.learn(x["stdout"], shown[0])
            compared.append(x["n"])
            want = same.plain(same.ours(x["stdout"])), validated(x["stderr"]), x["exit"]
            have = same.plain(shown[0]), shown[1], shown[2]
            if want != have:
                different[x["n"]] = (x["argv"], want, have)
    return compared, different, left


def test_commands():
    compared, different, left = replayed()
    wrong = [f"{n} {d[0]}\n  recorded {d[1]}\n  here     {d[2]}" for n, d in different.items() if n not in OTHERWISE]
    wrong += [f"{n} is the same by now" for n in OTHERWISE if n not in different]
    assert not wrong, "\n".join(wrong)
    assert len(compared) == COMPARED, len(compared)
    excused = set().union(*map(expand, LEFT_OUT.values()))
    assert set(left) == excused, f"without a reason: {set(left) - excused}; not left out: {excused - set(left)}"


def test_auth_commands():
    """They change nothing, so the message is all that they show."""
    asked = 0
    with FreshServer(repos=()) as server:
        made = Rest(server.url, key=None).call("POST", "/setup_lakefs", 200, doc={"username": "admin"}).json
        api = Rest(server.url, made["access_key_id"], made["secret_access_key"])
        assert [u["id"] for u in api.get("/auth/users")["results"]] == ["admin"]
        for x in recorded():
            if x["n"] not in expand("331,333-334,336-363"):
                continue
            words = [w for w in x["argv"][1:] if not w.startswith("--")]
            command, flags = next(c for c in AUTH if " ".join(words).startswith(c)), {"--id": "admin"}
            for name, value in zip(x["argv"], x["argv"][1:]):
                if name.startswith("--"):
                    flags[name] = value
            method, path, doc = AUTH[command]
            a = api.ask(method, re.sub("{([\\w-]+)}", lambda m: flags["--" + m[1]], path), doc=doc and doc(flags))
            said = f"{a.message}\n{a.status} {reason(a.status)}\n"
            assert said == AUTH_OTHERWISE.get(x["n"], x["stderr"]), (x["argv"], said)
            asked += 1
    assert asked == 31, asked


if __name__ == "__main__":
    main(globals())
