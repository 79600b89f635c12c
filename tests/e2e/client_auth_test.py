"""Users, groups, policies, credentials and logins: everything by REST, as an administrator does it, and what it means
for both protocols."""
import base64
import hashlib
import hmac
import http.client
import json
import subprocess
import time

from harness import KEY, SECRET, Server, clean_env, main, while_it_lasts
from rest import Rest

TOKEN_KEY = b"encrypt-encrypt-encrypt"


def statement(action, resource, effect="allow", **condition):
    s = {"effect": effect, "action": action if isinstance(action, list) else [action], "resource": resource}
    return dict(s, condition=condition["condition"]) if condition else s


def repo(name, below=""):
    return f"arn:lakefs:fs:::repository/{name}{below}"


class User:
    """Somebody with exactly these statements, and a key."""

    def __init__(self, server, admin, name, /, *statements, **credentials):
        self.server, self.name = server, name
        admin.call("POST", "/auth/users", 201, doc={"id": name})
        if statements:
            admin.call("POST", "/auth/policies", 201, doc={"id": "p-" + name, "statement": list(statements)})
            admin.call("PUT", f"/auth/users/{name}/policies/p-{name}", 201)
        k = admin.call("POST", f"/auth/users/{name}/credentials", 201, doc=credentials).json
        self.key, self.secret = k["access_key_id"], k["secret_access_key"]
        self.rest = Rest(server.url, self.key, self.secret)

    def s3(self):
        import boto3
        from botocore.config import Config
        return boto3.client("s3", endpoint_url=self.server.url, aws_access_key_id=self.key,
                            aws_secret_access_key=self.secret, region_name="us-east-1",
                            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}))


def s3_code(fn, **args):
    from botocore.exceptions import ClientError
    try:
        fn(**args)
    except ClientError as e:
        return e.response["Error"]["Code"]
    return None


def ids(rows):
    return [r["id"] for r in rows]


def audit(server):
    return [json.loads(line) for line in server.log_text().splitlines() if '"component":"audit"' in line]


