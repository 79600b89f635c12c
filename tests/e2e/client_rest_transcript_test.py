"""What a real lakeFS answered through REST (tests/data/lakefs_rest.jsonl), asked again here, request by request: status,
headers that matter and the parsed body. Identifiers are learned as they come and must stay the same. What isn't
served yet, and where the answers differ on purpose, the tables below say; a difference that isn't there fails, and
so does a row whose difference is gone.

After a change:  client_rest_transcript_test.py --show  prints what differs now."""
import base64
import json
import re
import sys
import time

from harness import KEY, SECRET, Server, main
from replay import send
from transcript import Systematic, by_number, complaints, exchanges, show

HEADERS = ("content-type", "etag", "accept-ranges", "content-range", "content-disposition", "cache-control",
           "x-content-type-options", "x-frame-options", "content-security-policy", "location", "expires")
ID = re.compile("[0-9a-f]{64}")
TASK = re.compile("(DR|RR|GCPC)[A-Za-z0-9_-]{20,22}|[0-9a-v]{20}")  # of runs, too
VALIDATOR = re.compile('(request body has an error|parameter "[^"]*" in )')
NO_ENDPOINT = {"message": "invalid API endpoint"}

# A commit by the first two digits of its id, which others may begin with.
BY_CHANCE = 559

# Asked by client_auth_transcript_test.py, of a server like theirs: one user, and no setup yet.
OF_AUTH = {
    "addGroupMembership", "attachPolicyToGroup", "attachPolicyToUser", "createCredentials", "createGroup",
    "createPolicy", "createUser", "createUserExternalPrincipal", "deleteCredentials", "deleteGroup",
    "deleteGroupMembership", "deletePolicy", "deleteUser", "deleteUserExternalPrincipal", "detachPolicyFromGroup",
    "detachPolicyFromUser", "externalPrincipalLogin", "getAuthCapabilities", "getCredentials", "getCurrentUser",
    "getExternalPrincipal", "getGroup", "getGroupACL", "getPolicy", "getSetupState", "getUser", "listGroupMembers",
    "listGroupPolicies", "listGroups", "listPolicies", "listUserCredentials", "listUserExternalPrincipals",
    "listUserGroups", "listUserPolicies", "listUsers", "login", "oauthCallback", "setGroupACL", "setup",
    "setupCommPrefs", "stsLogin", "updatePolicy",
}

# Ways to say who one is that client_auth_transcript_test.py asks with.
OTHER_AUTH = ("bearer", "cookie")

# transcript.Systematic
SYSTEMATIC = [
    ("an object may be a page, and shares the origin of pages: it is put into a sandbox",
     r"content-security-policy: \"default-src 'none'\" -> \"default-src 'none'; sandbox\""),
    ("nobody guesses types of what is sent", r"x-content-type-options: None -> 'nosniff'"),
    ("errors of HEAD have the type that those of GET have", r"content-type: None -> 'application/json'"),
    ("a new repository is told whole", r"/read_only: False is new"),
    ("words", r"/message: 'local adapter presigned URL: operation not supported' -> "
     r"'presigned URL: operation not supported by the store'"),
    ("words of the JSON reader", r"/message: 'request body has an error: failed to decode request body: unexpected EOF' "
     r"-> .request body has an error: failed to decode request body: .*"),
]

