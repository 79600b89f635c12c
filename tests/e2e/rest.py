"""A client of the REST API for tests: urllib alone, so that what is sent is what is meant."""
import base64
import json
import urllib.error
import urllib.parse
import urllib.request

from harness import KEY, SECRET


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json["message"]

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


def send(request, timeout=120):
    """A urllib Request, and whatever comes."""
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return Answer(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


class Rest:
    def __init__(self, url, key=KEY, secret=SECRET):
        self.url = url + "/api/v1"
        self.auth = "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode() if key else None

    def ask(self, method, path, /, doc=None, body=None, headers=None, query=None, **more):
        """Sends, and answers whatever comes. query, more: values or lists of values; True is "true"."""
        pairs = []
        for k, v in {**(query or {}), **more}.items():
            for one in v if isinstance(v, list) else [v]:
                pairs.append((k, {True: "true", False: "false"}.get(one, one) if isinstance(one, bool) else one))
        url = self.url + path + ("?" + urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote) if pairs else "")
        headers = dict(headers or {})
        if self.auth:
            headers.setdefault("Authorization", self.auth)
        if doc is not None:
            body = json.dumps(doc).encode()
            headers.setdefault("Content-Type", "application/json")
        elif body is not None:
            headers.setdefault("Content-Type", "application/octet-stream")
        return send(urllib.request.Request(url, data=body, headers=headers, method=method))

    def call(self, method, path, /, *status, **kw):
        """What must go well, or with one of these statuses."""
        a = self.ask(method, path, **kw)
        good = a.status in status if status else 200 <= a.status < 300
        assert good, f"{method} {path} {kw}: {a}"
        return a

    def get(self, path, /, **kw):
        return self.call("GET", path, **kw).json

    def fails(self, status, method, path, /, **kw):
        return self.call(method, path, status, **kw)

    def pages(self, path, /, amount=1000, **query):
        """All results, page by page."""
        out, after = [], ""
        while True:
            page = self.get(path, amount=amount, after=after, **query)
            p = page["pagination"]
            assert p["results"] == len(page["results"]) <= amount and p["max_per_page"] == 1000, p
            out += page["results"]
            if not p["has_more"]:
                assert p["next_offset"] == "", p
                return out
            assert p["next_offset"] > after or "commits" in path, p
            after = p["next_offset"]

    def commit(self, repo, branch, message, **more):
        return self.call("POST", f"/repositories/{repo}/branches/{branch}/commits", 201,
                         doc=dict(message=message, **more)).json

    def branch(self, repo, name, source="main"):
        self.call("POST", f"/repositories/{repo}/branches", 201, doc={"name": name, "source": source})

    def merge(self, repo, source, into, *status, **doc):
        return self.call("POST", f"/repositories/{repo}/refs/{source}/merge/{into}", *status, doc=doc).json
