"""What a real lakeFS answered (tests/data/lakefs_s3.jsonl), asked again here, request by request: status, error code,
headers that matter and the parsed body. Where the answers differ, the table below says how and why; a difference that
isn't there fails, and so does a row whose difference is gone.

After a change:  client_transcript_test.py --show  prints what differs now."""
import base64
import hashlib
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

from harness import KEY, SECRET, Server, main, sign
from replay import Chunks, Signer, amz_date, now, send, sign_v2
from transcript import Systematic, by_number, complaints, exchanges, show

THEIR_KEY = "AKIAIOSFODNN7EXAMPLE"
HEADERS = ("content-type", "etag", "accept-ranges", "content-range", "x-content-type-options", "x-frame-options",
           "content-security-policy", "x-amz-missing-meta")
ID = re.compile("[0-9a-f]{64}")
ADDRESS = re.compile("local://[^', ]*/data/[^', ]*")
DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

# transcript.Systematic
SYSTEMATIC = [
    ("no body, no type", r"content-type: '(application/xml|text/xml; charset=utf-8)' -> None"),
    ("S3's type, whatever Accept says", r"content-type: 'text/xml(; charset=utf-8)?' -> 'application/xml'"),
    ("S3's namespace", r"xmlns: '' -> 'http://s3\.amazonaws\.com/doc/2006-03-01/'"),
    ("owners are listed by version 1, and on demand by version 2", r"Contents\[.*\]/Owner: new"),
    ("elements that S3 has, and lakeFS leaves out",
     r"((Buckets/Bucket(\[\d+\])?|Contents\[.*\])/)?[A-Za-z0-9-]+: new"),
    ("errors name bucket, key and path as the client knows them, and no region",
     r"Region: gone|Resource: .*|Key: '(.*)' -> '[^/']*/\1'"),
    ("an error of HEAD has no body and no length of one", r"content-length: \d+ -> 0"),
    ("an object may be a page, and shares the origin of pages: it is put into a sandbox",
     r"content-security-policy: (None|\"default-src 'none'\") -> 'sandbox'|x-frame-options: 'SAMEORIGIN' -> None"),
    ("on HEAD as on GET", r"x-content-type-options: None -> 'nosniff'"),
    ("owners have a name", r"Owner/(ID|DisplayName): '' -> 'admin'"),
    ("counts are version 2's", r"KeyCount: gone"),
    ("416 tells the size", r"content-range: None -> 'bytes \*/\d+'"),
    ("words", r"Message: '(The specified bucket does not exist)' -> (['\"])\1(\.|: .*)\2"),
    ("words", r"Message: '([^']*)' -> '\1\.'"),
]

