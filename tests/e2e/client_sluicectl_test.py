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
    "324": ("a dump without the default branch is none", "Repository: lakefs://bare\n", "the dump has no branch 'main'", 1),
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


if __name__ == "__main__":
    main(globals())