def test_users_groups_policies():
    with Server(repos=()) as server:
        api = Rest(server.url)
        assert ids(api.pages("/auth/groups")) == ["Admins", "Developers", "SuperUsers", "Viewers"]
        assert len(api.pages("/auth/policies")) == 10
        assert ids(api.pages("/auth/groups/Admins/members")) == ["admin"]
        assert ids(api.pages("/auth/groups/Admins/policies")) == [
            "AuthFullAccess", "CatalogReadWriteAll", "FSFullAccess", "RepoManagementFullAccess"]

        for n in range(7):
            made = api.call("POST", "/auth/users", 201, doc={"id": f"u{n}@x.io"}).json
            assert made == api.get(f"/auth/users/u{n}%40x.io") and made["id"] == f"u{n}@x.io"
        everybody = ["admin"] + [f"u{n}@x.io" for n in range(7)]
        for amount in (1, 2, 3, 7, 8, 100):
            assert ids(api.pages("/auth/users", amount=amount)) == everybody
        assert ids(api.pages("/auth/users", prefix="u")) == everybody[1:]
        assert api.get("/auth/users", amount=8)["pagination"]["has_more"] is False
        assert api.fails(409, "POST", "/auth/users", doc={"id": "u1@x.io"}).message == "Already exists"
        for bad in ("a%b", "a/b", "", "a\nb", "x" * 257):
            api.fails(400, "POST", "/auth/users", doc={"id": bad})
            api.fails(400, "POST", "/auth/groups", doc={"id": bad})
            api.fails(400, "POST", "/auth/policies", doc={"id": bad, "statement": [statement("fs:*", "*")]})

        g = api.call("POST", "/auth/groups", 201, doc={"id": "G", "description": "of tests"}).json
        assert (g["id"], g["name"], g["description"]) == ("G", "G", "of tests") and g == api.get("/auth/groups/G")
        api.fails(409, "POST", "/auth/groups", doc={"id": "G"})
        for n in (1, 2, 3):
            api.call("PUT", f"/auth/groups/G/members/u{n}@x.io", 201)
        api.call("PUT", "/auth/groups/G/members/u1@x.io", 201)
        assert ids(api.pages("/auth/groups/G/members", amount=2)) == [f"u{n}@x.io" for n in (1, 2, 3)]
        assert ids(api.pages("/auth/users/u1@x.io/groups")) == ["G"]
        assert api.fails(404, "PUT", "/auth/groups/none/members/u1@x.io").message == "group not found"
        assert api.fails(404, "PUT", "/auth/groups/G/members/none").message == "user not found"
        api.call("DELETE", "/auth/groups/G/members/u2@x.io", 204)
        assert ids(api.pages("/auth/groups/G/members")) == ["u1@x.io", "u3@x.io"]

        document = {"id": "P", "statement": [
            statement(["fs:Read*", "ci:*"], json.dumps([repo("a"), repo("b/*")])),
            statement("fs:*", "*", "deny", condition={"NotIpAddress": {"SourceIp": ["10.0.0.0/8", "::1"]},
                                                      "StringLike": {"StorageId": ["x*"]}})]}
        made = api.call("POST", "/auth/policies", 201, doc=document).json
        assert made["statement"] == document["statement"] == api.get("/auth/policies/P")["statement"]
        changed = {"id": "P", "statement": [statement("fs:ReadConfig", "*")]}
        assert api.call("PUT", "/auth/policies/P", 200, doc=changed).json == dict(
            changed, creation_date=made["creation_date"])
        api.fails(404, "PUT", "/auth/policies/none", doc=dict(changed, id="none"))
        api.fails(400, "PUT", "/auth/policies/P", doc=dict(changed, id="Q"))
        for at in ("/auth/users/u1@x.io", "/auth/groups/G"):
            api.call("PUT", at + "/policies/P", 201)
            assert ids(api.pages(at + "/policies")) == ["P"]
            api.fails(404, "PUT", at + "/policies/none")
        api.call("PUT", "/auth/groups/G/policies/FSReadAll", 201)
        assert ids(api.pages("/auth/users/u1@x.io/policies", effective=True, amount=1)) == ["FSReadAll", "P"]
        assert ids(api.pages("/auth/users/u1@x.io/policies", effective=False)) == ["P"]
        api.call("DELETE", "/auth/policies/P", 204)
        assert api.fails(404, "GET", "/auth/policies/P").message == "policy not found"
        assert api.pages("/auth/users/u1@x.io/policies") == []
        # A policy of the same name isn't attached to what the first one was.
        api.call("POST", "/auth/policies", 201, doc=document)
        assert api.pages("/auth/users/u1@x.io/policies") == []
        api.call("DELETE", "/auth/groups/G", 204)
        api.call("POST", "/auth/groups", 201, doc={"id": "G"})
        assert api.pages("/auth/groups/G/members") == [] == api.pages("/auth/groups/G/policies")
        for what in ("users", "groups", "policies"):
            api.fails(404, "DELETE", f"/auth/{what}/none")
        api.fails(501, "GET", "/auth/external/principals?principalId=x")
        server.settled_log()
        said = [(e["msg"], e["by"]) for e in audit(server)]
        for what in ("user created", "group created", "group deleted", "policy created", "policy changed",
                     "policy deleted", "policy attached", "group member added", "group member removed"):
            assert (what, "admin") in said, what


