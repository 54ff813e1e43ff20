"""Checksums: those that boto3 sends by itself, those that it is asked for, in headers and in trailers, and wrong ones."""

import base64
import binascii
import hashlib
import io
import zlib

from harness import MIB, TLS_CA, TLS_ENDPOINT, case, client, content, equal, headers, new_bucket, refused, same_bytes, takes


def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


SUMS = {
    "CRC32": crc32,
    "SHA1": lambda body: base64.b64encode(hashlib.sha1(body).digest()).decode(),
    "SHA256": lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode(),
}


def clients():
    """Over plain HTTP boto3 sends a checksum in a header; over TLS behind the body, in a trailer."""
    return (("header", client()), ("trailer", client(endpoint=TLS_ENDPOINT, verify=TLS_CA)))


@case
def those_asked_for():
    for place, s3 in clients():
        bucket = new_bucket(s3)
        for algorithm, compute in SUMS.items():
            for size in (0, 1, 70000, 2 * MIB + 1):
                what, body = "%s in %s, %d bytes" % (algorithm, place, size), content(algorithm, size)
                out = s3.put_object(Bucket=bucket, Key=what, Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
                equal(out["Checksum" + algorithm], compute(body), what)
                for answer in (s3.get_object(Bucket=bucket, Key=what, ChecksumMode="ENABLED"), s3.head_object(Bucket=bucket, Key=what, ChecksumMode="ENABLED")):
                    equal(answer["Checksum" + algorithm], compute(body), what)
                same_bytes(s3.get_object(Bucket=bucket, Key=what, ChecksumMode="ENABLED")["Body"].read(), body, what)
                equal("Checksum" + algorithm in s3.head_object(Bucket=bucket, Key=what), False, what + ", not asked for")


@case
def by_default():
    """boto3 of 2025 and later sends a CRC32 of everything; older ones nothing. Either way the store keeps a checksum."""
    for place, s3 in clients():
        bucket = new_bucket(s3)
        modern = takes(s3, "PutObject", "ChecksumCRC64NVME")
        for size in (0, 3, 100000, 5 * MIB + 3):
            body = content(place, size)
            out = s3.put_object(Bucket=bucket, Key="k", Body=body)
            if modern:
                equal(out["ChecksumCRC32"], crc32(body), place)
            got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
            same_bytes(got["Body"].read(), body, place)
            sent = got["ResponseMetadata"]["HTTPHeaders"]
            equal("x-amz-checksum-crc32" in sent or "x-amz-checksum-crc64nvme" in sent, True, "a checksum in %s" % sorted(sent))
            equal(sent["x-amz-checksum-type"], "FULL_OBJECT")


@case
def only_when_required():
    s3 = client()
    if not takes(s3, "PutObject", "ChecksumCRC64NVME"):
        return  # what these versions do anyway
    s3 = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    bucket = new_bucket(s3)
    out = s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    equal("ChecksumCRC32" in out, False)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})  # needs one always
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="k")


@case
def given_ones():
    s3 = client()
    bucket = new_bucket(s3)
    body = content("given", 90000)
    for algorithm, compute in SUMS.items():
        s3.put_object(Bucket=bucket, Key=algorithm, Body=body, **{"Checksum" + algorithm: compute(body)})
        with refused("BadDigest", 400, algorithm):
            s3.put_object(Bucket=bucket, Key=algorithm, Body=body, **{"Checksum" + algorithm: compute(b"other")})
        same_bytes(s3.get_object(Bucket=bucket, Key=algorithm)["Body"].read(), body, "after the refusal")
    s3.put_object(Bucket=bucket, Key="md5", Body=body, ContentMD5=base64.b64encode(hashlib.md5(body).digest()).decode())
    with refused("BadDigest", 400, "MD5"):
        s3.put_object(Bucket=bucket, Key="md5", Body=body, ContentMD5=base64.b64encode(hashlib.md5(b"other").digest()).decode())
    with refused("InvalidDigest", 400, "no MD5 at all"):
        s3.put_object(Bucket=bucket, Key="md5", Body=body, ContentMD5="bm90IG9uZQ==")
    with refused("InvalidRequest", 400, "no SHA256 at all"):
        with headers(s3, "PutObject", x_amz_checksum_sha256="nonsense"):
            s3.put_object(Bucket=bucket, Key="md5", Body=body)


@case
def of_parts():
    for place, s3 in clients():
        bucket = new_bucket(s3)
        parts = [content(i, 5 * MIB) for i in range(2)] + [content("last", 1000)]
        for algorithm, compute in SUMS.items():
            upload = s3.create_multipart_upload(Bucket=bucket, Key=algorithm, ChecksumAlgorithm=algorithm)
            equal(upload["ChecksumAlgorithm"], algorithm)
            done = []
            for number, body in enumerate(parts, 1):
                out = s3.upload_part(Bucket=bucket, Key=algorithm, UploadId=upload["UploadId"], PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
                equal(out["Checksum" + algorithm], compute(body), "part %d" % number)
                done.append({"PartNumber": number, "ETag": out["ETag"], "Checksum" + algorithm: out["Checksum" + algorithm]})
            listed = s3.list_parts(Bucket=bucket, Key=algorithm, UploadId=upload["UploadId"])
            equal([p["Checksum" + algorithm] for p in listed["Parts"]], [d["Checksum" + algorithm] for d in done], "listed")
            whole = s3.complete_multipart_upload(Bucket=bucket, Key=algorithm, UploadId=upload["UploadId"], MultipartUpload={"Parts": done})
            raw = b"".join(binascii.a2b_base64(d["Checksum" + algorithm]) for d in done)
            want = compute(raw) + "-3"
            equal(whole["Checksum" + algorithm], want, "%s of the parts' %s, in %s" % (algorithm, algorithm, place))
            got = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
            equal(got["Checksum" + algorithm], want)
            same_bytes(got["Body"].read(), b"".join(parts), algorithm)


@case
def over_tls_without_a_checksum():
    """UNSIGNED-PAYLOAD, and what boto3 does with payload signing switched on."""
    for payload_signing in (True, False):
        s3 = client(endpoint=TLS_ENDPOINT, verify=TLS_CA, s3={"payload_signing_enabled": payload_signing})
        bucket = new_bucket(s3)
        body = content("tls", 3 * MIB)
        s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body))
        same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), body, "payload signing %s" % payload_signing)
