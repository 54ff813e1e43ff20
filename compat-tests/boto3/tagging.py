"""Tags of objects, of versions and of buckets."""

from harness import case, client, content, equal, new_bucket, refused


def tags(**values):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in values.items()]}


def as_dict(answer):
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


@case
def of_objects():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b%20c=d%2Fe&empty=")
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="k")), {"a": "1", "b c": "d/e", "empty": ""})
    got = s3.get_object(Bucket=bucket, Key="k")
    equal((got["TagCount"], got["Body"].read()), (3, b"x"))
    etag, changed = got["ETag"], got["LastModified"]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags(ü="ö", x="y+z=1"))
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="k")), {"ü": "ö", "x": "y+z=1"})
    got = s3.head_object(Bucket=bucket, Key="k")
    equal((got["ETag"], got["LastModified"]), (etag, changed), "tags are no change of the object")
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="k")), {})
    equal("TagCount" in s3.get_object(Bucket=bucket, Key="k"), False)
    for call, more in ((s3.get_object_tagging, {}), (s3.put_object_tagging, {"Tagging": tags(a="b")}), (s3.delete_object_tagging, {})):
        with refused("NoSuchKey", 404, call.__name__):
            call(Bucket=bucket, Key="absent", **more)


@case
def limits():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags(**{"k" * 127 + str(i): "v" * 256 for i in range(10)}))
    equal(len(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]), 10)
    for bad, code in ((tags(**{str(i): "" for i in range(11)}), "BadRequest"), (tags(**{"k" * 129: ""}), "InvalidTag"), (tags(a="v" * 257), "InvalidTag"),
                      ({"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "InvalidTag")):
        with refused(code, 400, str(bad)[:80]):
            s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=bad)
    equal(len(s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]), 10, "after the refusals")
    with refused("InvalidArgument", 400):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&a=2")


@case
def copies_and_uploads():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "k"})
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="copied")), {"a": "1"})
    s3.copy_object(Bucket=bucket, Key="replaced", CopySource={"Bucket": bucket, "Key": "k"}, TaggingDirective="REPLACE", Tagging="b=2")
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="replaced")), {"b": "2"})
    upload = {"Bucket": bucket, "Key": "parts", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="parts", Tagging="c=3")["UploadId"]}
    etag = s3.upload_part(PartNumber=1, Body=content("part", 100), **upload)["ETag"]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **upload)
    equal(as_dict(s3.get_object_tagging(Bucket=bucket, Key="parts")), {"c": "3"})


@case
def of_versions():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="v=1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    out = s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=first, Tagging=tags(v="changed"))
    equal(out["VersionId"], first)
    answer = s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=first)
    equal((as_dict(answer), answer["VersionId"]), ({"v": "changed"}, first))
    answer = s3.get_object_tagging(Bucket=bucket, Key="k")
    equal((as_dict(answer), answer["VersionId"]), ({}, second))
    equal(s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=first)["VersionId"], first)
    equal(s3.list_object_versions(Bucket=bucket)["Versions"][0]["VersionId"], second, "tags make no version")


@case
def of_buckets():
    s3 = client()
    bucket = new_bucket(s3)
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(team="store", cost="0"))
    equal(as_dict(s3.get_bucket_tagging(Bucket=bucket)), {"team": "store", "cost": "0"})
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(team="other"))
    equal(as_dict(s3.get_bucket_tagging(Bucket=bucket)), {"team": "other"})
    with refused("InvalidTag", 400):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]})
    s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