# (why, numbers, exactly what differs)
DIFFERENCES = [
    # Not here yet.
    ("pages of the web interface", "397", ["status 200 -> 403", "code AccessDenied"]),
    ("credentials of REST, which pages read objects with: until then, S3's answer to a scheme that it doesn't know",
     "414", ["status 200 -> 400", "code InvalidArgument"]),

    ("the message goes on with what is meant and what would be right", "125,388",
     ["Message: 'A header you provided implies functionality that is not implemented' -> 'A header you provided "
      "implies functionality that is not implemented: If-None-Match of a write must be *.'"]),

    # Protected branches.
    ("the branch is named", "129,313",
     ["Message: 'Attempted to write to a protected branch' -> \"cannot write to protected branch 'prot'\""]),
    ("the branch is named", "302",
     ["Message: 'cannot write to protected branch' -> \"cannot write to protected branch 'prot'\""]),
    ("the branch is named", "326-327",
     [f"Error[prot/{key}]/Message: 'error deleting object: Attempted to write to a protected branch' -> "
      "\"cannot write to protected branch 'prot'\"" for key in "xy"]),
    ("what can't be completed isn't begun: no parts are sent in vain", "390",
     ["status 200 -> 403", "InitiateMultipartUploadResult -> ErrWriteToProtectedBranch"]),

    # Buckets.
    ("max-buckets limits", "11", ["Buckets/Bucket[1]: gone", "Buckets/Bucket[2]: gone"]),
    ("the method is at fault, not the address", "13", ["status 404 -> 405"]),
    ("the method is at fault, not the address", "14-16,81,87-88", ["status 404 -> 405", "code MethodNotAllowed"]),
    ("where nothing is written, a parameter that chooses no operation is ignored", "20,201", ["status 405 -> 200"]),
    ("where nothing is written, a parameter that chooses no operation is ignored", "37",
     ["status 405 -> 200", "Error -> ListBucketResult"]),
    ("DeleteBucket is there, but the bucket isn't empty", "66",
     ["status 405 -> 409", "code ERRLakeFSNotSupported -> BucketNotEmpty"]),
    ("CreateBucket is there", "71", ["code BucketAlreadyExists -> BucketAlreadyOwnedByYou"]),
    ("CreateBucket is there", "72", ["status 501 -> 200"]),
    ("CreateBucket is there", "73", ["status 501 -> 409", "code NotImplemented -> BucketAlreadyOwnedByYou"]),
    ("CreateBucket is there", "74", ["status 500 -> 400", "code InternalError -> InvalidBucketName"]),
    ("what nobody can set reads as not set", "28", ["status 405 -> 200", "Error -> OwnershipControls"]),
    ("what nobody can set reads as not set", "36", ["status 405 -> 200", "Error -> NotificationConfiguration"]),
    ("what nobody can set reads as not set", "38,198", ["status 405 -> 200", "Error -> AccessControlPolicy"]),
    ("what nobody can set reads as not set", "41", ["status 405 -> 200", "Error -> AccelerateConfiguration"]),
    ("what nobody can set reads as not set", "42", ["status 405 -> 200", "Error -> RequestPaymentConfiguration"]),
    ("what nobody can set reads as not set", "43", ["status 405 -> 200", "Error -> BucketLoggingStatus"]),
    *(("what nobody can set reads as not set", numbers, ["status 405 -> 404", f"code ERRLakeFSNotSupported -> {code}"])
      for numbers, code in (
          ("27", "NoSuchPublicAccessBlockConfiguration"),
          ("31,46", "NoSuchBucketPolicy"), ("32", "NoSuchLifecycleConfiguration"),
          ("33", "ServerSideEncryptionConfigurationNotFoundError"), ("34", "ObjectLockConfigurationNotFoundError"),
          ("35", "ReplicationConfigurationNotFoundError"), ("39", "NoSuchCORSConfiguration"),
          ("40", "NoSuchWebsiteConfiguration"), ("44", "NoSuchTagSet"))),
    ("S3's code of what is absent", "65", ["status 409 -> 501", "code BucketAlreadyExists -> NotImplemented"]),
    ("S3's code of what is absent", "25-26,29-30,47-64,67,69,135,197,199-200,395-396",
     ["status 405 -> 501", "code ERRLakeFSNotSupported -> NotImplemented"]),
    ("ListObjectVersions is there", "45", ["status 405 -> 200", "Error -> ListVersionsResult"]),
    ("no operation of S3's: the parameter is another's", "70,136,316",
     ["status 405 -> 400", "code ERRLakeFSNotSupported -> InvalidRequest"]),

    # Addresses.
    ("words", "83", ["Message: 'Repository \"api\" not found; this can happen if your endpoint URL mistakenly ends in "
                     "\"/api/v1\".' -> 'Repository \"api\" not found: /api/v1 is the REST API\\'s. An S3 endpoint is the "
                     "server\\'s address alone.'"]),
    ("a ref that is no branch, as any other", "128,192-193", ["status 500 -> 404", "code InternalError -> NoSuchBucket"]),
    ("an answer that says why", "75-76,79", ["body: b'' -> NoSuchKey"]),
    ("the marker of a folder that is there", "80", ["status 404 -> 200"]),
    ("what isn't there can be deleted", "82", ["status 404 -> 204"]),
    ("a fault of lakeFS", "131", ["status 500 -> 400", "code InternalError -> KeyTooLongError"]),
    ("a fault of lakeFS", "196", ["status 500 -> 404", "code InternalError -> NoSuchKey"]),
    ("an answer that says why", "394", ["body: b'' -> MethodNotAllowed"]),

    # Objects.
    ("GetObjectAttributes is there", "181",
     ["body: b'hello world\\n' -> b'<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "accept-ranges: 'bytes' -> None",
      "content-security-policy: \"default-src 'none'\" -> None", "content-type: 'text/plain' -> 'application/xml'",
      "etag: '\"6f5902ac237024bdd0c176cb93063dc4\"' -> None", "x-content-type-options: 'nosniff' -> None"]),
    ("there are tags; this body has none", "137", ["status 405 -> 400", "code ERRLakeFSNotSupported -> MalformedXML"]),
    ("there are tags; this object isn't", "315", ["status 405 -> 404", "code ERRLakeFSNotSupported -> NoSuchKey"]),
    ("lakeFS wrote an object where S3 sets retention", "138-139", ["status 200 -> 501", "code NotImplemented"]),
    ("so it isn't there", "140", ["status 200 -> 404", "code NoSuchKey"]),
    ("lakeFS doesn't verify checksums", "117,119", ["status 200 -> 400", "code BadDigest"]),
    ("lakeFS doesn't verify checksums", "118", ["status 200 -> 400", "code InvalidDigest"]),
    ("a fault of lakeFS", "120", ["status 500 -> 400", "code InternalError -> XAmzContentSHA256Mismatch"]),
    ("S3's code", "122", ["status 403 -> 400", "code AccessDenied -> InvalidArgument"]),
    ("writes have If-Match", "126", ["status 501 -> 412", "code NotImplemented -> PreconditionFailed"]),
    ("RFC 2047 knows no case here", "160",
     ["x-amz-meta-greek: '=?utf-8?q?=CE=B1=CE=B2?=' -> '=?UTF-8?Q?=CE=B1=CE=B2?='"]),
    ("lakeFS reads without conditions", "174,176,212", ["status 200 -> 304"]),
    ("lakeFS reads without conditions", "175,177", ["status 200 -> 412", "code PreconditionFailed"]),
    ("response-content-type counts", "178", ["content-type: 'text/plain' -> 'text/x'"]),
    ("partNumber counts", "179", ["status 200 -> 206"]),
    ("objects have no ?versioning: the object", "203",
     ["body: b'<?xml version=\"1.0\" encoding=\"UTF-8\"?> -> b'hello world\\n'", "accept-ranges: None -> 'bytes'",
      "content-type: 'application/xml' -> 'text/plain'", "etag: None -> '\"6f5902ac237024bdd0c176cb93063dc4\"'"]),
    ("a store without links of its own serves the object itself", "204", ["status 500 -> 200"]),

    # Listings.
    ("of 117 to 119, 138", "227", [
        "Contents: without 'main/md5/bad'", "Contents: without 'main/md5/crc'",
        "Contents: without 'main/md5/malformed'", "Contents: without 'main/sub/target.txt'", "KeyCount: '37' -> '33'"]),
    ("of 117 to 119, 138", "228", [
        "Contents: without 'main/md5/bad'", "Contents: without 'main/md5/crc'",
        "Contents: without 'main/md5/malformed'", "Contents: without 'main/sub/target.txt'"]),
    ("of 138", "229", ["CommonPrefixes: without 'main/sub/'", "KeyCount: '10' -> '9'"]),
    ("of 138", "230", ["CommonPrefixes: without 'main/sub/'"]),
    ("of 138", "272", ["CommonPrefixes: without 'main$/sub/'", "KeyCount: '10' -> '9'"]),
    ("a token is one that an answer gave; S3 refuses others", "224",
     ["status 200 -> 400", "ListBucketResult -> InvalidArgument"]),
    ("S3's next marker is the last prefix as it was listed", "225", ["NextMarker: 'dev' -> 'dev/'"]),
    ("a start or a prefix that nothing has is no error in S3", "243,246-247,263-265,267",
     ["status 400 -> 200", "Error -> ListBucketResult"]),
    ("S3's code", "244-245,258", ["code BadRequest -> InvalidArgument"]),
    ("a fault of lakeFS: a page of none, and more to come for ever", "249",
     ["IsTruncated: 'true' -> 'false'", "NextContinuationToken: gone"]),
    ("S3 refuses what is no number, or no encoding", "250-251,256",
     ["status 200 -> 400", "ListBucketResult -> InvalidArgument"]),
    ("S3's pages have 1,000 keys at most", "252", ["MaxKeys: '5000' -> '1000'"]),
    ("S3's pages have 1,000 keys at most", "253", ["MaxKeys: '20000' -> '1000'"]),
    ("encoding-type counts", "254-255", [
        "Contents: without 'main/keys/amp&eq=q?h#.txt'", "Contents: without 'main/keys/pct%41.txt'",
        "Contents: without 'main/keys/plus+sign.txt'", "Contents: without 'main/keys/quote\\'\"<>.txt'",
        "Contents: without 'main/keys/sp ace.txt'", "Contents: without 'main/keys/tab\\tnl.txt'",
        "Contents: without 'main/keys/za\u017c\u00f3\u0142\u0107 \U0001d11e.txt'",
        "Contents: with 'main/keys/amp%26eq%3Dq%3Fh%23.txt'", "Contents: with 'main/keys/pct%2541.txt'",
        "Contents: with 'main/keys/plus%2Bsign.txt'", "Contents: with 'main/keys/quote%27%22%3C%3E.txt'",
        "Contents: with 'main/keys/sp%20ace.txt'", "Contents: with 'main/keys/tab%09nl.txt'",
        "Contents: with 'main/keys/za%C5%BC%C3%B3%C5%82%C4%87%20%F0%9D%84%9E.txt'"]),

    # Objects as REST shows them, and without their bytes.
    ("what S3's clients said beside their metadata is kept as metadata, and shown", "460",
     ["metadata/::sluice::cache-control: None -> 'max-age=1'",
      "metadata/::sluice::content-disposition: None -> 'attachment'",
      "metadata/::sluice::content-encoding: None -> 'gzip'", "metadata/::sluice::tagging: None -> 'a=b'"]),
    ("of 360", "461", ["status 200 -> 404"]),
    ("the message says what is lost", "467",
     ["Message: 'Indicates that the version ID specified in the request does not match an existing version.' -> "
      "\"The object's data is not in its store any more.\""]),
    ("a copy within a repository is of the entry: both have one body, which isn't read", "469",
     ["status 400 -> 200", "Error -> CopyObjectResult"]),

    # Copies and deletes.
    ("REPLACE is of the type, too", "285", ["content-type: 'application/x-foo' -> 'text/new'"]),
    ("S3 copies nothing onto itself unchanged", "290", ["status 200 -> 400", "CopyObjectResult -> InvalidRequest"]),
    ("S3's code", "296", ["code NoSuchKey -> NoSuchBucket"]),
    ("words", "297-298",
     ["Message: 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey.' -> "
      "'Copy Source must mention the source repository, ref and path: repository/ref/path'"]),
    ("a fault of lakeFS: an empty source was a plain PUT", "299", ["status 200 -> 400", "code InvalidArgument"]),
    ("versionId=null is the one version", "304", ["status 404 -> 200", "Error -> CopyObjectResult"]),
    ("copies have conditions", "305-306", ["status 200 -> 412", "CopyObjectResult -> PreconditionFailed"]),
    ("a fault of lakeFS", "332-333", ["code BadRequest -> MalformedXML"]),
    ("lakeFS doesn't verify checksums", "337", ["status 200 -> 400", "DeleteResult -> BadDigest"]),

    # Multipart uploads; lakeFS's local store ignores the list of parts.
    ("words", "342", ["Message: 'Argument partNumberMarker must be an integer.' -> "
                      "'Part number must be an integer between 1 and 10000, inclusive.'"]),
    ("a fault of lakeFS", "343-344", ["status 200 -> 400", "code InvalidArgument"]),
    ("S3's code", "345,350,357,383", ["status 500 -> 404", "code InternalError -> NoSuchUpload"]),
    ("S3's code", "346", ["status 400 -> 405", "code InvalidArgument -> MethodNotAllowed"]),
    ("a fault of lakeFS", "347-349", ["status 500 -> 200", "Error -> ListPartsResult"]),
    ("ListMultipartUploads is there", "351-352", ["status 501 -> 200", "Error -> ListMultipartUploadsResult"]),
    ("a fault of lakeFS", "354", ["CopyObjectResult -> CopyPartResult"]),
    ("a fault of lakeFS: a bad range was the whole", "355", ["status 200 -> 400", "CopyObjectResult -> InvalidArgument"]),
    ("S3's code", "356", ["status 400 -> 404", "code InvalidArgument -> NoSuchKey"]),
    ("a fault of lakeFS", "358-359", ["status 500 -> 400", "code InternalError -> MalformedXML"]),
    ("S3's parts have 5 MiB or more, but for the last", "360",
     ["status 200 -> 400", "CompleteMultipartUploadResult -> EntityTooSmall"]),
    ("so it isn't there", "361", ["status 200 -> 404"]),
    ("so it isn't there", "362", ["status 206 -> 404", "code NoSuchKey"]),
    ("and remains to be completed", "363", ["status 500 -> 400", "code InternalError -> EntityTooSmall"]),
    ("a fault of lakeFS", "366,372", ["status 200 -> 400", "CompleteMultipartUploadResult -> InvalidPart"]),
    ("a fault of lakeFS", "370", ["status 200 -> 400", "CompleteMultipartUploadResult -> InvalidPartOrder"]),
    ("a fault of lakeFS", "375", ["status 200 -> 404", "CompleteMultipartUploadResult -> NoSuchUpload"]),
    ("so it isn't there", "376", ["status 200 -> 404"]),
    ("S3's code", "380,382,384", ["code NoSuchKey -> NoSuchUpload"]),

    # Signatures and pieces.
    ("nobody is AccessDenied in S3", "398-399", ["status 400 -> 403", "code MissingFields -> AccessDenied"]),
    ("nobody is AccessDenied in S3", "400", ["status 400 -> 403"]),
    ("S3's status", "412", ["status 400 -> 403"]),
    ("S3's code", "402,418,433", ["code AccessDenied -> InvalidAccessKeyId"]),
    ("as any key that isn't known", "404", ["status 400 -> 403", "code MissingFields -> InvalidAccessKeyId"]),
    ("S3's code", "405", ["code AccessDenied -> RequestTimeTooSkewed"]),
    ("words", "406", ["Message: \"The difference between the request time and the server's time is too large.\" -> "
                      "'The difference between the request time and the current time is too large.'"]),
    ("a signature is for a service", "409", ["status 200 -> 400", "code AuthorizationHeaderMalformed"]),
    ("S3's code", "410-411", ["code MissingFields -> AuthorizationHeaderMalformed"]),
    ("links live as long as they say", "425", ["status 403 -> 200"]),
    ("a fault of lakeFS", "439-440", ["status 500 -> 403", "code InternalError -> SignatureDoesNotMatch"]),
    ("a fault of lakeFS", "441-442", ["status 200 -> 400", "code IncompleteBody"]),
    ("a fault of lakeFS", "450", ["status 500 -> 400", "code InternalError -> BadDigest"]),
    ("MD5 is one of S3's checksums since April 2026", "451", ["status 403 -> 200"]),
    ("a fault of lakeFS", "452", ["status 500 -> 400", "code InternalError -> MalformedTrailerError"]),
    ("S3's code", "453", ["status 403 -> 400", "code AccessDenied -> MalformedTrailerError"]),
    ("a fault of lakeFS", "456", ["status 200 -> 411", "code MissingContentLength"]),
    ("pieces and trailer may be signed both", "457", ["status 403 -> 200"]),
    ("of 441 and 442", "458-459", ["status 200 -> 404"]),
]


