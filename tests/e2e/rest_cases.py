"""One request for each operation of the REST API that goes well, and those that end in the errors that /openapi.json
declares for it. client_rest_routes_test.py asks them, and what can be derived from them.

A case is a function of the site; what it does before is done by the administrator. It answers a dict: names in the
path (repository "example", branch "main" and ref "main" unless said), query, doc, body, headers."""
import hashlib
import time

from harness import KEY, SECRET

SPACE = "local://{}"


class Site:
    """A server with something of everything, and names that nobody used before."""

    def __init__(self, server, api):
        self.server, self.api, self.n = server, api, 0
        self.at = "/repositories/example"
        for repo, more in (("example", {}), ("fixed", {"read_only": True})):
            api.call("POST", "/repositories", 201, doc=dict(name=repo, storage_namespace=SPACE.format(repo), **more))
            self.put("a", repo=repo, force=True)
            self.commit("main", repo, force=True)
            api.call("POST", f"/repositories/{repo}/tags", 201, doc={"id": "tag", "ref": "main", "force": True})
        self.first = api.get(self.at + "/commits/main~1")["id"]
        self.head = api.get(self.at + "/branches/main")
        for kind, name in (("users", "somebody"), ("groups", "some"), ("policies", "AllPolicy")):
            doc = {"id": name}
            if kind == "policies":
                doc["statement"] = [{"effect": "allow", "action": ["fs:ReadConfig"], "resource": "*"}]
            api.call("POST", f"/auth/{kind}", 201, doc=doc)

    def name(self, kind="n"):
        self.n += 1
        return f"{kind}{self.n}"

    def put(self, path, branch="main", repo="example", body=b"x", **query):
        return self.api.call("POST", f"/repositories/{repo}/branches/{branch}/objects", 201, body=body,
                             query=dict(query, path=path)).json

    def commit(self, branch, repo="example", **more):
        return self.api.commit(repo, branch, "m", **more)

    def branch(self, source="main"):
        name = self.name("b")
        self.api.branch("example", name, source)
        return name

    def dirty(self, *paths):
        """A branch with something staged."""
        name = self.branch()
        for p in paths or ("new",):
            self.put(p, name, body=name.encode())
        return name

    def ahead(self, *paths):
        """A branch with a commit more than main."""
        name = self.dirty(*paths)
        self.commit(name)
        return name

    def repo(self, bare=False, space=None):
        name = self.name("repo-")
        self.api.call("POST", "/repositories", 201, query={"bare": bare},
                      doc=dict(name=name, storage_namespace=SPACE.format(space or name)))
        return name

    def user(self):
        name = self.name("u")
        self.api.call("POST", "/auth/users", 201, doc={"id": name})
        return name

    def group(self):
        name = self.name("g")
        self.api.call("POST", "/auth/groups", 201, doc={"id": name})
        return name

    def policy(self):
        name = self.name("p")
        self.api.call("POST", "/auth/policies", 201, doc={"id": name, "statement": STATEMENTS})
        return name

    def key(self, user):
        return self.api.call("POST", f"/auth/users/{user}/credentials", 201).json["access_key_id"]

    def task(self, path, doc=None, repo="example", below=""):
        return self.api.call("POST", f"{below}/repositories/{repo}{path}", 202, doc=doc).json["id"]

    def verification(self, space="example"):
        space = SPACE.format(space)
        return {"task_id": self.api.call("POST", "/sluice/backups/verify", 202, doc={"storage_namespace": space}).json["id"],
                "storage_namespace": space}

    def until(self, done, seconds=60):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.05)

    def fsck(self):
        return self.api.call("POST", "/sluice" + self.at + "/fsck", 202).json["id"]

    def address(self, path):
        return self.api.get(self.at + "/branches/main/staging/backing", path=path)["physical_address"]

    def meta_range(self):
        return self.api.get(self.at + "/commits/main")["meta_range_id"]

    def protected(self):
        """A branch that nobody may write to."""
        name = self.branch().replace("b", "protected")
        self.api.call("PUT", self.at + "/settings/branch_protection", 204, doc=[{"pattern": "protected*"}])
        self.api.branch("example", name)
        return name

    def pair(self):
        return {"access_key_id": KEY, "secret_access_key": SECRET}

    def ask(self, op, request, *status):
        return self.send(self.api, op, request, *status)

    def rules(self):
        self.api.call("PUT", self.at + "/settings/gc_rules", 204, doc=RULES)
        return {}

    def dump(self, repo="example"):
        return self.api.call("PUT", f"/repositories/{repo}/refs/dump", 201).json