def test_groups_access_by_a_word():
    with Server() as server:
        api = Rest(server.url)
        user = User(server, api, "u")
        api.call("POST", "/auth/groups", 201, doc={"id": "G"})
        api.call("PUT", "/auth/groups/G/members/u", 201)
        assert api.fails(404, "GET", "/auth/groups/G/acl").json == {"message": "the group has no ACL", "no_acl": True}
        assert "no_acl" not in api.fails(404, "GET", "/auth/groups/none/acl").json
        api.fails(400, "POST", "/auth/groups/G/acl", doc={"permission": "read"})
        api.fails(404, "POST", "/auth/groups/none/acl", doc={"permission": "Read"})
        at = "/repositories/example"
        # What each may, of: read, write, delete the repository, manage users; each sees its own keys.
        for word, may in (("Read", (1, 0, 0, 0)), ("Write", (1, 1, 0, 0)), ("Super", (1, 1, 1, 0)), ("Admin", (1, 1, 1, 1)),
                          ("Read", (1, 0, 0, 0))):
            api.call("POST", "/auth/groups/G/acl", 201, doc={"permission": word})
            assert api.get("/auth/groups/G/acl") == {"permission": word}
            assert ids(api.pages("/auth/groups/G/policies")) == ["ACL(_-_)G"]
            asked = (user.rest.ask("GET", at), user.rest.ask("POST", at + "/branches/main/objects", query={"path": "x"},
                                                              body=b"x"),
                     user.rest.ask("POST", at + "/metadata", doc={"metadata": {"k": "v"}}),
                     user.rest.ask("GET", "/auth/users"))
            assert tuple(int(a.status < 300) for a in asked) == may, (word, asked)
            assert all(a.status < 300 or a.status == 401 for a in asked)
            user.rest.call("GET", "/auth/users/u/credentials", 200)
        # Somebody has made something else of it.
        api.call("PUT", "/auth/policies/ACL(_-_)G", 200, doc={"id": "ACL(_-_)G", "statement": [statement("fs:*", "*")]})
        assert api.fails(404, "GET", "/auth/groups/G/acl").json["no_acl"] is True


def test_documents_that_are_refused():
    with Server(repos=()) as server:
        api = Rest(server.url)
        good = statement("fs:ReadObject", "*")
        for bad in ([], {}, "x", [{}], [dict(good, effect="maybe")], [dict(good, action=[])],
                    [dict(good, action="fs:*")], [dict(good, action=["nope:Read"])], [dict(good, action=["fs:"])],
                    [dict(good, action=["*"])], [dict(good, resource="everything")], [dict(good, resource="[]")],
                    [dict(good, resource="[\"x\"]")], [dict(good, resource="arn:aws:fs:::repository/x")],
                    [dict(good, condition={"Bigger": {"SourceIp": ["1.2.3.4"]}})],
                    [dict(good, condition={"IpAddress": {"SourceIp": ["house"]}})],
                    [dict(good, condition={"IpAddress": {"StorageId": ["1.2.3.4"]}})],
                    [dict(good, condition={"StringLike": {"Moon": ["full"]}})],
                    [dict(good, condition={"StringLike": {}})]):
            a = api.fails(400, "POST", "/auth/policies", doc={"id": "bad", "statement": bad})
            assert a.message, bad
        api.fails(404, "GET", "/auth/policies/bad")


def test_a_limited_user_sees_nothing_else():
    with Server(repos=("mine", "other")) as server:
        api = Rest(server.url)
        for name in ("mine", "other"):
            api.call("POST", f"/repositories/{name}/branches/main/objects", 201, body=b"x", path="dir/x")
        u = User(server, api, "limited", statement("fs:*", repo("mine")), statement("fs:*", repo("mine", "/*")))
        assert ids(u.rest.pages("/repositories")) == ["mine"]
        s3 = u.s3()
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["mine"]
        assert s3.get_object(Bucket="mine", Key="main/dir/x")["Body"].read() == b"x"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket="mine", Prefix="main/")["Contents"]] == ["main/dir/x"]
        for there in ("other", "nowhere"):
            assert s3_code(s3.get_object, Bucket=there, Key="main/dir/x") == "AccessDenied"
            assert s3_code(s3.list_objects_v2, Bucket=there) == "AccessDenied"
            assert s3_code(s3.put_object, Bucket=there, Key="main/y", Body=b"") == "AccessDenied"
            for path in ("", "/branches", "/refs/main/objects/ls", "/refs/main/commits"):
                u.rest.fails(401, "GET", f"/repositories/{there}{path}")
        for path in ("users", "groups", "policies", "users/admin", "groups/Admins", "users/limited/credentials"):
            assert "insufficient permissions" in u.rest.fails(401, "GET", "/auth/" + path).message
        u.rest.fails(401, "POST", "/auth/users", doc={"id": "evil"})
        u.rest.fails(401, "PUT", "/auth/groups/Admins/members/limited")
        u.rest.fails(401, "PUT", "/auth/users/limited/policies/FSFullAccess")
        # What is given and taken counts at once.
        api.call("PUT", "/auth/groups/Viewers/members/limited", 201)
        assert ids(u.rest.pages("/repositories")) == ["mine", "other"]
        u.rest.fails(401, "POST", "/repositories/other/branches", doc={"name": "b", "source": "main"})
        assert u.rest.get("/auth/users/limited/credentials")["results"][0]["access_key_id"] == u.key
        api.call("DELETE", "/auth/groups/Viewers/members/limited", 204)
        assert ids(u.rest.pages("/repositories")) == ["mine"]
        api.call("DELETE", "/auth/users/limited", 204)
        u.rest.fails(401, "GET", "/user")
        assert s3_code(s3.list_buckets) == "InvalidAccessKeyId"
        # One of the same name inherits nothing.
        again = User(server, api, "limited")
        again.rest.fails(401, "GET", "/repositories")
        assert api.pages("/auth/users/limited/policies") == []
        u.rest.fails(401, "GET", "/user")


