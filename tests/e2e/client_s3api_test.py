"""aws-cli's `s3api`, Debian's v2 and today's v1: a command for every operation of the table, on a prefix (bucket
repo) and on a branch's own bucket (repo.branch), then a check that none of the table's was left out."""
import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile

import botocore.session
from botocore import xform_name

from harness import SLUICE, Server, VENV, clean_env, main, md5, wait_for
from warm_aws import Warm

V1, V2 = os.path.join(VENV, "aws"), "/usr/bin/aws"
MIB = 1 << 20
PART = os.urandom(5 * MIB)
SHA256 = base64.b64encode(hashlib.sha256(b"hello\n").digest()).decode()


class Save:
    """An expected value that is any, and kept under a name for later rows."""

    def __init__(self, name):
        self.name = name


class Has:
    """An expected list that has a match of each of these."""

    def __init__(self, *items):
        self.items = items


class File:
    """A row: the file that the command before wrote has these bytes."""

    def __init__(self, data):
        self.data = data


ABSENT = object()  # an expected field that isn't there

# A row is a command and what comes of it: fields of its output (those named, others may come besides) or, a
# string, its error's code. In braces: bucket, the keys' root, the folder, what was saved. v1 before a command:
# the program of 2022 has no such option.
ROWS = [
    ("list-buckets", {"Buckets": Has({"Name": "example"}), "Owner": {"ID": "admin"}}),
    ("v1 list-buckets --prefix no-such", {"Buckets": []}),
    ("head-bucket --bucket {bucket}", {}),
    ("head-bucket --bucket absent", "404"),
    ("get-bucket-location --bucket {bucket}", {"LocationConstraint": None}),
    ("get-bucket-location --bucket absent", "NoSuchBucket"),
    ("get-bucket-versioning --bucket {bucket}", {"Status": ABSENT}),
    ("create-bucket --bucket made", {"Location": "/made"}),
    ("create-bucket --bucket example.work", {"Location": "/example.work"}),
    ("create-bucket --bucket absent.work", "NoSuchBucket"),
    ("create-bucket --bucket Not_A_Name", "InvalidBucketName"),
    ("put-object --bucket example.work --key there --body {folder}/small", {"ETag": '"%s"' % md5(b"hello\n")}),
    ("head-object --bucket example --key work/there", {"ContentLength": 6}),
    ("delete-object --bucket example.work --key there", {}),
    ("delete-bucket --bucket example.work", {}),
    ("head-bucket --bucket example.work", "404"),
    ("delete-bucket --bucket made", {}),
    ("delete-bucket --bucket made", "NoSuchBucket"),

    # one object
    ("put-object --bucket {bucket} --key {root}a --body {folder}/small --content-type text/own --metadata k=v,l=w"
     " --cache-control no-cache --content-disposition inline --content-language de --storage-class STANDARD",
     {"ETag": '"%s"' % md5(b"hello\n")}),
    ("put-object --bucket {bucket} --key {root}none", {"ETag": '"%s"' % md5(b"")}),
    ("put-object --bucket absent --key {root}a", "NoSuchBucket"),
    ("put-object --bucket {bucket} --key {root}a --body {folder}/small --content-md5 AAAAAAAAAAAAAAAAAAAAAA==",
     "BadDigest"),
    ("v1 put-object --bucket {bucket} --key {root}a --if-none-match *", "PreconditionFailed"),
    ("v1 put-object --bucket {bucket} --key {root}a --if-match x", "PreconditionFailed"),
    ("get-object --bucket {bucket} --key {root}a {folder}/out",
     {"ETag": '"%s"' % md5(b"hello\n"), "ContentLength": 6, "ContentType": "text/own", "CacheControl": "no-cache",
      "ContentDisposition": "inline", "ContentLanguage": "de", "Metadata": {"k": "v", "l": "w"},
      "AcceptRanges": "bytes"}),
    File(b"hello\n"),
    ("get-object --bucket {bucket} --key {root}a --range bytes=1-2 {folder}/out",
     {"ContentRange": "bytes 1-2/6", "ContentLength": 2}),
    File(b"el"),
    ("get-object --bucket {bucket} --key {root}a --range bytes=6- {folder}/out", "InvalidRange"),
    ("get-object --bucket {bucket} --key {root}a --part-number 1 {folder}/out", {"ContentLength": 6}),
    ("get-object --bucket {bucket} --key {root}a --part-number 2 {folder}/out", "InvalidPartNumber"),
    ("get-object --bucket {bucket} --key {root}a --if-match x {folder}/out", "PreconditionFailed"),
    ("get-object --bucket {bucket} --key {root}a --if-none-match * {folder}/out", "304"),
    ("get-object --bucket {bucket} --key {root}a --response-content-type x/y {folder}/out", {"ContentType": "x/y"}),
    ("get-object --bucket {bucket} --key {root}a --version-id null {folder}/out", {"ContentLength": 6}),
    ("get-object --bucket {bucket} --key {root}a --version-id other {folder}/out", "NoSuchVersion"),
    ("get-object --bucket {bucket} --key {root}absent {folder}/out", "NoSuchKey"),
    ("get-object --bucket absent --key {root}a {folder}/out", "NoSuchBucket"),
    ("head-object --bucket {bucket} --key {root}a", {"ContentLength": 6, "Metadata": {"k": "v", "l": "w"}}),
    ("head-object --bucket {bucket} --key {root}absent", "404"),
    ("put-object --bucket {bucket} --key {root}sum --body {folder}/small --checksum-algorithm SHA256",
     {"ChecksumSHA256": SHA256}),
    ("get-object --bucket {bucket} --key {root}sum --checksum-mode ENABLED {folder}/out",
     {"ChecksumSHA256": SHA256}),
    ("get-object-attributes --bucket {bucket} --key {root}sum"
     " --object-attributes ETag Checksum ObjectSize StorageClass ObjectParts",
     {"ETag": md5(b"hello\n"), "ObjectSize": 6, "StorageClass": "STANDARD", "ObjectParts": ABSENT,
      "Checksum": {"ChecksumSHA256": SHA256}}),
    ("get-object-attributes --bucket {bucket} --key {root}absent --object-attributes ETag", "NoSuchKey"),

    # tags
    ("put-object-tagging --bucket {bucket} --key {root}a --tagging TagSet=[{{Key=k,Value=v}},{{Key=l,Value=w}}]", {}),
    ("get-object-tagging --bucket {bucket} --key {root}a",
     {"TagSet": Has({"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"})}),
    ("get-object --bucket {bucket} --key {root}a {folder}/out", {"TagCount": 2}),
    ("copy-object --bucket {bucket} --key {root}tagged --copy-source {bucket}/{root}a", {}),
    ("get-object-tagging --bucket {bucket} --key {root}tagged", {"TagSet": Has({"Key": "k", "Value": "v"})}),
    ("copy-object --bucket {bucket} --key {root}tagged --copy-source {bucket}/{root}a --tagging-directive REPLACE"
     " --tagging new=1", {}),
    ("get-object-tagging --bucket {bucket} --key {root}tagged", {"TagSet": [{"Key": "new", "Value": "1"}]}),
    ("delete-object-tagging --bucket {bucket} --key {root}a", {}),
    ("get-object-tagging --bucket {bucket} --key {root}a", {"TagSet": []}),
    ("put-object --bucket {bucket} --key {root}b --tagging k=v%20w&x=", {}),
    ("get-object-tagging --bucket {bucket} --key {root}b", {"TagSet": Has({"Key": "k", "Value": "v w"})}),
    ("put-object-tagging --bucket {bucket} --key {root}a --tagging TagSet=[{{Key=k,Value=v}},{{Key=k,Value=w}}]",
     "InvalidTag"),
    ("get-object-tagging --bucket {bucket} --key {root}absent", "NoSuchKey"),

    # copies
    ("copy-object --bucket {bucket} --key {root}copy --copy-source {bucket}/{root}a",
     {"CopyObjectResult": {"ETag": '"%s"' % md5(b"hello\n")}}),
    ("head-object --bucket {bucket} --key {root}copy", {"ContentType": "text/own", "Metadata": {"k": "v", "l": "w"}}),
    ("copy-object --bucket {bucket} --key {root}copy --copy-source {bucket}/{root}a --metadata-directive REPLACE"
     " --metadata new=1 --content-type x/y", {}),
    ("head-object --bucket {bucket} --key {root}copy", {"ContentType": "x/y", "Metadata": {"new": "1"}}),
    ("copy-object --bucket {bucket} --key {root}copy --copy-source {bucket}/{root}a --copy-source-if-match x",
     "PreconditionFailed"),
    ("copy-object --bucket {bucket} --key {root}a --copy-source {bucket}/{root}a", "InvalidRequest"),
    ("copy-object --bucket {bucket} --key {root}copy --copy-source {bucket}/{root}absent", "NoSuchKey"),
    ("copy-object --bucket {bucket} --key {root}copy --copy-source absent/main/a", "NoSuchBucket"),

    # listings
    ("put-object --bucket {bucket} --key {root}l/x/1", {}),
    ("put-object --bucket {bucket} --key {root}l/y", {}),
    ("list-objects-v2 --bucket {bucket} --prefix {root}l/ --delimiter /",
     {"Contents": [{"Key": "{root}l/y", "Size": 0, "ETag": '"%s"' % md5(b""), "StorageClass": "STANDARD"}],
      "CommonPrefixes": [{"Prefix": "{root}l/x/"}]}),
    ("list-objects-v2 --bucket {bucket} --prefix {root}l/ --page-size 1",
     {"Contents": [{"Key": "{root}l/x/1"}, {"Key": "{root}l/y"}]}),
    ("list-objects-v2 --bucket {bucket} --prefix {root}l/ --start-after {root}l/x/1 --fetch-owner",
     {"Contents": [{"Key": "{root}l/y", "Owner": {}}]}),
    ("list-objects --bucket {bucket} --prefix {root}l/ --delimiter /",
     {"Contents": [{"Key": "{root}l/y"}], "CommonPrefixes": [{"Prefix": "{root}l/x/"}]}),
    ("list-objects --bucket {bucket} --prefix {root}l/ --page-size 1",
     {"Contents": [{"Key": "{root}l/x/1"}, {"Key": "{root}l/y"}]}),
    ("list-object-versions --bucket {bucket} --prefix {root}l/",
     {"Versions": [{"Key": "{root}l/x/1", "VersionId": "null", "IsLatest": True}, {"Key": "{root}l/y"}],
      "DeleteMarkers": ABSENT}),
    ("list-objects --bucket absent", "NoSuchBucket"),
    ("list-objects-v2 --bucket absent", "NoSuchBucket"),

    # uploads in parts
    ("create-multipart-upload --bucket {bucket} --key {root}m --content-type m/p --metadata k=v",
     {"UploadId": Save("upload"), "Bucket": "{bucket}", "Key": "{root}m"}),
    ("create-multipart-upload --bucket absent --key {root}m", "NoSuchBucket"),
    ("upload-part --bucket {bucket} --key {root}m --upload-id {upload} --part-number 1 --body {folder}/part",
     {"ETag": '"%s"' % md5(PART)}),
    ("upload-part --bucket {bucket} --key {root}m --upload-id absent --part-number 1 --body {folder}/small",
     "NoSuchUpload"),
    ("upload-part --bucket {bucket} --key {root}m --upload-id {upload} --part-number 10001 --body {folder}/small",
     "InvalidArgument"),
    ("upload-part-copy --bucket {bucket} --key {root}m --upload-id {upload} --part-number 2"
     " --copy-source {bucket}/{root}a", {"CopyPartResult": {"ETag": '"%s"' % md5(b"hello\n")}}),
    ("upload-part-copy --bucket {bucket} --key {root}m --upload-id {upload} --part-number 3"
     " --copy-source {bucket}/{root}a --copy-source-range bytes=0-1",
     {"CopyPartResult": {"ETag": '"%s"' % md5(b"he")}}),
    ("upload-part-copy --bucket {bucket} --key {root}m --upload-id {upload} --part-number 3"
     " --copy-source {bucket}/{root}absent", "NoSuchKey"),
    ("list-parts --bucket {bucket} --key {root}m --upload-id {upload}",
     {"Parts": [{"PartNumber": 1, "Size": 5 * MIB, "ETag": '"%s"' % md5(PART)}, {"PartNumber": 2, "Size": 6},
                {"PartNumber": 3, "Size": 2}]}),
    ("list-parts --bucket {bucket} --key {root}m --upload-id absent", "NoSuchUpload"),
    ("list-multipart-uploads --bucket {bucket} --prefix {root}m",
     {"Uploads": [{"Key": "{root}m", "UploadId": "{upload}", "StorageClass": "STANDARD"}]}),
    ("list-multipart-uploads --bucket absent", "NoSuchBucket"),
    ("complete-multipart-upload --bucket {bucket} --key {root}m --upload-id {upload} --multipart-upload"
     " Parts=[{{PartNumber=2,ETag=%s}},{{PartNumber=1,ETag=%s}}]" % (md5(b"hello\n"), md5(PART)), "InvalidPartOrder"),
    ("complete-multipart-upload --bucket {bucket} --key {root}m --upload-id {upload} --multipart-upload"
     " Parts=[{{PartNumber=1,ETag=%s}}]" % md5(b""), "InvalidPart"),
    ("complete-multipart-upload --bucket {bucket} --key {root}m --upload-id {upload} --multipart-upload"
     " Parts=[{{PartNumber=2,ETag=%s}},{{PartNumber=3,ETag=%s}}]" % (md5(b"hello\n"), md5(b"he")), "EntityTooSmall"),
    ("complete-multipart-upload --bucket {bucket} --key {root}m --upload-id {upload} --multipart-upload"
     " Parts=[{{PartNumber=1,ETag=%s}},{{PartNumber=3,ETag=%s}}]" % (md5(PART), md5(b"he")),
     {"ETag": '"%s-2"' % md5(bytes.fromhex(md5(PART) + md5(b"he"))), "Bucket": "{bucket}", "Key": "{root}m"}),
    ("head-object --bucket {bucket} --key {root}m --part-number 2", {"PartsCount": 2, "ContentLength": 2}),
    ("get-object --bucket {bucket} --key {root}m {folder}/out",
     {"ContentLength": 5 * MIB + 2, "ContentType": "m/p", "Metadata": {"k": "v"}}),
    File(PART + b"he"),
    ("get-object-attributes --bucket {bucket} --key {root}m --object-attributes ObjectParts ObjectSize",
     {"ObjectSize": 5 * MIB + 2, "ObjectParts": {"TotalPartsCount": 2}}),
    ("create-multipart-upload --bucket {bucket} --key {root}n", {"UploadId": Save("upload")}),
    ("abort-multipart-upload --bucket {bucket} --key {root}n --upload-id {upload}", {}),
    ("abort-multipart-upload --bucket {bucket} --key {root}n --upload-id {upload}", "NoSuchUpload"),
    ("list-multipart-uploads --bucket {bucket}", {"Uploads": ABSENT}),

    # deleting
    ("v1 delete-object --bucket {bucket} --key {root}a --if-match x", "PreconditionFailed"),
    ("v1 delete-object --bucket {bucket} --key {root}a --if-match %s" % md5(b"hello\n"), {}),
    ("delete-object --bucket {bucket} --key {root}a", {}),
    ("delete-object --bucket {bucket} --key {root}absent", {}),
    ("delete-object --bucket absent --key {root}absent", "NoSuchBucket"),
    ("delete-objects --bucket {bucket} --delete Objects=[{{Key={root}l/y}},{{Key={root}l/x/1}},{{Key={root}absent}}]",
     {"Deleted": Has({"Key": "{root}l/y"}, {"Key": "{root}l/x/1"}, {"Key": "{root}absent"}), "Errors": ABSENT}),
    ("delete-objects --bucket {bucket} --delete Objects=[{{Key={root}m}}],Quiet=true", {"Deleted": ABSENT}),
    ("list-objects-v2 --bucket {bucket} --prefix {root}l/", {"Contents": ABSENT}),
    ("delete-objects --bucket absent --delete Objects=[{{Key=x}}]", "NoSuchBucket"),
]

