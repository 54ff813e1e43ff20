// Objects one at a time: bodies and streams, headers, keys, ranges, conditions, copies, deletes.
"use strict";

const { Readable } = require("node:stream");
const fs = require("node:fs");
const path = require("node:path");
const {
  CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand,
} = require("@aws-sdk/client-s3");
const { MiB, assert, bytesOf, client, content, etagOf, group, newBucket, refused, sameBytes } = require("./harness");

const awkward = [
  "a", "a/", "a//b", "/a", "//", "../x", "..", ".", "./a", "a/../b", " ", " a ", "a+b", "a b", "a%20b", "a%2Fb", "%", "a&b=c", "a?b", "#a", "a=b", "a;b", "a:b",
  "a,b", "a|b", "a\\b", 'a"b', "a'b", "<a>&amp;", "*", "!", "(a)", "[b]", "{c}", "^", "`", "@", "$", "~", "ä", "a\u0308", "日本語/鍵", "😀", "\u200b", "constructor",
  "__proto__", "x".repeat(1024), "é".repeat(512),
];

group("objects", {
  async "bodies of every kind"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    for (const size of [0, 1, 65535, 65536, 65537, MiB, 5 * MiB + 3]) {
      const body = content("body", size);
      const file = path.join(process.env.TDKVS_SCRATCH, "body");
      fs.writeFileSync(file, body);
      const kinds = {
        Buffer: () => body, Uint8Array: () => new Uint8Array(body), string: () => body.toString("base64"),
        "file stream": () => fs.createReadStream(file), "stream of a known length": () => Readable.from(pieces(body), { objectMode: false }),
      };
      for (const [kind, make] of Object.entries(kinds)) {
        const Key = `${kind} of ${size} bytes`;
        const want = kind === "string" ? Buffer.from(make()) : body;
        const streamed = kind.startsWith("stream ") ? { ContentLength: want.length } : {};
        const out = await s3.send(new PutObjectCommand({ Bucket, Key, Body: make(), ...streamed }));
        assert.equal(out.ETag, etagOf(want), Key);
        const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
        assert.deepEqual([got.ContentLength, got.ETag], [want.length, out.ETag], Key);
        sameBytes(await bytesOf(got), want, Key);
      }
    }
  },

  async "streams read in other ways"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const text = "line ä\n".repeat(5000);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: text }));
    assert.equal(await (await s3.send(new GetObjectCommand({ Bucket, Key: "k" }))).Body.transformToString(), text);
    const parts = [];
    for await (const part of (await s3.send(new GetObjectCommand({ Bucket, Key: "k" }))).Body) parts.push(part);
    assert.equal(Buffer.concat(parts).toString(), text);
    let web = "";
    const decoder = new TextDecoder();
    for await (const part of (await s3.send(new GetObjectCommand({ Bucket, Key: "k" }))).Body.transformToWebStream()) web += decoder.decode(part, { stream: true });
    assert.equal(web, text);
    const left = await s3.send(new GetObjectCommand({ Bucket, Key: "k" }));
    left.Body.destroy(); // a reader that goes away
    assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }))).ContentLength, Buffer.byteLength(text));
  },

  async "headers come back"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const sent = {
      CacheControl: "max-age=60", ContentDisposition: 'attachment; filename="a b.txt"', ContentEncoding: "gzip", ContentLanguage: "de", ContentType: "text/plain; charset=utf-8",
      WebsiteRedirectLocation: "/there", Metadata: { lower: "x", "with-dash": "a, b;c=d", empty: "", number: "1" },
    };
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", Expires: new Date("2031-05-06T07:08:09Z"), ...sent }));
    for (const command of [HeadObjectCommand, GetObjectCommand]) {
      const got = await s3.send(new command({ Bucket, Key: "k" }));
      for (const [name, value] of Object.entries(sent)) assert.deepEqual(got[name], value, name);
      assert.equal(got.ExpiresString, "Tue, 06 May 2031 07:08:09 GMT");
      assert.ok(Math.abs(Date.now() - got.LastModified) < 60000, "LastModified " + got.LastModified);
      if (got.Body) await bytesOf(got);
    }
    const other = await s3.send(new GetObjectCommand({ Bucket, Key: "k", ResponseContentType: "text/b", ResponseCacheControl: "private" }));
    assert.deepEqual([other.ContentType, other.CacheControl], ["text/b", "private"]);
    await bytesOf(other);
  },

  async "awkward keys"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await Promise.all(awkward.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
    for (const Key of awkward) {
      sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key }))), Buffer.from(Key), JSON.stringify(Key));
      await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: Bucket + "/" + encodeURIComponent(Key) }));
      sameBytes(await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "copy" }))), Buffer.from(Key), "copy of " + JSON.stringify(Key));
    }
    const listed = (await s3.send(new ListObjectsV2Command({ Bucket, EncodingType: "url" }))).Contents.map((o) => decodeURIComponent(o.Key));
    assert.deepEqual(listed, [...awkward, "copy"].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    const out = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [...awkward, "copy"].map((Key) => ({ Key })) } }));
    assert.equal(out.Errors, undefined);
    assert.equal(out.Deleted.length, awkward.length + 1);
    assert.equal((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0);
  },

  async ranges() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const body = content("ranges", 200001);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: body }));
    for (const [Range, from, to] of [["bytes=0-0", 0, 1], ["bytes=65530-65545", 65530, 65546], ["bytes=-7", 199994, 200001], ["bytes=200000-", 200000, 200001]]) {
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: "k", Range }));
      assert.equal(got.ContentRange, `bytes ${from}-${to - 1}/200001`);
      sameBytes(await bytesOf(got), body.subarray(from, to), Range);
    }
    const error = await refused("InvalidRange", 416, s3.send(new GetObjectCommand({ Bucket, Key: "k", Range: "bytes=200001-" })));
    assert.equal(error.ActualObjectSize, "200001");
  },

  async conditions() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "first", IfNoneMatch: "*" }));
    await refused("PreconditionFailed", 412, s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "second", IfNoneMatch: "*" })));
    await refused("PreconditionFailed", 412, s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "third", IfMatch: '"other"' })));
    await refused("NoSuchKey", 404, s3.send(new PutObjectCommand({ Bucket, Key: "absent", Body: "fourth", IfMatch: ETag })));
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "fifth", IfMatch: ETag }));
    await refused("PreconditionFailed", 412, s3.send(new GetObjectCommand({ Bucket, Key: "k", IfMatch: ETag })));
    await refused("Unknown", 304, s3.send(new GetObjectCommand({ Bucket, Key: "k", IfNoneMatch: etagOf("fifth") })));
    await refused("PreconditionFailed", 412, s3.send(new DeleteObjectCommand({ Bucket, Key: "k", IfMatch: ETag })));
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => s3.send(new PutObjectCommand({ Bucket, Key: "won", Body: String(i), IfNoneMatch: "*" }))));
    const winners = results.flatMap((r, i) => (r.status === "fulfilled" ? [i] : []));
    assert.equal(winners.length, 1, "winners");
    assert.equal((await bytesOf(await s3.send(new GetObjectCommand({ Bucket, Key: "won" })))).toString(), String(winners[0]));
  },

  async copies() {
    const s3 = client();
    const [Bucket, other] = [await newBucket(s3), await newBucket(s3)];
    const body = content("copied", 300000);
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "a b", Body: body, ContentType: "text/x", Metadata: { m: "1" } }));
    const CopySource = Bucket + "/a%20b";
    const out = await s3.send(new CopyObjectCommand({ Bucket: other, Key: "c", CopySource }));
    assert.equal(out.CopyObjectResult.ETag, ETag);
    assert.ok(out.CopyObjectResult.LastModified instanceof Date);
    let got = await s3.send(new GetObjectCommand({ Bucket: other, Key: "c" }));
    assert.deepEqual([got.ContentType, got.Metadata], ["text/x", { m: "1" }]);
    sameBytes(await bytesOf(got), body, "copy");
    await s3.send(new CopyObjectCommand({ Bucket: other, Key: "c", CopySource, MetadataDirective: "REPLACE", Metadata: { m: "2" }, ContentType: "text/y" }));
    got = await s3.send(new HeadObjectCommand({ Bucket: other, Key: "c" }));
    assert.deepEqual([got.ContentType, got.Metadata], ["text/y", { m: "2" }]);
    await refused("InvalidRequest", 400, s3.send(new CopyObjectCommand({ Bucket, Key: "a b", CopySource })));
    await refused("PreconditionFailed", 412, s3.send(new CopyObjectCommand({ Bucket: other, Key: "c", CopySource, CopySourceIfNoneMatch: ETag })));
  },

  async "deletes of many"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const Objects = Array.from({ length: 1000 }, (_, i) => ({ Key: `k/${i}` }));
    await Promise.all(Objects.slice(0, 100).map(({ Key }) => s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }))));
    const out = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
    assert.deepEqual([out.Deleted, out.Errors], [undefined, undefined]);
    assert.equal((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount, 0);
    await refused("MalformedXML", 400, s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [...Objects, { Key: "one more" }] } })));
    assert.equal((await s3.send(new DeleteObjectCommand({ Bucket, Key: "not there" }))).$metadata.httpStatusCode, 204);
  },
});

function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += 10007) yield bytes.subarray(at, at + 10007);
}