STATEMENTS = [{"effect": "allow", "action": ["fs:ReadObject"], "resource": "*"}]
RULES = {"default_retention_days": 7, "branches": [{"branch_id": "main", "retention_days": 9}]}
NO_TABLE = "0" * 64


def staging(address):
    return {"staging": {"physical_address": address}, "checksum": "c" * 32, "size_bytes": 1, "user_metadata": {"k": "v"},
            "content_type": "a/b", "mtime": 1700000000, "force": False}


def backup(site, **more):
    return dict({"storage_namespace": SPACE.format(site.name("backup-")), "commit": False, "message": "m", "verify": True,
                 "allow_missing": False, "refuse_external": False}, **more)


def done_backup(site):
    task = {"task_id": site.task("/backup", backup(site), below="/sluice")}
    site.until(lambda: site.api.get("/sluice" + site.at + "/backup", **task)["done"])
    return dict(query=task)


def done_verification(site):
    task = site.verification()
    site.until(lambda: site.api.get("/sluice/backups/verify", **task)["done"])
    return dict(query=task)


def torn_manifest(site):
    """A dump's file of which the end is missing."""
    name = site.repo()
    site.dump(name)
    path = site.server.path("objects", name, "_lakefs", "refs_manifest.json")
    with open(path, "r+") as f:
        f.truncate(50)
    return dict(query={"storage_namespace": SPACE.format(name)})


def record(site):
    """A commit of one repository for another."""
    other = site.repo(bare=True)
    c = site.api.get(site.at + "/commits/" + site.first)
    return dict(repository=other, doc={
        "commit_id": c["id"], "version": c["version"], "committer": c["committer"], "message": c["message"],
        "metarange_id": c["meta_range_id"], "creation_date": c["creation_date"], "parents": c["parents"],
        "metadata": c["metadata"], "generation": c["generation"], "force": False})


def restore(site):
    """Into another repository of the same namespace, where the dump lies."""
    return dict(repository=site.repo(bare=True, space="example"), doc=dict(site.dump(), force=False))


def at_user(site, **more):
    return dict(user_id=site.user(), **more)


def with_policy(site, kind, attached):
    one = site.user() if kind == "user" else site.group()
    policy = site.policy()
    if attached:
        site.api.call("PUT", f"/auth/{kind}s/{one}/policies/{policy}", 201)
    return {kind + "_id": one, "policy_id": policy}


def member(site, there):
    out = dict(group_id=site.group(), user_id=site.user())
    if there:
        site.api.call("PUT", "/auth/groups/{group_id}/members/{user_id}".format(**out), 201)
    return out


def credentials(site):
    user = site.user()
    return dict(user_id=user, access_key=site.key(user))


def acl(site):
    group = site.group()
    site.api.call("POST", f"/auth/groups/{group}/acl", 201, doc={"permission": "Read"})
    return dict(group_id=group)


def revert(site):
    branch = site.ahead()
    return dict(branch=branch, doc={"ref": branch, "parent_number": 0, "force": False, "allow_empty": False,
                                    "commit_overrides": {"message": "m", "metadata": {"k": "v"}}})


CREATED = {
    "createRepository": lambda s, n: dict(query={"bare": False}, doc={
        "name": n, "storage_namespace": SPACE.format(n), "storage_id": "", "default_branch": "trunk",
        "sample_data": False, "read_only": False}),
    "createBranch": lambda s, n: dict(branch=n, doc={"name": n, "source": "main", "force": False, "hidden": False}),
    "createTag": lambda s, n: dict(doc={"id": n, "ref": "main", "force": False}),
    "createUser": lambda s, n: dict(doc={"id": n, "invite_user": False}),
    "createGroup": lambda s, n: dict(doc={"id": n, "description": "d"}),
    "createPolicy": lambda s, n: dict(doc={"id": n, "statement": STATEMENTS}),
}

