// lib-storage's managed uploads, of streams whose length nobody knows, and uploads by hand.
"use strict";

const { PassThrough, Readable } = require("node:stream");
const {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateMultipartUploadCommand, GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand,
  ListPartsCommand, PutObjectCommand, UploadPartCommand, UploadPartCopyCommand,
} = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { MiB, assert, bytesOf, client, content, group, newBucket, refused, sameBytes, tlsEndpoint } = require("./harness");

function trickle(bytes, piece = 70001) {
  return Readable.from((function* () {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  })(), { objectMode: false });
}

group("uploads", {
  async "streams of unknown length"() {
    for (const s3 of [client(), client({ endpoint: tlsEndpoint })]) {
      const Bucket = await newBucket(s3);
      for (const size of [0, 1000, 5 * MiB, 13 * MiB + 7]) {
        const body = content("stream", size);
        const upload = new Upload({ client: s3, queueSize: 3, partSize: 5 * MiB, params: { Bucket, Key: "k", Body: trickle(body), ContentType: "text/x", Metadata: { size: String(size) } } });
        let reported = 0;
        upload.on("httpUploadProgress", (p) => (reported = Math.max(reported, p.loaded)));
        const out = await upload.done();
        assert.equal(reported, size, "progress");
        const got = await s3.send(new GetObjectCommand({ Bucket, Key: "k" }));
        assert.deepEqual([got.ETag, got.ContentType, got.Metadata], [out.ETag, "text/x", { size: String(size) }]);
        assert.equal(/-\d+"$/.test(got.ETag), size > 5 * MiB, "parts of " + size);
        sameBytes(await bytesOf(got), body, `${size} bytes`);
      }
    }
  },

  async "a pipe between two objects"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const body = content("piped", 11 * MiB);
    await new Upload({ client: s3, params: { Bucket, Key: "from", Body: body } }).done();
    const source = await s3.send(new GetObjectCommand({ Bucket, Key: "from" }));
    await new Upload({ client: s3, params: { Bucket, Key: "to", Body: source.Body.pipe(new PassThrough()) } }).done();
    sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "to" }))), body, "piped");
  },

  async "a stream that breaks leaves nothing"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "old" }));
    const broken = Readable.from((function* () {
      yield content("broken", 7 * MiB);
      throw new Error("the source broke");
    })(), { objectMode: false });
    await assert.rejects(new Upload({ client: s3, params: { Bucket, Key: "k", Body: broken } }).done(), /the source broke/);
    const aborted = new Upload({ client: s3, queueSize: 1, params: { Bucket, Key: "k", Body: trickle(content("aborted", 30 * MiB)) } });
    aborted.on("httpUploadProgress", () => aborted.abort());
    await assert.rejects(aborted.done(), { name: "AbortError" });
    assert.equal((await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "k" })))).toString(), "old");
    assert.equal((await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: "none" }))).Uploads, undefined);
  },

  async "with conditions and checksums"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
      const body = content(ChecksumAlgorithm, 6 * MiB);
      await new Upload({ client: s3, params: { Bucket, Key: ChecksumAlgorithm, Body: trickle(body), ChecksumAlgorithm } }).done();
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }));
      assert.ok(head["Checksum" + ChecksumAlgorithm], ChecksumAlgorithm + " of " + JSON.stringify(head));
      sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: ChecksumAlgorithm }))), body, ChecksumAlgorithm);
    }
    const again = new Upload({ client: s3, params: { Bucket, Key: "CRC32", Body: trickle(content("again", 6 * MiB)), IfNoneMatch: "*" } });
    await refused("PreconditionFailed", 412, again.done());
  },

  async "by hand"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const parts = [content(1, 5 * MiB), content(2, 5 * MiB + 5), content(3, 99)];
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k", ContentType: "text/x" }));
    const Parts = await Promise.all(parts.map(async (Body, i) => {
      const out = await s3.send(new UploadPartCommand({ Bucket, Key: "k", UploadId, PartNumber: i + 1, Body: i === 1 ? trickle(Body) : Body, ContentLength: Body.length }));
      return { PartNumber: i + 1, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32 };
    }));
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key: "k", UploadId }));
    assert.deepEqual(listed.Parts.map((p) => [p.PartNumber, p.Size, p.ETag]), Parts.map((p, i) => [p.PartNumber, parts[i].length, p.ETag]));
    await refused("InvalidPartOrder", 400, s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "k", UploadId, MultipartUpload: { Parts: [...Parts].reverse() } })));
    const done = await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "k", UploadId, MultipartUpload: { Parts } }));
    assert.match(done.ETag, /-3"$/);
    sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "k" }))), Buffer.concat(parts), "whole");
    const second = await s3.send(new GetObjectCommand({ Bucket, Key: "k", PartNumber: 2 }));
    assert.equal(second.PartsCount, 3);
    sameBytes(await bytesOf(second), parts[1], "part 2");

    const copy = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "copy" }));
    const out = await s3.send(new UploadPartCopyCommand({ Bucket, Key: "copy", UploadId: copy.UploadId, PartNumber: 1, CopySource: Bucket + "/k", CopySourceRange: "bytes=100-4000000" }));
    await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "copy", UploadId: copy.UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: out.CopyPartResult.ETag }] } }));
    sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "copy" }))), parts[0].subarray(100, 4000001), "copied range");
    const dropped = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "dropped" }));
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "dropped", UploadId: dropped.UploadId }));
    await refused("NoSuchUpload", 404, s3.send(new ListPartsCommand({ Bucket, Key: "dropped", UploadId: dropped.UploadId })));
  },
});
