"""A client of release_versions_test.py that has branches to itself."""
import os
import random

from versions_model import Body, Branch, Commit, ancestors, merged

MIB = 1 << 20
SIZES = (24, 100, 1000, 9000, 70000, 600000)


def new_body(rng, small=False):
    if not small and rng.random() < 0.03:
        return Body(0, (5 * MIB, rng.randrange(1, 50000)))
    if not small and rng.random() < 0.06:
        return Body(0, (rng.randrange(1, 100000),))
    return Body(rng.choice(SIZES[:3] if small else SIZES))


class Lane:
    """Knows its branches entirely. What is under way is `pending`: called with a View after a crash, it finds
    out what became of it, and makes the model so."""

    def __init__(self, n, world):
        self.n, self.world = n, world
        self.rng = random.Random(os.urandom(8))
        self.prefix, self.own, self.side = f"lane{n}/", f"lane{n}", f"side{n}"
        self.branches, self.tags, self.prod = {}, {}, {}
        self.retired = []  # names that were deleted
        self.pending = None
        self.serial = self.done = 0

    def name(self, kind):
        self.serial += 1
        return f"{kind}-{self.n}-{self.serial}"

    def step(self):
        if self.own not in self.branches:
            return self.new_branch(self.own, self.world.first)
        weights = [(self.write, 50), (self.commit, 14), (self.merge_side, 6), (self.merge_prod, 6), (self.tag, 5),
                   (self.revert, 4), (self.pick, 4), (self.reset, 3), (self.reset_prefix, 2), (self.reset_object, 3),
                   (self.hard_reset, 2), (self.drop_tag, 2), (self.drop_side, 2), (self.dump, 1), (self.read, 6)]
        self.rng.choices([w[0] for w in weights], [w[1] for w in weights])[0]()

    # What is staged.

    def some_branch(self):
        return self.rng.choice(sorted(self.branches))

    def some_path(self):
        return f"{self.prefix}{self.rng.choice('abc')}/k {self.rng.randrange(12):02d}"

    def staging(self, name, changes, act):
        """changes: path -> Body, None, or "base" for what is committed."""
        b = self.branches[name]
        new = {p: b.head.contents.get(p) if v == "base" else v for p, v in changes.items()}

        def settle(view):
            seen = view.listing(name)
            for path, body in new.items():
                if seen.get(path) == (body and body.etag):
                    b.staged[path] = body
                # else as before, which is compared with the listing afterwards
        self.pending = settle
        act()
        b.staged.update(new)
        self.pending = None

    def write(self):
        name, roll = self.some_branch(), self.rng.random()
        if roll < 0.75:
            path, body = self.some_path(), new_body(self.rng)
            self.staging(name, {path: body}, lambda: self.client.put(name, path, body))
        elif roll < 0.92:
            path = self.some_path()
            self.staging(name, {path: None}, lambda: self.client.delete(name, path))
        else:
            paths = sorted({self.some_path() for _ in range(6)})
            self.staging(name, dict.fromkeys(paths), lambda: self.client.delete_many(name, paths))

    def reset_prefix(self):
        name, prefix = self.some_branch(), f"{self.prefix}{self.rng.choice('abc')}/"
        b = self.branches[name]
        seen, base = b.visible(), b.head.contents
        paths = [p for p in set(seen) | set(base) if p.startswith(prefix) and seen.get(p) != base.get(p)]
        self.staging(name, dict.fromkeys(paths, "base"), lambda: self.client.rest(
            "PUT", f"/branches/{name}", {"type": "common_prefix", "path": prefix}))

    def reset_object(self):
        name, path = self.some_branch(), self.some_path()
        self.staging(name, {path: "base"}, lambda: self.client.rest(
            "PUT", f"/branches/{name}", {"type": "object", "path": path}, good=(404,)))

    def read(self):
        name = self.some_branch()
        contents = self.branches[name].visible()
        if contents:
            path = self.rng.choice(sorted(contents))
            assert self.client.s3("GET", f"{name}/{path}")[0] == contents[path].bytes(), (name, path)

    # Heads.

    def moving(self, name, contents, parents, message, act, staged=None):
        """act: answers the new head's id, or None: it wasn't moved after all."""
        b, known = self.branches[name], self.world.commits

        def became(id):
            b.head = known[id] = Commit(id, contents, parents, message)
            b.staged = staged or {}

        def settle(view):
            head = view.head(name)
            if head == b.head.id:
                return
            made = view.commit(head)
            assert (made["message"], made["parents"]) == (message, list(parents)), (made, message, parents)
            became(head)
        self.pending = settle
        id = act()
        if id:
            became(id)
        self.pending = None

    def commit(self, name=None):
        name = name or self.some_branch()
        b, message = self.branches[name], self.name("commit")
        contents = b.visible()

        def act():
            status, made = self.client.rest("POST", f"/branches/{name}/commits", {"message": message}, good=(400,))
            assert (status == 201) == (contents != b.head.contents), (status, made)
            return status == 201 and made["id"]
        self.moving(name, contents, [b.head.id], message, act)

    def clean(self, *names):
        for name in names:
            if self.branches[name].is_dirty():
                self.commit(name)

    def base_of(self, source, into, name):
        """The merge base that the server names, which must be one."""
        base = self.client.rest("GET", f"/refs/{source.id}/merge/{name}")[1]["base_commit_id"]
        if into is not None:
            common = ancestors(source, self.world.commits) & ancestors(into, self.world.commits)
            assert base in common, (base, source.id, into.id)
            for id in common - {base}:
                assert base not in ancestors(self.world.commits[id], self.world.commits), f"{id} before {base}"
        return self.world.commits[base]

    def picked(self, name, what, path, doc, contents, may_be_nothing):
        """Revert, cherry-pick, merge: 409 is a conflict, 400 (or 409) that nothing changes."""
        b, message = self.branches[name], self.name(what)
        parents = [b.head.id] + ([doc.pop("second")] if "second" in doc else [])
        doc |= {"message": message} if what == "merge" else {"commit_overrides": {"message": message}}

        def act():
            status, got = self.client.rest("POST", path, doc, good=(400, 409))
            if contents is None:
                assert status == 409, (what, status, got)
                return None
            if status == 400 and may_be_nothing:
                return None
            assert status < 300, (what, status, got, doc)
            if what == "revert":
                return self.client.rest("GET", f"/branches/{name}")[1]["commit_id"]
            return got["reference" if what == "merge" else "id"]
        self.moving(name, contents or {}, parents, message, act)

    def merge_side(self):
        if self.side not in self.branches:
            return self.new_branch(self.side, self.branches[self.own].head, self.own)
        self.clean(self.own, self.side)
        source, into = self.branches[self.side].head, self.branches[self.own].head
        base = self.base_of(source, into, self.own)
        strategy = self.rng.choice((None, "dest-wins", "source-wins"))
        doc = {"second": source.id} | ({"strategy": strategy} if strategy else {})
        self.picked(self.own, "merge", f"/refs/{self.side}/merge/{self.own}", doc,
                    merged(into.contents, source.contents, base.contents, strategy),
                    source.contents == base.contents)

    def revert(self):
        self.clean(self.own)
        head = self.branches[self.own].head
        if not head.parents or head.id == self.world.first.id:
            return
        parent = self.world.commits[head.parents[0]]
        self.picked(self.own, "revert", f"/branches/{self.own}/revert",
                    {"ref": head.id, "parent_number": 1 if len(head.parents) > 1 else 0}, parent.contents,
                    parent.contents == head.contents)

    def pick(self):
        if self.side not in self.branches:
            return
        self.clean(self.own)
        ref, into = self.branches[self.side].head, self.branches[self.own].head
        if not ref.parents or ref.id == self.world.first.id:
            return
        parent = self.world.commits[ref.parents[0]]
        contents = merged(into.contents, ref.contents, parent.contents)
        self.picked(self.own, "cherry-pick", f"/branches/{self.own}/cherry-pick",
                    {"ref": ref.id, "parent_number": 1}, contents, contents == into.contents)

    def reset(self, name=None):
        name = name or self.some_branch()
        b = self.branches[name]
        before, after = b.visible(), b.head.contents

        def settle(view):
            if before != after and view.listing(name) == {p: v.etag for p, v in after.items()}:
                b.staged = {}
        self.pending = settle
        self.client.rest("PUT", f"/branches/{name}", {"type": "reset"})
        b.staged = {}
        self.pending = None

    def hard_reset(self):
        """Onto an older commit. What is staged would stay, also a deletion of what isn't there now."""
        b = self.branches[self.own]
        self.reset(self.own)
        if not b.head.parents:
            return
        target = self.world.commits[b.head.parents[0]]

        def settle(view):
            if view.head(self.own) == target.id:
                b.head = target
        self.pending = settle
        self.client.rest("PUT", f"/branches/{self.own}/hard_reset", ref=target.id)
        b.head, self.pending = target, None

    # Names.

    def new_branch(self, name, commit, source=None):
        def settle(view):
            if name in view.branches:
                self.branches[name] = Branch(commit)
        self.pending = settle
        self.client.rest("POST", "/branches", {"name": name, "source": source or commit.id})
        self.branches[name], self.pending = Branch(commit), None

    def drop_side(self):
        name = self.side
        if name not in self.branches:
            return

        def settle(view):
            if name not in view.branches:
                del self.branches[name]
        self.pending = settle
        self.client.rest("DELETE", f"/branches/{name}")
        del self.branches[name]
        self.pending = None

    def tag(self):
        name, commit = self.name("tag"), self.branches[self.some_branch()].head

        def settle(view):
            if name in view.tags:
                self.tags[name] = commit.id
        self.pending = settle
        self.client.rest("POST", "/tags", {"id": name, "ref": commit.id})
        self.tags[name], self.pending = commit.id, None

    def drop_tag(self):
        if not self.tags:
            return
        name = self.rng.choice(sorted(self.tags))

        def settle(view):
            if name not in view.tags:
                del self.tags[name]
        self.pending = settle
        self.client.rest("DELETE", f"/tags/{name}")
        del self.tags[name]
        self.pending = None

    def dump(self):
        self.client.rest("PUT", "/refs/dump")

    # prod: of its own part everything is known.

    def merge_prod(self):
        self.clean(self.own)
        source, message = self.branches[self.own].head, self.name("prod")
        base = self.base_of(source, None, "prod")
        strategy = self.rng.choice((None, "dest-wins", "source-wins"))
        own = {p: v for p, v in base.contents.items() if p.startswith(self.prefix)}
        contents = merged(self.prod, source.contents, own, strategy)
        doc = {"message": message} | ({"strategy": strategy} if strategy else {})

        def became(id):
            self.prod = contents
            self.world.prod[id] = (self, contents)

        def settle(view):
            made = [c for c in view.log("prod") if c["message"] == message]
            if made:
                assert contents is not None and made[0]["parents"][1] == source.id, (made, source.id)
                became(made[0]["id"])
        self.pending = settle
        status, got = self.client.rest("POST", f"/refs/{source.id}/merge/prod", doc, good=(400, 409))
        if contents is None:
            assert status == 409, (status, got)
        elif status == 400:
            assert source.contents == own, (got, source.contents, own)
        else:
            assert status == 200, (status, got)
            became(got["reference"])
        self.pending = None

    def settle(self, view):
        if self.pending:
            self.pending(view)
        self.pending = None

    def check(self, view):
        for name, b in self.branches.items():
            assert view.branches.get(name) == b.head.id, f"{name}: {view.branches.get(name)} for {b.head.id}"
            view.same(name, b.visible())
            log = [c["id"] for c in view.log(name)]
            assert set(log) == ancestors(b.head, self.world.commits), f"{name}: its log"
        for name, id in self.tags.items():
            assert view.tags.get(name) == id, f"tag {name}: {view.tags.get(name)} for {id}"
