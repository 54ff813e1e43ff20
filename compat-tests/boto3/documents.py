"""The configuration documents of a bucket, and what CORS makes of requests from a page."""

import json

import botocore

from harness import ENDPOINT, case, client, contains, equal, fetch, new_bucket, refused

RULES = {"CORSRules": [
    {"ID": "one", "AllowedOrigins": ["https://app.example", "http://*.example.org"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-amz-*", "content-type"],
     "ExposeHeaders": ["ETag", "x-amz-version-id"], "MaxAgeSeconds": 600},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]}


@case
def cors():
    s3 = client()
    bucket = new_bucket(s3)
    with refused("NoSuchCORSConfiguration", 404):
        s3.get_bucket_cors(Bucket=bucket)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    equal(s3.get_bucket_cors(Bucket=bucket)["CORSRules"], RULES["CORSRules"])
    url = "%s/%s/k" % (ENDPOINT, bucket)
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type, x-amz-date"}
    answer = fetch("OPTIONS", url, headers=asked)
    equal(answer.status, 200, str(answer))
    equal(answer.headers["Access-Control-Allow-Origin"], "https://app.example")
    contains(answer.headers["Access-Control-Allow-Methods"], "PUT")
    equal(answer.headers["Access-Control-Max-Age"], "600")
    equal(answer.headers["Access-Control-Allow-Credentials"], "true")
    for name, value in (("Origin", "https://evil.example"), ("Access-Control-Request-Method", "DELETE"), ("Access-Control-Request-Headers", "authorization")):
        equal(fetch("OPTIONS", url, headers=dict(asked, **{name: value})).status, 403, value)
    equal(fetch("OPTIONS", url, headers=dict(asked, Origin="http://sub.example.org")).status, 200)
    signed = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    answer = fetch("PUT", signed, b"x", {"Origin": "https://app.example"})
    equal((answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Access-Control-Expose-Headers"]), (200, "https://app.example", "ETag, x-amz-version-id"))
    answer = fetch("PUT", signed, b"x", {"Origin": "https://evil.example"})
    equal((answer.status, answer.headers["Access-Control-Allow-Origin"]), (200, None))
    signed = s3.generate_presigned_url("head_object", {"Bucket": bucket, "Key": "k"})
    equal(fetch("HEAD", signed, headers={"Origin": "https://any.example"}).headers["Access-Control-Allow-Origin"], "*")
    s3.delete_bucket_cors(Bucket=bucket)
    equal(fetch("OPTIONS", url, headers=asked).status, 403)
    with refused("InvalidRequest", 400, says="Found unsupported HTTP method"):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}]})
    with refused("MalformedXML", 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": []})


@case
def who_may_what():
    """What a store whose objects belong to one owner can say of access."""
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    for acl in (s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k")):
        equal([(g["Permission"], g["Grantee"]["Type"], g["Grantee"]["ID"]) for g in acl["Grants"]], [("FULL_CONTROL", "CanonicalUser", acl["Owner"]["ID"])])
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    rules = [{"ObjectOwnership": "BucketOwnerEnforced"}]
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": rules})
    equal(s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"], rules)
    block = {name: True for name in ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    equal(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"], block)
    s3.delete_public_access_block(Bucket=bucket)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        s3.get_public_access_block(Bucket=bucket)


@case
def policies():
    """A policy that opens one prefix to everybody, and one that closes part of it again. It never binds the owner."""
    s3, anonymous = client(), client(signature_version=botocore.UNSIGNED)
    bucket = new_bucket(s3)
    for key in ("public/k", "private/k"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=bucket, Key="public/k")
    allow = {"Sid": "Read", "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::%s/public/*" % bucket}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    equal(json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]), json.loads(text))
    equal(s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"], True)
    equal(anonymous.get_object(Bucket=bucket, Key="public/k")["Body"].read(), b"public/k")
    for call, more in ((anonymous.get_object, {"Key": "private/k"}), (anonymous.put_object, {"Key": "public/k", "Body": b"x"}), (anonymous.list_objects_v2, {}),
                       (anonymous.delete_object, {"Key": "public/k"}), (anonymous.get_bucket_policy, {})):
        with refused("AccessDenied", 403, call.__name__):
            call(Bucket=bucket, **more)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::%s/public/secret*" % bucket}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny, allow]}))
    s3.put_object(Bucket=bucket, Key="public/secret", Body=b"x")
    equal(s3.get_object(Bucket=bucket, Key="public/secret")["Body"].read(), b"x")
    with refused("AccessDenied", 403, "a denial outweighs"):
        anonymous.get_object(Bucket=bucket, Key="public/secret")
    equal(anonymous.head_object(Bucket=bucket, Key="public/k")["ContentLength"], 8)
    for bad in ("no JSON", "{}", text.replace(bucket, "another-bucket"), text.replace("s3:GetObject", "s3:NoSuchAction")):
        with refused("MalformedPolicy", 400, bad):
            s3.put_bucket_policy(Bucket=bucket, Policy=bad)
    s3.delete_bucket_policy(Bucket=bucket)
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=bucket, Key="public/k")
    s3.delete_object(Bucket=bucket, Key="public/k")


@case
def attributes():
    s3 = client()
    bucket = new_bucket(s3)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"12345", ChecksumAlgorithm="SHA256")["ETag"]
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
    equal((got["ETag"], got["ObjectSize"], got["StorageClass"], "ObjectParts" in got), (etag.strip('"'), 5, "STANDARD", False))
    contains(got["Checksum"], "ChecksumSHA256")
    equal("ETag" in s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"]), False)
    upload = {"Bucket": bucket, "Key": "parts", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256")["UploadId"]}
    parts = []
    for number, body in ((1, b"x" * (5 << 20)), (2, b"last")):
        out = s3.upload_part(PartNumber=number, Body=body, ChecksumAlgorithm="SHA256", **upload)
        parts.append({"PartNumber": number, "ETag": out["ETag"], "ChecksumSHA256": out["ChecksumSHA256"]})
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload)
    got = s3.get_object_attributes(Bucket=bucket, Key="parts", ObjectAttributes=wanted, MaxParts=1)["ObjectParts"]
    equal((got["TotalPartsCount"], got["IsTruncated"], got["NextPartNumberMarker"], [(p["PartNumber"], p["Size"]) for p in got["Parts"]]), (2, True, 1, [(1, 5 << 20)]))
    with refused("NoSuchKey", 404):
        s3.get_object_attributes(Bucket=bucket, Key="absent", ObjectAttributes=wanted)
