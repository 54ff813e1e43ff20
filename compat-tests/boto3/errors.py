"""What a program sees when things are not as it thinks: boto3's exception classes, codes, statuses."""

import botocore
import botocore.handlers

from harness import ENDPOINT, REGION, case, client, contains, equal, fetch, new_bucket, refused


def expect(exception, call, **arguments):
    try:
        call(**arguments)
    except exception as error:
        return error.response
    raise AssertionError("%s accepted" % call.__name__)


@case
def exception_classes():
    s3 = client()
    bucket = new_bucket(s3)
    answer = expect(s3.exceptions.NoSuchKey, s3.get_object, Bucket=bucket, Key="a/b")
    equal(answer["Error"]["Key"], "a/b")
    equal(answer["Error"]["Message"], "The specified key does not exist.")
    equal(answer["ResponseMetadata"]["HTTPStatusCode"], 404)
    for name in ("RequestId", "HostId"):
        if not answer["ResponseMetadata"].get(name):
            raise AssertionError("no %s in %s" % (name, answer))
    answer = expect(s3.exceptions.NoSuchBucket, s3.list_objects_v2, Bucket="py-no-such-bucket")
    equal(answer["Error"]["BucketName"], "py-no-such-bucket")
    expect(s3.exceptions.BucketAlreadyOwnedByYou, s3.create_bucket, Bucket=bucket)
    expect(s3.exceptions.NoSuchUpload, s3.abort_multipart_upload, Bucket=bucket, Key="k", UploadId="none")


@case
def buckets():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    with refused("NoSuchBucket", 404):
        s3.delete_bucket(Bucket=bucket)
    with refused("404", 404):
        s3.head_bucket(Bucket=bucket)
    for call in (s3.get_object, s3.put_object, s3.delete_object, s3.create_multipart_upload):
        with refused("NoSuchBucket", 404, call.__name__):
            call(Bucket=bucket, Key="k")
    lax = client()
    lax.meta.events.unregister("before-parameter-build.s3", botocore.handlers.validate_bucket_name)
    for bad in ("ab", "Upper-case", "under_score", "dot..dot", "-dash", "192.168.1.1", "x" * 64, "xn--a"):
        with refused("InvalidBucketName", 400, bad):
            lax.create_bucket(Bucket=bad)


@case
def locations():
    s3 = client()
    bucket = new_bucket(s3)
    equal(s3.get_bucket_location(Bucket=bucket)["LocationConstraint"], REGION)
    head = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    equal(head["x-amz-bucket-region"], REGION)
    named = new_bucket(s3, CreateBucketConfiguration={"LocationConstraint": REGION})
    equal(s3.get_bucket_location(Bucket=named)["LocationConstraint"], REGION)
    with refused("IllegalLocationConstraintException", 400):
        new_bucket(s3, CreateBucketConfiguration={"LocationConstraint": "eu-elsewhere-9"})


@case
def credentials():
    bucket = new_bucket(client())
    with refused("InvalidAccessKeyId", 403):
        client(access_key="AKNOBODY").list_buckets()
    with refused("SignatureDoesNotMatch", 403):
        client(secret_key="wrong").list_buckets()
    with refused("SignatureDoesNotMatch", 403, "a body too"):
        client(secret_key="wrong").put_object(Bucket=bucket, Key="k", Body=b"x" * 300000)
    anonymous = client(signature_version=botocore.UNSIGNED)
    for call, arguments in ((anonymous.list_buckets, {}), (anonymous.get_object, {"Bucket": bucket, "Key": "k"}), (anonymous.list_objects_v2, {"Bucket": bucket}),
                            (anonymous.put_object, {"Bucket": bucket, "Key": "k", "Body": b"x"})):
        with refused("AccessDenied", 403, call.__name__):
            call(**arguments)


@case
def the_wrong_region():
    with refused("AuthorizationHeaderMalformed", 400) as answer:
        client(region_name="us-west-2").list_buckets()
    equal(answer["Error"]["Region"], REGION)


@case
def requests_that_are_no_s3():
    s3 = client()
    bucket = new_bucket(s3)
    answer = fetch("GET", "%s/%s/k" % (ENDPOINT, bucket))
    equal(answer.status, 403)
    contains(answer.body, b"<Code>AccessDenied</Code>")
    equal(answer.headers["Content-Type"], "application/xml")
    answer = fetch("PATCH", "%s/%s/k" % (ENDPOINT, bucket))
    equal(answer.status, 405)
    contains(answer.body, b"<Code>MethodNotAllowed</Code>")


@case
def bucket_documents_that_are_not_there():
    s3 = client()
    bucket = new_bucket(s3)
    for call, code in ((s3.get_bucket_cors, "NoSuchCORSConfiguration"), (s3.get_bucket_policy, "NoSuchBucketPolicy"), (s3.get_bucket_tagging, "NoSuchTagSet"),
                       (s3.get_bucket_website, "NoSuchWebsiteConfiguration"), (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
                       (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"), (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError")):
        with refused(code, 404, call.__name__):
            call(Bucket=bucket)
    equal("Status" in s3.get_bucket_versioning(Bucket=bucket), False)
    equal("LoggingEnabled" in s3.get_bucket_logging(Bucket=bucket), False)
    equal(s3.get_bucket_request_payment(Bucket=bucket)["Payer"], "BucketOwner")
    acl = s3.get_bucket_acl(Bucket=bucket)
    equal([g["Permission"] for g in acl["Grants"]], ["FULL_CONTROL"])
    equal(acl["Grants"][0]["Grantee"]["ID"], acl["Owner"]["ID"])
