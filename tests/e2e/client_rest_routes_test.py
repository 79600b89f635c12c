"""Every operation of the REST API, as /openapi.json describes it: that it goes well, with exactly the permissions that
it says, and answers what it says; and that it refuses each missing permission, each error that is declared, wrong and
missing members and parameters, bodies that are too large. An operation without a case (rest_cases.py) fails, and so
does an error that is declared and that nothing ends in."""
import collections
import functools
import http.client
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request

from client_auth_transcript_test import FreshServer
from harness import SLUICE, Server, main
from rest import Rest
from rest_cases import CASES, ERRORS, Site

# Answered with 501 whatever is asked: by a row, or of a local store.
REFUSED = {
    "importStart", "importStatus", "importCancel", "createPresignMultipartUpload", "completePresignMultipartUpload",
    "abortPresignMultipartUpload", "uploadPart", "uploadPartCopy", "listPullRequests", "createPullRequest",
    "getPullRequest", "updatePullRequest", "mergePullRequest", "createUserExternalPrincipal",
    "deleteUserExternalPrincipal", "listUserExternalPrincipals", "getExternalPrincipal",
}
# Of these nothing goes well here: there are no hooks, no second setup, no mail.
ONLY_ERRORS = {"getRun", "getRunHookOutput", "setup", "setupCommPrefs",
               # What is done in no time can't be cancelled: test_backup__cancelled does.
               "sluiceBackupCancel", "sluiceBackupVerifyCancel"}
# No commit that has actions can be made here: test_heads__actions_are_no_open_gate has one. A condition that held, and then
# somebody else who put the object before that was certain: client_chaos_test.py has him, and test_versions_conditional.c.
# A local store presigns nothing: client_presign_test.py has those that do.
UNREACHED = {"mergeIntoBranch": {412}, "uploadObject": {409}, "linkPhysicalAddress": {409},
             "getObject": {302}, "getMetadataObject": {302}}
# Logins by others' identities.
# Seen by test_before_it_is_set_up alone.
BEFORE_SETUP = {"setup": {200}, "setupCommPrefs": {412}}
ELSEWHERE = {"stsLogin", "externalPrincipalLogin"}
# Asked for beside what the row says: what the body names.
MORE_PERMISSIONS = {"copyObject": ["fs:ReadObject"], "stageObject": ["fs:ImportFromStorage"]}
DEFAULTS = {"repository": "example", "branch": "main", "ref": "main", "other_ref": "main", "tag": "tag", "id": "x", "sub": "x",
            "user_id": "somebody", "group_id": "some", "policy_id": "AllPolicy", "access_key": "AKIAJXXXXXXXXXXXXXXQ"}
ALL = [s + ":*" for s in ("fs", "auth", "ci", "retention", "branches", "pr")]
READ_ONLY = "fixed"
JSON = {"Content-Type": "application/json"}
SUCCESS = re.compile("2..|304")


class Operation:
    def __init__(self, doc, method, path, o, permissions):
        self.doc, self.method, self.path = doc, method.upper(), path
        self.id, self.responses = o["operationId"], o["responses"]
        self.parameters = [p for p in o["parameters"] if p["in"] == "query"]
        self.body = o.get("requestBody")
        self.schema = self.body and self.body["content"].get("application/json", {}).get("schema")
        self.permissions = permissions
        self.seen = set()

    @property
    def declared(self):
        return {int(s) for s in self.responses if s != "default"}


def no_twins(pairs):
    names = [k for k, _ in pairs]
    assert len(set(names)) == len(names), f"twice: {names}"
    return dict(pairs)


def operations(server):
    """{id: Operation}, from /openapi.json and the page of permissions."""
    with urllib.request.urlopen(server.url + "/openapi.json") as r:
        doc = json.loads(r.read(), object_pairs_hook=no_twins)
    page = subprocess.run([SLUICE, "reference", "rest"], capture_output=True, text=True, check=True).stdout
    rows = {}
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].isupper():
            rows[cells[0]] = (cells[1], cells[2], re.findall(r"([\w]+:\w+) on", cells[3]))
    rows = {name: row for name, row in rows.items() if not row[1].startswith("?")}  # STS's, at "/"
    out = {}
    for path, methods in doc["paths"].items():
        for method, o in methods.items():
            assert rows[o["operationId"]][:2] == (method.upper(), path), o["operationId"]
            out[o["operationId"]] = Operation(doc, method, path, o, rows[o["operationId"]][2])
    assert out.keys() == rows.keys(), out.keys() ^ rows.keys()
    return out


