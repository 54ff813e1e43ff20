"""A network that fails: boto3 tries again, and the store must make one object of two requests."""

import contextlib
import io
import socket
import threading
import urllib.parse

from boto3.s3.transfer import TransferConfig

from harness import ENDPOINT, MIB, case, client, content, equal, new_bucket, same_bytes


class Relay:
    """Passes connections on to the store. Of those that spoil() chooses it drops the answer, after the store gave it."""

    def __init__(self):
        store = urllib.parse.urlsplit(ENDPOINT)
        self.store = (store.hostname, store.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.to_spoil = b""  # start of the request whose answer is dropped, once
        self.spoiled = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def spoil(self, start):
        with self.lock:
            self.to_spoil = start

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.store)
            state = {"drop": False}
            threading.Thread(target=self.forward, args=(near, far, state), daemon=True).start()
            threading.Thread(target=self.backward, args=(far, near, state), daemon=True).start()

    def forward(self, near, far, state):
        try:
            while chunk := near.recv(65536):
                with self.lock:
                    if self.to_spoil and chunk.startswith(self.to_spoil):
                        self.to_spoil, state["drop"] = b"", True
                        self.spoiled += 1
                far.sendall(chunk)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # as below

    def backward(self, far, near, state):
        try:
            while chunk := far.recv(65536):
                if state["drop"] and not chunk.startswith(b"HTTP/1.1 100"):
                    break
                near.sendall(chunk)
        except OSError:
            pass  # the other side is gone, which is all that matters
        for connection in (near, far):  # close() alone would not wake the thread that waits for more
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def relayed():
    relay = Relay()
    return relay, client(endpoint=relay.endpoint, retries={"mode": "standard", "total_max_attempts": 3})


@case
def answers_that_get_lost():
    relay, s3 = relayed()
    bucket = new_bucket(s3)
    body = content("lost", 300000)

    def twice(start, call, **arguments):
        relay.spoil(start)
        before = relay.spoiled
        out = call(**arguments)
        equal(relay.spoiled, before + 1, "answers dropped")
        equal(out["ResponseMetadata"]["RetryAttempts"], 1, "attempts after the first")
        return out

    twice(b"PUT /", s3.put_object, Bucket=bucket, Key="k", Body=body)
    same_bytes(twice(b"GET /", s3.get_object, Bucket=bucket, Key="k")["Body"].read(), body)
    upload = {"Bucket": bucket, "Key": "parts", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]}
    part = twice(b"PUT /", s3.upload_part, PartNumber=1, Body=body, **upload)
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    first = twice(b"POST /", s3.complete_multipart_upload, MultipartUpload=done, **upload)
    equal(first["ETag"], s3.head_object(Bucket=bucket, Key="parts")["ETag"], "the second completion answers as the first did")
    same_bytes(s3.get_object(Bucket=bucket, Key="parts")["Body"].read(), body)
    twice(b"PUT /", s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    twice(b"POST /", s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "k"}, {"Key": "parts"}]})
    twice(b"DELETE /", s3.delete_object, Bucket=bucket, Key="copy")
    twice(b"GET /", s3.list_objects_v2, Bucket=bucket)
    equal(s3.list_objects_v2(Bucket=bucket)["KeyCount"], 0)


@case
def a_managed_upload_over_a_bad_network():
    relay, s3 = relayed()
    bucket = new_bucket(s3)
    body = content("managed", 12 * MIB)
    relay.spoil(b"PUT /")
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3))
    equal(relay.spoiled, 1)
    back = io.BytesIO()
    relay.spoil(b"GET /")
    s3.download_fileobj(bucket, "k", back, Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3))
    equal(relay.spoiled, 2)
    same_bytes(back.getvalue(), body)