# (why, numbers, exactly what differs)
DIFFERENCES = [
    ("set up before it began", "8",
     ['status 401 -> 200']),
    ("this server's own, and without imports yet", "66",
     ['/storage_config/import_support: True -> False', "/version_config/version: '1.84.0-71a45eeb1' -> '0.1.0'"]),
    ("words that name what is wrong", "133,744",
     [('/message: \'failed to create repository: found lakeFS objects in the storage (:local://repo1) key(_l'
         'akefs/dummy): storage namespace already in use\' -> "storage namespace already in use: local://repo1'
         ' holds a repository\'s data; choose another one"')]),
    ("words that name what is wrong", "142",
     [('/message: \'failed to match required regex ^local://: invalid namespace\' -> \'storage namespace "s3'
         '://bucket/x" is not of a local store, which begins with "local://"\'')]),
    ("words that name what is wrong", "145",
     [('/message: \'failed to create repository: failed to access storage\' -> \'storage namespace "local://'
         '" lacks a name after the slashes\'')]),
    ("words that name what is wrong", "146",
     [("/message: 'storage id: invalid value: validation error' -> 'storage id: invalid value: no store othe"
         "r is configured'")]),
    ("a fault of lakeFS: such a branch can't be addressed", "150",
     ['status 201 -> 400']),
    ("a fault of lakeFS: such a branch can't be addressed", "152",
     ['status 200 -> 404']),
    ("a fault of lakeFS: such a branch can't be addressed", "153",
     ['status 204 -> 404']),
    ("repositories have no sample data here", "159",
     ['status 201 -> 501']),
    ("repositories have no sample data here", "161,168-169,171",
     ['/pagination/results: 8 -> 7', '/results: without sample-repo']),
    ("repositories have no sample data here", "166",
     ['/pagination/results: 1 -> 0', '/results: without sample-repo']),
    ("errors are JSON", "174",
     [('body: "Invalid format for parameter amount: multiple values for single value parameter \'amount\'\\n'
         '" -> {\'message\': \'parameter "amount" in query has an error: value : an invalid integer: invalid s'
         'yntax\'}'),
      "content-type: 'text/plain; charset=utf-8' -> 'application/json'"]),
    ("errors are JSON", "214",
     [('body: "Invalid format for parameter If-Match: parameter \'If-Match\' is empty, can\'t bind its value'
         '\\n" -> {\'message\': "Invalid format for parameter If-Match: parameter \'If-Match\' is empty, can\''
         't bind its value"}'),
      "content-type: 'text/plain; charset=utf-8' -> 'application/json'"]),
    ("a fault of lakeFS: a glob that is none", "224",
     ['status 204 -> 400']),
    ("a fault of lakeFS: a glob that is none", "225,228",
     ['status 500 -> 201']),
    ("words", "226",
     [('/message: \'request body has an error: doesn\\\'t match schema: Error at "/0/pattern": minimum strin'
         'g length is 1\\nSchema:\\n  {\\n    "description": "fnmatch pattern for the branch name, supporting '
         '* and ? wildcards",\\n    "example": "stable_*",\\n    "minLength": 1,\\n    "type": "string"\\n  }'
         '\\n\\nValue:\\n  ""\\n\' -> \'request body has an error: doesn\\\'t match schema: Error at "/pattern'
         '": minimum string length is 1\'')]),
    ("a fault of lakeFS: a glob that is none", "227",
     [": [{'pattern': '[a'}] -> []", "etag: '<id>' -> ''"]),
    ("a fault of lakeFS: 500", "259,289-291,294,544-545,549-553,570,633",
     ['status 500 -> 400']),
    ("a type that isn't given is told as listings tell it", "288",
     ["/content_type: '' -> 'application/octet-stream'"]),
    ("words that name what is wrong", "313",
     [("/message: 'argument name: branch id: invalid value: validation error' -> 'argument branch: branch id"
         ": invalid value: validation error'")]),
    ("HEAD's 416 tells the size, and has an error's type", "356",
     ["content-type: 'application/octet-stream' -> 'application/json'", "content-range: None -> 'bytes */12'"]),
    ("objects can't be staged or linked from elsewhere yet", "462",
     ['status 200 -> 404']),
    ("there are no hooks", "484",
     [('/message: "prepare-commit hook aborted, run id \'4opnnjpksduc3mqc2sd0\': list actions from commit: l'
         'isting actions: not found" -> \'branch not found\'')]),
    ("a fault of lakeFS: a metarange that isn't there", "494",
     ['status 201 -> 404']),
    ("a fault of lakeFS: a metarange that isn't there", "497",
     ['status 410 -> 200']),
    ("words that name what is wrong", "515",
     [('/message: \'parameter "since" in query has an error: string doesn\\\'t match the format "date-time":'
         ' string doesn\\\'t match pattern "^[0-9]{4}-(0[1-9]|10|11|12)-(0[1-9]|[12][0-9]|3[01])T([0-1][0-9]|2'
         '[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\\\.[0-9]+)?(Z|(\\\\+|-)[0-9]{2}:[0-9]{2})?$"\' -> \'parameter "s'
         'ince" in query has an error: string doesn\\\'t match the format "date-time"\'')]),
    ("a fault of lakeFS: the connection was dropped", "524",
     ['status 400']),
    ("of 398 and others: copies and staged objects, which were put there", "599",
     ["/pagination/next_offset: 'a/' -> 'bin/'", '/results: without /', '/results: with bin/']),
    ("of 398 and others: copies and staged objects, which were put there", "604",
     ["/pagination/next_offset: 'a/new.txt' -> 'a/one.txt'", '/results: without /lead', '/results: with a/one.txt']),
    ("words that name what is wrong", "648",
     [("/message: 'given commit does not have the given parent number: parent 3' -> 'parent 3 is out of rang"
         "e: commit <id> has 2'")]),
    ("a fault of lakeFS: picking a commit damaged it", "669",
     ['status 404 -> 200']),
    ("a fault of lakeFS: picking a commit damaged it", "670",
     ["/metadata/cherry-pick-committer: 'admin' is missing", "/metadata/cherry-pick-origin: '<id>' is missing"]),
    ("a fault of lakeFS: picking a commit damaged it", "671",
     ["/results/metadata/cherry-pick-committer: 'admin' is missing",
      "/results/metadata/cherry-pick-origin: '<id>' is missing"]),
    ("a fault of lakeFS: picking a commit damaged it", "673,675",
     ['status 404 -> 201']),
    ("words that name what is wrong", "676",
     [("/message: 'parent 5: given commit does not have the given parent number' -> 'parent 5 is out of rang"
         "e: commit <id> has 1'")]),
    ("imports aren't there yet", "712",
     ['/pagination/results: 4 -> 0', '/results: without imported/data/a.csv',
      '/results: without imported/data/b.csv', '/results: without imported/data/sub/c.csv',
      '/results: without imported/one.txt']),
    ("imports aren't there yet", "713",
     ['status 200 -> 404']),
    ("a deleted repository is gone at once", "741",
     ['status 200 -> 404']),
    ("words that name what is missing", "746",
     ["/message: 'No data' -> 'nothing was restored: in local://repo1 metarange <id> is missing'"]),
    ("a fault of lakeFS: picking a commit damaged it", "749-750",
     ["/results/cp2/commit_id: '<id>' -> '<id>'", "/results/hidden1/commit_id: '<id>' -> '<id>'"]),
    ("nobody runs actions here, so what they guard is refused", "788,792",
     ['status 201 -> 412']),
    ("nobody runs actions here, so what they guard is refused", "790",
     ["/message: 'pre-commit hook aborted, run id \\'4opnng1ksduc3mqc2u30\\': 1 error occurred:\\n\\t"
      "* hook run id \\'0000_0001\\' failed on action \\'check\\' hook \\'lua_event\\': action failed: "
      'runtime error: [string "lua"]:2: rejected by hook\\nstack traceback:\\n\\t[Go]: in ?\\n\\t[stri'
      'ng "lua"]:2: in main chunk\\n\\n\' -> "\'_lakefs_actions/check.yaml\' of main guards commits an'
      "d merges, and this server doesn't run actions: remove it, or set actions.enabled: false in"
      ' the server\'s configuration to let all pass"']),
    ("repositories have no sample data here", "838-841",
     ['status 200 -> 404']),
    ("repositories have no sample data here", "842",
     ['status 204 -> 404']),
    ("this server's own", "68",
     ["/version: '1.84.0-71a45eeb1' -> '0.1.0'"]),
    ("a body says why", "240",
     ["body: '' -> {'message': 'there is no such branch protection rule'}"]),
    ("a fault of lakeFS: what couldn't be linked to is refused, and answered nevertheless", "769,796",
     ['status 400 -> 201']),
    ("addresses are told below the namespace", "771",
     ["/result/gc_addresses_location: 'local:///srv/lake/tr/objects/repo1/_lakefs/retention/gc/addresses' -> "
      "'local://repo1/_lakefs/retention/gc/addresses'",
      "/result/gc_commits_location: 'local:///srv/lake/tr/objects/repo1/_lakefs/retention/gc/commits/"
      "run_id=<id>/commits.csv' -> 'local://repo1/_lakefs/retention/gc/commits/run_id=<id>/commits.csv'"]),
    ("a fault of lakeFS: a metarange that isn't there", "773-774",
     ['status 410 -> 201']),
    ("of 788 and 792, whose objects are still staged", "794",
     ["/gc_uncommitted_location: '' -> 'local://act-repo/_lakefs/retention/gc/uncommitted/<id>/uncommitted'"]),
    ("there are no imports here", "69",
     ['/import_support: True -> False']),
    ("this server's own, and everything is counted", "849",
     ["body: 'Usage for installation ID: <uuid>\\n<month>: <count>\\n' -> "
      "'Usage for installation ID: <uuid>\\n<month>: <count>\\n'"]),
    ("a fault of lakeFS: metadata of what isn't there, or is read-only", "191",
     ['status 204 -> 404']),
    ("a fault of lakeFS: metadata of what isn't there, or is read-only", "192",
     ['status 204 -> 403']),
    ("a fault of lakeFS: days before today", "202",
     ['status 204 -> 400']),
    ("a repository that isn't there", "212,321",
     ['status 204 -> 404']),
    ("addresses: signed, and of the store's own folder", "427,433",
     ['status 200 -> 410']),
    ("addresses: signed, and of the store's own folder", "428",
     ['status 500 -> 410']),
    ("addresses: signed, and of the store's own folder", "429",
     ['status 500 -> 400']),
    ("addresses are told below the namespace, and a signature is asked for always", "436",
     ['status 500 -> 400']),
    ("addresses are told below the namespace, and a signature is asked for always", "443,455-456",
     ['status 200 -> 400']),
    ("refused before it is read", "470-471",
     ['status 400 -> 501']),
    ("a fault of lakeFS: 417 leaves /lead, since an empty path was named beside it", "472",
     ['/pagination/results: 14 -> 13',
      '/results: without /lead']),
    ("a fault of lakeFS: 417 leaves /lead, since an empty path was named beside it", "473",
     ['/pagination/results: 9 -> 8',
      '/results: without /']),
    ("a fault of lakeFS: 417 leaves /lead, since an empty path was named beside it", "594",
     ['/pagination/results: 15 -> 14',
      '/results: without /lead']),
    ("a fault of lakeFS: 417 leaves /lead, since an empty path was named beside it", "598",
     ['/pagination/results: 10 -> 9',
      '/results: without /']),
    ("there are no imports here", "706,715,717,719-720,722,724,728,731",
     ['status 202 -> 501']),
    ("there are no imports here", "707,716,718,725,729",
     ['status 200 -> 501']),
    ("there are no imports here", "708,711,726",
     ['status 404 -> 501']),
    ("there are no imports here", "709,721,723",
     ['status 400 -> 501']),
    ("there are no imports here", "710",
     ['status 409 -> 501']),
    ("there are no imports here", "714",
     ['status 200 -> 404']),
    ("tables name bodies of this run", "765",
     ["x-frame-options: 'SAMEORIGIN' -> None",
      'content-security-policy: "default-src \'none\'" -> None']),
    ("there are no hooks here, so no runs of them", "797",
     ['/pagination/results: 4 -> 0',
      '/results: without None',
      '/results: without None',
      '/results: without None',
      '/results: without None']),
    ("there are no hooks here, so no runs of them", "798,801",
     ['/pagination/has_more: True -> False',
      "/pagination/next_offset: '4opnng1ksduc3mqc2u10' -> ''",
      '/pagination/results: 1 -> 0',
      '/results: without None']),
    ("there are no hooks here, so no runs of them", "800,804",
     ['/pagination/results: 2 -> 0',
      '/results: without None',
      '/results: without None']),
    ("there are no hooks here, so no runs of them", "802",
     ['/pagination/has_more: True -> False',
      "/pagination/next_offset: '4opnng1ksduc3mqc2u1g' -> ''",
      '/pagination/results: 1 -> 0',
      '/results: without None']),
    ("there are no hooks here, so no runs of them", "803,805",
     ['status 200 -> 404']),
    ("there are no pull requests here", "807,817-820,822,831-833,837",
     ['status 200 -> 501']),
    ("there are no pull requests here", "808-809,814-816",
     ['status 201 -> 501']),
    ("there are no pull requests here", "810,813,821,823,828-829,834-835",
     ['status 400 -> 501']),
    ("there are no pull requests here", "811-812",
     ['status 404 -> 501']),
    ("there are no pull requests here", "824-827,830,836",
     ['status 204 -> 501']),
]


