"""Object lock: retention in both modes, legal hold, defaults of the bucket, and what they keep from happening."""

import datetime
import time

from harness import case, client, contains, equal, new_bucket, refused, same_bytes

UTC = datetime.timezone.utc


def ahead(seconds):
    return datetime.datetime.now(UTC).replace(microsecond=0) + datetime.timedelta(seconds=seconds)


def lockable(s3):
    return new_bucket(s3, ObjectLockEnabledForBucket=True)


@case
def a_bucket_with_lock():
    s3 = client()
    bucket = lockable(s3)
    equal(s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    equal(s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"], {"ObjectLockEnabled": "Enabled"})
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    equal(s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"], rule)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    head = s3.head_object(Bucket=bucket, Key="k")
    equal(head["ObjectLockMode"], "GOVERNANCE")
    equal(abs((head["ObjectLockRetainUntilDate"] - ahead(86400)).total_seconds()) < 60, True, "one day ahead")
    with refused("AccessDenied", 403):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)
    for bad, code in (({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"), ({"Mode": "GOVERNANCE"}, "MalformedXML"), ({"Mode": "other", "Days": 1}, "MalformedXML"),
                      ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidArgument"), ({"Mode": "COMPLIANCE", "Years": -1}, "InvalidArgument")):
        with refused(code, 400, str(bad)):
            s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": bad}})


@case
def governance():
    s3 = client()
    bucket = lockable(s3)
    until = ahead(3600)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"kept", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    equal(s3.get_object_retention(Bucket=bucket, Key="k")["Retention"], {"Mode": "GOVERNANCE", "RetainUntilDate": until})
    got = s3.get_object(Bucket=bucket, Key="k")
    equal((got["ObjectLockMode"], got["ObjectLockRetainUntilDate"]), ("GOVERNANCE", until))
    with refused("AccessDenied", 403):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    out = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    equal([e["Code"] for e in out["Errors"]], ["AccessDenied"])
    s3.put_object(Bucket=bucket, Key="k", Body=b"a new version is allowed")
    marker = s3.delete_object(Bucket=bucket, Key="k")  # and so is a marker
    equal(marker["DeleteMarker"], True)
    same_bytes(s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read(), b"kept")
    longer = {"Mode": "GOVERNANCE", "RetainUntilDate": ahead(7200)}
    s3.put_object_retention(Bucket=bucket, Key="k", VersionId=version, Retention=longer)
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": ahead(60)}
    with refused("AccessDenied", 403):
        s3.put_object_retention(Bucket=bucket, Key="k", VersionId=version, Retention=shorter)
    s3.put_object_retention(Bucket=bucket, Key="k", VersionId=version, Retention=shorter, BypassGovernanceRetention=True)
    equal(s3.get_object_retention(Bucket=bucket, Key="k", VersionId=version)["Retention"], shorter)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)
    with refused("NoSuchVersion", 404):
        s3.get_object(Bucket=bucket, Key="k", VersionId=version)


@case
def compliance():
    s3 = client()
    bucket = lockable(s3)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"kept", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=ahead(4))["VersionId"]
    for bypass in ({}, {"BypassGovernanceRetention": True}):
        with refused("AccessDenied", 403, str(bypass)):
            s3.delete_object(Bucket=bucket, Key="k", VersionId=version, **bypass)
        with refused("AccessDenied", 403, "shorter %s" % bypass):
            s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": ahead(1)}, **bypass)
        with refused("AccessDenied", 403, "weaker %s" % bypass):
            s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": ahead(100)}, **bypass)
    time.sleep(5)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    equal("Versions" in s3.list_object_versions(Bucket=bucket), False)


@case
def legal_hold():
    s3 = client()
    bucket = lockable(s3)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    equal(s3.get_object_legal_hold(Bucket=bucket, Key="k")["LegalHold"], {"Status": "ON"})
    equal(s3.head_object(Bucket=bucket, Key="k")["ObjectLockLegalHoldStatus"], "ON")
    with refused("AccessDenied", 403):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "OFF"})
    equal(s3.get_object_legal_hold(Bucket=bucket, Key="k", VersionId=version)["LegalHold"], {"Status": "OFF"})
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


@case
def refusals():
    s3 = client()
    plain, bucket = new_bucket(s3), lockable(s3)
    s3.put_object(Bucket=plain, Key="k", Body=b"x")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("ObjectLockConfigurationNotFoundError", 404):
        s3.get_object_lock_configuration(Bucket=plain)
    with refused("InvalidBucketState", 409):
        s3.put_object_lock_configuration(Bucket=plain, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    for call, more in ((s3.get_object_retention, {}), (s3.get_object_legal_hold, {}), (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
                       (s3.put_object_retention, {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": ahead(60)}})):
        with refused("InvalidRequest", 400, call.__name__):
            call(Bucket=plain, Key="k", **more)
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=plain, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=ahead(60))
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        with refused("NoSuchObjectLockConfiguration", 404, call.__name__):
            call(Bucket=bucket, Key="k")
    with refused("InvalidArgument", 400, "in the past", says="must be in the future"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=ahead(-60))
    with refused("InvalidArgument", 400, "mode alone"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockMode="GOVERNANCE")
    with refused("MalformedXML", 400):
        s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "MAYBE"})
    with refused("MalformedXML", 400):
        s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "OTHER", "RetainUntilDate": ahead(60)})


@case
def uploads_and_copies():
    s3 = client()
    bucket = lockable(s3)
    until = ahead(3600)
    upload = {"Bucket": bucket, "Key": "parts", "UploadId": s3.create_multipart_upload(
        Bucket=bucket, Key="parts", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")["UploadId"]}
    etag = s3.upload_part(PartNumber=1, Body=b"x", **upload)["ETag"]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **upload)
    head = s3.head_object(Bucket=bucket, Key="parts")
    equal((head["ObjectLockMode"], head["ObjectLockRetainUntilDate"], head["ObjectLockLegalHoldStatus"]), ("GOVERNANCE", until, "ON"))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "parts"})
    equal("ObjectLockMode" in s3.head_object(Bucket=bucket, Key="copy"), False, "a copy is not locked by its source")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "parts"}, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    contains(s3.head_object(Bucket=bucket, Key="copy"), "ObjectLockMode")