CASES = {
    "healthCheck": lambda s: {}, "getConfig": lambda s: {}, "getLakeFSVersion": lambda s: {},
    "getStorageConfig": lambda s: {}, "getGarbageCollectionConfig": lambda s: {},
    "getUsageReportSummary": lambda s: {},
    "postStatsEvents": lambda s: dict(doc={"events": [{"class": "c", "name": "n", "count": 1}]}),
    "listRepositories": lambda s: dict(query={"search": "x"}),
    "getRepository": lambda s: {},
    "deleteRepository": lambda s: dict(repository=s.repo(), query={"force": False}),
    "getRepositoryMetadata": lambda s: {},
    "setRepositoryMetadata": lambda s: dict(doc={"metadata": {"k": "v"}}),
    "deleteRepositoryMetadata": lambda s: dict(doc={"keys": ["k"]}),
    "getGCRules": lambda s: s.rules(), "internalGetGarbageCollectionRules": lambda s: s.rules(),
    "setGCRules": lambda s: dict(doc=RULES), "internalSetGarbageCollectionRules": lambda s: dict(doc=RULES),
    "deleteGCRules": lambda s: {}, "internalDeleteGarbageCollectionRules": lambda s: {},
    "setGarbageCollectionRulesPreflight": lambda s: {}, "createBranchProtectionRulePreflight": lambda s: {},
    "getBranchProtectionRules": lambda s: {}, "internalGetBranchProtectionRules": lambda s: {},
    "setBranchProtectionRules": lambda s: dict(doc=[{"pattern": "protected*"}]),
    "internalCreateBranchProtectionRule": lambda s: dict(doc={"pattern": "more*"}),
    "internalDeleteBranchProtectionRule": lambda s: dict(doc={"pattern": "more*"}),
    "prepareGarbageCollectionCommits": lambda s: s.rules(),
    "prepareGarbageCollectionCommitsAsync": lambda s: s.rules(),
    "prepareGarbageCollectionCommitsStatus": lambda s: dict(
        query={"id": (s.rules(), s.task("/gc/prepare_commits/async"))[1]}),
    "prepareGarbageCollectionUncommitted": lambda s: dict(doc={"continuation_token": ""}),
    "dumpRefs": lambda s: {}, "dumpSubmit": lambda s: {},
    "dumpStatus": lambda s: dict(query={"task_id": s.task("/dump")}),
    "restoreRefs": restore, "restoreSubmit": restore,
    "restoreStatus": lambda s: (lambda r: dict(repository=r["repository"], query={
        "task_id": s.task("/restore", r["doc"], r["repository"])}))(restore(s)),
    "listBranches": lambda s: dict(query={"show_hidden": True}),
    "getBranch": lambda s: {},
    "deleteBranch": lambda s: dict(branch=s.branch(), query={"force": False}),
    "resetBranch": lambda s: dict(branch=s.dirty(), doc={"type": "object", "path": "new", "force": False}),
    "hardResetBranch": lambda s: dict(branch=s.ahead(), query={"ref": "main", "force": False}),
    "revertBranch": revert,
    "cherryPick": lambda s: dict(branch=s.branch(), doc={
        "ref": s.ahead(), "parent_number": 1, "force": False, "commit_overrides": {"message": "m", "metadata": {}}}),
    "diffBranch": lambda s: dict(branch=s.dirty(), query={"delimiter": "/"}),
    "commit": lambda s: dict(branch=s.dirty(), doc={
        "message": "m", "metadata": {"k": "v"}, "date": 1700000000, "allow_empty": False, "force": False}),
    "commitAsync": lambda s: dict(branch=s.dirty(), doc={
        "message": "m", "metadata": {"k": "v"}, "date": 1700000000, "allow_empty": False, "force": False}),
    "commitAsyncStatus": lambda s: dict(id=s.task("/branches/main/commits/async", {"message": "m", "allow_empty": True})),
    "CreateCommitRecord": record,
    "getCommit": lambda s: {},
    "logCommits": lambda s: dict(query={"objects": "a", "prefixes": "b/", "limit": True, "first_parent": True,
                                        "since": "2020-01-01T00:00:00Z", "stop_at": s.first}),
    "listObjects": lambda s: dict(query={"user_metadata": True, "presign": False, "delimiter": "/"}),
    "statObject": lambda s: dict(query={"path": "a", "user_metadata": True, "presign": False}),
    "getObject": lambda s: dict(query={"path": "a", "presign": False}),
    "headObject": lambda s: dict(query={"path": "a"}),
    "uploadObject": lambda s: dict(query={"path": "up", "force": False, "storageClass": "STANDARD"}, body=b"bytes"),
    "deleteObject": lambda s: dict(query={"path": "none", "force": False, "no_tombstone": False}),
    "deleteObjects": lambda s: dict(query={"force": False, "no_tombstone": False}, doc={"paths": ["none", "nor"]}),
    "copyObject": lambda s: dict(query={"dest_path": "copy"}, doc={
        "src_path": "a", "src_ref": "main", "force": False, "shallow": False}),
    "stageObject": lambda s: dict(query={"path": "staged"}, doc={
        "physical_address": "local://elsewhere/x", "checksum": "c", "size_bytes": 1, "mtime": 1700000000,
        "metadata": {"k": "v"}, "content_type": "a/b", "force": False}),
    "uploadObjectPreflight": lambda s: dict(query={"path": "a"}),
    "updateObjectUserMetadata": lambda s: dict(branch=s.branch(), query={"path": "a"}, doc={"set": {"k": "v"}}),
    "getUnderlyingProperties": lambda s: dict(query={"path": "a"}),
    "createSymlinkFile": lambda s: dict(query={"location": "a"}),
    "getPhysicalAddress": lambda s: dict(query={"path": "p", "presign": False}),
    "linkPhysicalAddress": lambda s: dict(query={"path": "p"}, doc=staging(s.address("p"))),
    "diffRefs": lambda s: dict(other_ref=s.ahead(), query={"delimiter": "/", "type": "two_dot",
                                                           "include_right_stats": True}),
    "mergeIntoBranch": lambda s: dict(ref=s.ahead(), branch=s.branch(), doc={
        "message": "m", "metadata": {"k": "v"}, "strategy": "source-wins", "force": False, "allow_empty": False,
        "squash_merge": False}),
    "findMergeBase": lambda s: dict(branch=s.branch()),
    "mergeIntoBranchAsync": lambda s: dict(ref=s.ahead(), branch=s.branch(), doc={
        "message": "m", "metadata": {}, "strategy": "dest-wins", "force": False, "allow_empty": False,
        "squash_merge": True}),
    "mergeIntoBranchAsyncStatus": lambda s: (lambda b: dict(
        branch="main", ref=b, id=s.task(f"/refs/{b}/merge/main/async")))(s.branch()),
    "listTags": lambda s: {}, "getTag": lambda s: dict(tag="tag"),
    "deleteTag": lambda s: (lambda t: (s.api.call("POST", s.at + "/tags", 201, doc={"id": t, "ref": "main"}),
                                       dict(tag=t, query={"force": False}))[1])(s.name("t")),
    "getMetaRange": lambda s: dict(id=s.meta_range()), "getRange": lambda s: dict(id=NO_TABLE),
    "getMetadataObject": lambda s: dict(sub="meta_range", id=s.meta_range(), query={"presign": False}),
    "listRepositoryRuns": lambda s: dict(query={"branch": "main"}),
    "listRunHooks": lambda s: dict(id="run"),
    "sluiceStorages": lambda s: {},
    "sluiceFsckSubmit": lambda s: dict(query={"bodies": True}),
    "sluiceFsckStatus": lambda s: dict(query={"task_id": s.fsck()}),
    "sluiceBackupSubmit": lambda s: dict(doc=backup(s, storage_id="")),
    "sluiceBackupStatus": lambda s: dict(query={"task_id": s.task("/backup", backup(s), below="/sluice")}),
    "sluiceBackupVerify": lambda s: dict(doc={"storage_namespace": SPACE.format("example"), "storage_id": "", "content": True,
                                              "refs": s.dump()}),
    "sluiceBackupVerifyStatus": lambda s: dict(query=s.verification()),
    "sluiceBackupManifest": lambda s: (s.dump(), dict(query={"storage_namespace": SPACE.format("example"),
                                                             "storage_id": ""}))[1],
    "getCurrentUser": lambda s: {}, "getAuthCapabilities": lambda s: {}, "getSetupState": lambda s: {},
    "oauthCallback": lambda s: {},
    "login": lambda s: dict(doc=s.pair()),
    "sluiceCreateSession": lambda s: dict(doc={"duration_seconds": 900, "policy": {"statement": STATEMENTS}}),
    "listUsers": lambda s: {}, "listGroups": lambda s: {}, "listPolicies": lambda s: {},
    "getUser": at_user, "deleteUser": at_user, "listUserGroups": at_user, "listUserCredentials": at_user,
    "createCredentials": lambda s: at_user(s, doc={"name": "laptop", "expires_at": 4000000000}),
    "getCredentials": credentials, "deleteCredentials": credentials,
    "listUserPolicies": lambda s: at_user(s, query={"effective": True}),
    "attachPolicyToUser": lambda s: with_policy(s, "user", False),
    "detachPolicyFromUser": lambda s: with_policy(s, "user", True),
    "getGroup": lambda s: dict(group_id=s.group()), "deleteGroup": lambda s: dict(group_id=s.group()),
    "listGroupMembers": lambda s: dict(group_id=s.group()),
    "addGroupMembership": lambda s: member(s, False), "deleteGroupMembership": lambda s: member(s, True),
    "listGroupPolicies": lambda s: dict(group_id=s.group()),
    "attachPolicyToGroup": lambda s: with_policy(s, "group", False),
    "detachPolicyFromGroup": lambda s: with_policy(s, "group", True),
    "setGroupACL": lambda s: dict(group_id=s.group(), doc={"permission": "Read"}), "getGroupACL": acl,
    "getPolicy": lambda s: dict(policy_id=s.policy()), "deletePolicy": lambda s: dict(policy_id=s.policy()),
    "updatePolicy": lambda s: (lambda p: dict(policy_id=p, doc={"id": p, "statement": STATEMENTS}))(s.policy()),
}
for _op, _make in CREATED.items():
    CASES[_op] = lambda s, make=_make, op=_op: make(s, s.name("repo-" if op == "createRepository" else "new"))