class Asker:
    """Sends the requests of cases, and notes what they ended in."""

    def __init__(self, server, ops):
        self.server, self.ops = server, ops
        self.admin = Rest(server.url)
        self.site = Site(server, self.admin)
        self.site.send = self.send
        self.users = {}

    def target(self, op, request):
        return re.sub(r"{(\w+)}", lambda m: urllib.parse.quote(request.get(m[1], DEFAULTS[m[1]]), safe=""), op.path)

    def send(self, api, op_id, request, *status, **change):
        op = self.ops[op_id]
        request = {**request, **change}
        a = api.ask(op.method, self.target(op, request), doc=request.get("doc"), body=request.get("body"),
                    query=request.get("query"), headers=request.get("headers"))
        op.seen.add(a.status)
        assert not status or a.status in status, f"{op_id} {request}: expected {status}, got {a}"
        self.check(op, a)
        return a

    def check(self, op, a):
        """What every answer has, and what /openapi.json says of this one."""
        assert a.headers["X-Request-ID"], op.id
        kind = a.headers["Content-Type"] or ""
        if a.body and not kind.startswith("application/octet-stream"):
            assert a.headers["X-Content-Type-Options"] == "nosniff", (op.id, a)
        known = op.responses.get(str(a.status)) or (a.status >= 400 and op.responses["default"])
        if op.method == "HEAD" or a.status in (206, 304):
            return
        assert known, f"{op.id} isn't said to answer {a.status}"
        content = known.get("content", {})
        if not content:
            assert not a.body, (op.id, a)
        elif "application/json" in content :
            assert kind == "application/json", (op.id, a)
            conforms(op.doc, content["application/json"]["schema"], a.json, op.id)

    def user(self, allow=(), deny=()):
        """Somebody who may do that alone, on whatever; made once."""
        key = (tuple(allow), tuple(deny))
        if key not in self.users:
            name = f"user-{len(self.users)}"
            self.admin.call("POST", "/auth/users", 201, doc={"id": name})
            rules = [{"effect": e, "action": list(a), "resource": "*"} for e, a in (("allow", allow), ("deny", deny)) if a]
            if rules:
                self.admin.call("POST", "/auth/policies", 201, doc={"id": name, "statement": rules})
                self.admin.call("PUT", f"/auth/users/{name}/policies/{name}", 201)
            k = self.admin.call("POST", f"/auth/users/{name}/credentials", 201).json
            self.users[key] = Rest(self.server.url, k["access_key_id"], k["secret_access_key"])
        return self.users[key]