def body_of(x):
    text, encoding = x["request_body"], x.get("request_body_encoding")
    if encoding == "omitted":  # of the recorded length, if not of the recorded order
        keys = {"DeleteObjects: 1000 keys": 1000, "DeleteObjects: 1001 keys": 1001}[x["name"]]
        return ('<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>' +
                "".join(f"<Object><Key>main/{i}</Key></Object>" for i in range(keys)) + "</Delete>").encode()
    if encoding == "base64":
        return base64.b64decode(text)
    return (text or "").encode()


class Replay:
    def __init__(self, server):
        self.server = server
        self.known = {}   # their id -> ours
        self.tokens = {}  # of listings

    def ours(self, text):
        for theirs, mine in self.known.items():
            text = text.replace(theirs, mine)
        return text

    def ask(self, x):
        """Of S3 or, to prepare what it is asked about, of REST."""
        when = now(x.get("clock_skew_seconds", 0))
        path, query = self.ours(x["path"]), self.ours(x["query"])
        query = re.sub("(?<=continuation-token=)[^&]+", lambda m: self.tokens.get(m.group(), m.group()), query)
        headers = {n: self.ours(v) for n, v in x["request_headers"].items()}
        if "User-Agent: " in x.get("note", ""):
            headers["User-Agent"] = x["note"].split("User-Agent: ")[1]
        headers = {"Host": f"127.0.0.1:{self.server.port}", **headers}
        body = body_of(x)
        if x.get("request_body_encoding") == "omitted":
            headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
        if x.get("uses"):
            body = self.ours(body.decode()).encode()
        secret = "another/secret" if "wrong secret" in x["name"] else SECRET
        for name in ("X-Amz-Date", "Date"):
            if name in headers:
                headers[name] = amz_date(when) if name == "X-Amz-Date" else when.strftime("%a, %d %b %Y %H:%M:%S GMT")
        if x["auth"] == "presigned":
            query = self.presign(x, path, query, headers, when, secret)
        target = path + ("?" + query if query else "")
        if x["auth"] in ("sigv4", "streaming"):
            body = self.sign(x, target, headers, body, when, secret)
        elif x["auth"] == "v2":
            key = re.match("AWS ([^:]*):", headers["Authorization"]).group(1).replace(THEIR_KEY, KEY)
            headers["Authorization"] = sign_v2(x["method"], target, {n: v for n, v in headers.items()
                                                                     if n != "Authorization"}, key, secret)
        elif x["auth"] in ("basic", "admin"):
            headers["Authorization"] = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        return send(self.server.port, x["method"], target, headers, body)

    def sign(self, x, target, headers, body, when, secret):
        form = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]*)/[^/]*/([^/]*)/([^/]*)/aws4_request, SignedHeaders=([^,]*)",
                        headers["Authorization"])
        if not form:  # malformed on purpose
            headers["Authorization"] = headers["Authorization"].replace(THEIR_KEY, KEY).replace(
                "<date>", amz_date(when)[:8]).replace("<signature>", "0" * 64)
            return body
        key, region, service, names = form.groups()
        key = key.replace(THEIR_KEY, KEY)
        names = names.split(";")
        signer = Signer(key, secret, names, headers.get("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"), region, service)
        if x["name"] == "auth: changed header":
            headers["x-amz-meta-q"] = "1"
        signed = {n: v for n, v in headers.items() if n != "Authorization"}
        signature, scope, signing_key = signer.sign(x["method"], "http://host" + target, signed, when)
        if x["name"] == "auth: changed header":
            headers["x-amz-meta-q"] = "2"
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={';'.join(names)}, "
                                    f"Signature={signature}")
        if x["auth"] == "streaming":
            body = Chunks(signature, scope, signing_key, when).fill(body)
            if "bad chunk" in x["name"]:
                body = re.sub(b"chunk-signature=[0-9a-f]{8}", b"chunk-signature=00000000", body, count=1)
            elif "bad final" in x["name"]:
                body = re.sub(b"\r\n0;chunk-signature=[0-9a-f]{8}", b"\r\n0;chunk-signature=00000000", body)
        return body

    def presign(self, x, path, query, headers, when, secret):
        query = query.replace(THEIR_KEY, KEY).replace("<date>", amz_date(when)[:8]).replace("<amz-date>", amz_date(when))
        query = query.replace("&X-Amz-Signature=<signature>", "")
        key = re.search("X-Amz-Credential=([^%]*)", query).group(1)
        signature, _, _ = Signer(key, secret, ["host"], "UNSIGNED-PAYLOAD").sign(
            x["method"], f"http://host{path}?{query}", headers, when)
        return f"{query}&X-Amz-Signature={signature}"

    def put(self, path, method="PUT"):
        """An object of our own comes, or goes."""
        url = f"{self.server.url}{path}"
        status, _, text = send(self.server.port, method, path, {**sign(method, url), "Host": url.split("/")[2]}, b"")
        assert status in (200, 204), text

    def learn_rest(self, theirs, mine):
        """Commits, which may be asked for by ten digits, and addresses."""
        theirs, mine = leaves(theirs), leaves(mine)
        for at in theirs.keys() & mine.keys():
            a, b = theirs[at], mine[at]
            if isinstance(a, str) and isinstance(b, str) and ID.fullmatch(a) and ID.fullmatch(b):
                for length in (64, 10):
                    self.known.setdefault(a[:length], b[:length])
            elif at == "/physical_address":
                self.known.setdefault(a, b)

    def learn(self, theirs, mine):
        def both(name):
            found = [re.search(f"<{name}>([^<]*)</{name}>", t) for t in (theirs, mine.decode(errors="replace"))]
            return [m.group(1) for m in found] if all(found) else None
        if pair := both("UploadId"):
            self.known[pair[0]] = pair[1]
        if pair := both("NextContinuationToken"):
            self.tokens[urllib.parse.quote(pair[0], safe="")] = urllib.parse.quote(pair[1], safe="")


