"""Versioning: versions, delete markers, suspension, and every operation that takes a version id."""

from harness import MIB, case, client, content, equal, new_bucket, refused, resource, same_bytes, takes


def versioned(s3, status="Enabled", **options):
    bucket = new_bucket(s3, **options)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    return bucket


@case
def versions_of_an_object():
    s3 = client()
    bucket = versioned(s3)
    equal(s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=b"v%d" % i, Metadata={"i": str(i)})["VersionId"] for i in range(3)]
    equal(len(set(ids)), 3)
    got = s3.get_object(Bucket=bucket, Key="k")
    equal((got["VersionId"], got["Body"].read()), (ids[2], b"v2"))
    for i, version in enumerate(ids):
        got = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        equal((got["VersionId"], got["Body"].read(), got["Metadata"]), (version, b"v%d" % i, {"i": str(i)}))
        equal(s3.head_object(Bucket=bucket, Key="k", VersionId=version)["ContentLength"], 2)
    with refused("NoSuchVersion", 404) as answer:
        s3.get_object(Bucket=bucket, Key="k", VersionId="A" * 32)
    equal(answer["Error"]["VersionId"], "A" * 32)
    with refused("InvalidArgument", 400, says="Invalid version id specified"):
        s3.get_object(Bucket=bucket, Key="k", VersionId="made up")
    with refused("NoSuchVersion", 404, "of another key"):
        s3.get_object(Bucket=bucket, Key="other", VersionId=ids[0])


@case
def delete_markers():
    s3 = client()
    bucket = versioned(s3)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"body")["VersionId"]
    out = s3.delete_object(Bucket=bucket, Key="k")
    marker = out["VersionId"]
    equal(out["DeleteMarker"], True)
    with refused("NoSuchKey", 404) as answer:
        s3.get_object(Bucket=bucket, Key="k")
    equal(answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"], "true")
    equal(answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"], marker)
    with refused("404", 404):
        s3.head_object(Bucket=bucket, Key="k")
    with refused("MethodNotAllowed", 405) as answer:
        s3.get_object(Bucket=bucket, Key="k", VersionId=marker)
    equal(answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"], "true")
    equal("last-modified" in answer["ResponseMetadata"]["HTTPHeaders"], True)
    with refused("405", 405):
        s3.head_object(Bucket=bucket, Key="k", VersionId=marker)
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read(), b"body", "beneath the marker")
    out = s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    equal((out["DeleteMarker"], out["VersionId"]), (True, marker))
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"body", "undeleted")
    out = s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    equal((out.get("DeleteMarker"), out["VersionId"]), (None, version))
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")
    equal(s3.delete_object(Bucket=bucket, Key="never")["DeleteMarker"], True, "a marker of a key that never was")


@case
def listings():
    s3 = client()
    bucket = versioned(s3)
    made = []  # newest first within a key, as a listing gives them
    for key in ("a/1", "a/2", "b", "ü+ x"):
        of_key = [s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * (i + 1))["VersionId"] for i in range(3)]
        if key in ("a/2", "b"):
            of_key.append(s3.delete_object(Bucket=bucket, Key=key)["VersionId"])
        made += [(key, version) for version in reversed(of_key)]
    newest = {key: version for key, version in reversed(made)}
    for size in (1, 2, 5, 1000):
        pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}))
        versions = [v for page in pages for v in page.get("Versions", ())]
        markers = [m for page in pages for m in page.get("DeleteMarkers", ())]
        equal(sorted((e["Key"], e["VersionId"]) for e in versions + markers), sorted(made), "pages of %d" % size)
        equal([(v["Key"], v["VersionId"]) for v in versions], [e for e in made if e in {(v["Key"], v["VersionId"]) for v in versions}], "order, pages of %d" % size)
        equal([m["Key"] for m in markers], ["a/2", "b"])
        for entry in versions + markers:
            equal(entry["IsLatest"], newest[entry["Key"]] == entry["VersionId"], str(entry))
        for v in versions:
            equal(v["Size"] % len(v["Key"].encode()), 0)
    page = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    equal([p["Prefix"] for p in page["CommonPrefixes"]], ["a/"])
    equal([o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]], ["a/1", "ü+ x"], "what is current")
    after = s3.list_object_versions(Bucket=bucket, KeyMarker=made[1][0], VersionIdMarker=made[1][1])
    equal(len(after["Versions"]) + len(after["DeleteMarkers"]), len(made) - 2)
    equal(len(s3.list_object_versions(Bucket=bucket, Prefix="a/2")["Versions"]), 3)


@case
def suspension():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read(), b"before", "the version of before")
    kept = s3.put_object(Bucket=bucket, Key="k", Body=b"kept")["VersionId"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    equal(s3.get_bucket_versioning(Bucket=bucket)["Status"], "Suspended")
    for body in (b"null 1", b"null 2"):
        out = s3.put_object(Bucket=bucket, Key="k", Body=body)
        equal(out.get("VersionId", "null"), "null")
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read(), b"null 2")
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId=kept)["Body"].read(), b"kept")
    out = s3.delete_object(Bucket=bucket, Key="k")
    equal((out["DeleteMarker"], out["VersionId"]), (True, "null"))
    with refused("MethodNotAllowed", 405, "the null version is the marker now"):
        s3.get_object(Bucket=bucket, Key="k", VersionId="null")
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId=kept)["Body"].read(), b"kept")
    out = s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    equal((out["DeleteMarker"], out["VersionId"]), (True, "null"))
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"kept", "what is left")


