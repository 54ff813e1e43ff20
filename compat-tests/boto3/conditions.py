"""Conditional reads and writes, also where the boto3 of today is too old to know them."""

import concurrent.futures
import datetime
import threading

from botocore.exceptions import ClientError

from harness import case, client, content, equal, headers, new_bucket, refused, same_bytes, MIB

DAY = datetime.timedelta(days=1)


@case
def reads():
    s3 = client()
    bucket = new_bucket(s3)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"body")["ETag"]
    changed = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    for call in (s3.get_object, s3.head_object):
        head = call == s3.head_object
        for met in ({"IfMatch": etag}, {"IfMatch": "*"}, {"IfNoneMatch": '"other"'}, {"IfModifiedSince": changed - DAY}, {"IfUnmodifiedSince": changed},
                    {"IfMatch": etag, "IfUnmodifiedSince": changed - DAY}):
            equal(call(Bucket=bucket, Key="k", **met)["ETag"], etag, str(met))
        for unmet in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": changed - DAY}):
            with refused("412" if head else "PreconditionFailed", 412, str(unmet)):
                call(Bucket=bucket, Key="k", **unmet)
        for same in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": changed}, {"IfNoneMatch": etag, "IfModifiedSince": changed - DAY}):
            with refused("304", 304, str(same)) as answer:
                call(Bucket=bucket, Key="k", **same)
            equal(answer["ResponseMetadata"]["HTTPHeaders"]["etag"], etag, "ETag of a 304")


@case
def writes():
    s3 = client()
    bucket = new_bucket(s3)
    with headers(s3, "PutObject", if_none_match="*"):
        etag = s3.put_object(Bucket=bucket, Key="k", Body=b"first")["ETag"]
        with refused("PreconditionFailed", 412, says="pre-conditions") as answer:
            s3.put_object(Bucket=bucket, Key="k", Body=b"second")
        equal(answer["Error"]["Condition"], "If-None-Match")
        with refused("PreconditionFailed", 412, "a large body"):
            s3.put_object(Bucket=bucket, Key="k", Body=content("large", 3 * MIB))
    with headers(s3, "PutObject", if_match='"0123456789abcdef0123456789abcdef"'):
        with refused("PreconditionFailed", 412):
            s3.put_object(Bucket=bucket, Key="k", Body=b"third")
        with refused("NoSuchKey", 404):
            s3.put_object(Bucket=bucket, Key="absent", Body=b"fourth")
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"first")
    with headers(s3, "PutObject", if_match=etag):
        s3.put_object(Bucket=bucket, Key="k", Body=b"fifth")
        with refused("PreconditionFailed", 412, "the ETag of before"):
            s3.put_object(Bucket=bucket, Key="k", Body=b"sixth")
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"fifth")
    with headers(s3, "PutObject", if_none_match='"an-etag"'):
        with refused("NotImplemented", 501):
            s3.put_object(Bucket=bucket, Key="k", Body=b"")


@case
def completed_uploads():
    s3 = client()
    bucket = new_bucket(s3)

    def upload():
        made = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=made, PartNumber=1, Body=b"part")["ETag"]
        return {"Bucket": bucket, "Key": "k", "UploadId": made, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}

    with headers(s3, "CompleteMultipartUpload", if_none_match="*"):
        etag = s3.complete_multipart_upload(**upload())["ETag"]
        late = upload()
        with refused("PreconditionFailed", 412):
            s3.complete_multipart_upload(**late)
    with headers(s3, "CompleteMultipartUpload", if_match=etag):
        s3.complete_multipart_upload(**late)  # the refusal left the upload as it was


@case
def one_of_many_creators():
    s3 = client(max_pool_connections=16)
    bucket = new_bucket(s3)
    start = threading.Barrier(12)

    def create(i):
        start.wait()
        try:
            s3.put_object(Bucket=bucket, Key="lock", Body=b"%d" % i)
            return i
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return None

    for _ in range(5):
        with headers(s3, "PutObject", if_none_match="*"), concurrent.futures.ThreadPoolExecutor(12) as pool:
            won = [i for i in pool.map(create, range(12)) if i is not None]
        equal(len(won), 1, "winners %s" % won)
        same_bytes(s3.get_object(Bucket=bucket, Key="lock")["Body"].read(), b"%d" % won[0])
        s3.delete_object(Bucket=bucket, Key="lock")


@case
def a_counter_that_many_raise():
    """Compare and swap by ETag: no increment is lost."""
    s3 = client(max_pool_connections=8)
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="n", Body=b"0")
    own = threading.local()

    def match(params, **_):
        params["headers"]["If-Match"] = own.etag

    s3.meta.events.register_last("before-call.s3.PutObject", match)

    def increment(_):
        for _ in range(200):
            got = s3.get_object(Bucket=bucket, Key="n")
            own.etag = got["ETag"]
            try:
                s3.put_object(Bucket=bucket, Key="n", Body=b"%d" % (int(got["Body"].read()) + 1))
                return
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise
        raise AssertionError("never came through")

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(increment, range(30)))
    equal(s3.get_object(Bucket=bucket, Key="n")["Body"].read(), b"30")


@case
def deletes():
    s3 = client()
    bucket = new_bucket(s3)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    with headers(s3, "DeleteObject", if_match='"other"'):
        with refused("PreconditionFailed", 412):
            s3.delete_object(Bucket=bucket, Key="k")
    with headers(s3, "DeleteObject", if_match=etag):
        s3.delete_object(Bucket=bucket, Key="k")
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")