def twice(op):
    """Something of that name is there."""
    def make(site):
        request = CASES[op](site)
        site.ask(op, request, 201)
        return request
    return make


def but(op, **change):
    """The operation's case with something else in it."""
    def make(site):
        request = dict(CASES[op](site))
        for k, v in change.items():
            if isinstance(v, dict):
                v = {name: one(site) if callable(one) else one for name, one in v.items()}
            request[k] = dict(request.get(k, {}), **v) if isinstance(v, dict) and k != "headers" else v
        return request
    return make


def conflict(site):
    source, branch = site.ahead("same"), site.ahead("same")
    return source, branch


def conflicting_pick(site):
    source, branch = conflict(site)
    return dict(branch=branch, doc={"ref": source, "parent_number": 0})


def conflicting_revert(site):
    branch = site.ahead("same")
    site.put("same", branch, body=b"other")
    site.commit(branch)
    return dict(branch=branch, doc={"ref": branch + "~1", "parent_number": 0})


def gone(site):
    """An object whose bytes aren't in the store."""
    path = site.name("gone")
    site.api.call("PUT", site.at + "/branches/main/staging/backing", 200, query={"path": path},
                  doc=staging(site.address(path)))
    return path


def merged(site):
    source, branch = conflict(site)
    return dict(ref=source, branch=branch, doc={})


