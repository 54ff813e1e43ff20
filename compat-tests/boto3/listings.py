"""Paginators over every listing, and the waiters."""

import threading
import time

from botocore.exceptions import WaiterError

from harness import MIB, case, client, content, equal, new_bucket, refused, takes

KEYS = sorted(["a", "a/1", "a/2", "a//x", "b/c/d", "b/c/e", "b/d", "top", "é/1", "z/"] + ["many/%03d" % i for i in range(70)], key=str.encode)


def rolled_up(keys, prefix, delimiter):
    """What a listing with a delimiter holds, from its definition: keys, and common prefixes."""
    contents, prefixes = [], []
    for key in keys:
        if not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix):].partition(delimiter) if delimiter else (key, "", "")
        if not found:
            contents.append(key)
        elif prefix + head + delimiter not in prefixes:
            prefixes.append(prefix + head + delimiter)
    return contents, prefixes


@case
def of_objects():
    s3 = client()
    bucket = new_bucket(s3)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for operation in ("list_objects", "list_objects_v2"):
        paginator = s3.get_paginator(operation)
        for prefix in ("", "a", "a/", "many/0", "b/", "none", "é"):
            for delimiter in ("", "/", "//", "a"):
                for size in (4, 1000) if prefix in ("", "many/0") else (1, 3):  # pages of one key of many cost much and show nothing new
                    pages = list(paginator.paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size}))
                    what = "%s prefix %r delimiter %r pages of %d" % (operation, prefix, delimiter, size)
                    want = rolled_up(KEYS, prefix, delimiter)
                    equal([o["Key"] for page in pages for o in page.get("Contents", ())], want[0], what)
                    equal([p["Prefix"] for page in pages for p in page.get("CommonPrefixes", ())], want[1], what)
                    for page in pages:
                        equal((page["Name"], page["MaxKeys"]), (bucket, size), what)


@case
def of_objects_from_the_middle():
    s3 = client()
    bucket = new_bucket(s3)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="many/050")
    equal([o["Key"] for o in after["Contents"]], [key for key in KEYS if key > "many/050"])
    equal(after["StartAfter"], "many/050")
    equal([o["Key"] for o in s3.list_objects(Bucket=bucket, Marker="many/050")["Contents"]], [key for key in KEYS if key > "many/050"])
    first = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 5, "MaxItems": 12}).build_full_result()
    equal([o["Key"] for o in first["Contents"]], KEYS[:12])
    rest = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 50, "StartingToken": first["NextToken"]})
    equal([o["Key"] for page in rest for o in page["Contents"]], KEYS[12:])
    large = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket).search("Contents[?Size > `6`].Key")
    equal(list(large), [key for key in KEYS if len(key.encode()) > 6])
    with refused("InvalidArgument", 400):
        s3.list_objects_v2(Bucket=bucket, ContinuationToken="made up")
    equal(s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"], 0)


@case
def what_an_entry_says():
    s3 = client()
    bucket = new_bucket(s3)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"12345")["ETag"]
    changed = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    entry = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    equal((entry["ETag"], entry["Size"], entry["StorageClass"], "Owner" in entry), (etag, 5, "STANDARD", False))
    equal(entry["LastModified"].replace(microsecond=0), changed)
    owner = s3.list_buckets()["Owner"]["ID"]
    equal(s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]["ID"], owner)
    equal(s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"], owner)


@case
def of_buckets():
    s3 = client()
    prefix = "py-of-buckets-%d-" % time.monotonic_ns()
    made = [prefix + letter for letter in "abcdefg"]
    for name in made:
        s3.create_bucket(Bucket=name)
    listed = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    equal([name for name in listed if name in made], made)
    if takes(s3, "ListBuckets", "MaxBuckets", "Prefix"):
        pages = list(s3.get_paginator("list_buckets").paginate(Prefix=prefix, PaginationConfig={"PageSize": 3}))
        equal([b["Name"] for page in pages for b in page["Buckets"]], made, "pages of 3")
        equal(len(pages), 3)


@case
def of_uploads_and_parts():
    s3 = client()
    bucket = new_bucket(s3)
    uploads = []
    for key in ("a/1", "a/2", "a/2", "b", "c/x"):
        uploads.append((key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]))
    pages = list(s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    listed = [(u["Key"], u["UploadId"]) for page in pages for u in page["Uploads"]]
    equal(sorted(listed), sorted(uploads))
    equal([key for key, _ in listed], ["a/1", "a/2", "a/2", "b", "c/x"])
    page = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    equal(([u["Key"] for u in page["Uploads"]], [p["Prefix"] for p in page["CommonPrefixes"]]), (["b"], ["a/", "c/"]))
    equal(len(s3.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]), 3)
    key, upload = uploads[0]
    sizes = {3: 700, 1: 100, 10: 900, 10000: 5, 2: 40}
    for number, size in sizes.items():
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=content(number, size))
    pages = list(s3.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload, PaginationConfig={"PageSize": 2}))
    equal([(p["PartNumber"], p["Size"]) for page in pages for p in page["Parts"]], sorted(sizes.items()))
    for key, upload in uploads:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    equal("Uploads" in s3.list_multipart_uploads(Bucket=bucket), False)


@case
def waiters():
    s3 = client()
    bucket = "py-waited-for-%d" % time.monotonic_ns()
    quick = {"Delay": 1, "MaxAttempts": 15}

    def later(call, **arguments):
        timer = threading.Timer(0.3, lambda: call(**arguments))
        timer.start()
        return timer

    timer = later(s3.create_bucket, Bucket=bucket)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, WaiterConfig=quick)
    timer.join()
    timer = later(s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k", WaiterConfig=quick)
    timer.join()
    timer = later(s3.delete_object, Bucket=bucket, Key="k")
    s3.get_waiter("object_not_exists").wait(Bucket=bucket, Key="k", WaiterConfig=quick)
    timer.join()
    try:
        s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k", WaiterConfig={"Delay": 0, "MaxAttempts": 2})
        raise AssertionError("waited for nothing")
    except WaiterError:
        pass
    timer = later(s3.delete_bucket, Bucket=bucket)
    s3.get_waiter("bucket_not_exists").wait(Bucket=bucket, WaiterConfig=quick)
    timer.join()
