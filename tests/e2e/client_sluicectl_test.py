"""sluicectl by lakectl's recorded commands (tests/data/lakefs_lakectl.jsonl: what each was asked and what it showed): each is run,
by a link named lakectl, against a real server prepared the same way, and what it shows and exits with is compared. What differs
on purpose, and what isn't there, is in the tables below with its reason; nothing else is left out."""
import json
import os
import re
import time

import client_lakectl_test as recordings
from client_auth_transcript_test import FreshServer
from client_lakectl_test import Same, recorded, validated
from harness import SOURCE, Server, main
from rest import Rest
from sluicectl import FILES, Ctl
from transcript import expand

FILES = {**FILES, "gc.json": recordings.FILES["gc.json"], "pol.json": json.dumps(
    [{"effect": "allow", "action": ["fs:ReadObject"], "resource": "*"}])}

# Not run: number -> why.
LEFT_OUT = {
    "there is no `local`": "366-367,369-382,385-401",
    "there is no `bisect`": "402-414",
    "there is no `abuse`": "424-427",
    "there are no imports": "288-295",
    "there are no plugins, no docs, no local validation of hooks": "301-304,416,419",
    "hooks aren't run by the server": "305-314",
    "sample data isn't made by the server": "18,32,33",
    "of those two": "20-21,24-26,30,327",
    "help has words of its own: test_help has its commands and flags": "421",
    "the completion has words of its own: test_completion": "417",
    "counts what each server was asked": "415,445-446",
    "on a server without access control: test_auth": "328-365",
    "asks with drawings of its own, which need a terminal": "428",
}

# Run, and something else is shown: numbers -> (why, what is seen in stdout, in stderr, exit code).
OTHERWISE = {
    "1-2": ("versions of ours", "lakectl version: ", "", 0),
    "11": ("the server's words name what is wrong", "Repository:", "400 Bad Request", 1),
    "14": ("the server's words name what is wrong", "Repository:", "400 Bad Request", 1),
    "35": ("a question is a line on stderr", "Repository: lakefs://repo2\n",
           "Are you sure you want to delete repository: repo2? [y/N] Delete Repository 'repo2' aborted\n\nError executing command.\n", 1),
    "36": ("a question is a line on stderr", "Repository: lakefs://repo2\nRepository 'repo2' deleted\n",
           "Are you sure you want to delete repository: repo2? [y/N] ", 0),
    "37": ("a question is a line on stderr", "Repository: lakefs://repo1\n", "? [y/N] \nDelete Repository 'repo1' aborted\n\nError", 1),
    "48": ("says what to do", "", "read tree: is a directory: use --recursive\nError executing command.\n", 1),
    "74": ("the server's words", "", "not found\n404 Not Found\n", 1),
    "75": ("says what to do", "", "'tree/' names no file: give --recursive", 1),
    "78": ("what was staged is shown whole", "Metadata:\n\t\n\tk                  = v\n", "", 0),
    "95": ("the prefix of one ref's changes counts", "Ref: lakefs://repo1/main\n+ added tree/a.txt\n", "", 0),
    "105": ("there are no hooks", "Branch: lakefs://repo1/nosuch\n", "branch not found\n404 Not Found\n", 1),
    "136": ("a question is a line on stderr", "", "Are you sure you want to delete branch? [y/N] Delete branch aborted\nError", 1),
    "149": ("a question is a line on stderr", "Branch: lakefs://repo1/dev\n", "uncommitted changes? [y/N] Reset aborted\nError", 1),
    "157": ("the server's words", "Left ref: lakefs://repo1/main\nRight ref: lakefs://repo1/nosuch\n", "404 Not Found\n", 1),
    "170": ("words of ours", "", "Failed to parse 'since' - 'yesterday' is no moment", 1),
    "211-212": ("a question is a line on stderr", "", "Are you sure you want to delete tag? [y/N] \nDelete tag aborted\nError", 1),
    "231": ("there are two arguments", "", "accepts 2 arg(s), received 1\n", 1),
    "244": ("a question is a line on stderr", "Branch: lakefs://repo1/m4\n", "? [y/N] Revert aborted\nError", 1),
    "249": ("a fault of lakeFS: a commit that was picked is damaged", "Commit for branch", "", 0),
    "257-258": ("rules are told by their patterns", "prot*", "", 0),
    "260": ("rules hold at once, not after some seconds", "", "cannot write to protected branch\n403 Forbidden\n", 1),
    "261": ("rules hold at once, not after some seconds", "Branch:", "403 Forbidden\n", 1),
    "276-277": ("the last line ends", '"default_retention_days": 21\n}\n', "", 0),
    "278": ("words of ours", "", "the rules are no JSON", 1),
    "324": ("a manifest that names nothing is none", "Repository: lakefs://bare\n",
            "the manifest names no commits (commits_meta_range_id), no branches (branches_meta_range_id), no tags "
            "(tags_meta_range_id): restore what refs-dump printed, or _lakefs/refs_manifest.json of the namespace\n"
            "400 Bad Request\n", 1),
    "325": ("of the imports and the bare repository", "repo1-restored\t", "", 0),
    "326": ("of 249, which is done here", "m3\t", "", 0),
    "418": ("says what there is", "", "bash, zsh or fish", 1),
    "422": ("a slip of the pen is an error", "", 'unknown command "nosuch" for "lakectl repo"', 1),
    "430": ("of the hooks", "one.txt", "", 0),
    "433": ("no word of the URL, which is fine without /api/v1", "secret_access_key value looks suspicious...\n", "", 0),
    "437": ("no word of the URL, which is fine without /api/v1", "access_key_id value looks suspicious: short\n", "", 0),
    "439": ("says where and what to do", "", "can't reach the server at http://127.0.0.1:1 (", 1),
    "441": ("says what to do", "", "server.endpoint_url '127.0.0.1:", 1),
    "442": ("says what is wrong", "", "server.endpoint_url", 1),
    "443": ("says where and what to do", "It looks like endpoint url is wrong.\ncan't reach the server at http://127.0.0.1:1 (", "", 0),
    "444": ("says what to do", "", "no server is named: set server.endpoint_url in ", 1),
}

