"""Access as a whole, over real connections: what a user limited to one repository can find out of the rest, who
is believed about addresses, who is made to wait, and what the audit says."""
import concurrent.futures
import json
import re
import time
import urllib.parse

from client_auth_test import User, audit, ids, repo, s3_code, statement
from client_sts_test import as_aws, s3, sts
from harness import KEY, SECRET, SOURCE, Server, error, main, sign
from rest import Rest


def rows(page):
    """The table of a reference page: lists of cells."""
    with open(f"{SOURCE}/docs/reference/{page}.md") as f:
        return [[c.strip() for c in line.strip().strip("|").split("|")] for line in f if line.startswith("| ")][1:]


# What bodies of any operation have; members that an operation doesn't know are ignored.
BODY = {"name": "abc", "storage_namespace": "local://abc", "source": "main", "message": "m", "ref": "main", "id": "main",
        "type": "reset", "parent_number": 0, "paths": ["x"], "commit_id": "x", "version": 1, "committer": "x",
        "metarange_id": "", "creation_date": 1, "parents": [], "generation": 1, "branches_meta_range_id": "x",
        "commits_meta_range_id": "x", "tags_meta_range_id": "x", "metadata": {}, "branches": [],
        "default_retention_days": 1, "set": {}, "src_path": "x", "checksum": "x", "size_bytes": 1,
        "physical_address": "local:///x/y", "staging": {"physical_address": "local:///x/y"}, "pattern": "x"}


def two_repositories(server):
    """other has everything that could be found out."""
    api = Rest(server.url)
    for name in ("mine", "other"):
        api.call("POST", f"/repositories/{name}/branches/main/objects", 201, body=b"of " + name.encode(), path="dir/x")
        api.commit(name, "main", "of " + name)
    api.call("POST", "/repositories/other/tags", 201, doc={"id": "hidden-tag", "ref": "main"})
    api.branch("other", "hidden-branch")
    u = User(server, api, "limited", statement("fs:*", repo("mine")), statement("fs:*", repo("mine", "/*")),
             statement(["ci:*", "retention:*", "branches:*", "pr:*"], repo("mine", "*")))
    return api, u


def test_rest_tells_nothing_of_other_repositories():
    with Server(repos=("mine", "other", "third", "ozone")) as server:
        api, u = two_repositories(server)
        for amount in (1, 2, 100):
            assert ids(u.rest.pages("/repositories", amount=amount)) == ["mine"]
        for query in ({"prefix": "o"}, {"after": "mine"}, {"prefix": "other"}, {"search": "other"}):
            page = u.rest.get("/repositories", **query)
            assert page["results"] == [], (query, page)
            assert page["pagination"]["has_more"] is False and page["pagination"]["next_offset"] == ""
        # Each operation on a repository answers the same for one that is there and one that isn't.
        asked = 0
        for name, method, path, _ in rows("rest"):
            if "{repository}" not in path:
                continue
            told = []
            for there in ("other", "nowhere"):
                at = re.sub(r"\{\w+\}", "main", path.replace("{repository}", there))
                doc = dict(BODY, keys=[]) if method not in ("GET", "HEAD") else None
                if name == "setBranchProtectionRules":
                    doc = [{"pattern": "x"}]
                a = u.rest.ask(method, at, doc=doc, path="x", dest_path="x", ref="main", task_id="x", id="x")
                said = a.body.decode().replace(there, "R")
                told.append((a.status, re.sub(r"[0-9a-f]{16}", "", said)))
            assert told[0] == told[1] and told[0][0] in (401, 200), (name, told)
            # Those of many paths: each is refused.
            assert told[0][0] == 401 or name == "deleteObjects" and '"status_code":401' in told[0][1], (name, told)
            asked += 1
        assert asked > 70, asked
        for doc in ({"name": "other", "storage_namespace": "local://x"}, {"name": "new", "storage_namespace": "local://x"}):
            u.rest.fails(401, "POST", "/repositories", doc=doc)