# What nobody can have configured here: S3's answer on a bucket where nobody has. A string: the error that is the
# operation's only answer.
UNSET = [
    ("get-bucket-acl", {"Grants": Has({"Permission": "FULL_CONTROL"})}),
    ("get-object-acl --key {root}b", {"Grants": Has({"Permission": "FULL_CONTROL"})}),
    ("get-bucket-accelerate-configuration", {"Status": ABSENT}),
    ("get-bucket-logging", {"LoggingEnabled": ABSENT}),
    ("get-bucket-notification-configuration", {"QueueConfigurations": ABSENT}),
    ("get-bucket-request-payment", {"Payer": "BucketOwner"}),
    ("get-bucket-cors", "NoSuchCORSConfiguration"),
    ("get-bucket-encryption", "ServerSideEncryptionConfigurationNotFoundError"),
    ("get-bucket-lifecycle-configuration", "NoSuchLifecycleConfiguration"),
    ("get-bucket-ownership-controls", {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}),
    ("get-bucket-policy", "NoSuchBucketPolicy"),
    ("get-bucket-policy-status", "NoSuchBucketPolicy"),
    ("get-bucket-replication", "ReplicationConfigurationNotFoundError"),
    ("get-bucket-tagging", "NoSuchTagSet"),
    ("get-bucket-website", "NoSuchWebsiteConfiguration"),
    ("get-object-lock-configuration", "ObjectLockConfigurationNotFoundError"),
    ("get-public-access-block", "NoSuchPublicAccessBlockConfiguration"),
    # What the program of 2022 can ask for of what isn't implemented; today's is asked for all of it below.
    ("put-object-acl --key {root}b --acl public-read", "NotImplemented"),
    ("get-object-retention --key {root}b", "NotImplemented"),
    ("put-bucket-versioning --versioning-configuration Status=Enabled", "NotImplemented"),
    ("put-bucket-tagging --tagging TagSet=[{{Key=k,Value=v}}]", "NotImplemented"),
    ("delete-bucket-policy", "NotImplemented"),
]


