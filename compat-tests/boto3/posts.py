"""Uploads by an HTML form, with a signed policy."""

from harness import case, client, contains, content, equal, fetch, new_bucket, same_bytes, takes  # noqa: F401


def submit(post, body, filename="upload.bin", **fields):
    """Sends what a browser would send for the form that generate_presigned_post describes."""
    boundary = "----a-boundary-that-nobody-else-uses"
    pieces = []
    for name, value in dict(post["fields"], **fields).items():
        pieces.append('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, name, value))
    pieces.append('--%s\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: application/octet-stream\r\n\r\n' % (boundary, filename))
    data = "".join(pieces).encode() + body + ("\r\n--%s--\r\n" % boundary).encode()
    return fetch("POST", post["url"], data, {"Content-Type": "multipart/form-data; boundary=" + boundary})


def refused(answer, status, code, what=""):
    equal(answer.status, status, what + str(answer))
    contains(answer.body, ("<Code>%s</Code>" % code).encode(), what)


@case
def uploads():
    s3 = client()
    bucket = new_bucket(s3)
    for size in (0, 10, 2 << 20):
        body = content(size, size)
        answer = submit(s3.generate_presigned_post(bucket, "dir/a b+ü.bin"), body)
        equal(answer.status, 204, str(answer))
        same_bytes(s3.get_object(Bucket=bucket, Key="dir/a b+ü.bin")["Body"].read(), body)
    answer = submit(s3.generate_presigned_post(bucket, "by-user/${filename}", Conditions=[["starts-with", "$key", "by-user/"]]), b"x", filename="photo.jpg")
    equal(answer.status, 204, str(answer))
    same_bytes(s3.get_object(Bucket=bucket, Key="by-user/photo.jpg")["Body"].read(), b"x")
    fields = {"Content-Type": "text/x", "x-amz-meta-a": "b", "success_action_status": "201", "Cache-Control": "no-store"}
    post = s3.generate_presigned_post(bucket, "k", Fields=fields, Conditions=[{name: value} for name, value in fields.items()])
    answer = submit(post, b"body")
    equal(answer.status, 201, str(answer))
    contains(answer.body, b"<Key>k</Key>")
    contains(answer.body, b"<Bucket>" + bucket.encode())
    head = s3.head_object(Bucket=bucket, Key="k")
    equal((head["ContentType"], head["Metadata"], head["CacheControl"], head["ETag"]), ("text/x", {"a": "b"}, "no-store", answer.headers["ETag"]))
    post = s3.generate_presigned_post(bucket, "k", Fields={"success_action_redirect": "http://app.example/done"}, Conditions=[["starts-with", "$success_action_redirect", "http://app"]])
    answer = submit(post, b"body")
    equal(answer.status, 303, str(answer))
    contains(answer.headers["Location"], "http://app.example/done?bucket=%s&key=k&etag=" % bucket)


@case
def refusals():
    s3 = client()
    bucket = new_bucket(s3)
    sized = s3.generate_presigned_post(bucket, "k", Conditions=[["content-length-range", 5, 10]])
    refused(submit(sized, b"1234"), 400, "EntityTooSmall")
    refused(submit(sized, b"12345678901"), 400, "EntityTooLarge")
    equal(submit(sized, b"1234567890").status, 204)
    plain = s3.generate_presigned_post(bucket, "k")
    refused(submit(plain, b"x", key="other"), 403, "AccessDenied", "another key ")
    refused(submit(plain, b"x", **{"x-amz-meta-extra": "y"}), 403, "AccessDenied", "a field that the policy does not name ")
    refused(submit(plain, b"x", **{"x-amz-signature": "0" * 64}), 403, "SignatureDoesNotMatch")
    refused(submit(s3.generate_presigned_post(bucket, "k", ExpiresIn=-10), b"x"), 403, "AccessDenied", "expired ")
    refused(submit(client(access_key="AKNOBODY").generate_presigned_post(bucket, "k"), b"x"), 403, "InvalidAccessKeyId")
    equal(s3.head_object(Bucket=bucket, Key="k")["ContentLength"], 10, "what the only good one stored")