def test_ids_of_other_repositories_are_nothing_here():
    with Server(repos=("mine", "other")) as server:
        api, u = two_repositories(server)
        commit = api.get("/repositories/other/branches/main")["commit_id"]
        meta = api.get(f"/repositories/other/commits/{commit}")["meta_range_id"]
        at = "/repositories/mine"
        for ref in (commit, commit[:12], "hidden-tag", "hidden-branch", "other", "other/main", "other@main", commit + "~1"):
            r = urllib.parse.quote(ref, safe="")
            for path in (f"/commits/{r}", f"/refs/{r}/objects?path=dir/x", f"/refs/{r}/objects/stat?path=dir/x",
                         f"/refs/{r}/objects/ls", f"/refs/{r}/commits", f"/refs/main/diff/{r}", f"/refs/{r}/diff/main",
                         f"/tags/{r}", f"/branches/{r}"):
                a = u.rest.ask("GET", at + path)
                assert a.status in (400, 404), (path, a)
            for method, path, doc in (("POST", "/branches", {"name": "b", "source": ref}),
                                      ("POST", "/tags", {"id": "t", "ref": ref}),
                                      ("POST", f"/refs/{r}/merge/main", {}),
                                      ("POST", "/branches/main/cherry-pick", {"ref": ref}),
                                      ("POST", "/branches/main/revert", {"ref": ref, "parent_number": 0}),
                                      ("PUT", f"/branches/main/hard_reset?ref={r}", None),
                                      ("POST", "/branches/main/objects/copy?dest_path=y", {"src_path": "dir/x", "src_ref": ref})):
                a = u.rest.ask(method, at + path, doc=doc)
                assert a.status in (400, 404), (path, doc, a)
        # Its tables, its dump and its tasks.
        for kind in ("meta_range", "range"):
            a = u.rest.ask("GET", f"{at}/metadata/object/{kind}/{meta}")
            assert a.status in (404, 410), a
        dump = api.call("PUT", "/repositories/other/refs/dump", 201).json
        assert u.rest.ask("PUT", at + "/refs/restore", doc=dump).status in (400, 404, 409, 410)
        task = api.call("POST", "/repositories/other/dump", 202).json["id"]
        for path in ("dump", "restore"):
            assert u.rest.ask("GET", f"{at}/{path}", task_id=task).status == 404
        # Its bytes, by the address that the store knows them by.
        stat = api.get("/repositories/other/refs/main/objects/stat", path="dir/x")
        thing = {"physical_address": stat["physical_address"], "checksum": stat["checksum"], "size_bytes": stat["size_bytes"]}
        assert "insufficient permissions" in u.rest.fails(401, "PUT", at + "/branches/main/objects", path="stolen", doc=thing).message
        given = u.rest.get(at + "/branches/main/staging/backing", path="stolen")["physical_address"]
        own = given.split("/data/")[0]
        for address in (stat["physical_address"], given.replace("/mine", "/other"), own + "/../other/data/x",
                        own + "/data/../../other/" + stat["physical_address"].split("/other/", 1)[-1]):
            a = u.rest.ask("PUT", at + "/branches/main/staging/backing", path="stolen", doc={
                "staging": {"physical_address": address}, "checksum": stat["checksum"], "size_bytes": stat["size_bytes"]})
            assert a.status in (400, 401, 403), (address, a)
        u.rest.fails(404, "GET", at + "/refs/main/objects", path="stolen")
        # Users, groups, policies.
        for path in ("users", "groups", "policies", "users/admin", "users/nobody", "groups/Admins", "groups/None",
                     "policies/FSFullAccess", "policies/none", "users/admin/credentials", "users/admin/policies",
                     "users/admin/groups", "groups/Admins/members", f"users/admin/credentials/{KEY}", "groups/Admins/acl"):
            a = u.rest.fails(401, "GET", "/auth/" + path)
            assert "insufficient permissions" in a.message, (path, a)


def ask_s3(server, key, secret, method, path, headers=None, body=b""):
    url = server.url + path
    h = sign(method, url, dict(headers or {}), key=key, secret=secret)
    c = server.connect()
    c.request(method, path, body=body, headers=h)
    a = c.getresponse()
    return a.status, a.read().decode()


