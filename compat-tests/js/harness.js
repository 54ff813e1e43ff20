// What the cases of this folder share: the store under test, the registry of cases, and the checks.
"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const { AsyncLocalStorage } = require("node:async_hooks");
const { S3Client, CreateBucketCommand } = require("@aws-sdk/client-s3");

const MiB = 1 << 20;
const region = process.env.TDKVS_REGION;
const endpoint = process.env.TDKVS_ENDPOINT;
const tlsEndpoint = process.env.TDKVS_TLS_ENDPOINT; // node trusts its certificate by NODE_EXTRA_CA_CERTS
const keys = { accessKeyId: process.env.TDKVS_ACCESS_KEY, secretAccessKey: process.env.TDKVS_SECRET_KEY };

const cases = [];
const running = new AsyncLocalStorage(); // the name of the case

// group registers cases by name: functions that return, or throw.
function group(name, functions) {
  for (const [title, run] of Object.entries(functions)) cases.push({ name: name + "." + title, run });
}

// client makes a client. Unless told otherwise it never repeats a request: a retry would hide a failure.
function client(options = {}) {
  return new S3Client({ region, endpoint, credentials: keys, forcePathStyle: true, maxAttempts: 1, ...options });
}

async function newBucket(s3, options = {}) {
  const title = running.getStore().replace(/[^a-zA-Z0-9]+/g, "-").toLowerCase().slice(0, 45);
  const Bucket = "js-" + title + "-" + crypto.randomBytes(4).toString("hex");
  await s3.send(new CreateBucketCommand({ Bucket, ...options }));
  return Bucket;
}

// content returns bytes that depend on the label alone and do not compress.
function content(label, size) {
  const key = crypto.createHash("sha256").update(String(label)).digest();
  return crypto.createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest("hex");
const etagOf = (bytes) => '"' + crypto.createHash("md5").update(bytes).digest("hex") + '"';

function sameBytes(got, want, what) {
  assert.equal(got.length, want.length, what + ": length");
  assert.equal(sha256(got), sha256(want), what + ": SHA-256");
}

// bytesOf reads a GetObject answer's stream to its end.
async function bytesOf(answer) {
  return Buffer.from(await answer.Body.transformToByteArray());
}

// refused expects a call to end in the error of a name and HTTP status, and returns the error.
async function refused(name, status, promise, what = "call") {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert.ok(error, what + ": accepted, want " + name);
  assert.deepEqual([error.name, error.$metadata?.httpStatusCode], [name, status], `${what}: ${error.stack}`);
  return error;
}

// run runs the cases, or those named in the arguments, and writes one line of JSON for each.
async function run() {
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const { name, run } of cases) {
    if (wanted.length && !wanted.some((w) => name.includes(w))) continue;
    const began = process.hrtime.bigint();
    let message = "";
    try {
      await running.run(name, run);
    } catch (error) {
      message = (error.stack || String(error)) + (error.$metadata ? "\n" + JSON.stringify(error.$metadata) : "");
      failed++;
    }
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    process.stdout.write(JSON.stringify({ name, ok: !message, message, seconds }) + "\n");
  }
  process.stdout.write(JSON.stringify({ done: true }) + "\n");
  process.exitCode = failed ? 1 : 0;
}

module.exports = {
  MiB, assert, bytesOf, client, content, crypto, endpoint, etagOf, group, keys, newBucket, refused, region, run, sameBytes, sha256, tlsEndpoint,
};
