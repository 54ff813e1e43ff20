"""boto3's managed transfers: parts in threads, from and to files and streams, and copies."""

import io
import os
import tempfile
import threading

from boto3.s3.transfer import TransferConfig

from harness import MIB, case, client, content, equal, new_bucket, resource, same_bytes

PARTS = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4, io_chunksize=100000)


class Counter:
    def __init__(self):
        self.lock, self.seen = threading.Lock(), 0

    def __call__(self, n):
        with self.lock:
            self.seen += n


class Pipe(io.RawIOBase):
    """A stream that can only be read on, as a pipe or a socket."""

    def __init__(self, body, fail_at=None):
        self.source, self.fail_at = io.BytesIO(body), fail_at

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.fail_at is not None and self.source.tell() >= self.fail_at:
            raise OSError("the source broke")
        return self.source.readinto(buffer)


@case
def objects_around_the_threshold():
    s3 = client(max_pool_connections=16)
    bucket = new_bucket(s3)
    for size, parts in ((0, 0), (6 * MIB - 1, 0), (6 * MIB, 2), (17 * MIB + 1, 4)):
        body, counter, back = content(size, size), Counter(), io.BytesIO()
        s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=PARTS, Callback=counter,
                          ExtraArgs={"ContentType": "text/x", "Metadata": {"size": str(size)}, "CacheControl": "private"})
        equal(counter.seen, size, "bytes reported")
        head = s3.head_object(Bucket=bucket, Key="k")
        equal((head["ContentLength"], head["ContentType"], head["Metadata"], head["CacheControl"]), (size, "text/x", {"size": str(size)}, "private"))
        equal(head["ETag"].strip('"').partition("-")[2], str(parts) if parts else "", "parts of %d bytes" % size)
        s3.download_fileobj(bucket, "k", back, Config=PARTS)
        same_bytes(back.getvalue(), body, "%d bytes" % size)


@case
def streams_of_unknown_length():
    s3 = client()
    bucket = new_bucket(s3)
    for size in (0, 1000, 6 * MIB, 12 * MIB + 5):
        body = content(size, size)
        s3.upload_fileobj(Pipe(body), bucket, "k", Config=PARTS)
        same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), body, "%d bytes" % size)


@case
def with_checksums():
    s3 = client()
    bucket = new_bucket(s3)
    for algorithm in ("CRC32", "SHA256"):
        for size in (1000, 11 * MIB):
            body = content(algorithm, size)
            s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=PARTS, ExtraArgs={"ChecksumAlgorithm": algorithm})
            if "Checksum" + algorithm not in s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED"):
                raise AssertionError("no %s of %d bytes" % (algorithm, size))
            back = io.BytesIO()
            s3.download_fileobj(bucket, "k", back, Config=PARTS, ExtraArgs={"ChecksumMode": "ENABLED"})
            same_bytes(back.getvalue(), body, algorithm)


@case
def a_source_that_breaks():
    s3 = client()
    bucket = new_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    try:
        s3.upload_fileobj(Pipe(content("broken", 20 * MIB), fail_at=11 * MIB), bucket, "k", Config=PARTS)
        raise AssertionError("half a stream was uploaded")
    except OSError:
        pass
    same_bytes(s3.get_object(Bucket=bucket, Key="k")["Body"].read(), b"old")
    equal("Uploads" in s3.list_multipart_uploads(Bucket=bucket), False, "uploads left behind")


@case
def files():
    bucket = resource().Bucket(new_bucket(client()))
    body = content("file", 13 * MIB + 9)
    with tempfile.TemporaryDirectory() as directory:
        there, back = os.path.join(directory, "ü file"), os.path.join(directory, "back")
        with open(there, "wb") as f:
            f.write(body)
        bucket.upload_file(there, "dir/ü file", Config=PARTS)
        bucket.Object("dir/ü file").download_file(back, Config=PARTS)
        with open(back, "rb") as f:
            same_bytes(f.read(), body)


@case
def managed_copies():
    s3 = client()
    bucket, other = new_bucket(s3), new_bucket(s3)
    for size in (1000, 16 * MIB):
        body = content(size, size)
        s3.put_object(Bucket=bucket, Key="a b+ä", Body=body, ContentType="text/x", Metadata={"m": "1"})
        s3.copy({"Bucket": bucket, "Key": "a b+ä"}, other, "copy", Config=PARTS, ExtraArgs={"MetadataDirective": "REPLACE", "Metadata": {"m": "2"}, "ContentType": "text/y"})
        got = s3.get_object(Bucket=other, Key="copy")
        equal((got["Metadata"], got["ContentType"]), ({"m": "2"}, "text/y"), "%d bytes" % size)
        same_bytes(got["Body"].read(), body, "%d bytes" % size)
