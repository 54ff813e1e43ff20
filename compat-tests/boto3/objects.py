"""Objects one at a time: bodies, headers, metadata, keys, ranges, deletes."""

import concurrent.futures
import datetime
import io
import os
import socket
import tempfile
import urllib.parse

from harness import ENDPOINT, MIB, case, client, contains, content, equal, md5, new_bucket, refused, resource, same_bytes

SIZES = (0, 1, 1000, 65535, 65536, 65537, MIB, 5 * MIB + 3)


@case
def bodies_of_every_kind():
    s3 = client()
    bucket = new_bucket(s3)
    for size in SIZES:
        body = content("body", size)
        with tempfile.TemporaryFile() as spooled:
            spooled.write(body)
            spooled.seek(0)
            for kind, sent in (("bytes", body), ("bytearray", bytearray(body)), ("BytesIO", io.BytesIO(body)), ("file", spooled)):
                what = "%s of %d bytes" % (kind, size)
                out = s3.put_object(Bucket=bucket, Key=what, Body=sent)
                equal(out["ETag"], '"%s"' % md5(body), what)
                got = s3.get_object(Bucket=bucket, Key=what)
                equal(got["ContentLength"], size, what)
                equal(got["ETag"], out["ETag"], what)
                same_bytes(got["Body"].read(), body, what)
                if kind == "bytes":
                    same_bytes(b"".join(s3.get_object(Bucket=bucket, Key=what)["Body"].iter_chunks(10007)), body, what + " in chunks")


@case
def lines_of_a_streaming_body():
    s3 = client()
    bucket = new_bucket(s3)
    lines = [b"line %d" % i for i in range(20000)]
    s3.put_object(Bucket=bucket, Key="log", Body=b"\n".join(lines))
    equal(list(s3.get_object(Bucket=bucket, Key="log")["Body"].iter_lines()), lines, "lines")


@case
def a_body_left_unread():
    """A reader that goes away in the middle disturbs nobody, and the connection pool recovers."""
    s3 = client(max_pool_connections=2)
    bucket = new_bucket(s3)
    body = content("long", 4 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for _ in range(10):
        half = s3.get_object(Bucket=bucket, Key="k")["Body"]
        same_bytes(half.read(1000), body[:1000])
        half.close()
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), body)


@case
def headers_come_back():
    s3 = client()
    bucket = new_bucket(s3)
    expires = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
    sent = {
        "CacheControl": "max-age=3600, public", "ContentDisposition": 'attachment; filename="a b.txt"', "ContentEncoding": "gzip",
        "ContentLanguage": "de, en", "ContentType": "text/plain; charset=utf-8", "WebsiteRedirectLocation": "/elsewhere",
        "Metadata": {"lower": "x", "with-dash": "a, b;c=d", "empty": "", "spaces": "in  the middle", "long": "v" * 1500},
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", Expires=expires, **sent)
    for answer in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        for name, value in sent.items():
            equal(answer[name], value, name)
        text = answer["ResponseMetadata"]["HTTPHeaders"]["expires"]
        equal(text, "Tue, 06 May 2031 07:08:09 GMT", "Expires")
        equal(answer["AcceptRanges"], "bytes")
        equal(answer["ContentLength"], 4)
        age = datetime.datetime.now(datetime.timezone.utc) - answer["LastModified"]
        if abs(age.total_seconds()) > 60:
            raise AssertionError("LastModified is %s away" % age)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    bare = s3.head_object(Bucket=bucket, Key="k")
    equal(bare["Metadata"], {}, "an overwrite keeps no metadata")
    equal(bare["ContentType"], "binary/octet-stream", "the default")
    for name in ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "WebsiteRedirectLocation"):
        if name in bare:
            raise AssertionError("%s is %r" % (name, bare[name]))


@case
def too_much_metadata():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2000})
    with refused("MetadataTooLarge", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"a": "x" * 2100})