def operations():
    """(implemented, not implemented) of the program's own table."""
    text = subprocess.run([SLUICE, "reference", "s3"], check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^\| (\w+) \| [A-Z]+ \| (?:service|bucket|object) \|.*\| ([^|]*) \|$", text, re.M)
    return ({name for name, permission in rows if permission != "not implemented"},
            {name for name, permission in rows if permission == "not implemented"})


def asked(s, start=0):
    """(operation, status) of all requests that the server's log has."""
    found = []
    for line in s.log_text()[start:].splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        if "operation" in record:
            found.append((record["operation"], record["status"]))
    return found


def fill(value, names):
    if isinstance(value, str):
        return value.format(**names) if "{" in value else value
    if isinstance(value, dict):
        return {k: fill(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, names) for v in value]
    if isinstance(value, Has):
        return Has(*(fill(v, names) for v in value.items))
    return value


def matches(got, want, names):
    if isinstance(want, Save):
        names[want.name] = got
        return bool(got)
    if isinstance(want, Has):
        return isinstance(got, list) and all(any(matches(g, w, names) for g in got) for w in want.items)
    if isinstance(want, dict):
        return isinstance(got, dict) and all(
            k not in got if v is ABSENT else k in got and matches(got[k], v, names) for k, v in want.items())
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(matches, got, want, [names] * len(got)))
    return got == want