def conforms(doc, schema, value, at):
    """Whether a value is of the schema, with nothing in it that isn't there."""
    if "$ref" in schema:
        return conforms(doc, doc["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], value, at)
    kind = schema.get("type")
    want = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}[kind]
    if value is None and at.rsplit("/", 1)[-1] in ("storage_class", "presigned_url"):
        return  # as lakeFS
    assert type(value) is want, f"{at}: {value!r} is no {kind}"
    if "enum" in schema:
        assert value in schema["enum"], f"{at}: {value}"
    if kind == "array":
        for i, one in enumerate(value):
            conforms(doc, schema["items"], one, f"{at}[{i}]")
    if kind == "object" and "additionalProperties" in schema:
        for k, v in value.items():
            conforms(doc, schema["additionalProperties"], v, f"{at}/{k}")
    if kind == "object" and "properties" in schema:
        missing = set(schema.get("required", ())) - value.keys()
        assert not missing and not value.keys() - schema["properties"].keys(), f"{at}: {missing} of {value}"
        for k, v in value.items():
            conforms(doc, schema["properties"][k], v, f"{at}/{k}")


# What is tried on each operation.

def resolved(op, schema):
    while schema and "$ref" in schema:
        schema = op.doc["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema or {}


WRONG = {"string": [1, True, None, [], {}], "integer": ["1", 1.5, True, None, 1 << 70], "boolean": ["true", 1, None],
         "array": ["x", {}, None, 1], "object": ["x", [], 1]}


def wrong_documents(op, schema, good):
    """Documents that aren't of the schema, each with one fault."""
    schema = resolved(op, schema)
    kind = schema.get("type")
    yield from WRONG.get(kind, ())
    if "enum" in schema:
        yield "nonsense"
    if kind == "array" and good:
        for bad in wrong_documents(op, schema["items"], good[0]):
            yield [bad, *good[1:]]
    if kind != "object":
        return
    for name in schema.get("required", ()):
        yield {k: v for k, v in good.items() if k != name}
    for name, inner in schema.get("properties", {}).items():
        if name in good:
            for bad in wrong_documents(op, inner, good[name]):
                yield {**good, name: bad}
    for name in good if "additionalProperties" in schema else ():
        for bad in wrong_documents(op, schema["additionalProperties"], good[name]):
            yield {**good, name: bad}


def bodies_are_checked(asker, op, request):
    send = functools.partial(asker.send, asker.admin, op.id, request)
    for doc in wrong_documents(op, op.schema, request["doc"]):
        a = send(doc=None, body=json.dumps(doc).encode(), headers=dict(request.get("headers", {}), **JSON))
        assert a.status == 400, f"{op.id} took {doc}: {a}"
    text = json.dumps(request["doc"]).encode()
    twins = b'{"k":1,"k":2,' + text[1:] if text != b"{}" and text[:1] == b"{" else b'{"k":1,"k":2}'
    for bad in (text[:-1], text + b"x", twins, b"\xff", b"[" * 10000):
        send(400, doc=None, body=bad, headers=JSON)
    if op.body["required"]:
        send(400, doc=None, body=b"", headers=JSON)
    send(400, doc=None, body=text, headers={"Content-Type": "text/plain"})
    send(413, doc=None, body=b" " * (1 << 20) + text, headers=JSON)


def queries_are_checked(asker, op, request):
    query = request.get("query", {})
    bad = {"boolean": ["maybe", "", "2"], "integer": ["x", "", "1.5"]}
    for p in op.parameters:
        name, schema = p["name"], p["schema"]
        tries = list(bad.get(schema["type"], ()))
        tries += [""] if p.get("required") else []
        tries += ["nonsense"] if "enum" in schema or schema.get("format") == "date-time" else []
        tries += ["1001", "-2", "9" * 30] if name == "amount" else []
        for value in tries:
            asker.send(asker.admin, op.id, request, 400, query={**query, name: value})
        if p.get("required"):
            asker.send(asker.admin, op.id, request, 400, query={k: v for k, v in query.items() if k != name})
    conn = http.client.HTTPConnection("127.0.0.1", asker.server.port)
    for text in ("x=%zz", "x=%ff", "&".join(["x=1"] * 1100)):
        conn.request(op.method, "/api/v1" + asker.target(op, request) + "?" + text,
                     headers={"Authorization": asker.admin.auth})
        a = conn.getresponse()
        a.read()
        assert a.status == 400, (op.id, text, a.status)
        conn.close()


def paths_are_checked(asker, op, request):
    send = functools.partial(asker.send, asker.admin, op.id, request)
    if "{repository}" in op.path:
        for bad in ("No", "a", "-abc", "x" * 64, "\udcff"):
            if bad.isascii():
                send(400, repository=bad)
        if op.id != "deleteObjects":  # of what isn't there nothing is deleted
            assert send(404, repository="nosuch").message == "repository not found" if op.method != "HEAD" else True
    if "{branch}" in op.path and op.id != "deleteObjects":
        send(400, branch="a b")
    if "{user_id}" in op.path and op.method != "DELETE" or op.id == "deleteUser":
        send(404, user_id="nosuch")
    if "{group_id}" in op.path and op.method != "DELETE" or op.id == "deleteGroup":
        send(404, group_id="nosuch")
    if "{policy_id}" in op.path and op.method != "DELETE" or op.id == "deletePolicy":
        send(404, policy_id="nosuch", **({"doc": dict(request["doc"], id="nosuch")} if "doc" in request else {}))
    a = asker.admin.ask("TRACE" if op.method == "PATCH" else "PATCH", asker.target(op, request))
    assert a.status in (404, 405) or (a.status, op.path) == (501, "/repositories/{repository}/pulls/{id}"), (op.id, a)


def permissions_are_asked(asker, op, request):
    if op.doc["paths"][op.path][op.method.lower()].get("security") == []:
        return
    needed = op.permissions + MORE_PERMISSIONS.get(op.id, [])
    nobody = Rest(asker.server.url, key=None)
    if op.id != "getCurrentUser":
        a = asker.send(nobody, op.id, request, 401)
        assert op.method == "HEAD" or a.message == "error authenticating request"
    for secret in ("wrong", ""):
        asker.send(Rest(asker.server.url, secret=secret), op.id, request, 401)
    for action in needed if op.id != "listRepositories" else ():  # which shows what one may see
        a = asker.send(asker.user(allow=ALL, deny=[action]), op.id, request)
        if op.id == "deleteObjects":
            assert a.status == 200 and {e["status_code"] for e in a.json["errors"]} == {401}, a
            continue
        assert a.status == 401, f"{op.id} without {action}: {a}"
        assert op.method == "HEAD" or a.message.startswith("insufficient permissions: "), a
    if needed and op.id != "deleteObjects":
        asker.send(asker.user(), op.id, request, 401)


def goes_well(asker, op, request):
    """With what isn't known in body and query, by somebody who may do just this."""
    needed = op.permissions + MORE_PERMISSIONS.get(op.id, [])
    request = dict(request, query=dict(request.get("query", {}), unknown="x"))
    if isinstance(request.get("doc"), dict):
        request["doc"] = dict(request["doc"], unknown={"a": [1]})
    a = asker.send(asker.user(allow=needed), op.id, request)
    assert SUCCESS.fullmatch(str(a.status)) and a.status in op.declared, f"{op.id} {request}: {a}"
    if "errors" in (a.json if op.schema and a.body[:1] == b"{" else {}):
        assert a.json["errors"] == [], a


def errors_are_as_declared(asker, op, request):
    for status, makers in ERRORS.get(op.id, {}).items():
        for make in makers:
            a = asker.send(asker.admin, op.id, make(asker.site), status)
            assert op.method == "HEAD" or a.body or status == 304, a
    if 403 in op.declared - op.seen:
        a = asker.send(asker.admin, op.id, request, 403, repository=READ_ONLY)
        assert a.message == "read-only repository", a


def refused(asker, op):
    query = {p["name"]: "x" for p in op.parameters if p.get("required")}
    request = dict(query=query, doc={} if op.schema else None)
    a = asker.send(asker.admin, op.id, request, 501)
    assert a.message, a
    permissions_are_asked(asker, op, request)
    paths_are_checked_of_refused = "{repository}" in op.path
    if paths_are_checked_of_refused:
        asker.send(asker.admin, op.id, request, 404, repository="nosuch")
        asker.send(asker.admin, op.id, request, 400, repository="No")


def one_operation(asker, op):
    if op.id in REFUSED:
        refused(asker, op)
        return
    request = CASES[op.id](asker.site) if op.id not in ONLY_ERRORS else ERRORS[op.id][min(ERRORS[op.id])][0](asker.site)
    permissions_are_asked(asker, op, request)
    if op.schema:
        bodies_are_checked(asker, op, request)
    queries_are_checked(asker, op, request)
    paths_are_checked(asker, op, request)
    errors_are_as_declared(asker, op, request)
    if op.id in CASES:
        goes_well(asker, op, request)
    missing = op.declared - op.seen - BEFORE_SETUP.get(op.id, set()) - UNREACHED.get(op.id, set())
    if op.id in ONLY_ERRORS:
        missing = {s for s in missing if s >= 400}
    assert not missing, f"{op.id}: nothing ends in {missing}, which is declared; seen: {op.seen}"
    undeclared = {s for s in op.seen if 400 <= s < 500 and s != 413} - op.declared
    assert not undeclared, f"{op.id} ends in {undeclared}, which isn't declared"


def test_every_route():
    failed = collections.OrderedDict()
    # Each operation is asked for with a wrong secret, too.
    with Server(repos=(), extra="auth.limits.failures: 0\n") as server:
        ops = operations(server)
        asker = Asker(server, ops)
        wanted = ops.keys() - ELSEWHERE
        have = CASES.keys() | REFUSED | ONLY_ERRORS
        assert wanted == have, f"without a case: {wanted - have}; no such operation: {have - wanted}"
        for op in ops.values():
            if op.id in ELSEWHERE:
                continue
            began = time.monotonic()
            try:
                one_operation(asker, op)
            except Exception as e:  # all are to be told
                failed[op.id] = f"{type(e).__name__} {e}"
            if time.monotonic() - began > 5:
                print("slow:", op.id, round(time.monotonic() - began, 1))
    assert not failed, "\n".join(f"{k}: {v:.1000}" for k, v in failed.items())


def test_before_it_is_set_up():
    with FreshServer(repos=()) as server:
        api = Rest(server.url, key=None)
        prefs = {"featureUpdates": False, "securityUpdates": False}
        assert api.get("/setup_lakefs")["state"] == "not_initialized"
        api.fails(412, "POST", "/setup_comm_prefs", doc=prefs)
        pair = api.call("POST", "/setup_lakefs", 200, doc={"username": "me", "unknown": 1}, unknown="x").json
        assert pair.keys() == {"access_key_id", "secret_access_key", "creation_date"}
        assert api.get("/setup_lakefs")["state"] == "initialized"
        api.fails(409, "POST", "/setup_lakefs", doc={"username": "me"})
        Rest(server.url, pair["access_key_id"], pair["secret_access_key"]).call("GET", "/user", 200)


def test_the_description_is_whole():
    """Every schema that is named is there, and every one that is there is named."""
    with Server(repos=()) as server:
        with urllib.request.urlopen(server.url + "/openapi.json") as r:
            text = r.read().decode()
            assert r.headers["Content-Type"] == "application/json"
        doc = json.loads(text)
        named = set(re.findall('"#/components/schemas/([^"]+)"', text))
        assert named == doc["components"]["schemas"].keys(), named ^ doc["components"]["schemas"].keys()
        assert doc["openapi"] == "3.0.3" and doc["servers"] == [{"url": "/api/v1"}]
        for path, methods in doc["paths"].items():
            for o in methods.values():
                inside = re.findall(r"{(\w+)}", path)
                assert [p["name"] for p in o["parameters"] if p["in"] == "path"] == inside, path


if __name__ == "__main__":
    main(globals())