@case
def answers_with_other_headers():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/a", CacheControl="no-store")
    got = s3.get_object(
        Bucket=bucket, Key="k", ResponseContentType="text/b", ResponseCacheControl="private", ResponseContentDisposition="inline; filename=a.txt",
        ResponseContentEncoding="identity", ResponseContentLanguage="fr", ResponseExpires=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc))
    equal((got["ContentType"], got["CacheControl"], got["ContentDisposition"], got["ContentEncoding"], got["ContentLanguage"]),
          ("text/b", "private", "inline; filename=a.txt", "identity", "fr"))
    equal(s3.head_object(Bucket=bucket, Key="k")["ContentType"], "text/a")


@case
def ranges():
    s3 = client()
    bucket = new_bucket(s3)
    body = content("ranged", 300001)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    for text, want in (("bytes=0-0", body[:1]), ("bytes=65530-65545", body[65530:65546]), ("bytes=300000-", body[300000:]), ("bytes=-5", body[-5:]),
                       ("bytes=-999999", body), ("bytes=299999-400000", body[299999:])):
        got = s3.get_object(Bucket=bucket, Key="k", Range=text)
        same_bytes(got["Body"].read(), want, text)
        equal(got["ResponseMetadata"]["HTTPStatusCode"], 206, text)
        start = 300001 - len(want) if text.startswith("bytes=-") else int(text[6:].split("-")[0])
        equal(got["ContentRange"], "bytes %d-%d/300001" % (start, start + len(want) - 1), text)
    for text in ("bytes=300001-", "bytes=-0", "bytes=400000-500000"):
        with refused("InvalidRange", 416, text) as answer:
            s3.get_object(Bucket=bucket, Key="k", Range=text)
        equal(answer["Error"]["ActualObjectSize"], "300001", text)
        equal(answer["Error"]["RangeRequested"], text, text)
    for text in ("bytes=5-2", "lines=1-2", "bytes=0-1,5-6"):
        same_bytes(s3.get_object(Bucket=bucket, Key="k", Range=text)["Body"].read(), body, "%s is ignored" % text)


AWKWARD = [
    "a", "a/", "a//b", "/a", "//", "../x", "..", ".", "./a", "a/../b", " ", " a ", "a+b", "a b", "a%20b", "a%2Fb", "%", "a&b=c", "a?b", "#a", "a=b", "a;b", "a:b", "a,b",
    "a|b", "a\\b", 'a"b', "a'b", "<a>&amp;", "*", "!", "(a)", "[b]", "{c}", "^", "`", "@", "$", "~", "ä", "a\u0308", "日本語/鍵", "😀", "\u200b", "\ufeff", "null", "None",
    "soap", "x" * 1024, "é" * 512,
]


@case
def awkward_keys():
    s3 = client()
    bucket = new_bucket(s3)
    for key in AWKWARD:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"n": str(len(key))})
    for key in AWKWARD:
        got = s3.get_object(Bucket=bucket, Key=key)
        same_bytes(got["Body"].read(), key.encode(), repr(key))
        equal(got["Metadata"], {"n": str(len(key))}, repr(key))
    want = sorted(AWKWARD, key=lambda key: key.encode())
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
        equal([o["Key"] for page in pages for o in page["Contents"]], want, operation)
    out = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in AWKWARD]})
    equal(sorted(d["Key"] for d in out["Deleted"]), sorted(AWKWARD), "deleted")
    equal(out.get("Errors"), None)
    equal(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)


@case
def keys_too_long():
    s3 = client()
    bucket = new_bucket(s3)
    for key in ("x" * 1025, "é" * 513):
        with refused("KeyTooLongError", 400, "%d bytes" % len(key.encode())):
            s3.put_object(Bucket=bucket, Key=key, Body=b"")