def leaves(text):
    """A JSON document's values by their paths; times of a run as what they are."""
    out = {}

    def walk(v, path):
        if isinstance(v, dict):
            for k in v:
                walk(v[k], f"{path}/{k}")
        elif isinstance(v, int) and path.endswith(("/creation_date", "/mtime")) and v > 1700000000:
            out[path] = "<time>"
        else:
            out[path] = v
    text = text.decode()
    walk(json.loads(text) if text.startswith("{") else text, "")
    return out


def rest_differences(x, status, headers, body, replay):
    if status != x["status"]:
        return [f"status {x['status']} -> {status}"]
    out = []
    if headers.get("content-type") != x["response_headers"].get("content-type"):
        out.append(f"content-type: {x['response_headers'].get('content-type')!r} -> {headers.get('content-type')!r}")
    theirs = (x["response_body"] or "").encode()
    replay.learn_rest(theirs, body)
    a, b = leaves(replay.ours(theirs.decode()).encode()), leaves(body)
    for at in sorted(a.keys() | b.keys()):
        if a.get(at) != b.get(at):
            out.append(f"{at[1:]}: {a.get(at)!r} -> {b.get(at)!r}")
    return [ADDRESS.sub("<address>", d) for d in out]


def tree(text):
    """An element as (name, text or children by name); dates and identifiers of a run as what they are."""
    def of(e):
        name = e.tag.split("}")[-1]
        kids = {}
        for child in e:
            k, v = of(child)
            kids.setdefault(k, []).append(v)
        value = kids or (e.text or "")
        if isinstance(value, str):
            if DATE.match(value):
                value = "<date>"
            elif name in ("RequestId", "HostId", "UploadId", "ContinuationToken", "NextContinuationToken") and value:
                value = f"<{name}>"
        return name, value
    root = ElementTree.fromstring(text)
    name, value = of(root)
    space = root.tag[1:].split("}")[0] if root.tag.startswith("{") else ""
    return name, space, value


