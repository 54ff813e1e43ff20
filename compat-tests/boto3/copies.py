"""Copies within the store: headers kept and replaced, conditions, parts, keys that need quoting."""

import datetime

from harness import MIB, case, client, content, equal, new_bucket, refused, same_bytes


@case
def what_a_copy_keeps():
    s3 = client()
    bucket, other = new_bucket(s3), new_bucket(s3)
    body = content("copied", 200000)
    etag = s3.put_object(Bucket=bucket, Key="from", Body=body, ContentType="text/x", CacheControl="no-cache", Metadata={"a": "1"})["ETag"]
    out = s3.copy_object(Bucket=other, Key="to", CopySource={"Bucket": bucket, "Key": "from"})
    equal(out["CopyObjectResult"]["ETag"], etag)
    if not isinstance(out["CopyObjectResult"]["LastModified"], datetime.datetime):
        raise AssertionError(out)
    got = s3.get_object(Bucket=other, Key="to")
    same_bytes(got["Body"].read(), body)
    equal((got["ContentType"], got["CacheControl"], got["Metadata"]), ("text/x", "no-cache", {"a": "1"}))
    s3.copy_object(Bucket=other, Key="to", CopySource="%s/from" % bucket, MetadataDirective="REPLACE", ContentType="text/y", Metadata={"b": "2"})
    got = s3.head_object(Bucket=other, Key="to")
    equal((got["ContentType"], got.get("CacheControl"), got["Metadata"]), ("text/y", None, {"b": "2"}))
    s3.copy_object(Bucket=other, Key="to", CopySource="/%s/from" % bucket, ContentType="text/z", Metadata={"ignored": "x"})
    equal(s3.head_object(Bucket=other, Key="to")["Metadata"], {"a": "1"}, "COPY ignores what the request says")


@case
def onto_itself():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": "k"}
    with refused("InvalidRequest", 400, says="without changing"):
        s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, MetadataDirective="REPLACE", Metadata={"a": "2"})
    got = s3.get_object(Bucket=bucket, Key="k")
    equal(got["Metadata"], {"a": "2"})
    same_bytes(got["Body"].read(), b"x")


@case
def conditions():
    s3 = client()
    bucket = new_bucket(s3)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    changed, day = s3.head_object(Bucket=bucket, Key="k")["LastModified"], datetime.timedelta(days=1)
    for met in ({"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": '"other"'}, {"CopySourceIfModifiedSince": changed - day}, {"CopySourceIfUnmodifiedSince": changed}):
        s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"}, **met)
    for unmet in ({"CopySourceIfMatch": '"other"'}, {"CopySourceIfNoneMatch": etag}, {"CopySourceIfModifiedSince": changed}, {"CopySourceIfUnmodifiedSince": changed - day}):
        with refused("PreconditionFailed", 412, str(unmet)):
            s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"}, **unmet)


@case
def sources_that_are_not_there():
    s3 = client()
    bucket = new_bucket(s3)
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "absent"})
    with refused("NoSuchBucket", 404):
        s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": "py-no-such-bucket", "Key": "k"})


@case
def awkward_sources():
    s3 = client()
    bucket = new_bucket(s3)
    for key in ("a b+c%", "ä/日本", "//x", "../y", "q?versionId=x", "a%2Fb", "#", "😀"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        s3.copy_object(Bucket=bucket, Key="copy of " + key, CopySource={"Bucket": bucket, "Key": key})
        same_bytes(s3.get_object(Bucket=bucket, Key="copy of " + key)["Body"].read(), key.encode(), key)


@case
def parts_copied():
    s3 = client()
    bucket = new_bucket(s3)
    body = content("source", 11 * MIB)
    s3.put_object(Bucket=bucket, Key="src", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="dst")["UploadId"]
    parts = []
    for number, (first, last) in enumerate(((MIB, 6 * MIB - 1), (0, 5 * MIB - 1), (10 * MIB, 11 * MIB - 1)), 1):
        out = s3.upload_part_copy(Bucket=bucket, Key="dst", UploadId=upload, PartNumber=number, CopySource={"Bucket": bucket, "Key": "src"},
                                  CopySourceRange="bytes=%d-%d" % (first, last))
        parts.append({"PartNumber": number, "ETag": out["CopyPartResult"]["ETag"]})
    for text, code in (("bytes=0-%d" % (11 * MIB), "InvalidArgument"), ("0-5", "InvalidArgument"), ("bytes=-5", "InvalidArgument")):
        with refused(code, 400, text):
            s3.upload_part_copy(Bucket=bucket, Key="dst", UploadId=upload, PartNumber=4, CopySource={"Bucket": bucket, "Key": "src"}, CopySourceRange=text)
    s3.complete_multipart_upload(Bucket=bucket, Key="dst", UploadId=upload, MultipartUpload={"Parts": parts})
    same_bytes(s3.get_object(Bucket=bucket, Key="dst")["Body"].read(), body[MIB:6 * MIB] + body[:5 * MIB] + body[10 * MIB:])