def run_row(s, aws, row, names):
    """None, or what was wrong."""
    if isinstance(row, File):
        with open(os.path.join(names["folder"], "out"), "rb") as f:
            return None if f.read() == row.data else "other bytes"
    command, want = row
    if command.startswith("v1 "):
        if aws.program != V1:
            return None
        command = command[3:]
    try:
        args = [a.format(**names) for a in shlex.split(command)]
    except KeyError as e:
        return f"no {e} from a row before"
    done = s.aws(aws, "s3api", *args, check=False)
    if isinstance(want, str):
        if done.returncode and re.search(r"An error occurred \(%s\)" % want, done.stderr):
            return None
    elif done.returncode == 0 and matches(json.loads(done.stdout or "{}"), fill(want, names), names):
        return None
    return f"wanted {want if isinstance(want, str) else fill(want, names)}\n{done.stdout}{done.stderr}"


def table(program, bucket, root):
    with Server() as s, tempfile.TemporaryDirectory() as d, Warm(program, clean_env()) as aws:
        for name, data in (("small", b"hello\n"), ("part", PART)):
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        names = {"bucket": bucket, "root": root, "folder": d}
        # Those that are the same words on any bucket are asked for once by each program.
        unset = [(command + " --bucket {bucket}", want) for command, want in UNSET if (program == V1) == bool(root)]
        wrong = []
        for row in ROWS + unset:
            why = run_row(s, aws, row, names)
            if why:
                wrong.append(f"{row if isinstance(row, File) else row[0]}: {why}")
        assert not wrong, f"{len(wrong)} of {len(ROWS + unset)}:\n" + "\n".join(wrong)
        errors = {command.split()[0] for command, want in UNSET if isinstance(want, str) and want != "NotImplemented"}
        done = {operation for operation, status in asked(s)
                if status < 300 or (status == 404 and xform_name(operation, "-") in errors)}
        want = operations()[0] if unset else {o for o in operations()[0] if xform_name(o, "-") not in {
            command.split()[0] for command, _ in UNSET}}
        assert done >= want, f"no command for {sorted(want - done)}: add rows"