def test_denials_wildcards_conditions():
    with Server(repos=("repo-a", "repo-b")) as server:
        api = Rest(server.url)
        for name in ("repo-a", "repo-b"):
            for path in ("open/1", "secret/1"):
                api.call("POST", f"/repositories/{name}/branches/main/objects", 201, body=b"x", path=path)
        deny = User(server, api, "deny", statement(["fs:Read*", "fs:List*"], "*"),
                    statement("fs:ReadObject", repo("*", "/object/secret/*"), "deny"))
        wild = User(server, api, "wild", statement(["fs:List*", "fs:R??dObject"], repo("repo-?", "*")),
                    statement("fs:*", repo("repo-b*"), "deny"))
        near = User(server, api, "near", statement("fs:*", "*", condition={"IpAddress": {"SourceIp": ["127.0.0.0/8"]}}))
        far = User(server, api, "far", statement("fs:*", "*", condition={"IpAddress": {"SourceIp": ["10.0.0.0/8"]}}))
        shut = User(server, api, "shut", statement("fs:*", "*"),
                    statement("fs:*", "*", "deny", condition={"NotIpAddress": {"SourceIp": ["10.0.0.0/8"]}}))
        # The only store's id is empty.
        single = User(server, api, "single", statement("fs:*", "*", condition={"StringLike": {"StorageId": [""]}}))
        store = User(server, api, "store", statement("fs:*", "*", condition={"StringLike": {"StorageId": ["s3-*"]}}))

        def may(user, name, path):
            status = user.rest.ask("GET", f"/repositories/{name}/refs/main/objects", path=path).status
            code = s3_code(user.s3().get_object, Bucket=name, Key="main/" + path)
            assert (status, code) in ((200, None), (401, "AccessDenied")), (user.name, status, code)
            return status == 200

        assert may(deny, "repo-a", "open/1") and not may(deny, "repo-a", "secret/1")
        assert may(wild, "repo-a", "secret/1") and not may(wild, "repo-b", "open/1")
        assert ids(wild.rest.pages("/repositories")) == ["repo-a"]
        assert may(near, "repo-a", "open/1") and not may(far, "repo-a", "open/1")
        assert not may(shut, "repo-a", "open/1")
        assert may(single, "repo-a", "open/1") and not may(store, "repo-a", "open/1")
        for user, seen in ((single, ["repo-a", "repo-b"]), (near, ["repo-a", "repo-b"]), (store, []), (far, []), (shut, [])):
            assert ids(user.rest.pages("/repositories")) == seen, user.name
            assert [b["Name"] for b in user.s3().list_buckets()["Buckets"]] == seen, user.name


