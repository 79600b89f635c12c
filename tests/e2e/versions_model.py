"""What a client knows of a repository: contents of commits, branches with what is staged on them, and merges.
Contents are dicts of path -> Body; nothing here asks a server."""
import hashlib
import itertools

_numbers = itertools.count(1)


class Body:
    """Bytes that nobody else writes, made from a number."""

    def __init__(self, size, parts=()):
        self.number, self.size, self.parts = next(_numbers), max(size, 24), parts
        if parts:
            self.size = sum(parts)
            sums = b"".join(hashlib.md5(p).digest() for p in self.pieces())
            self.etag = f"{hashlib.md5(sums).hexdigest()}-{len(parts)}"
        else:
            self.etag = hashlib.md5(self.bytes()).hexdigest()

    def bytes(self):
        seed = f"body {self.number:016d}\n".encode()
        return (seed * (self.size // len(seed) + 1))[:self.size]

    def pieces(self):
        whole, at = self.bytes(), 0
        for n in self.parts:
            yield whole[at:at + n]
            at += n

    def __eq__(self, other):
        return isinstance(other, Body) and self.number == other.number

    def __hash__(self):
        return self.number

    def __repr__(self):
        return f"body {self.number} ({self.size} bytes)"


class Commit:
    def __init__(self, id, contents, parents=(), message=""):
        self.id, self.contents, self.parents, self.message = id, dict(contents), list(parents), message


class Branch:
    def __init__(self, head):
        self.head, self.staged = head, {}

    def copy(self):
        b = Branch(self.head)
        b.staged = dict(self.staged)
        return b

    def visible(self):
        return laid_over(self.head.contents, self.staged)

    def is_dirty(self):
        return self.visible() != self.head.contents


def laid_over(contents, staged):
    out = dict(contents)
    for path, body in staged.items():
        if body is None:
            out.pop(path, None)
        else:
            out[path] = body
    return out


def merged(dest, source, base, strategy=None):
    """dest with what source changed since base; None: a conflict."""
    out = dict(dest)
    for path in set(source) | set(base) | set(dest):
        d, s, b = dest.get(path), source.get(path), base.get(path)
        if s == b or s == d:
            continue
        if d != b and strategy is None:
            return None
        if d == b or strategy == "source-wins":
            if s is None:
                out.pop(path, None)
            else:
                out[path] = s
    return out


def ancestors(commit, known):
    """Ids of the commit and of all before it."""
    seen, todo = set(), [commit.id]
    while todo:
        id = todo.pop()
        if id not in seen:
            seen.add(id)
            todo += known[id].parents
    return seen


class History:
    """Of one key that has one writer, while others take commits of it: what it was, and when that began to be
    possible and was certain."""

    def __init__(self):
        self.steps = [[None, 0, 0]]  # body or None, first possible, certain from (None: not known)

    def begin(self, body, now):
        self.steps.append([body, now, None])

    def certain(self, now):
        self.steps[-1][2] = now

    def settle(self, seen, now):
        """What it turned out to be after a crash."""
        body, _, certain = self.steps[-1]
        if certain is not None:
            assert seen == body, f"is {seen}, was acknowledged as {body}"
            return
        if seen == body:
            self.certain(now)
        else:
            self.steps.pop()
            assert seen == self.steps[-1][0], f"is {seen}, was {self.steps[-1][0]} or {body}"

    def last(self):
        return self.steps[-1][0]

    def possible(self, begun, ended):
        """What a commit that ran from `begun` to `ended` may have of it: indexes of steps."""
        low = max(i for i, s in enumerate(self.steps) if s[2] is not None and s[2] <= begun)
        return [i for i in range(low, len(self.steps)) if self.steps[i][1] <= ended]