def test_v1_prefix():
    table(V1, "example", "main/")


def test_v1_branch_bucket():
    table(V1, "example.main", "")


def test_v2_prefix():
    table(V2, "example", "main/")


def test_v2_branch_bucket():
    table(V2, "example.main", "")


def least(shape):
    """The least input that the client's model of an operation takes."""
    if shape.type_name == "structure":
        required = shape.required_members
        if getattr(shape, "is_tagged_union", False):
            required = list(shape.members)[:1]
        return {name: least(shape.members[name]) for name in required}
    if shape.type_name == "list":
        return [least(shape.member)]
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    return {"integer": 1, "long": 1, "boolean": True, "timestamp": "2030-01-01T00:00:00Z"}[shape.type_name]


def command_of(operation, folder):
    """The least command line for an operation, by the model that aws-cli is made of."""
    command = [xform_name(operation.name, "-")]
    given = dict(least(operation.input_shape), Bucket="example")
    if "Key" in given:
        given["Key"] = "main/x"
    for name, value in given.items():
        command += ["--" + xform_name(name, "-"), value if isinstance(value, str) else json.dumps(value)]
    if operation.has_streaming_output or operation.has_event_stream_output:
        command.append(os.path.join(folder, "out"))
    return command


# aws-cli has no command for the one (a browser's form), and for the other none that goes to the endpoint given.
NO_COMMAND = {"PostObject", "WriteGetObjectResponse"}


def test_everything_else_is_not_implemented():
    model = botocore.session.get_session().get_service_model("s3")
    with Server() as s, tempfile.TemporaryDirectory() as d, Warm(V1, clean_env()) as aws:
        wrong = []
        for name in sorted(operations()[1] - NO_COMMAND):
            start = len(s.log_text())
            done = s.aws(aws, "s3api", *command_of(model.operation_model(name), d), check=False)
            seen = wait_for(lambda: asked(s, start), name + " in the log")
            if not done.returncode or "An error occurred (NotImplemented)" not in done.stderr or seen != [(name, 501)]:
                wrong.append(f"{name}: {seen} {done.stdout}{done.stderr}")
        assert not wrong, "\n".join(wrong)


if __name__ == "__main__":
    main(globals())