@case
def the_resource_interface():
    s3 = resource()
    bucket = s3.Bucket(new_bucket(client()))
    s3.BucketVersioning(bucket.name).enable()
    for i in range(12):
        bucket.put_object(Key="k%d" % (i % 3), Body=b"%d" % i)
    bucket.Object("k0").delete()
    equal([v.is_latest for v in bucket.object_versions.filter(Prefix="k1")], [True, False, False, False])
    second = list(bucket.object_versions.filter(Prefix="k1"))[1]
    equal(second.get()["Body"].read(), b"7")
    equal(bucket.Object("k1").Version(second.id).head()["ContentLength"], 1)
    bucket.object_versions.filter(Prefix="k2").delete()
    equal(len(list(bucket.object_versions.all())), 9)
    with refused("BucketNotEmpty", 409):
        bucket.delete()
    bucket.object_versions.delete()
    bucket.delete()


@case
def copies_of_versions():
    s3 = client()
    bucket, plain = versioned(s3), new_bucket(s3)
    old = s3.put_object(Bucket=bucket, Key="a b", Body=b"old", Metadata={"which": "old"})["VersionId"]
    new = s3.put_object(Bucket=bucket, Key="a b", Body=b"new")["VersionId"]
    out = s3.copy_object(Bucket=plain, Key="c", CopySource={"Bucket": bucket, "Key": "a b", "VersionId": old})
    equal((out["CopySourceVersionId"], "VersionId" in out), (old, False))
    got = s3.get_object(Bucket=plain, Key="c")
    equal((got["Body"].read(), got["Metadata"]), (b"old", {"which": "old"}))
    out = s3.copy_object(Bucket=bucket, Key="a b", CopySource={"Bucket": bucket, "Key": "a b", "VersionId": old})  # an old version made the current one
    equal(s3.get_object(Bucket=bucket, Key="a b")["Body"].read(), b"old")
    equal(len(s3.list_object_versions(Bucket=bucket)["Versions"]), 3)
    equal(s3.copy_object(Bucket=plain, Key="c", CopySource={"Bucket": bucket, "Key": "a b", "VersionId": new})["CopySourceVersionId"], new)
    marker = s3.delete_object(Bucket=bucket, Key="a b")["VersionId"]
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=plain, Key="c", CopySource={"Bucket": bucket, "Key": "a b"})
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=plain, Key="c", CopySource={"Bucket": bucket, "Key": "a b", "VersionId": marker})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "a b", "VersionId": new})
    equal(part["CopySourceVersionId"], new)
    out = s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})
    equal(s3.get_object(Bucket=bucket, Key="parts", VersionId=out["VersionId"])["Body"].read(), b"new")


@case
def many_deletes_at_once():
    s3 = client()
    bucket = versioned(s3)
    ids = {key: s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"] for key in ("a", "b", "c")}
    out = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": ids["b"]}, {"Key": "absent", "VersionId": "A" * 32}]})
    deleted = {d["Key"]: d for d in out["Deleted"]}
    equal((deleted["a"]["DeleteMarker"], "VersionId" in deleted["a"]), (True, False))
    equal((deleted["b"].get("DeleteMarker"), deleted["b"]["VersionId"]), (None, ids["b"]))
    marker = deleted["a"]["DeleteMarkerVersionId"]
    out = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a", "VersionId": marker}, {"Key": "c", "VersionId": "no version id"}]})
    equal([(d["Key"], d["DeleteMarkerVersionId"]) for d in out["Deleted"]], [("a", marker)])
    equal([(e["Key"], e["Code"]) for e in out["Errors"]], [("c", "NoSuchVersion")])
    equal(s3.get_object(Bucket=bucket, Key="a")["VersionId"], ids["a"])


@case
def a_large_object_in_versions():
    s3 = client()
    bucket = versioned(s3)
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=content(i, 2 * MIB))["VersionId"] for i in range(3)]
    for i, version in enumerate(ids):
        same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId=version, Range="bytes=1000-")["Body"].read(), content(i, 2 * MIB)[1000:], "version %d" % i)
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k", "VersionId": ids[0]})
    contains_version = "versionId=" + ids[0].replace("/", "%2F")
    equal(contains_version in url, True, url)


@case
def refusals():
    s3 = client()
    bucket = new_bucket(s3)
    for status, code in (("enabled", "MalformedXML"), ("Disabled", "MalformedXML"), ("", "IllegalVersioningConfigurationException")):
        with refused(code, 400, status):
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    with refused("NoSuchBucket", 404):
        s3.put_bucket_versioning(Bucket="py-no-such-bucket", VersioningConfiguration={"Status": "Enabled"})
    equal("Status" in s3.get_bucket_versioning(Bucket=bucket), False)
    if takes(s3, "DeleteObject", "IfMatch"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        with refused("PreconditionFailed", 412):
            s3.delete_object(Bucket=bucket, Key="k", IfMatch='"other"')
