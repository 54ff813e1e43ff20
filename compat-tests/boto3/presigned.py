"""Presigned addresses, used by something that knows no S3."""

import time

from harness import MIB, case, client, contains, content, equal, fetch, new_bucket, same_bytes


@case
def reads():
    s3 = client()
    bucket, key, body = new_bucket(s3), "dir/a b+c%?.txt", content("read", 100000)
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/x")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
    answer = fetch("GET", url)
    equal((answer.status, answer.headers["Content-Type"]), (200, "text/x"))
    same_bytes(answer.body, body)
    equal(fetch("GET", url, headers={"Range": "bytes=5-9"}).body, body[5:10])
    equal(fetch("HEAD", url).status, 403, "another method")
    url = s3.generate_presigned_url("head_object", {"Bucket": bucket, "Key": key})
    equal(fetch("HEAD", url).status, 200)
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key, "ResponseContentDisposition": 'attachment; filename="ü.txt"'})
    contains(fetch("GET", url).headers["Content-Disposition"], "attachment")
    url = s3.generate_presigned_url("list_objects_v2", {"Bucket": bucket, "Prefix": "dir/"})
    contains(fetch("GET", url).body, b"<KeyCount>1</KeyCount>")


@case
def writes():
    s3 = client()
    bucket = new_bucket(s3)
    body = content("written", 2 * MIB)
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    equal(fetch("PUT", url, body).status, 200)
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), body)
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k", "ContentType": "text/x", "Metadata": {"a": "b"}})
    answer = fetch("PUT", url, b"x", {"Content-Type": "text/x", "x-amz-meta-a": "b"})
    equal(answer.status, 200, str(answer))
    equal(s3.head_object(Bucket=bucket, Key="k")["Metadata"], {"a": "b"})
    equal(fetch("PUT", url, b"x", {"Content-Type": "text/other", "x-amz-meta-a": "b"}).status, 403, "another type than was signed")
    equal(fetch("PUT", url, b"x", {"Content-Type": "text/x"}).status, 403, "without the metadata that was signed")
    url = s3.generate_presigned_url("delete_object", {"Bucket": bucket, "Key": "k"})
    equal(fetch("DELETE", url).status, 204)
    equal(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)


@case
def an_upload_in_parts():
    s3 = client()
    bucket = new_bucket(s3)
    upload = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    bodies, parts = [content("1", 5 * MIB), content("2", 100)], []
    for number, body in enumerate(bodies, 1):
        answer = fetch("PUT", s3.generate_presigned_url("upload_part", dict(upload, PartNumber=number)), body)
        equal(answer.status, 200, str(answer))
        parts.append({"PartNumber": number, "ETag": answer.headers["ETag"]})
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"".join(bodies))


@case
def refusals():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=1)
    equal(fetch("GET", url).status, 200)
    flipped = url[:-1] + ("0" if url[-1] != "0" else "1")
    for bad, code in ((flipped, b"SignatureDoesNotMatch"), (url.replace("/k?", "/other?"), b"SignatureDoesNotMatch"), (url + "&versionId=null", b"SignatureDoesNotMatch")):
        answer = fetch("GET", bad)
        equal(answer.status, 403, str(answer))
        contains(answer.body, code)
    time.sleep(2.1)
    answer = fetch("GET", url)
    equal(answer.status, 403)
    contains(answer.body, b"Request has expired.")
    wrong = client(secret_key="wrong").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    contains(fetch("GET", wrong).body, b"SignatureDoesNotMatch")
    unknown = client(access_key="AKNOBODY").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    contains(fetch("GET", unknown).body, b"InvalidAccessKeyId")
    week = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=604800)
    equal(fetch("GET", week).status, 200)
    longer = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"}, ExpiresIn=604801)
    contains(fetch("GET", longer).body, b"AuthorizationQueryParametersError")


@case
def signatures_of_version_2():
    s3 = client(signature_version="s3")
    bucket = new_bucket(client())
    client().put_object(Bucket=bucket, Key="a b", Body=b"x")
    equal(fetch("GET", s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"})).body, b"x")