def test_s3_tells_nothing_of_other_repositories():
    with Server(repos=("mine", "other", "third", "ozone")) as server:
        api, u = two_repositories(server)
        t = u.s3()
        assert [b["Name"] for b in t.list_buckets()["Buckets"]] == ["mine"]
        for kw in ({"MaxBuckets": 1}, {"MaxBuckets": 2}, {"Prefix": "m"}):
            page = t.list_buckets(**kw)
            assert [b["Name"] for b in page["Buckets"]] == ["mine"], kw
            if "ContinuationToken" in page:
                assert t.list_buckets(ContinuationToken=page["ContinuationToken"], **kw).get("Buckets", []) == []
        assert t.list_buckets(Prefix="o").get("Buckets", []) == []
        # Each operation answers the same for what is there and what isn't, in both kinds of address.
        asked = 0
        for name, method, on, query, _ in rows("s3"):
            if on == "service":
                continue
            for there, nowhere in (("other", "nowhere"), ("other.main", "nowhere.main"), ("other.hidden-branch", "other.nowhere")):
                told = []
                for bucket in (there, nowhere):
                    q = "&".join(k + ("" if "=" in k or k != "partNumber" else "=1") for k in query.replace("\\", "").split("&") if k)
                    path = f"/{bucket}" + ("/main/dir/x" if on == "object" else "") + ("?" + q if q else "")
                    headers = {"x-amz-copy-source": "mine/main/dir/x"} if "Copy" in name else {}
                    if name == "RenameObject":
                        headers = {"x-amz-rename-source": "/mine/main/dir/x"}
                    status, text = ask_s3(server, u.key, u.secret, method, path, headers,
                                          b"<Delete><Object><Key>main/dir/x</Key></Object></Delete>" if name == "DeleteObjects" else b"")
                    text = re.sub(r"<(RequestId|HostId)>.*?</\1>", "", text)
                    for word in (bucket, bucket.split(".")[0]):
                        text = re.sub(r"\b%s\b" % re.escape(word), "R", text)
                    if "." in bucket:
                        text = re.sub(r"\b%s\b" % re.escape(bucket.split(".")[1]), "B", text)
                    told.append((status, text))
                assert told[0] == told[1], (name, there, told)
                assert told[0][0] in (400, 403, 501) or name == "DeleteObjects" and "AccessDenied" in told[0][1], (name, told)
                asked += 1
        assert asked > 250, asked
        # Copies are reads.
        for source in ("other/main/dir/x", "nowhere/main/dir/x", "other/hidden-tag/dir/x", "other.main/dir/x"):
            assert error(t.copy_object, Bucket="mine", Key="main/y", CopySource=source) == ("AccessDenied", 403), source
            up = t.create_multipart_upload(Bucket="mine", Key="main/y")["UploadId"]
            assert error(t.upload_part_copy, Bucket="mine", Key="main/y", UploadId=up, PartNumber=1,
                         CopySource=source) == ("AccessDenied", 403), source
            t.abort_multipart_upload(Bucket="mine", Key="main/y", UploadId=up)
        # An upload of another repository is none of this one's, and its owner's list is not ours.
        admin = server.boto3()
        theirs = admin.create_multipart_upload(Bucket="other", Key="main/secret-name")["UploadId"]
        assert error(t.list_parts, Bucket="mine", Key="main/secret-name", UploadId=theirs)[0] == "NoSuchUpload"
        assert error(t.upload_part, Bucket="mine", Key="main/secret-name", UploadId=theirs, PartNumber=1,
                     Body=b"")[0] == "NoSuchUpload"
        assert t.list_multipart_uploads(Bucket="mine").get("Uploads", []) == []
        # Refs of another repository.
        commit = api.get("/repositories/other/branches/main")["commit_id"]
        for ref in (commit, "hidden-tag", "hidden-branch", commit + "~1"):
            assert error(t.get_object, Bucket="mine", Key=f"{ref}/dir/x")[0] in ("NoSuchKey", "NoSuchBucket")
            assert s3_code(t.list_objects_v2, Bucket="mine", Prefix=f"{ref}/") in (None, "NoSuchBucket", "BadRequest", "NoSuchKey")