def payload(text, encoding):
    if encoding == "base64":
        return base64.b64decode(text)
    return (text or "").encode()


class Replay:
    def __init__(self, server):
        self.server = server
        self.known = {}  # their id -> ours
        self.tasks = {}  # their task's id -> ours
        self.dates = {}  # their commit's id -> when we made ours

    def ours(self, text):
        """The text with our ids in the place of theirs, also where they were shortened."""
        def mine(m):
            full = [t for t in self.known if t.startswith(m.group())]
            return self.known[full[0]][:len(m.group())] if len(full) == 1 else m.group()
        for theirs, own in self.tasks.items():
            text = text.replace(theirs, own)
        return re.sub(r"(?<![0-9a-z])[0-9a-f]{6,64}(?![0-9a-z])", mine, text)

    def dated(self, x, text):
        """A commit that is put in again is as old as ours."""
        if x.get("op") == "CreateCommitRecord" and (doc := json.loads(text)).get("commit_id") in self.dates:
            text = text.replace(f'"creation_date":{doc["creation_date"]}',
                                f'"creation_date":{self.dates[doc["commit_id"]]}')
        return text

    def authorization(self, x):
        pair = {"admin": (KEY, SECRET), "bad-secret": (KEY, "wrong"), "bad-key": ("AKIAUNKNOWNEXAMPLEAA", SECRET)}
        if x["auth"] not in pair:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(pair[x["auth"]]).encode()).decode()}

    def ask(self, x):
        target = self.ours(x["path"]) + ("?" + self.ours(x["query"]) if x["query"] else "")
        body = payload(x["request_body"], x.get("request_body_encoding"))
        if x.get("request_body_encoding") != "base64":
            body = self.ours(self.dated(x, body.decode())).encode()
        headers = {"Host": f"127.0.0.1:{self.server.port}", **self.authorization(x),
                   **{n: self.ours(v) for n, v in x["request_headers"].items()}}
        return send(self.server.port, x["method"], target, headers, body)

    def ask_until_done(self, x):
        """Theirs were done when they were asked about."""
        for _ in range(2400):
            answer = self.ask(x)
            if not (answer[0] == 200 and x.get("op", "").endswith("Status") and
                    (b'"done":false' in answer[2] or b'"completed":false' in answer[2])):
                break
            time.sleep(0.05)
        return answer

    def leaf(self, path, a, b):
        """Whether two values are the same, but for what is of a run."""
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/reports[0]"):  # of this month
            return type(a) is type(b) is int
        if isinstance(a, str) and isinstance(b, str):
            if ID.fullmatch(a) and ID.fullmatch(b):
                return self.known.setdefault(a, b) == b
            if name == "physical_address" and a and b:
                return True
            if name in ("update_time", "installation_id") or TASK.fullmatch(a) and TASK.fullmatch(b):
                return self.tasks.setdefault(a, b) == b
            if name == "message":
                return self.ours(first_line(a)) == first_line(b)
            return self.ours(a) == b
        if name in ("creation_date", "mtime") and isinstance(a, int) and not 1700000000 <= a < 1700000100:
            return isinstance(b, int) and abs(b - a) < 10 ** 9 and (a == 0) == (b == 0)
        return a == b and type(a) is type(b)

    def compare(self, a, b, path, out):
        if isinstance(a, dict) and isinstance(b, dict):
            if "meta_range_id" in a and "creation_date" in b:
                self.dates[a["id"]] = b["creation_date"]
            for k in sorted(a.keys() | b.keys()):
                if k not in a or k not in b:
                    out.append(f"{path}/{k}: " + (f"{a[k]!r} is missing" if k in a else f"{b[k]!r} is new"))
                else:
                    self.compare(a[k], b[k], f"{path}/{k}", out)
        elif isinstance(a, list) and isinstance(b, list) and path.endswith("/results"):
            self.rows(a, b, path, out)
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for i, (x, y) in enumerate(zip(a, b)):
                self.compare(x, y, f"{path}[{i}]", out)
        elif not self.leaf(path, a, b):
            out.append(f"{path}: {a!r:.300} -> {b!r:.300}")

    def rows(self, a, b, path, out):
        """Pages: by id or path."""
        def key(row):
            return self.known.get(row.get("id"), row.get("id")) or row.get("path")
        if len(a) == len(b) and all(r.keys() >= {"committer"} for r in a):
            for x, y in zip(a, b):
                self.compare(x, y, path, out)
            return
        names_a, names_b = [key(r) for r in a], [key(r) for r in b]
        out += [f"{path}: without {n}" for n in names_a if n not in names_b]
        out += [f"{path}: with {n}" for n in names_b if n not in names_a]
        if [n for n in names_a if n in names_b] != [n for n in names_b if n in names_a]:
            out.append(f"{path}: in another order")
        for x in a:
            for y in b:
                if key(x) == key(y):
                    self.compare(x, y, f"{path}/{key(x)}", out)