# lakectl shows the repository's name where the storage's id belongs.
STORAGE_ID = re.compile(r"^([^\t\n]+\t[^\t\n]+\t[^\t\n]+\t)([\w-]*)(\tlocal:\S+)$", re.M)


def plain(same, text):
    text = STORAGE_ID.sub(r"\1\3", same.plain(text))
    text = re.sub(r"\| (\S+) +(\| (?:20\S+ \S+ \+0000 UTC|<time> \+0000 UTC) \| \S+ +\|) (?:\1)? +\| ", r"| \1 \2 ", text)
    text = re.sub(r"/\S+/work/", "/work/", text)
    text = re.sub(r"http://127.0.0.1:\d+/", "<site>/", re.sub("label=< (<b>)?[0-9a-f]{8}", r"label=< \1<id>", text))
    # Threads are done when they are.
    return re.sub(r"(?m)(^(?:up|down)load \S+ +\.\.\. done!\n)+", lambda m: "".join(sorted(m[0].splitlines(True))), text)


def arguments(server, same, x):
    return [re.sub(r"http://127.0.0.1:18323", server.url, same.ours(a)) for a in x["argv"]]


def environment(server, x):
    env = {k: v.replace("http://127.0.0.1:18323", server.url).replace("127.0.0.1:18323", server.url[7:])
           for k, v in x.get("env", {}).items()}
    # Nobody waits for retries here but those who test them.
    env.setdefault("LAKECTL_SERVER_RETRIES_ENABLED", "false")
    return {**env, **dict.fromkeys(x.get("unset_env", []))}


def excuse(n):
    for numbers, what in OTHERWISE.items():
        if n in expand(numbers):
            return what
    return None


def differs(x, done, same, files):
    what = excuse(x["n"])
    have = plain(same, done.stdout), done.stderr, done.returncode
    if what:
        good = (what[1] in have[0] and what[2] in have[1] and what[3] == have[2])
        return None if good else f"otherwise ({what[0]}), but not so"
    same.learn(x["stdout"], done.stdout)
    for name in files:
        same.learn(x["files_after"][name], files[name])
    want = plain(same, same.ours(x["stdout"])), validated(x["stderr"]), x["exit"]
    if want == (have[0], validated(have[1]), have[2]) and all(
            same.ours(x["files_after"][n]) == text for n, text in files.items()):
        return None
    return f"recorded {want}"


