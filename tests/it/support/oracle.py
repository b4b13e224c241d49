"""Validates digests with awscli's own validator.

usage: oracle.py < REQUEST

The request is a JSON object: `keys` (what list-public-keys prints), `trail` (account, name, region, home_region,
organization, prefix, bucket), `start`, `end`, and `objects`: base64 of the bytes and the metadata by key. Prints a JSON
object: `strings`, the string to sign of each readable digest by key; `verdicts`, a list of [what, key or null] as the
traverser reports them. Exits with 77 where awscli is missing.
"""

import base64
import json
import sys
import zlib

try:
    from awscli.customizations.cloudtrail import validation
    from dateutil import parser
except ImportError as error:
    print(f"{error}; tests/run installs it", file=sys.stderr)
    sys.exit(77)


class Body:
    def __init__(self, data):
        self.data = data

    def read(self):
        return self.data


class Bucket:
    """As much of an S3 client as the validator uses."""

    def __init__(self, objects):
        self.objects = objects

    def get_client(self, bucket_name):
        return self

    def get_object(self, Bucket, Key):
        if Key not in self.objects:
            raise validation.ClientError({"Error": {"Code": "NoSuchKey", "Message": "gone"}}, "GetObject")
        item = self.objects[Key]
        return {"Body": Body(base64.b64decode(item["bytes"])), "Metadata": item["metadata"]}

    def get_paginator(self, operation):
        return self

    def paginate(self, Bucket, Marker, Prefix):
        self.page = sorted(key for key in self.objects if key > Marker and key.startswith(Prefix))
        return self

    def search(self, expression):
        return list(self.page)


class Keys:
    def __init__(self, keys):
        self.keys = keys

    def get_public_keys(self, start_date, end_date):
        return {key["Fingerprint"]: key for key in self.keys["PublicKeyList"]}


def strings(objects):
    signer = validation.Sha256RSADigestValidator()
    found = {}
    for key, item in objects.items():
        if "/CloudTrail-Digest/" not in key:
            continue
        try:
            text = zlib.decompress(base64.b64decode(item["bytes"]), zlib.MAX_WBITS | 16)
            found[key] = signer._create_string_to_sign(json.loads(text), text).decode()
        except (ValueError, KeyError, zlib.error):
            pass
    return found


def verdicts(request):
    trail, found = request["trail"], []
    provider = validation.DigestProvider(
        Bucket(request["objects"]),
        trail["account"],
        trail["name"],
        trail["home_region"],
        trail["region"],
        trail["organization"],
    )
    traverser = validation.DigestTraverser(
        digest_provider=provider,
        starting_bucket=trail["bucket"],
        starting_prefix=trail["prefix"],
        public_key_provider=Keys(request["keys"]),
        on_invalid=lambda last_key, **_: found.append(["invalid", last_key]),
        on_gap=lambda **_: found.append(["gap", None]),
        on_missing=lambda last_key, **_: found.append(["missing", last_key]),
    )
    start, end = (parser.parse(request[name]) for name in ("start", "end"))
    for backfill in (False, True):
        for digest in traverser.traverse_digests(start, end, is_backfill=backfill):
            found.append(["valid", digest["digestS3Object"]])
    return found


def main():
    request = json.load(sys.stdin)
    json.dump({"strings": strings(request["objects"]), "verdicts": verdicts(request)}, sys.stdout)


main()