def test_who_is_believed_about_addresses():
    extra = 'server.trusted_proxies: ["127.0.0.1/32", "10.0.0.0/8"]\n'
    for trusted in (True, False):
        with Server(repos=("example",), extra=extra if trusted else "") as server:
            api = Rest(server.url)
            u = User(server, api, "office", statement("fs:*", "*", condition={"IpAddress": {"SourceIp": ["192.0.2.0/24"]}}))

            def may(**headers):
                h = {k.replace("_", "-"): v for k, v in headers.items()}
                by_rest = u.rest.ask("GET", "/repositories/example", headers=h).status == 200
                # Unsigned headers, as a proxy adds them.
                signed = sign("GET", server.url + "/example?list-type=2", {}, key=u.key, secret=u.secret)
                c = server.connect()
                c.request("GET", "/example?list-type=2", headers={**signed, **h})
                by_s3 = c.getresponse().status == 200
                assert by_rest == by_s3, headers
                return by_rest

            for headers, good in (({}, False), ({"X_Forwarded_For": "192.0.2.7"}, True),
                                  ({"X_Forwarded_For": "198.51.100.1, 192.0.2.7"}, True),
                                  ({"X_Forwarded_For": "192.0.2.7, 198.51.100.1"}, False),
                                  ({"X_Forwarded_For": "192.0.2.7, 10.1.2.3"}, True),
                                  ({"X_Forwarded_For": "192.0.2.7:1234"}, True),
                                  ({"X_Forwarded_For": "192.0.2.7, unknown"}, False),
                                  ({"X_Real_IP": "192.0.2.7"}, True),
                                  ({"X_Real_IP": "192.0.2.7", "X_Forwarded_For": "198.51.100.1"}, False),
                                  ({"Forwarded": "for=192.0.2.7"}, False)):
                assert may(**headers) == (good and trusted), (headers, trusted)
            # The audit names whom the proxy named.
            server.settled_log()
            before = len(audit(server))
            api.call("POST", "/auth/users", 201, doc={"id": "x"}, headers={"X-Forwarded-For": "203.0.113.9"})
            assert audit_after(server, before)[-1]["source_ip"] == ("203.0.113.9" if trusted else "127.0.0.1")


def audit_after(server, before, n=1):
    """The lines since there were `before`: at least n, waited for (loops only queue theirs)."""
    end = time.monotonic() + 60
    while len(audit(server)) < before + n and time.monotonic() < end:
        time.sleep(0.02)
    return audit(server)[before:]


def metric(server, name):
    c = server.connect()
    c.request("GET", "/metrics")
    found = re.search(rf"^{name} (\d+)", c.getresponse().read().decode(), re.M)
    return int(found.group(1)) if found else 0