def test_recorded_commands():
    left_out = set().union(*map(expand, LEFT_OUT.values()))
    compared, wrong = 0, []
    with Server(repos=()) as server, Ctl(server.url, files=FILES) as ctl:
        same = Same()
        for x in recorded():
            if x["n"] in left_out:
                continue
            done = ctl.lakectl(*arguments(server, same, x), stdin=same.ours(x.get("stdin")), env=environment(server, x), code=None)
            while "check-async" in x["argv"] and "In progress" in done.stdout:
                time.sleep(0.2)
                done = ctl.lakectl(*arguments(server, same, x), env=environment(server, x), code=None)
            files = {}
            for name in x.get("files_after", {}):
                with open(ctl.path(name)) as f:
                    files[name] = f.read()
            why = differs(x, done, same, files)
            if why:
                wrong.append(f"{x['n']} {x['argv']} {x.get('env', '')}\n  {why}\n  here     {(done.stdout, done.stderr, done.returncode)}")
            compared += 1
    assert not wrong, f"{len(wrong)} of {compared}\n" + "\n".join(wrong)
    assert compared + len(left_out) == 446, compared


# Recorded with words of lakectl's own, or of what isn't found; all others of 328-365 are the same.
AUTH_OTHERWISE = {
    330: "the prefix is heeded",
    338: "what isn't found is named",
}


def test_auth():
    with FreshServer(repos=()) as server:
        made = Rest(server.url, key=None).call("POST", "/setup_lakefs", 200, doc={"username": "admin"}).json
        with Ctl(server.url, made["access_key_id"], made["secret_access_key"], FILES) as ctl:
            asked, same, different = 0, Same(), []
            for x in recorded():
                if x["n"] not in expand("328-365"):
                    continue
                done = ctl.lakectl(*x["argv"], env=x.get("env"), code=None)
                want = same.plain(x["stdout"]), x["stderr"], x["exit"]
                if want != (same.plain(done.stdout), done.stderr, done.returncode):
                    different.append((x["n"], x["argv"], done))
                asked += 1
            assert {n for n, _, _ in different} == set(AUTH_OTHERWISE), different
            assert asked == 38, asked


def test_auth_with_access_control():
    with Server(repos=()) as server, Ctl(server.url, files=FILES) as ctl:
        assert ctl("auth", "users", "create", "--id", "bob").stdout.startswith("User created successfully.\nID: bob\n")
        assert "409 Conflict\n" in ctl("auth", "users", "create", "--id", "bob", code=1).stderr
        pair = json.loads(ctl("auth", "users", "credentials", "create", "--id", "bob", "-o", "json").stdout)
        with Ctl(server.url, pair["access_key_id"], pair["secret_access_key"]) as bobs:
            assert bobs("identity").stdout.startswith("User ID:          bob\n")
            assert bobs("repo", "create", "lakefs://bobs", "local://bobs", code=1).stderr.endswith("401 Unauthorized\n")
            assert "not allowed to auth:ListCredentials on arn:lakefs:auth:::user/bob\n401 Unauthorized\n" in \
                bobs("auth", "users", "credentials", "list", code=1).stderr  # of whoever asks
            assert pair["access_key_id"] in ctl("auth", "users", "credentials", "list", "--id", "bob").stdout
            ctl("auth", "policies", "create", "--id", "all", "--statement-document", "pol.json")
            ctl.write({"whole.json": json.dumps({"statement": [{"effect": "allow", "action": ["fs:*"], "resource": "*"}]})})
            ctl("auth", "policies", "create", "--id", "everything", "--statement-document", "whole.json")
            ctl("auth", "groups", "create", "--id", "people")
            ctl("auth", "groups", "members", "add", "--id", "people", "--user", "bob")
            ctl("auth", "groups", "policies", "attach", "--id", "people", "--policy", "everything")
            listed = json.loads(ctl("auth", "users", "policies", "list", "--id", "bob", "--effective", "-o", "json").stdout)
            assert [p["id"] for p in listed["results"]] == ["everything"], listed
            assert not json.loads(ctl("auth", "users", "policies", "list", "--id", "bob", "-o", "json").stdout)["results"]
            assert ctl("auth", "users", "groups", "list", "--id", "bob").stdout.split("\t")[0] == "people"
            assert ctl("auth", "groups", "members", "list", "--id", "people").stdout == "bob\n\n"
            shown = ctl("auth", "policies", "show", "--id", "all").stdout
            assert shown.startswith("ID: all\n") and '"fs:ReadObject"' in shown, shown
            retry(lambda: bobs("repo", "create", "lakefs://bobs", "local://bobs"))
            ctl("auth", "groups", "members", "remove", "--id", "people", "--user", "bob")
        ctl("auth", "users", "credentials", "delete", "--id", "bob", "--access-key-id", pair["access_key_id"])
        ctl("auth", "groups", "delete", "--id", "people")
        ctl("auth", "policies", "delete", "--id", "all")
        assert ctl("auth", "users", "delete", "--id", "bob").stdout == "User deleted successfully\n"
        assert "404 Not Found\n" in ctl("auth", "policies", "show", "--id", "all", code=1).stderr


