"""What the cases of this folder share: the store under test, the registry of cases, and the checks."""

import contextlib
import hashlib
import http.client
import json
import os
import random
import sys
import threading
import time
import traceback
import urllib.parse

import boto3
import botocore.config
import botocore.exceptions

MIB = 1 << 20
REGION = os.environ["TDKVS_REGION"]
ENDPOINT = os.environ["TDKVS_ENDPOINT"]
TLS_ENDPOINT = os.environ["TDKVS_TLS_ENDPOINT"]
TLS_CA = os.environ["TDKVS_TLS_CA"]
ACCESS_KEY = os.environ["TDKVS_ACCESS_KEY"]
SECRET_KEY = os.environ["TDKVS_SECRET_KEY"]

SESSION = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=REGION)  # one: it keeps the service model that it read
CASES = []


def case(function):
    """Registers a case: a function of no arguments that returns or raises."""
    CASES.append(function)
    return function


def client(endpoint=ENDPOINT, access_key=ACCESS_KEY, secret_key=SECRET_KEY, verify=None, **config):
    """Makes a client. Unless the caller wants otherwise it never repeats a request: a retry would hide a failure."""
    config.setdefault("retries", {"total_max_attempts": 1})
    style = dict(config.pop("s3", {}))
    style.setdefault("addressing_style", "path")
    return SESSION.client("s3", endpoint_url=endpoint, verify=verify, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
                          config=botocore.config.Config(s3=style, **config))


def resource():
    return SESSION.resource("s3", endpoint_url=ENDPOINT,
                            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


def new_bucket(s3, **options):
    """Makes a bucket named after the case that runs."""
    name = "py-%s-%04x" % (threading.current_thread().name.replace("_", "-")[:40].strip("-"), random.getrandbits(16))
    s3.create_bucket(Bucket=name, **options)
    return name


def content(label, size):
    """Bytes that depend on the label alone and do not compress."""
    return random.Random(label).getrandbits(8 * size).to_bytes(size, "big") if size else b""


def md5(body):
    return hashlib.md5(body).hexdigest()


def takes(s3, operation, *members):
    """Whether this version of boto3 knows the parameters of an operation."""
    shape = s3.meta.service_model.operation_model(operation).input_shape
    return shape is not None and all(member in shape.members for member in members)


@contextlib.contextmanager
def headers(s3, operation, **added):
    """Adds headers to the requests of an operation, as programs do whose boto3 lacks the parameter (if_match="x")."""

    def add(params, **_):
        for name, value in added.items():
            params["headers"][name.replace("_", "-")] = value

    event = "before-call.s3." + operation
    s3.meta.events.register_last(event, add)
    try:
        yield
    finally:
        s3.meta.events.unregister(event, add)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError("%s: got %s, want %s" % (what or "value", shorten(got), shorten(want)))


def same_bytes(got, want, what=""):
    if got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        raise AssertionError("%s: %d bytes, want %d; they differ from byte %d on" % (what or "body", len(got), len(want), at))


def contains(got, want, what=""):
    if want not in got:
        raise AssertionError("%s: %s lacks %s" % (what or "value", shorten(got), shorten(want)))


def shorten(value):
    text = repr(value)
    return text if len(text) < 600 else text[:600] + "..."


@contextlib.contextmanager
def refused(code, status, what="", says=None):
    """Expects the calls within to end in the error of a code and HTTP status; yields a dict that then holds its answer."""
    answer = {}
    try:
        yield answer
    except botocore.exceptions.ClientError as error:
        answer.update(error.response)
        got = (error.response["Error"].get("Code"), error.response["ResponseMetadata"]["HTTPStatusCode"])
        equal(got, (code, status), what or "refusal (%s)" % error)
        if says is not None:
            contains(error.response["Error"]["Message"], says, what or code)
        return
    raise AssertionError("%s: accepted, want %s" % (what or "call", code))


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def __repr__(self):
        return "status %d, %r" % (self.status, self.body[:400])


def fetch(method, url, body=None, headers=None):
    """One plain HTTP request, as something that knows nothing of S3 would make it."""
    u = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(u.hostname, u.port, timeout=60)
    try:
        connection.request(method, u.path + ("?" + u.query if u.query else ""), body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def run():
    """Runs the cases, or those named in the arguments, and writes one line of JSON for each."""
    wanted = sys.argv[1:]
    failed = 0
    for function in CASES:
        name = function.__module__ + "." + function.__name__
        if wanted and not any(w in name for w in wanted):
            continue
        threading.current_thread().name = function.__name__
        began, message = time.monotonic(), ""
        try:
            function()
        except Exception:  # whatever it is, it is this case's failure and not the end of the others
            message = traceback.format_exc()
            failed += 1
        line = {"name": name, "ok": not message, "message": message, "seconds": round(time.monotonic() - began, 3)}
        print(json.dumps(line), flush=True)
    print(json.dumps({"done": True}), flush=True)
    sys.exit(1 if failed else 0)