def named(items):
    """The elements of a list by their keys, if that's what they have."""
    by = {}
    for i in items:
        if not isinstance(i, dict) or not {"Key", "Prefix"} & i.keys():
            return None
        by[(i.get("Key") or i.get("Prefix"))[0]] = i
    return by if len(by) == len(items) else None


def compare(a, b, path, out):
    if not (isinstance(a, dict) and isinstance(b, dict)):
        if a != b:
            out.append(f"{path[:-1]}: {a!r:.300} -> {b!r:.300}")
        return
    for name in sorted(a.keys() | b.keys()):
        x, y = a.get(name, []), b.get(name, [])
        by_x, by_y = named(x), named(y)
        if by_x is not None and by_y is not None:
            both = [k for k in by_x if k in by_y]
            out += [f"{path}{name}: without {k!r}" for k in by_x if k not in by_y]
            out += [f"{path}{name}: with {k!r}" for k in by_y if k not in by_x]
            if both != [k for k in by_y if k in by_x]:
                out.append(f"{path}{name}: in another order")
            for k in both:
                compare(by_x[k], by_y[k], f"{path}{name}[{k}]/", out)
            continue
        for i in range(max(len(x), len(y))):
            at = f"{path}{name}[{i}]" if max(len(x), len(y)) > 1 else f"{path}{name}"
            if i >= len(x):
                out.append(f"{at}: new")
            elif i >= len(y):
                out.append(f"{at}: gone")
            else:
                compare(x[i], y[i], at + "/", out)