def retry(what):
    """Permissions are known within the cache's time."""
    end = time.monotonic() + 60
    while True:
        try:
            return what()
        except AssertionError:
            assert time.monotonic() < end
            time.sleep(0.3)


# Groups of lakectl's that aren't there.
NOT_HERE = ("abuse", "actions validate", "bisect", "cat-sst", "docs", "import", "local", "plugin")
# Flags of ours alone; the global --output is one, too.
OURS = {("repo create", "storage-id"), ("repo create-bare", "storage-id"), ("fs download", "no-verify"),
        ("commit", "epoch-time-seconds"), ("", "output")}


def flags_of(text, title):
    found = {}
    section = re.search(rf"\n{title}:\n((?: .*\n)+)", text)
    for line in section[1].splitlines() if section else []:
        m = re.match(r"\s+(?:-(\w), )?--([\w-]+)(?: (string|strings|int|duration))?\s{2,}(.*)", line)
        default = re.search(r'\(default "?([^")]*)"?\)', m[4])
        found[m[2]] = [m[1] or "", m[3] or "bool", default[1] if default else ""]
    found.pop("help", None)
    return found


def test_help():
    with open(os.path.join(SOURCE, "tests/data/lakefs_lakectl_flags.json")) as f:
        theirs = json.load(f)
    checked = 0
    with Ctl("http://127.0.0.1:1") as ctl:
        for name, what in theirs.items():
            if name.startswith(NOT_HERE):
                continue
            done = ctl.lakectl(*name.split(), "--help")
            assert ctl.lakectl("help", *name.split()).stdout == done.stdout and not done.stderr
            have = flags_of(done.stdout, "Flags")
            for flag, how in what["flags"].items():
                how = [how[0], how[1], {"1h0m0s": "1h"}.get(how[2], how[2])]
                assert have.pop(flag, None) == how, (name, flag, how, done.stdout)
            assert set(have) <= {f for c, f in OURS if c == name}, (name, have)
            for alias in what["aliases"]:
                assert alias in done.stdout and ctl.lakectl(alias, "--help").stdout == done.stdout
            checked += 1
        assert checked == 100, checked
        assert "lakectl commit" in ctl.lakectl("commit", "--help").stdout
        assert "sluicectl commit" in ctl("commit", "--help").stdout
        assert ctl().stdout == ctl("--help").stdout == ctl("help").stdout
        assert "there is no command 'nosuch'" in ctl("help", "nosuch", code=1).stderr