def test_who_guesses_waits():
    extra = ('server.trusted_proxies: ["127.0.0.1"]\n'
             'auth.limits: {failures: 10, recovery: "1h"}\n')
    with Server(repos=("example",), extra=extra) as server:
        api = Rest(server.url)
        owner = User(server, api, "owner", statement("fs:*", "*"))

        def from_(address):
            return {"X-Forwarded-For": address}

        def s3_status(address, key, secret):
            h = sign("GET", server.url + "/example?list-type=2", {}, key=key, secret=secret)
            c = server.connect()
            c.request("GET", "/example?list-type=2", headers={**h, **from_(address)})
            a = c.getresponse()
            return a.status, a.getheader("Retry-After"), a.read()

        assert owner.rest.ask("GET", "/repositories", headers=from_("192.0.2.1")).status == 200
        # Guesses by each way count together; after ten, nothing more is looked at.
        guess = Rest(server.url, owner.key, "x" * 40)
        for n in range(10):
            way = n % 4
            if way == 0:
                assert guess.ask("GET", "/repositories", headers=from_("192.0.2.66")).status == 401
            elif way == 1:
                assert s3_status("192.0.2.66", owner.key, "x" * 40)[0] == 403
            elif way == 2:
                a = Rest(server.url, None).ask("POST", "/auth/login", headers=from_("192.0.2.66"),
                                               doc={"access_key_id": "AKIAJMADEUP", "secret_access_key": "x"})
                assert a.status == 401
            else:
                a = Rest(server.url, None).ask("GET", "/repositories", headers={
                    "Authorization": "Bearer a.b.c", **from_("192.0.2.66")})
                assert a.status == 401
        a = guess.ask("GET", "/repositories", headers=from_("192.0.2.66"))
        assert a.status == 429 and 3000 < int(a.headers["Retry-After"]) <= 3600 and "too many" in a.message, a
        status, after, text = s3_status("192.0.2.66", owner.key, owner.secret)
        assert status == 429 and int(after) > 3000 and b"<Code>SlowDown</Code>" in text
        a = Rest(server.url, None).ask("POST", "/auth/login", headers=from_("192.0.2.66"),
                                       doc={"access_key_id": owner.key, "secret_access_key": owner.secret})
        assert a.status == 429
        # Strangers from everywhere: the owner comes in, from where they were and from a new address.
        def stranger(n):
            return guess.ask("GET", "/repositories", headers=from_(f"198.51.100.{n}")).status
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert set(pool.map(stranger, range(1, 60))) <= {401, 429}
        for address in ("192.0.2.1", "192.0.2.2", "203.0.113.5"):
            assert owner.rest.ask("GET", "/repositories", headers=from_(address)).status == 200
            assert s3_status(address, owner.key, owner.secret)[0] == 200
        # Somebody behind the owner's address guesses: the owner goes on, others there wait.
        for _ in range(12):
            Rest(server.url, "AKIAJMADEUP", "x").ask("GET", "/repositories", headers=from_("192.0.2.1"))
        assert owner.rest.ask("GET", "/repositories", headers=from_("192.0.2.1")).status == 200
        assert api.ask("GET", "/repositories", headers=from_("192.0.2.1")).status == 429
        # What can't be guessed is let in: a login, and temporary credentials, which are of a key never seen there.
        made = api.call("POST", "/sluice/sts/session", 201).json
        login = Rest(server.url, None).call("POST", "/auth/login", 200, doc={
            "access_key_id": KEY, "secret_access_key": SECRET}, headers=from_("192.0.2.4")).json["token"]
        assert Rest(server.url, None).ask("GET", "/repositories", headers={
            "Authorization": "Bearer " + login, **from_("192.0.2.66")}).status == 200
        assert Rest(server.url, None).ask("GET", "/repositories", headers={
            "Authorization": "Bearer a.b.c", **from_("192.0.2.66")}).status == 429
        for token, status in ((made["session_token"][:-1] + "!", 429), (made["session_token"], 200)):
            h = sign("GET", server.url + "/example?list-type=2", {"X-Amz-Security-Token": token},
                     key=made["access_key_id"], secret=made["secret_access_key"])
            c = server.connect()
            c.request("GET", "/example?list-type=2", headers={**h, **from_("192.0.2.66")})
            got = c.getresponse()
            assert got.status == status, (status, got.status, got.read())
        # What is wrong for other reasons doesn't count: no credentials at all, an old login.
        for _ in range(30):
            assert Rest(server.url, None).ask("GET", "/repositories", headers=from_("192.0.2.3")).status == 401
        assert owner.rest.ask("GET", "/repositories", headers=from_("192.0.2.3")).status == 200
        said = audit_after(server, 0, 75)
        failed = [e for e in said if e["msg"] == "authentication failed" and e["source_ip"] == "192.0.2.66"]
        assert len(failed) == 10 and {e["how"] for e in failed} == {"secret", "signature", "token"}
        assert all(e["request_id"] for e in failed)
        assert [e for e in said if e["msg"].startswith("too many failures") and e["source_ip"] == "192.0.2.66"]
        assert metric(server, "auth_failures_total") >= 70 and metric(server, "auth_refused_total") >= 4
        assert owner.secret not in server.log_text() and "x" * 40 not in server.log_text()


def test_limits_heal_and_can_be_off():
    with Server(repos=("example",), extra='auth.limits: {failures: 3, recovery: "3s"}\n') as server:
        bad = Rest(server.url, "AKIAJMADEUP", "x")
        end = time.monotonic() + 60
        while bad.ask("GET", "/repositories").status != 429:
            assert time.monotonic() < end
        while bad.ask("GET", "/repositories").status != 401:
            assert time.monotonic() < end
            time.sleep(0.05)
    with Server(repos=("example",), extra="auth.limits.failures: 0\n") as server:
        bad = Rest(server.url, "AKIAJMADEUP", "x")
        assert {bad.ask("GET", "/repositories").status for _ in range(200)} == {401}