@case
def deletes():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for _ in range(2):  # the second finds nothing, which is no error
        equal(s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"], 204)
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")


@case
def a_thousand_deletes():
    bucket = resource().Bucket(new_bucket(client()))
    keys = ["k/%04d" % i for i in range(120)]
    for key in keys:
        bucket.put_object(Key=key, Body=b"")
    missing = [{"Key": "missing/%d" % i} for i in range(880)]
    out = bucket.delete_objects(Delete={"Objects": [{"Key": key} for key in keys] + missing, "Quiet": False})
    equal(len(out["Deleted"]), 1000)
    equal(list(bucket.objects.all()), [])
    bucket.put_object(Key="again", Body=b"")
    quiet = bucket.delete_objects(Delete={"Objects": [{"Key": "again"}], "Quiet": True})
    equal(quiet.get("Deleted"), None, "quiet")
    with refused("MalformedXML", 400, "1001 keys"):
        bucket.delete_objects(Delete={"Objects": [{"Key": "k%d" % i} for i in range(1001)]})
    bucket.delete()


@case
def the_resource_interface():
    s3 = resource()
    bucket = s3.Bucket(new_bucket(client()))
    for i in range(25):
        s3.Object(bucket.name, "dir/%02d" % i).put(Body=b"n%d" % i, Metadata={"i": str(i)})
    equal(bucket.Object("dir/07").get()["Body"].read(), b"n7")
    equal(bucket.Object("dir/07").metadata, {"i": "7"})
    equal([o.key for o in bucket.objects.filter(Prefix="dir/1").limit(5)], ["dir/10", "dir/11", "dir/12", "dir/13", "dir/14"])
    equal(sum(len(o.get()["Body"].read()) for o in bucket.objects.page_size(4)), 10 * 2 + 15 * 3)
    contains([b.name for b in s3.buckets.all()], bucket.name)
    if bucket.creation_date is None:
        raise AssertionError("no creation date")
    bucket.objects.filter(Prefix="dir/0").delete()
    equal(len(list(bucket.objects.all())), 15)
    bucket.objects.all().delete()
    bucket.delete()
    bucket.wait_until_not_exists()


@case
def an_upload_that_ends_early():
    """The announced length never arrives: nothing is stored, and what was there stays."""
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    u = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"}))
    with socket.create_connection((u.hostname, u.port), timeout=20) as connection:
        head = "PUT %s?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 200000\r\n\r\n" % (u.path, u.query, u.netloc)
        connection.sendall(head.encode() + b"x" * 100000)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"old")


@case
def many_clients_at_once():
    s3 = client(max_pool_connections=16)
    bucket = new_bucket(s3)

    def trip(i):
        body = content(i, 20000 + i)
        s3.put_object(Bucket=bucket, Key="k%d" % i, Body=body)
        same_bytes(s3.get_object(Bucket=bucket, Key="k%d" % i)["Body"].read(), body, "k%d" % i)
        s3.delete_object(Bucket=bucket, Key="k%d" % i)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(trip, range(200)))
    equal(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)


@case
def virtual_host_addresses():
    """The bucket in the Host header, through the answers of a resolver that knows the store's domain."""
    s3 = client()
    bucket = new_bucket(s3)
    host = "%s.%s" % (bucket, os.environ["TDKVS_DOMAIN"])
    port = int(ENDPOINT.rsplit(":", 1)[1])
    original = socket.getaddrinfo

    def resolve(name, *rest, **more):
        return original("127.0.0.1" if isinstance(name, str) and name.endswith(os.environ["TDKVS_DOMAIN"]) else name, *rest, **more)

    socket.getaddrinfo = resolve
    try:
        virtual = client(endpoint="http://%s:%d" % (os.environ["TDKVS_DOMAIN"], port), s3={"addressing_style": "virtual"})
        seen = []
        virtual.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url))
        for key in ("k", "a/b c", "//x", "../y"):
            virtual.put_object(Bucket=bucket, Key=key, Body=key.encode())
            same_bytes(virtual.get_object(Bucket=bucket, Key=key)["Body"].read(), key.encode(), key)
        contains(seen[0], host, "the address used")
        equal(virtual.list_objects_v2(Bucket=bucket)["KeyCount"], 4)
    finally:
        socket.getaddrinfo = original