def test_bad_usage():
    rows = [
        (["nosuch"], 'Error: unknown command "nosuch" for "sluicectl"\nRun \'sluicectl --help\' for usage.\n'),
        (["repo", "nosuch"], 'Error: unknown command "nosuch" for "sluicectl repo"\nRun \'sluicectl --help\' for usage.\n'),
        (["repo", "list", "more"], 'Error: unknown command "more" for "sluicectl repo list"\n'),
        (["repo", "create", "lakefs://abc"], "Error: accepts 2 arg(s), received 1\n"),
        (["refs", "restore"], "Error: requires at least 1 arg(s), only received 0\n"),
        (["repo", "list", "--nosuch"], "Error: unknown flag: --nosuch\n"),
        (["repo", "list", "-x"], "Error: unknown shorthand flag: 'x' in -x\n"),
        (["repo", "list", "--amount"], "Error: flag needs an argument: --amount\n"),
        (["repo", "list", "--amount", "many"], 'Error: invalid argument "many" for "--amount" flag: it must be a whole number\n'),
        (["repo", "delete", "--yes=perhaps", "x"], 'Error: invalid argument "perhaps" for "--yes" flag: it must be true or false\n'),
        (["refs-dump", "lakefs://abc", "--timeout", "soon"],
         'Error: invalid argument "soon" for "--timeout" flag: it must be a duration such as 500ms, 3s or 1h\n'),
        (["branch", "create", "lakefs://abc/main"], 'Error: required flag(s) "source" not set\n'),
        (["repo", "list", "-o", "xml"], "output 'xml' is neither text nor json\nError executing command.\n"),
        (["repo", "list", "--log-level", "loud"],
         "log-level 'loud' is none of none, debug, info, warn, error\nError executing command.\n"),
        (["repo", "list", "--config", "nosuch.yaml"], "open nosuch.yaml: No such file or directory\nError executing command.\n"),
        (["refs", "dump"], "say which repository, or --all (and not both)\nError executing command.\n"),
        (["refs", "dump", "abc", "--all"], "say which repository, or --all (and not both)\nError executing command.\n"),
        (["fs", "ls", "lakefs://a/main/"], "path URI contains invalid repository name (repo=a): not a valid ref URI\nError executing command.\n"),
        (["completion", "tcsh"], 'invalid argument "tcsh" for "sluicectl completion": bash, zsh or fish\nError executing command.\n'),
    ]
    with Ctl("http://127.0.0.1:1") as ctl:
        for args, said in rows:
            done = ctl(*args, code=1)
            assert (done.stdout, done.stderr) == ("", said), (args, done)


def test_configuration():
    with Server() as server, Ctl(server.url) as ctl:
        bare = {"LAKECTL_SERVER_ENDPOINT_URL": None, "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": None,
                "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": None}
        done = ctl("repo", "list", code=1, env=bare)
        assert "set server.endpoint_url in" in done.stderr and ".lakectl.yaml or LAKECTL_SERVER_ENDPOINT_URL" in done.stderr, done
        # As a person answers it; then it is there for all.
        asked = ctl("config", env=bare, stdin=f"{ctl.key}\n{ctl.secret}\n{server.url}/api/v1\n")
        home = os.path.join(ctl.folder, "home", ".lakectl.yaml")
        assert os.stat(home).st_mode & 0o777 == 0o600 and ctl.secret not in asked.stdout + asked.stderr, asked
        assert ctl("repo", "list", env=bare).stdout.startswith("example\t")
        # The environment wins, and SLUICECTL_ over LAKECTL_.
        assert "401" in ctl("repo", "list", code=1, env={**bare, "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": "wrong"}).stderr
        ctl("repo", "list", env={**bare, "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": "wrong",
                                 "SLUICECTL_CREDENTIALS_SECRET_ACCESS_KEY": ctl.secret})
        for named in ({"LAKECTL_CONFIG_FILE": "other.yaml"}, {"LAKECTL_CONFIG_FILE": "x", "SLUICECTL_CONFIG_FILE": "other.yaml"}):
            ctl.write({"other.yaml": "server: {endpoint_url: [1]}\n"})
            done = ctl("repo", "list", code=1, env={**bare, **named})
            assert done.stderr.startswith("other.yaml:1: server.endpoint_url must be a text\n"), done
            ctl.write({"other.yaml": "server: {endpoint_url: 'http://127.0.0.1:1', retries: {max_attempts: x}}\n"})
            done = ctl("repo", "list", code=1, env={**bare, **named})
            assert "other.yaml:1: server.retries.max_attempts: 'x' is no number from 0 to 100" in done.stderr, done
        # Keys that lakectl has for commands that aren't here.
        ctl.write({"more.yaml": f"server: {{endpoint_url: '{server.url}'}}\nlocal: {{skip_non_regular_files: true}}\n"
                                f"credentials: {{access_key_id: '{ctl.key}', secret_access_key: '{ctl.secret}'}}\n"})
        ctl("-c", "more.yaml", "repo", "list", env=bare)
        log = ctl("repo", "list", "--log-level", "debug", "--log-format", "json").stderr
        assert json.loads(log)["msg"] == "request" and ctl.secret not in log, log