def differences(x, status, headers, body, replay):
    """How our answer differs from theirs: short texts."""
    out = []
    if status != x["status"]:
        out.append(f"status {x['status']} -> {status}")
    theirs = x["response_body"] or ""
    if x.get("response_body_encoding") == "base64":
        theirs = base64.b64decode(theirs)
    else:
        theirs = replay.ours(theirs).replace("<request-id>", "id").encode()
    is_xml = [t.startswith(b"<?xml") for t in (theirs, body)]
    if all(is_xml):
        (name_a, space_a, a), (name_b, space_b, b) = tree(theirs), tree(body)
        if name_a != name_b:
            out.append(f"{name_a} -> " + (b["Code"][0] if name_b == "Error" else name_b))
        elif name_a == "Error" and a["Code"] != b["Code"]:
            out.append(f"code {a['Code'][0]} -> {b['Code'][0]}")
        else:
            if space_a != space_b:
                out.append(f"xmlns: {space_a!r} -> {space_b!r}")
            compare(a, b, "", out)
    elif theirs != body and status == x["status"]:
        code = tree(body)[2]["Code"][0] if is_xml[1] and body.find(b"<Error>") > 0 else None
        out.append(f"body: {theirs!r:.40} -> {code or repr(body)[:40]}")
    elif is_xml[1] and status != x["status"]:
        name, _, b = tree(body)
        out.append(f"code {b['Code'][0]}" if name == "Error" else f"document {name}")
    if status != x["status"]:
        return out
    have = x["response_headers"]
    for name in sorted(set(HEADERS) | {n for n in {*have, *headers} if n.startswith("x-amz-meta-")}):
        if have.get(name) != headers.get(name):
            out.append(f"{name}: {have.get(name)!r} -> {headers.get(name)!r}")
    for name in ("last-modified", "x-amz-request-id"):
        if name in have and name not in headers:
            out.append(f"{name} is missing")
    if theirs == body and not is_xml[0] and have.get("content-length", "0") != headers.get("content-length", "0"):
        out.append(f"content-length: {have.get('content-length')} -> {headers.get('content-length')}")
    return out


def replayed():
    """{number: (exchange, its differences)}."""
    found = {}
    with Server(repos=()) as server:
        replay = Replay(server)
        for x in exchanges("lakefs_s3.jsonl"):
            if x["name"] == "DELETE bucket":  # which works here; what follows wants it kept
                replay.put(f"{x['path']}/main/keep")
            status, headers, body = replay.ask(x)
            if x["name"] == "DELETE bucket":
                replay.put(f"{x['path']}/main/keep", "DELETE")
            if x["api"] == "rest":
                found[x["n"]] = x, rest_differences(x, status, headers, body, replay)
                continue
            replay.learn(x["response_body"] or "", body)
            found[x["n"]] = x, differences(x, status, headers, body, replay)
    return found


systematic = Systematic(SYSTEMATIC)


def remaining():
    return systematic.remaining(replayed())


def test_transcript():
    found = remaining()
    wrong = complaints(found, by_number(DIFFERENCES), systematic)
    assert not wrong, "\n".join(wrong)
    assert len(found) == 469, len(found)


if __name__ == "__main__":
    if "--show" in sys.argv:
        show(remaining())
    else:
        main(globals())