def test_credentials():
    with Server(repos=("example",)) as server:
        api = Rest(server.url)

        def valid(soon):
            name = f"brief{soon}"
            brief = User(server, api, name, statement("fs:*", "*"), name="for a moment", expires_at=soon)
            at = f"/auth/users/{name}/credentials"
            k = api.get(f"{at}/{brief.key}")
            assert k.pop("creation_date") <= soon and k == {
                "access_key_id": brief.key, "name": "for a moment", "expires_at": soon}
            second = api.call("POST", at, 201).json
            assert sorted(second) == ["access_key_id", "creation_date", "secret_access_key"]
            keys = api.pages(at, amount=1)
            assert [x["access_key_id"] for x in keys] == sorted([brief.key, second["access_key_id"]])
            assert not any("secret_access_key" in x for x in keys)
            assert [b["Name"] for b in brief.s3().list_buckets()["Buckets"]] == ["example"]
            token = brief.rest.call("POST", "/auth/login", 200, doc={
                "access_key_id": brief.key, "secret_access_key": brief.secret}).json
            assert token["token_expiration"] == soon
            bearer = {"Authorization": "Bearer " + token["token"]}
            brief.rest.call("GET", "/repositories", 200, headers=bearer)
            return soon, at, brief, second, token, bearer

        soon, at, brief, second, token, bearer = while_it_lasts(valid)
        for bad in ({"expires_at": 1}, {"expires_at": -1}, {"expires_at": "x"}, {"name": 1}, {"name": "a\nb"}, []):
            api.fails(400, "POST", at, doc=bad)
        api.fails(404, "POST", "/auth/users/none/credentials")
        time.sleep(max(0, soon - time.time()) + 0.1)
        said = brief.rest.fails(401, "GET", "/repositories").message
        assert brief.key in said and "expired" in said
        assert s3_code(brief.s3().list_buckets) == "ExpiredToken"
        said = api.fails(401, "POST", "/auth/login", doc={
            "access_key_id": brief.key, "secret_access_key": brief.secret}).message
        assert "expired" in said
        # Who doesn't know the secret isn't told.
        assert "expired" not in Rest(server.url, brief.key, "x").fails(401, "GET", "/repositories").message
        brief.rest.fails(401, "GET", "/repositories", headers=bearer)
        other = Rest(server.url, second["access_key_id"], second["secret_access_key"])
        other.call("GET", "/repositories", 200)
        api.call("DELETE", f"{at}/{second['access_key_id']}", 204)
        api.fails(404, "DELETE", f"{at}/{second['access_key_id']}")
        other.fails(401, "GET", "/repositories")
        text = server.settled_log()
        for secret in (brief.secret, second["secret_access_key"], token["token"], SECRET):
            assert secret not in text
        assert [e["access_key_id"] for e in audit(server) if e["msg"] == "credentials deleted"] == [
            second["access_key_id"]]


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def token(claims, key=TOKEN_KEY, alg="HS256", **head):
    text = part(dict(head, alg=alg, typ="JWT")) + b"." + part(claims)
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(alg)
    mac = hmac.new(key, text, digest).digest() if digest else b""
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def test_logins():
    with Server(repos=("example",)) as server:
        api, anybody = Rest(server.url), Rest(server.url, None)
        a = anybody.call("POST", "/auth/login", 200, doc={"access_key_id": KEY, "secret_access_key": SECRET})
        good, now = a.json["token"], int(time.time())
        head, claims, _ = good.split(".")
        assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
        claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        assert claims["exp"] == a.json["token_expiration"] == claims["iat"] + 7 * 86400 and len(claims["jti"]) == 36
        assert {k: claims[k] for k in ("iss", "aud", "sub")} == {"iss": "auth", "aud": "login", "sub": "admin"}
        assert "Secure" not in a.headers["Set-Cookie"]

        def ask(t=None, cookie=None, method="GET", path="/repositories", basic=None, **headers):
            headers = {k.replace("_", "-"): v for k, v in headers.items()}
            if t is not None:
                headers["Authorization"] = "Bearer " + t
            if basic:
                headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
            if cookie is not None:
                headers["Cookie"] = "a=b; internal_auth_session=" + cookie + "; c=d"
            doc = {"name": "b" + str(time.monotonic_ns()), "source": "main"} if method == "POST" else None
            return anybody.ask(method, path, headers=headers, doc=doc).status

        assert ask() == 401 and ask(good) == 200 and ask(cookie=good) == 200
        assert ask(good, cookie="bad") == 200 and ask("bad", cookie=good) == 401
        assert ask(basic="x:y", cookie=good) == 401 and ask(basic=f"{KEY}:{SECRET}", cookie="bad") == 200
        base = dict(claims, iat=now, exp=now + 3600)
        for alg in ("HS256", "HS384", "HS512"):
            assert ask(token(base, alg=alg)) == 200, alg
        assert ask(token(dict(base, aud=["login", "x"]))) == 200
        assert ask(token({k: v for k, v in base.items() if k != "aud"})) == 200
        for wrong in (token(base, key=b"other"), token(base, alg="none"), token(base, alg="None"),
                      token(base, alg="RS256"), token(dict(base, exp=now - 1)), token(dict(base, exp="x")),
                      token({k: v for k, v in base.items() if k != "exp"}), token(dict(base, iss="x")),
                      token(dict(base, aud="x")), token(dict(base, sub="nobody")), token(dict(base, sub="")),
                      token(dict(base, nbf=now + 600)), token(base, crit=["x"]), token([]), good[:-1], good + "A",
                      good.rsplit(".", 1)[0], good.rsplit(".", 1)[0] + ".", "..", "", "a.b", "x" * 20000):
            assert ask(wrong) in ((401,) if len(wrong) < 10000 else (401, 431)), wrong[:80]
        # A cookie changes nothing for pages of other sites.
        branches = "/repositories/example/branches"
        here = f"http://127.0.0.1:{server.port}"
        for headers, status in (({}, 201), ({"Sec_Fetch_Site": "same-origin"}, 201), ({"Sec_Fetch_Site": "none"}, 201),
                                ({"Origin": here}, 201), ({"Origin": "http://evil.example"}, 403),
                                ({"Origin": "null"}, 403), ({"Sec_Fetch_Site": "cross-site"}, 403),
                                ({"Sec_Fetch_Site": "same-site"}, 403), ({"Origin": here + "0"}, 403),
                                ({"Sec_Fetch_Site": "cross-site", "Origin": here}, 403)):
            assert ask(cookie=good, method="POST", path=branches, **headers) == status, headers
        assert ask(good, method="POST", path=branches, Origin="http://evil.example") == 201
        assert ask(cookie=good, Sec_Fetch_Site="cross-site") == 200
        anybody.fails(403, "POST", "/auth/login", doc={"access_key_id": KEY, "secret_access_key": SECRET},
                      headers={"Origin": "http://evil.example"})
        # Nor does it write through S3.
        c = server.connect()
        c.request("PUT", "/example/main/x", body=b"x", headers={"Cookie": "internal_auth_session=" + good})
        assert c.getresponse().status == 403
        # A token outlives neither its user nor a new one of that name.
        u = User(server, api, "gone", statement("fs:*", "*"))
        theirs = u.rest.call("POST", "/auth/login", 200, doc={
            "access_key_id": u.key, "secret_access_key": u.secret}).json["token"]
        assert ask(theirs) == 200
        api.call("DELETE", "/auth/users/gone", 204)
        assert ask(theirs) == 401
        time.sleep(1.1)
        User(server, api, "gone")
        assert ask(theirs) == 401
        c = http.client.HTTPConnection("127.0.0.1", server.port)
        c.request("GET", "/logout")
        a = c.getresponse()
        assert (a.status, a.getheader("Location")) == (307, "/auth/login")
        assert a.getheader("Set-Cookie").startswith("internal_auth_session=; Path=/;")
        assert "Max-Age=0" in a.getheader("Set-Cookie")


def test_cookies_are_secure_with_tls():
    with Server(repos=(), tls=True) as server:
        done = subprocess.run(
            ["curl", "-s", "-i", "--cacert", server.cert, "-H", "Content-Type: application/json", "-d",
             json.dumps({"access_key_id": KEY, "secret_access_key": SECRET}), server.url + "/api/v1/auth/login"],
            env=clean_env(), capture_output=True, text=True, check=True)
        assert "HttpOnly; Secure; SameSite=Lax" in done.stdout


def test_setup_is_kept_from_other_sites():
    with Server(repos=()) as server:
        api = Rest(server.url, None)
        assert api.get("/setup_lakefs")["state"] == "initialized"
        assert api.fails(409, "POST", "/setup_lakefs", doc={"username": "x"}).message == "lakeFS already initialized"
        api.fails(403, "POST", "/setup_lakefs", doc={"username": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        api.fails(400, "POST", "/setup_lakefs", body=b'{"username":"x"}', headers={"Content-Type": "text/plain"})


if __name__ == "__main__":
    main(globals())