def test_unreachable():
    with Ctl("http://127.0.0.1:1") as ctl:
        for args in (["repo", "list"], ["fs", "cat", "lakefs://abc/main/x"], ["fs", "upload", "-s", "one.txt", "lakefs://abc/main/x"],
                     ["commit", "lakefs://abc/main", "-m", "x", "-o", "json"], ["refs", "dump", "abc"]):
            done = ctl(*args, code=1, env={"LAKECTL_SERVER_RETRIES_ENABLED": "false"})
            assert done.stderr.count("\n") == 1 and done.stdout in ("", "Branch: lakefs://abc/main\n"), done
            assert done.stderr.startswith("can't reach the server at http://127.0.0.1:1 ("), done
            assert "server.endpoint_url" in done.stderr, done
        # It is asked again, and later each time.
        began = time.monotonic()
        ctl("repo", "list", code=1, env={"LAKECTL_SERVER_RETRIES_MAX_ATTEMPTS": "3", "LAKECTL_SERVER_RETRIES_MIN_WAIT_INTERVAL": "200ms"})
        assert time.monotonic() - began > (0.1 + 0.2 + 0.4) * 0.9
        done = ctl("repo", "list", code=1, env={"LAKECTL_SERVER_ENDPOINT_URL": "http://nosuch.invalid:8000",
                                                "LAKECTL_SERVER_RETRIES_ENABLED": "false"})
        assert "nosuch.invalid" in done.stderr, done


def test_json():
    """Golden: documents of the API alone, and nothing besides, for each kind of command."""
    with Server(repos=()) as server, Ctl(server.url) as ctl:
        def doc(*args, **kw):
            return json.loads(ctl(*args, "-o", "json", **kw).stdout)
        made = doc("repo", "create", "lakefs://example", "local://ns")
        assert made == {"id": "example", "creation_date": made["creation_date"], "default_branch": "main", "storage_id": made["storage_id"],
                        "storage_namespace": "local://ns", "read_only": False}, made
        page = doc("repo", "list")
        assert page == {"pagination": {"has_more": False, "next_offset": "", "results": 1, "max_per_page": 1000}, "results": [made]}, page
        put = doc("fs", "upload", "-s", "one.txt", "lakefs://example/main/a b/one.txt")
        assert (put["path"], put["size_bytes"], put["checksum"]) == ("a b/one.txt", 14, "47292005a99056327c39f090c2ac4274"), put
        assert doc("fs", "stat", "lakefs://example/main/a b/one.txt")["checksum"] == put["checksum"]
        assert doc("fs", "ls", "lakefs://example/main/") == {"results": [{"path": "a b/", "path_type": "common_prefix"}]}
        listed = doc("fs", "ls", "-r", "lakefs://example/main/")["results"]
        assert [o["physical_address"] for o in listed] == [put["physical_address"]], listed
        assert doc("diff", "lakefs://example/main") == {"results": [
            {"type": "added", "path": "a b/one.txt", "path_type": "object", "size_bytes": 14}]}
        c = doc("commit", "lakefs://example/main", "-m", 'say "hé"', "--meta", "a=b")
        assert (c["message"], c["metadata"], len(c["parents"])) == ('say "hé"', {"a": "b"}, 1), c
        assert doc("diff", "lakefs://example/main") == {"results": []}
        assert doc("show", "commit", "lakefs://example/main") == c
        assert [x["id"] for x in doc("log", "lakefs://example/main")["results"]] == [c["id"], c["parents"][0]]
        assert doc("branch", "create", "lakefs://example/dev", "-s", "lakefs://example/main") == {"id": "dev", "commit_id": c["id"]}
        assert doc("branch", "show", "lakefs://example/dev")["commit_id"] == c["id"]
        assert [b["id"] for b in doc("branch", "list", "lakefs://example")["results"]] == ["dev", "main"]
        assert doc("tag", "create", "lakefs://example/v1", "lakefs://example/main") == {"id": "v1", "commit_id": c["id"]}
        assert doc("tag", "show", "lakefs://example/v1") == {"id": "v1", "commit_id": c["id"]}
        assert doc("identity")["user"]["id"] == "admin"
        assert doc("doctor") == {"valid": True}
        ctl("branch-protect", "add", "lakefs://example", "rel*")
        assert doc("branch-protect", "list", "lakefs://example") == [{"pattern": "rel*"}]
        ctl("fs", "rm", "lakefs://example/dev/a b/one.txt")
        ctl("commit", "lakefs://example/dev", "-m", "gone")
        assert set(doc("merge", "lakefs://example/dev", "lakefs://example/main")) == {"reference"}
        assert set(doc("find-merge-base", "lakefs://example/dev", "lakefs://example/main")) == {
            "source_commit_id", "destination_commit_id", "base_commit_id"}
        # Indented by two, one member a line.
        assert ctl("tag", "show", "lakefs://example/v1", "-o", "json").stdout == \
            f'{{\n  "commit_id": "{c["id"]}",\n  "id": "v1"\n}}\n'
        failed = ctl("tag", "show", "lakefs://example/nosuch", "-o", "json", code=1)
        assert (failed.stdout, failed.stderr) == ("", "tag not found\n404 Not Found\n"), failed


