"""Multipart uploads step by step."""

import hashlib

from harness import MIB, case, client, content, equal, new_bucket, refused, same_bytes


def begin(s3, bucket, key, **options):
    return {"Bucket": bucket, "Key": key, "UploadId": s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]}


def add(s3, upload, number, body):
    return {"PartNumber": number, "ETag": s3.upload_part(PartNumber=number, Body=body, **upload)["ETag"]}


@case
def from_begin_to_end():
    s3 = client()
    bucket = new_bucket(s3)
    bodies = {number: content(number, size) for number, size in ((1, 5 * MIB), (2, 5 * MIB + 77), (3, 1234))}
    upload = begin(s3, bucket, "dir/a b+c", ContentType="text/x", Metadata={"who": "boto3"}, CacheControl="private")
    add(s3, upload, 2, b"to be overwritten")
    parts = {number: add(s3, upload, number, bodies[number]) for number in (3, 2, 1)}
    with refused("NoSuchKey", 404, "before it is complete"):
        s3.get_object(Bucket=bucket, Key="dir/a b+c")
    done = s3.complete_multipart_upload(MultipartUpload={"Parts": [parts[1], parts[2], parts[3]]}, **upload)
    digest = hashlib.md5(b"".join(hashlib.md5(bodies[n]).digest() for n in (1, 2, 3))).hexdigest()
    equal(done["ETag"], '"%s-3"' % digest)
    equal((done["Bucket"], done["Key"]), (bucket, "dir/a b+c"))
    got = s3.get_object(Bucket=bucket, Key="dir/a b+c")
    equal((got["ContentType"], got["Metadata"], got["CacheControl"]), ("text/x", {"who": "boto3"}, "private"))
    whole = b"".join(bodies.values())
    same_bytes(got["Body"].read(), whole)
    for number, part in bodies.items():
        got = s3.get_object(Bucket=bucket, Key="dir/a b+c", PartNumber=number)
        equal((got["PartsCount"], got["ContentLength"], got["ResponseMetadata"]["HTTPStatusCode"]), (3, len(part), 206))
        same_bytes(got["Body"].read(), part, "part %d" % number)
    with refused("InvalidPartNumber", 416):
        s3.get_object(Bucket=bucket, Key="dir/a b+c", PartNumber=4)
    same_bytes(s3.get_object(Bucket=bucket, Key="dir/a b+c", Range="bytes=%d-%d" % (5 * MIB - 3, 10 * MIB + 80))["Body"].read(), whole[5 * MIB - 3:10 * MIB + 81])
    s3.complete_multipart_upload(MultipartUpload={"Parts": [parts[1], parts[2], parts[3]]}, **upload)  # said again, as a retry would


@case
def refusals():
    s3 = client()
    bucket = new_bucket(s3)
    upload = begin(s3, bucket, "k")
    first, second = add(s3, upload, 1, b"small"), add(s3, upload, 2, b"last")
    with refused("EntityTooSmall", 400) as answer:
        s3.complete_multipart_upload(MultipartUpload={"Parts": [first, second]}, **upload)
    equal(answer["Error"]["ProposedSize"], "5")
    with refused("InvalidPartOrder", 400):
        s3.complete_multipart_upload(MultipartUpload={"Parts": [second, first]}, **upload)
    with refused("InvalidPart", 400):
        s3.complete_multipart_upload(MultipartUpload={"Parts": [first, {"PartNumber": 2, "ETag": first["ETag"]}]}, **upload)
    with refused("InvalidPart", 400, "a part that was never sent"):
        s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 7, "ETag": first["ETag"]}]}, **upload)
    with refused("MalformedXML", 400, "no parts"):
        s3.complete_multipart_upload(MultipartUpload={"Parts": []}, **upload)
    for number in (0, 10001, -1):
        with refused("InvalidArgument", 400, "part %d" % number):
            s3.upload_part(PartNumber=number, Body=b"", **upload)
    elsewhere = dict(upload, Key="other")
    with refused("NoSuchUpload", 404, "another key"):
        s3.upload_part(PartNumber=1, Body=b"", **elsewhere)
    s3.abort_multipart_upload(**upload)
    for call, more in ((s3.upload_part, {"PartNumber": 1, "Body": b""}), (s3.list_parts, {}), (s3.complete_multipart_upload, {"MultipartUpload": {"Parts": [first]}}),
                       (s3.abort_multipart_upload, {})):
        with refused("NoSuchUpload", 404, call.__name__):
            call(**upload, **more)


@case
def a_selection_of_the_parts():
    s3 = client()
    bucket = new_bucket(s3)
    upload = begin(s3, bucket, "k")
    parts = [add(s3, upload, number, content(number, 5 * MIB if number < 3 else 10)) for number in (1, 2, 3)]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [parts[0], parts[2]]}, **upload)
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), content(1, 5 * MIB) + content(3, 10))


@case
def two_uploads_of_one_key():
    s3 = client()
    bucket = new_bucket(s3)
    uploads = [begin(s3, bucket, "k") for _ in range(2)]
    parts = [add(s3, upload, 1, b"upload %d" % i) for i, upload in enumerate(uploads)]
    for i in (1, 0):
        s3.complete_multipart_upload(MultipartUpload={"Parts": [parts[i]]}, **uploads[i])
        same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"upload %d" % i)