def first_line(text):
    return text.split("\n")[0] if VALIDATOR.match(text) else text


def parsed(headers, body):
    if headers.get("content-type", "").startswith("application/json"):
        try:
            return json.loads(body)
        except ValueError:  # a part of an object, or two documents in one
            pass
    return body.decode(errors="replace")


def differences(x, status, headers, body, replay):
    out = []
    theirs = payload(x["response_body"], x.get("response_body_encoding"))
    if x["status"] == 0:  # it gave no answer
        return [f"status {status}"]
    a, b = parsed(x["response_headers"], theirs), parsed(headers, body)
    if status != x["status"]:
        return [f"status {x['status']} -> {status}"]
    if isinstance(a, str) and isinstance(b, str):
        # A table's bytes name addresses of a run.
        if not replay.leaf("", a, b) and x["op"] != "getMetadataObject":
            out.append(f"body: {a!r:.100} -> {b!r:.100}")
    elif isinstance(a, str) or isinstance(b, str):
        out.append(f"body: {str(a)!r:.100} -> {b!r:.200}")
    else:
        replay.compare(a, b, "", out)
    for name in HEADERS:
        p, q = x["response_headers"].get(name), headers.get(name)
        if p != q and not (p and q and replay.leaf("", p, q)):
            out.append(f"{name}: {p!r} -> {q!r}")
    return out