# Each operation that changes access: a request that succeeds, in this order, and what the audit says of it.
P = {"id": "P", "statement": [statement("fs:Read*", "*")]}
CHANGES = [
    ("createUser", dict(doc={"id": "U"}), {}, "user created"),
    ("createGroup", dict(doc={"id": "G"}), {}, "group created"),
    ("createPolicy", dict(doc=P), {}, "policy created"),
    ("updatePolicy", dict(doc=P), {}, "policy changed"),
    ("setGroupACL", dict(doc={"permission": "Read"}), {}, ["policy created", "policy attached"]),
    ("addGroupMembership", {}, {}, "group member added"),
    ("deleteGroupMembership", {}, {}, "group member removed"),
    ("attachPolicyToUser", {}, {}, "policy attached"),
    ("detachPolicyFromUser", {}, {}, "policy detached"),
    ("attachPolicyToGroup", {}, {}, "policy attached"),
    ("detachPolicyFromGroup", {}, {}, "policy detached"),
    ("createCredentials", {}, {}, "credentials created"),
    ("deleteCredentials", {}, {}, "credentials deleted"),
    ("deletePolicy", {}, {}, "policy deleted"),
    ("deleteGroup", {}, {}, "group deleted"),
    ("deleteUser", {}, {}, "user deleted"),
    ("login", dict(doc={"access_key_id": KEY, "secret_access_key": SECRET}), {}, "logged in"),
    ("sluiceCreateSession", {}, {}, "session created"),
]
# What is not here (501), or changes nothing.
NOT_HERE = {"createUserExternalPrincipal", "deleteUserExternalPrincipal", "stsLogin", "externalPrincipalLogin",
            "setupCommPrefs"}
ELSEWHERE = {"setup", "stsGetSessionToken", "stsGetFederationToken", "stsGetCallerIdentity"}


def changes_access(name, method, path, permission):
    return method != "GET" and method != "HEAD" and (
        "auth:" in permission or path.startswith(("/auth/", "/setup", "/sts", "/sluice/sts", "?Action=")))


