// The SDK's paginators and waiters.
"use strict";

const {
  CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand, DeleteObjectCommand, GetBucketLocationCommand, HeadBucketCommand, ListBucketsCommand,
  ListMultipartUploadsCommand, ListObjectsCommand, PutObjectCommand, UploadPartCommand, paginateListBuckets, paginateListObjectsV2, paginateListParts,
  waitUntilBucketExists, waitUntilBucketNotExists, waitUntilObjectExists, waitUntilObjectNotExists,
} = require("@aws-sdk/client-s3");
const { assert, client, crypto, group, newBucket, refused, region } = require("./harness");

const keys = ["a", "a/1", "a/2", "a//x", "b/c/d", "b/d", "top", "é/1", "z/", ...Array.from({ length: 60 }, (_, i) => "many/" + String(i).padStart(3, "0"))]
  .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

// expected is a listing by its definition: keys and common prefixes in one order.
function expected(prefix, delimiter, after = "") {
  const entries = [];
  for (const key of keys) {
    if (!key.startsWith(prefix) || key <= after) continue;
    const at = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const entry = at < 0 ? key : key.slice(0, at + delimiter.length);
    if (entries.at(-1) !== entry) entries.push(entry);
  }
  return entries;
}

group("listings", {
  async "of objects"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await Promise.all(keys.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
    for (const Prefix of ["", "a", "a/", "many/", "b/", "none", "é"]) {
      for (const Delimiter of ["", "/", "//", "m"]) {
        for (const pageSize of [3, 1000]) {
          const got = [];
          for await (const page of paginateListObjectsV2({ client: s3, pageSize }, { Bucket, Prefix, Delimiter })) {
            const entries = [...(page.Contents ?? []).map((o) => o.Key), ...(page.CommonPrefixes ?? []).map((p) => p.Prefix)];
            assert.ok(entries.length <= pageSize && page.KeyCount === entries.length, `a page of ${entries.length}, KeyCount ${page.KeyCount}`);
            got.push(...entries);
          }
          const order = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
          assert.deepEqual(got.sort(order), expected(Prefix, Delimiter), `prefix ${Prefix} delimiter ${Delimiter} pages of ${pageSize}`);
        }
      }
    }
    const after = [];
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 7 }, { Bucket, StartAfter: "many/030" })) after.push(...page.Contents.map((o) => o.Key));
    assert.deepEqual(after, expected("", "", "many/030"));
    const v1 = [];
    for (let Marker; ; ) {
      const page = await s3.send(new ListObjectsCommand({ Bucket, Marker, MaxKeys: 11 }));
      v1.push(...page.Contents.map((o) => o.Key));
      if (!page.IsTruncated) break;
      Marker = v1.at(-1);
    }
    assert.deepEqual(v1, keys);
  },

  async "of buckets"() {
    const s3 = client();
    const Prefix = "js-listed-" + crypto.randomBytes(4).toString("hex") + "-";
    const made = [..."abcde"].map((letter) => Prefix + letter);
    for (const Bucket of made) await s3.send(new CreateBucketCommand({ Bucket }));
    const got = [];
    let pages = 0;
    for await (const page of paginateListBuckets({ client: s3, pageSize: 2 }, { Prefix })) {
      pages++;
      got.push(...page.Buckets.map((b) => b.Name));
    }
    assert.deepEqual([got, pages], [made, 3]);
    const all = await s3.send(new ListBucketsCommand({}));
    assert.ok(all.Owner.ID && all.Buckets.every((b) => b.CreationDate instanceof Date));
    assert.equal((await s3.send(new HeadBucketCommand({ Bucket: made[0] }))).BucketRegion, region);
    assert.equal((await s3.send(new GetBucketLocationCommand({ Bucket: made[0] }))).LocationConstraint, region);
  },

  async "of uploads and parts"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "dir/k" }));
    await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "other" }));
    for (const PartNumber of [4, 1, 9, 10000]) await s3.send(new UploadPartCommand({ Bucket, Key: "dir/k", UploadId, PartNumber, Body: "part" }));
    const numbers = [];
    for await (const page of paginateListParts({ client: s3, pageSize: 3 }, { Bucket, Key: "dir/k", UploadId })) numbers.push(...(page.Parts ?? []).map((p) => p.PartNumber));
    assert.deepEqual(numbers, [1, 4, 9, 10000]);
    const page = await s3.send(new ListMultipartUploadsCommand({ Bucket, Delimiter: "/" }));
    assert.deepEqual([page.Uploads.map((u) => u.Key), page.CommonPrefixes.map((p) => p.Prefix)], [["other"], ["dir/"]]);
  },

  async waiters() {
    const s3 = client();
    const Bucket = "js-waited-" + crypto.randomBytes(6).toString("hex");
    const wait = { client: s3, maxWaitTime: 20, minDelay: 1, maxDelay: 1 };
    const later = (command) => new Promise((resolve, reject) => setTimeout(() => s3.send(command).then(resolve, reject), 300));
    await Promise.all([waitUntilBucketExists(wait, { Bucket }), later(new CreateBucketCommand({ Bucket }))]);
    await Promise.all([waitUntilObjectExists(wait, { Bucket, Key: "k" }), later(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }))]);
    await Promise.all([waitUntilObjectNotExists(wait, { Bucket, Key: "k" }), later(new DeleteObjectCommand({ Bucket, Key: "k" }))]);
    await Promise.all([waitUntilBucketNotExists(wait, { Bucket }), later(new DeleteBucketCommand({ Bucket }))]);
    await refused("NoSuchBucket", 404, s3.send(new DeleteBucketCommand({ Bucket })));
  },
});