def test_storages():
    with Server(repos=()) as s, Ctl(s.url) as ctl:
        assert ctl("storage", "list").stdout == "\tlocal\tlocal://\t\n\n"
        s.stop()
        with open(s.path("config.yaml")) as f:
            lines = [line for line in f.read().splitlines() if not line.startswith("blockstore:")]
        lines.append(f'''blockstores:
  signing: {{secret_key: "sign-sign-sign"}}
  stores:
    - {{id: "fast", backward_compatible: true, type: local, description: "flash", local: {{path: "{s.path("objects")}"}}}}
    - {{id: "cheap", type: local, default_namespace_prefix: "local://team/", local: {{path: "{s.path("more")}"}}}}''')
        with open(s.path("config.yaml"), "w") as f:
            f.write("\n".join(lines) + "\n")
        s.start()
        assert [line.split("\t") for line in ctl("storage", "list").stdout.splitlines()] == [
            ["fast", "local", "local://", "flash"], ["cheap", "local", "local://team/", ""], [""]], ctl("storage", "list").stdout
        table = ctl("storage", "list", env={"LAKECTL_INTERACTIVE": "true"}).stdout.splitlines()
        assert table[1] == "| STORAGE ID | TYPE  | NAMESPACE PREFIX | DESCRIPTION |" and len({len(r) for r in table if r}) == 1, table
        stores = json.loads(ctl("storage", "list", "-o", "json").stdout)
        assert [x["blockstore_id"] for x in stores] == ["fast", "cheap"], stores
        made = ctl("repo", "create", "lakefs://pinned", "local://there", "--storage-id", "cheap")
        assert "storage id: cheap\nstorage namespace: local://there\n" in made.stdout, made
        ctl("repo", "create-bare", "lakefs://bare", "local://bare", "--storage-id", "cheap")
        ctl("fs", "upload", "-s", "one.txt", "lakefs://pinned/main/x")
        assert os.path.isdir(s.path("more", "there", "data"))
        assert [line.split("\t")[3] for line in ctl("repo", "list").stdout.splitlines()[:2]] == ["cheap", "cheap"]
        assert "400 Bad Request\n" in ctl("repo", "create", "lakefs://other", "local://o", "--storage-id", "slow", code=1).stderr


def test_completion():
    with Ctl("http://127.0.0.1:1") as ctl:
        for shell in ("bash", "zsh", "fish"):
            script = ctl("completion", shell).stdout
            assert "sluicectl" in script and len(script) > 5000
            assert "lakectl" in ctl.lakectl("completion", shell).stdout.splitlines()[0]
            ctl.write({"c." + shell: script})

        def completed(*typed):
            words = " ".join(f"'{w}'" for w in ("sluicectl", *typed))
            done = ctl.shell(f"source c.bash; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _sluicectl; echo \"${{COMPREPLY[@]}}\"")
            return done.stdout.split()
        assert completed("br") == ["branch", "branch-protect"]
        assert completed("branch", "") == ["create", "delete", "list", "reset", "revert", "show"]
        assert completed("--no-color", "branch", "re") == ["reset", "revert"]
        assert "--source" in completed("branch", "create", "--") and "--no-color" in completed("branch", "create", "--")
        assert completed("branch", "create", "") == []
        assert completed("completion", "") == ["bash", "zsh", "fish"]


def test_pages():
    with Ctl("http://127.0.0.1:1") as ctl:
        with open(os.path.join(SOURCE, "docs/reference/sluicectl.md")) as f:
            assert f.read() == ctl("reference").stdout, "write it anew: sluicectl reference > docs/reference/sluicectl.md"
        man = ctl("man").stdout
        assert man.startswith(".TH SLUICECTL 1\n") and ".SS \"fs upload <path URI>\"" in man
        assert not re.search(r"(?m)^\.(?!TH|SH|SS|TP|PP|EX|EE|B |I )", man), "a line that roff takes for a request"


if __name__ == "__main__":
    main(globals())