def test_each_change_of_access_is_in_the_audit():
    table = {name: (method, path) for name, method, path, permission in rows("rest")
             if changes_access(name, method, path, permission)}
    assert len(table) > 20
    missing = set(table) - {c[0] for c in CHANGES} - NOT_HERE - ELSEWHERE
    assert not missing, f"these change access, and no line of the audit is asked for: {missing}"
    with Server(repos=("example",)) as server:
        api, key = Rest(server.url), None
        for name, kw, _, said in CHANGES:
            method, path = table[name]
            at = path.format(user_id="U", group_id="G", policy_id="P", access_key=key)
            before = len(audit(server))
            a = api.call(method, at, **kw)
            said = said if isinstance(said, list) else [said]
            lines = audit_after(server, before, len(said))
            assert [e["msg"] for e in lines] == said, (name, lines)
            for e in lines:
                assert e["by"] == "admin" and e["source_ip"] == "127.0.0.1", (name, e)
                assert e["request_id"] == a.headers["X-Request-ID"], (name, e)
            e = {n: v for n, v in enumerate(v for line in lines for v in line.values())}
            if name == "createCredentials":
                key = a.json["access_key_id"]
            # Who or what was changed.
            for word, value in (("{user_id}", "U"), ("{group_id}", "G"), ("{policy_id}", "P"), ("{access_key}", key)):
                assert word not in path or value in e.values(), (name, e)
            if kw.get("doc", {}).get("id"):
                assert kw["doc"]["id"] in e.values()
        # What failed changed nothing, and says nothing.
        server.settled_log()
        before = len(audit(server))
        for name, kw, _, said in CHANGES:
            method, path = table[name]
            if method == "DELETE" or "{" in path:
                api.ask(method, path.format(user_id="none", group_id="none", policy_id="none", access_key="none"), **kw)
        assert audit(server)[before:] == []
        for name in NOT_HERE:
            method, path = table[name]
            a = api.ask(method, path.format(user_id="admin", group_id="Admins"), doc={
                "code": "x", "redirect_uri": "x", "state": "x", "permission": "Read", "featureUpdates": True,
                "securityUpdates": True}, principalId="x")
            assert a.status in (409, 501), (name, a)
        assert audit(server)[before:] == []
        # STS.
        client = sts(server)
        for call, kw, said in ((client.get_session_token, {}, "session created"),
                               (client.get_federation_token, dict(Name="xx", Policy=json.dumps(P)), "scoped session created")):
            before = len(audit(server))
            made = call(**kw)["Credentials"]
            (e,) = audit_after(server, before)
            assert (e["msg"], e["by"], e["access_key_id"], e["temporary_access_key_id"], e["source_ip"]) == (
                said, "admin", KEY, made["AccessKeyId"], "127.0.0.1") and e["request_id"]
        # Failures, each way.
        for ask, how in ((lambda: Rest(server.url, KEY, "x").ask("GET", "/user"), "secret"),
                         (lambda: api.ask("GET", "/user", headers={"Authorization": "Bearer x.y.z"}), "token"),
                         (lambda: api.ask("POST", "/auth/login", doc={"access_key_id": KEY, "secret_access_key": "x"}), "secret"),
                         (lambda: ask_s3(server, KEY, "x", "GET", "/example"), "signature"),
                         (lambda: error(sts(server, secret="x").get_caller_identity), "signature")):
            before = len(audit(server))
            ask()
            (e,) = audit_after(server, before)
            assert e["msg"] == "authentication failed" and e["how"] == how and e["source_ip"] == "127.0.0.1", e
            assert e["request_id"] and e["access_key_id"] == ("" if how == "token" else KEY)


def test_beginnings_are_in_the_audit():
    """Setup by a browser, administrators by the command line, and lakeFS's user who is taken over."""
    class Fresh(Server):
        def prepare(self):
            self.configure()

    with Fresh() as server:
        a = Rest(server.url, None).call("POST", "/setup_lakefs", 200, doc={"username": "first"})
        (e,) = audit_after(server, 0)
        assert (e["msg"], e["user"], e["by"], e["source_ip"], e["access_key_id"]) == (
            "administrator created", "first", "nobody", "127.0.0.1", a.json["access_key_id"])
        assert e["request_id"] == a.headers["X-Request-ID"]
        server.stop()
        done = server.command("superuser", "--user-name", "second")
        (line,) = [json.loads(x) for x in done.stderr.splitlines() if '"audit"' in x]
        assert (line["msg"], line["user"], line["by"]) == ("administrator created", "second", "command line")

    none = "auth.ui_config.rbac: none\n"
    server = Server(repos=(), extra=none)
    with server:
        api = Rest(server.url)
        assert api.get("/user")["user"]["id"] == "admin"
        server.stop()
        server.extra = ""
        server.configure()
        server.start()
        assert [e["user"] for e in audit(server) if "taken over" in e["msg"]] == ["admin"]
        assert ids(api.pages("/auth/groups/Admins/members")) == ["admin"]


def test_without_access_control():
    """auth.ui_config.rbac: none is lakeFS's single user, who may do everything; temporary credentials are there."""
    with Server(repos=("example",), extra="auth.ui_config.rbac: none\n") as server:
        api = Rest(server.url)
        for path in ("/auth/groups", "/auth/policies", "/auth/users/admin/credentials"):
            api.fails(501, "GET", path)
        scope = [statement("fs:ReadObject", repo("example", "/object/in/*"))]
        api.call("POST", "/repositories/example/branches/main/objects", 201, body=b"x", path="in/x")
        c = as_aws(api.call("POST", "/sluice/sts/session", 201, doc={"policy": scope}).json)
        t = s3(server, c)
        assert t.get_object(Bucket="example", Key="main/in/x")["Body"].read() == b"x"
        assert error(t.put_object, Bucket="example", Key="main/in/x", Body=b"") == ("AccessDenied", 403)


if __name__ == "__main__":
    main(globals())
