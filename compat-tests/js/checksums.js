// Checksums in headers and, for streams, in trailers: the SDK's own choice and every algorithm.
"use strict";

const zlib = require("node:zlib");
const { Readable } = require("node:stream");
const { GetObjectCommand, HeadObjectCommand, PutObjectCommand } = require("@aws-sdk/client-s3");
const { MiB, assert, bytesOf, client, content, crypto, group, newBucket, refused, sameBytes, tlsEndpoint } = require("./harness");

const digest = (name) => (bytes) => crypto.createHash(name).update(bytes).digest("base64");
const sums = { SHA1: digest("sha1"), SHA256: digest("sha256") };

function stream(bytes) {
  return Readable.from([bytes], { objectMode: false });
}

group("checksums", {
  async "every algorithm, every way"() {
    for (const [scheme, s3] of [["http", client()], ["https", client({ endpoint: tlsEndpoint })]]) {
      const Bucket = await newBucket(s3);
      for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
        for (const size of [0, 5, 100000, 2 * MiB + 1]) {
          const body = content(algorithm, size);
          for (const [kind, Body] of [["buffer", body], ["stream", stream(body)]]) {
            if (algorithm === "CRC64NVME" && kind === "stream") continue; // needs a native part that is not installed
            const Key = `${algorithm} of a ${kind} of ${size} by ${scheme}`;
            const out = await s3.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: size, ChecksumAlgorithm: algorithm }));
            const field = "Checksum" + algorithm;
            assert.ok(out[field], Key);
            if (sums[algorithm]) assert.equal(out[field], sums[algorithm](body), Key);
            const got = await s3.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
            assert.deepEqual([got[field], got.ChecksumType], [out[field], "FULL_OBJECT"], Key);
            sameBytes(await bytesOf(got), body, Key);
          }
        }
      }
    }
  },

  async "by default"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    for (const Body of ["text", stream(Buffer.from("text"))]) {
      const out = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body, ContentLength: 4 }));
      assert.equal(out.ChecksumCRC32, Buffer.from((zlib.crc32 ? zlib.crc32("text") : 0x3b8ba7c7).toString(16).padStart(8, "0"), "hex").toString("base64"));
    }
    const bare = client({ requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" });
    const out = await bare.send(new PutObjectCommand({ Bucket, Key: "bare", Body: stream(Buffer.from("text")), ContentLength: 4 }));
    assert.equal(out.ChecksumCRC32, undefined);
    assert.ok((await s3.send(new HeadObjectCommand({ Bucket, Key: "bare", ChecksumMode: "ENABLED" }))).ChecksumCRC64NVME, "the store's own");
  },

  async "wrong ones"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const wrong = { ChecksumCRC32: "AAAAAA==", ChecksumSHA1: sums.SHA1("other"), ChecksumSHA256: sums.SHA256("other"), ContentMD5: digest("md5")("other") };
    for (const [field, value] of Object.entries(wrong)) {
      await refused("BadDigest", 400, s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "this", [field]: value })), field);
    }
    await refused("NoSuchKey", 404, s3.send(new GetObjectCommand({ Bucket, Key: "k" })));
  },
});