def lasting(text):
    """Without what is of a run."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>", text)
    text = re.sub(r"\d{4}-\d\d: +\d+", "<month>: <count>", text)
    text = re.sub(r"(?<=run_id=)[0-9a-v]{20}|(?<=uncommitted/)[0-9a-v]{20}", "<id>", text)
    return re.sub(r"\b179\d{7}\b", "<time>", ID.sub("<id>", text))


def asked(x):
    return (x["path"].startswith("/api/v1") and x["n"] != BY_CHANCE and x.get("op") not in OF_AUTH and
            not any(x["auth"].startswith(a) for a in OTHER_AUTH))


def replayed():
    """{number: (exchange, its differences)}, and operations that aren't served."""
    found, absent = {}, set()
    with Server(repos=()) as server:
        replay = Replay(server)
        for x in exchanges("lakefs_rest.jsonl"):
            if not asked(x):
                continue
            status, headers, body = replay.ask_until_done(x)
            if status == 404 and body and x["status"] != 0 and json.loads(body) == NO_ENDPOINT and \
                    b"invalid API endpoint" not in (x["response_body"] or "").encode():
                absent.add(x["op"])
                continue
            found[x["n"]] = x, [lasting(d) for d in differences(x, status, headers, body, replay)]
    return found, absent


systematic = Systematic(SYSTEMATIC)


def test_transcript():
    found, absent = replayed()
    assert not absent, f"no such endpoint: {absent}"
    wrong = complaints(systematic.remaining(found), by_number(DIFFERENCES), systematic)
    assert not wrong, "\n".join(wrong)
    assert len(found) == 747, len(found)


if __name__ == "__main__":
    if "--show" in sys.argv:
        rows, missing = replayed()
        show(systematic.remaining(rows))
        print(sorted(missing), len(rows))
    else:
        main(globals())
