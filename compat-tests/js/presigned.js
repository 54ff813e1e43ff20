// Presigned addresses, used with fetch.
"use strict";

const { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand, UploadPartCommand, CreateMultipartUploadCommand, CompleteMultipartUploadCommand } = require("@aws-sdk/client-s3");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const { MiB, assert, bytesOf, client, content, group, keys, newBucket, sameBytes } = require("./harness");

group("presigned", {
  async "GET, HEAD and PUT"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const Key = "dir/a b+c%?ü.txt";
    const body = content("presigned", 2 * MiB);
    let answer = await fetch(await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key }), { expiresIn: 60 }), { method: "PUT", body });
    assert.equal(answer.status, 200, await answer.text());
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key, ResponseContentType: "text/x" }), { expiresIn: 60 });
    answer = await fetch(url);
    assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "text/x"]);
    sameBytes(Buffer.from(await answer.arrayBuffer()), body, "GET");
    answer = await fetch(url, { headers: { Range: "bytes=5-104" } });
    assert.equal(answer.status, 206);
    sameBytes(Buffer.from(await answer.arrayBuffer()), body.subarray(5, 105), "range");
    answer = await fetch(await getSignedUrl(s3, new HeadObjectCommand({ Bucket, Key })), { method: "HEAD" });
    assert.equal(answer.headers.get("content-length"), String(body.length));
    answer = await fetch(await getSignedUrl(s3, new DeleteObjectCommand({ Bucket, Key })), { method: "DELETE" });
    assert.equal(answer.status, 204);
    assert.equal((await fetch(url)).status, 404);
  },

  async "a PUT with signed headers"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "k", ContentType: "text/x", Metadata: { a: "b" } }), { signableHeaders: new Set(["content-type"]) });
    let answer = await fetch(url, { method: "PUT", body: "x", headers: { "Content-Type": "text/x" } });
    assert.equal(answer.status, 200, await answer.text());
    assert.deepEqual((await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }))).Metadata, { a: "b" });
    answer = await fetch(url, { method: "PUT", body: "x", headers: { "Content-Type": "text/other" } });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /<Code>SignatureDoesNotMatch<\/Code>/);
  },

  async "parts"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
    const bodies = [content(1, 5 * MiB), content(2, 100)];
    const Parts = await Promise.all(bodies.map(async (body, i) => {
      const url = await getSignedUrl(s3, new UploadPartCommand({ Bucket, Key: "k", UploadId, PartNumber: i + 1 }));
      const answer = await fetch(url, { method: "PUT", body });
      assert.equal(answer.status, 200, await answer.text());
      return { PartNumber: i + 1, ETag: answer.headers.get("etag") };
    }));
    await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key: "k", UploadId, MultipartUpload: { Parts } }));
    sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "k" }))), Buffer.concat(bodies), "whole");
  },

  async refusals() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    const old = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "k" }), { expiresIn: 60, signingDate: new Date(Date.now() - 120000) });
    const forged = await getSignedUrl(client({ credentials: { ...keys, secretAccessKey: "wrong" } }), new GetObjectCommand({ Bucket, Key: "k" }));
    for (const [url, code] of [[old, "AccessDenied"], [forged, "SignatureDoesNotMatch"], [old.split("?")[0], "AccessDenied"]]) {
      const answer = await fetch(url);
      assert.equal(answer.status, 403);
      assert.match(await answer.text(), new RegExp(`<Code>${code}</Code>`));
    }
  },
});