LINKED = "linkPhysicalAddress"
# operation -> status -> requests, each of which ends so. Of what isn't here: client_rest_routes_test.py derives it.
ERRORS = {
    "createRepository": {409: [twice("createRepository")], 501: [but("createRepository", doc={"sample_data": True})]},
    "createBranch": {409: [twice("createBranch")], 404: [but("createBranch", doc={"source": "nosuch"})]},
    "createTag": {409: [twice("createTag")], 404: [but("createTag", doc={"ref": "nosuch"})]},
    "createUser": {409: [twice("createUser")], 501: [but("createUser", doc={"invite_user": True})]},
    "createGroup": {409: [twice("createGroup")]}, "createPolicy": {409: [twice("createPolicy")]},
    "getGCRules": {404: [lambda s: dict(repository=s.repo())]},
    "internalGetGarbageCollectionRules": {404: [lambda s: dict(repository=s.repo())]},
    "setGCRules": {400: [but("setGCRules", doc={"default_retention_days": -1})]},
    "setBranchProtectionRules": {412: [but("setBranchProtectionRules", headers={"If-Match": "x"})],
                                 400: [lambda s: dict(doc=[{"pattern": "[a"}]), lambda s: dict(doc=[{"pattern": ""}])]},
    "internalDeleteBranchProtectionRule": {404: [lambda s: dict(doc={"pattern": "none"})]},
    "prepareGarbageCollectionCommits": {404: [lambda s: dict(repository=s.repo())]},
    "prepareGarbageCollectionUncommitted": {400: [lambda s: dict(doc={"continuation_token": "x"})]},
    "restoreRefs": {400: [lambda s: dict(doc=s.dump()), but("restoreRefs", doc={"tags_meta_range_id": ""})],
                    410: [but("restoreRefs", doc={"commits_meta_range_id": NO_TABLE})]},
    "restoreSubmit": {400: [lambda s: dict(doc=s.dump()), but("restoreSubmit", doc={"branches_meta_range_id": ""})]},
    "sluiceBackupSubmit": {400: [lambda s: dict(doc=backup(s, storage_id="nosuch")),
                                 lambda s: dict(doc=backup(s, storage_namespace=SPACE.format("example"))),
                                 lambda s: dict(doc=backup(s, storage_namespace=SPACE.format("example/within"))),
                                 lambda s: dict(doc=backup(s, storage_namespace="s3://elsewhere"))]},
    "sluiceBackupStatus": {404: [lambda s: dict(query={"task_id": "BK" + "x" * 20})]},
    "sluiceBackupCancel": {404: [lambda s: dict(query={"task_id": "BK" + "x" * 20})], 409: [done_backup]},
    "sluiceBackupVerify": {400: [lambda s: dict(doc={"storage_namespace": "s3://elsewhere"}),
                                 lambda s: dict(doc={"storage_namespace": SPACE.format("x"), "storage_id": "nosuch"}),
                                 lambda s: dict(doc={"storage_namespace": SPACE.format("x"), "refs": {}})]},
    "sluiceBackupVerifyStatus": {404: [lambda s: dict(query=dict(s.verification(), storage_namespace="local://other")),
                                       lambda s: dict(query=dict(s.verification(), task_id="BV" + "x" * 20))]},
    "sluiceBackupVerifyCancel": {404: [lambda s: dict(query=dict(s.verification(), storage_namespace="local://other"))],
                                 409: [done_verification]},
    "sluiceBackupManifest": {404: [lambda s: dict(query={"storage_namespace": SPACE.format("nothing")})],
                             400: [lambda s: dict(query={"storage_namespace": "s3://elsewhere"})],
                             410: [torn_manifest]},
    "deleteBranch": {403: [lambda s: {}], 404: [lambda s: dict(branch="nosuch")]},
    "getBranch": {404: [lambda s: dict(branch="nosuch")]}, "getTag": {404: [lambda s: dict(tag="nosuch")]},
    "deleteTag": {404: [lambda s: dict(tag="nosuch")]},
    "resetBranch": {400: [but("resetBranch", doc={"type": "x"}), but("resetBranch", doc={"path": ""})],
                    404: [but("resetBranch", branch="nosuch")]},
    "hardResetBranch": {404: [but("hardResetBranch", query={"ref": "nosuch"}), but("hardResetBranch", branch="nosuch")],
                        403: [lambda s: dict(branch=s.protected(), query={"ref": "main"})]},
    "revertBranch": {409: [conflicting_revert], 404: [but("revertBranch", doc={"ref": "nosuch"})],
                     400: [but("revertBranch", doc={"parent_number": 5})]},
    "cherryPick": {409: [conflicting_pick], 404: [but("cherryPick", doc={"ref": "nosuch"})],
                   400: [but("cherryPick", doc={"parent_number": 5})]},
    "commit": {403: [lambda s: dict(branch=s.protected(), doc={"message": "m", "allow_empty": True})],
               400: [lambda s: dict(branch=s.branch(), doc={"message": "m"}),
                     but("commit", query={"source_metarange": NO_TABLE})],
               404: [but("commit", branch="nosuch")],
               412: [lambda s: dict(branch=s.dirty("_lakefs_actions/x.yaml"), doc={"message": "m"})]},
    "commitAsync": {404: [but("commitAsync", branch="nosuch")],
                    403: [lambda s: dict(branch=s.protected(), doc={"message": "m"})]},
    "commitAsyncStatus": {404: [lambda s: dict(id="CA" + "x" * 20)]},
    "mergeIntoBranchAsyncStatus": {404: [lambda s: dict(id="MA" + "x" * 20)]},
    "CreateCommitRecord": {409: [lambda s: dict(record(s), repository="example")],
                           400: [but("CreateCommitRecord", doc={"message": "other"})]},
    "getCommit": {404: [lambda s: dict(ref="nosuch")], 400: [lambda s: dict(ref=r) for r in ("main~x", "~1", "main$")]},
    "logCommits": {404: [lambda s: dict(ref="nosuch")], 400: [lambda s: dict(query={"since": "yesterday"})]},
    "listObjects": {404: [lambda s: dict(ref="nosuch")], 400: [lambda s: dict(query={"presign": True})]},
    "statObject": {404: [lambda s: dict(query={"path": "none"})]},
    "getObject": {404: [lambda s: dict(query={"path": "none"})], 410: [lambda s: dict(query={"path": gone(s)})],
                  416: [but("getObject", headers={"Range": "bytes=9-"})],
                  400: [but("getObject", headers={"Range": "lines=1-2"})],
                  304: [but("getObject", headers={"If-None-Match": f'"{hashlib.md5(b"x").hexdigest()}"'})],
                  206: [but("getObject", headers={"Range": "bytes=0-0"})]},
    "headObject": {404: [lambda s: dict(query={"path": "none"})], 410: [lambda s: dict(query={"path": gone(s)})],
                   416: [but("headObject", headers={"Range": "bytes=9-"})]},
    "uploadObject": {412: [but("uploadObject", query={"path": "a"}, headers={"If-None-Match": "*"})],
                     501: [but("uploadObject", headers={"If-Match": "x"}),
                           but("uploadObject", headers={"If-None-Match": '"x"'})],
                     400: [but("uploadObject", headers={"Content-Type": "multipart/form-data"}),
                           but("uploadObject", headers={"Content-Type": "nonsense"})],
                     403: [lambda s: dict(branch=s.protected(), query={"path": "x"}, body=b"x")],
                     404: [but("uploadObject", branch="nosuch")]},
    "deleteObject": {403: [lambda s: dict(branch=s.protected(), query={"path": "a"})],
                     404: [but("deleteObject", branch="nosuch")]},
    "copyObject": {404: [but("copyObject", doc={"src_path": "none"}), but("copyObject", branch="nosuch")],
                   410: [lambda s: dict(query={"dest_path": "x"}, doc={"src_path": gone(s)})],
                   501: [but("copyObject", doc={"shallow": True})]},
    "stageObject": {400: [but("stageObject", doc={"physical_address": "s3://x/y"})],
                    404: [but("stageObject", branch="nosuch")]},
    "updateObjectUserMetadata": {404: [but("updateObjectUserMetadata", query={"path": "none"})],
                                 403: [lambda s: dict(branch=s.protected(), query={"path": "a"}, doc={"set": {}})]},
    "getUnderlyingProperties": {404: [lambda s: dict(query={"path": "none"})]},
    "createSymlinkFile": {404: [lambda s: dict(ref="nosuch")]},
    "getPhysicalAddress": {400: [but("getPhysicalAddress", query={"presign": True})]},
    LINKED: {412: [but(LINKED, query={"path": "a"}, headers={"If-None-Match": "*"},
                       doc={"staging": lambda s: {"physical_address": s.address("a")}})],
             501: [but(LINKED, headers={"If-Match": "x"})],
             400: [but(LINKED, query={"path": "other"}),
                   but(LINKED, doc={"staging": lambda s: {"physical_address": s.address("p")[:-1]}})],
             404: [lambda s: dict(branch="nosuch", query={"path": "p"}, doc=staging(
                 s.api.get(s.at + "/branches/nosuch/staging/backing", path="p")["physical_address"]))]},
    "diffRefs": {404: [lambda s: dict(other_ref="nosuch"), lambda s: dict(ref="nosuch", other_ref="main")]},
    "diffBranch": {404: [lambda s: dict(branch="nosuch")]},
    "mergeIntoBranch": {409: [merged], 404: [lambda s: dict(ref="nosuch", branch=s.branch(), doc={})],
                        400: [lambda s: dict(ref="main", branch=s.branch(), doc={}),
                              but("mergeIntoBranch", doc={"strategy": "x"})],
                        },
    "mergeIntoBranchAsync": {404: [lambda s: dict(branch="nosuch", doc={})],
                             400: [but("mergeIntoBranchAsync", doc={"strategy": "x"})]},
    "findMergeBase": {404: [lambda s: dict(branch="nosuch")]},
    "getMetadataObject": {400: [but("getMetadataObject", query={"presign": True}), but("getMetadataObject", sub="x")],
                          410: [but("getMetadataObject", id=NO_TABLE)]},
    "listRepositoryRuns": {400: [lambda s: dict(query={"branch": "b", "commit": "c"})]},
    "getRun": {404: [lambda s: dict(id="run")]},
    "getRunHookOutput": {404: [lambda s: dict(id="run", sub="hook")]},
    "login": {401: [lambda s: dict(doc=dict(s.pair(), secret_access_key="wrong"))]},
    "setup": {409: [lambda s: dict(doc={"username": "x"})]},
    "setupCommPrefs": {409: [lambda s: dict(doc={"featureUpdates": False, "securityUpdates": False})]},
    "updatePolicy": {400: [but("updatePolicy", doc={"id": "other"})],
                     404: [but("updatePolicy", policy_id="nosuch", doc={"id": "nosuch"})]},
    "getGroupACL": {404: [lambda s: dict(group_id=s.group())]},
    "setGroupACL": {400: [but("setGroupACL", doc={"permission": "x"})], 404: [but("setGroupACL", group_id="nosuch")]},
    "getCredentials": {404: [but("getCredentials", access_key="AKIAJNOSUCHNOSUCHNOQ")]},
    "deleteCredentials": {404: [but("deleteCredentials", access_key="AKIAJNOSUCHNOSUCHNOQ")]},
    "deleteGroupMembership": {404: [but("deleteGroupMembership", group_id="nosuch")]},
    "detachPolicyFromUser": {404: [but("detachPolicyFromUser", user_id="nosuch")]},
    "detachPolicyFromGroup": {404: [but("detachPolicyFromGroup", group_id="nosuch")]},
    "addGroupMembership": {404: [but("addGroupMembership", user_id="nosuch"),
                                 but("addGroupMembership", group_id="nosuch")]},
}
