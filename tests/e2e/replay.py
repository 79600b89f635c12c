"""Sends recorded requests again, byte for byte, freshly signed: by botocore, but for the signatures of aws-chunked
pieces, which no library makes in the open and which are made here."""
import datetime
import hashlib
import hmac
import http.client
import re

from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Signer(S3SigV4Auth):
    """Signs the headers that are named, and takes the payload's hash as it is told."""

    def __init__(self, key, secret, names, payload, region="us-east-1", service="s3"):
        super().__init__(Credentials(key, secret), service, region)
        self.names, self.payload_text = names, payload

    def headers_to_sign(self, request):
        chosen = http.client.HTTPMessage()
        for name, value in request.headers.items():
            if name.lower() in self.names:
                chosen[name.lower()] = value
        return chosen

    def canonical_request(self, request):
        return super().canonical_request(request).rsplit("\n", 1)[0] + "\n" + self.payload_text

    def sign(self, method, url, headers, when):
        """The seed signature, the scope, and the key that signs pieces."""
        request = AWSRequest(method=method, url=url, headers=headers)
        stamp = request.context["timestamp"] = amz_date(when)
        text = self.string_to_sign(request, self.canonical_request(request))
        key = ("AWS4" + self.credentials.secret_key).encode()
        for part in (stamp[:8], self._region_name, self._service_name, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return self.signature(text, request), self.credential_scope(request), key


def amz_date(when):
    return when.strftime("%Y%m%dT%H%M%SZ")


def now(skew=0):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=skew)


class Chunks:
    """Signs the pieces of an aws-chunked body one after the other."""

    def __init__(self, seed, scope, key, when):
        self.last, self.scope, self.key, self.when = seed, scope, key, amz_date(when)

    def _next(self, kind, *hashes):
        text = "\n".join([f"AWS4-HMAC-SHA256-{kind}", self.when, self.scope, self.last, *hashes])
        self.last = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.last

    def piece(self, data):
        return self._next("PAYLOAD", EMPTY_SHA256, hashlib.sha256(data).hexdigest())

    def trailer(self, lines):
        return self._next("TRAILER", hashlib.sha256(lines).hexdigest())

    def fill(self, body):
        """A body that says <chunk-signature> where each belongs."""
        out, rest, mark = [], body, b"<chunk-signature>"
        while mark in rest:
            head, rest = rest.split(mark, 1)
            if head.endswith(b"x-amz-trailer-signature:"):
                lines = head[:-len(b"x-amz-trailer-signature:")]
                signature = self.trailer(re.sub(b"\r\n", b"\n", lines.lstrip(b"\r\n")))
            else:
                size = int(re.search(rb"([0-9a-fA-F]+);chunk-signature=$", head).group(1), 16)
                signature = self.piece(rest[2:2 + size])
                if size:
                    head += signature.encode()
                    signature, head, rest = "", head + rest[:2 + size], rest[2 + size:]
            out += [head, signature.encode()]
        return b"".join(out) + rest

    def encode(self, data, size=65536):
        """Data in pieces of a size, the last of them empty."""
        out = []
        for at in [*range(0, len(data), size), None]:
            part = b"" if at is None else data[at:at + size]
            out.append(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(part), self.piece(part).encode(), part))
        return b"".join(out)


def sign_v2(method, target, headers, key, secret):
    """The Authorization header of the old signature."""
    request = AWSRequest(method=method, url="http://host" + target, headers=headers)
    signer = HmacV1Auth(Credentials(key, secret))
    path, _, query = target.partition("?")
    text = "\n".join([method, signer.canonical_standard_headers(request.headers)]) + "\n"
    custom = signer.canonical_custom_headers(request.headers)
    text += (custom + "\n" if custom else "") + path + ("?" + query if query else "")
    return f"AWS {key}:{signer.sign_string(text)}"


def send(port, method, target, headers, body, timeout=60):
    """Exactly these headers, and Content-Length where there is a body or PUT and POST have none."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            c.putheader(name, value.encode() if isinstance(value, str) else value)
        have = {n.lower() for n in headers}
        if "content-length" not in have and "transfer-encoding" not in have and (
                body or method in ("PUT", "POST")):
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body or None)
        answer = c.getresponse()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
    finally:
        c.close()
