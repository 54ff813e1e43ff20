// Versioning, tags, object lock, CORS and posted forms, as the SDK and a page see them.
"use strict";

const {
  CopyObjectCommand, DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, DeleteObjectTaggingCommand, GetBucketCorsCommand, GetBucketTaggingCommand,
  GetBucketVersioningCommand, GetObjectAttributesCommand, GetObjectCommand, GetObjectLegalHoldCommand, GetObjectLockConfigurationCommand, GetObjectRetentionCommand,
  GetObjectTaggingCommand, HeadObjectCommand, ListObjectVersionsCommand, PutBucketCorsCommand, PutBucketTaggingCommand, PutBucketVersioningCommand, PutObjectCommand,
  PutObjectLegalHoldCommand, PutObjectLockConfigurationCommand, PutObjectRetentionCommand, PutObjectTaggingCommand,
} = require("@aws-sdk/client-s3");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");
const { createPresignedPost } = require("@aws-sdk/s3-presigned-post");
const { Upload } = require("@aws-sdk/lib-storage");
const { MiB, assert, bytesOf, client, content, endpoint, etagOf, group, newBucket, refused, sameBytes } = require("./harness");

async function versionedBucket(s3) {
  const Bucket = await newBucket(s3);
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
  return Bucket;
}

async function textOf(s3, input) {
  return (await bytesOf(await s3.send(new GetObjectCommand(input)))).toString();
}

// allVersions walks the whole listing in small pages.
async function allVersions(s3, Bucket) {
  const entries = [];
  for (let marker = {}; ; ) {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket, MaxKeys: 2, ...marker }));
    entries.push(...(page.Versions ?? []), ...(page.DeleteMarkers ?? []).map((m) => ({ ...m, marker: true })));
    if (!page.IsTruncated) return entries;
    marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
}

group("features", {
  async versions() {
    const s3 = client();
    const Bucket = await versionedBucket(s3);
    assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, "Enabled");
    const ids = [];
    for (const Body of ["one", "two", "three"]) ids.push((await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body }))).VersionId);
    assert.equal(new Set(ids).size, 3);
    assert.equal(await textOf(s3, { Bucket, Key: "k", VersionId: ids[0] }), "one");
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: "k" }));
    assert.equal(marker.DeleteMarker, true);
    await refused("NoSuchKey", 404, s3.send(new GetObjectCommand({ Bucket, Key: "k" })));
    await refused("MethodNotAllowed", 405, s3.send(new GetObjectCommand({ Bucket, Key: "k", VersionId: marker.VersionId })));
    const listed = await allVersions(s3, Bucket);
    assert.deepEqual(listed.filter((e) => !e.marker).map((e) => e.VersionId), [...ids].reverse());
    assert.deepEqual(listed.filter((e) => e.marker).map((e) => [e.VersionId, e.IsLatest]), [[marker.VersionId, true]]);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId: marker.VersionId }));
    assert.equal(await textOf(s3, { Bucket, Key: "k" }), "three");
    const copied = await s3.send(new CopyObjectCommand({ Bucket, Key: "k", CopySource: `${Bucket}/k?versionId=${ids[0]}` }));
    assert.equal(copied.CopySourceVersionId, ids[0]);
    assert.equal(await textOf(s3, { Bucket, Key: "k" }), "one");
    const large = await new Upload({ client: s3, params: { Bucket, Key: "k", Body: content("large", 6 * MiB) } }).done();
    assert.ok(large.VersionId);
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "k", VersionId: ids[1] }));
    assert.equal(await (await fetch(url)).text(), "two");
    await refused("BucketNotEmpty", 409, s3.send(new DeleteBucketCommand({ Bucket })));
    const Objects = (await allVersions(s3, Bucket)).map(({ Key, VersionId }) => ({ Key, VersionId }));
    assert.equal((await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))).Errors, undefined);
    await s3.send(new DeleteBucketCommand({ Bucket }));
  },

  async suspension() {
    const s3 = client();
    const Bucket = await versionedBucket(s3);
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "kept" }));
    await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }));
    for (const Body of ["null 1", "null 2"]) await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body }));
    assert.equal((await allVersions(s3, Bucket)).length, 2);
    assert.equal(await textOf(s3, { Bucket, Key: "k", VersionId: "null" }), "null 2");
    assert.equal(await textOf(s3, { Bucket, Key: "k", VersionId }), "kept");
  },

  async tags() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", Tagging: "a=1&b%20c=d%2Fe" }));
    const tagsOf = async () => (await s3.send(new GetObjectTaggingCommand({ Bucket, Key: "k" }))).TagSet;
    assert.deepEqual(await tagsOf(), [{ Key: "a", Value: "1" }, { Key: "b c", Value: "d/e" }]);
    assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }))).TagCount, 2);
    await s3.send(new PutObjectTaggingCommand({ Bucket, Key: "k", Tagging: { TagSet: [{ Key: "ü", Value: "ö +-=._:/@" }] } }));
    assert.deepEqual(await tagsOf(), [{ Key: "ü", Value: "ö +-=._:/@" }]);
    await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key: "k" }));
    assert.deepEqual(await tagsOf(), []);
    const many = Array.from({ length: 11 }, (_, i) => ({ Key: "t" + i, Value: "" }));
    await refused("BadRequest", 400, s3.send(new PutObjectTaggingCommand({ Bucket, Key: "k", Tagging: { TagSet: many } })));
    await new Upload({ client: s3, params: { Bucket, Key: "k", Body: content("tagged", 6 * MiB) }, tags: [{ Key: "by", Value: "upload" }] }).done();
    assert.deepEqual(await tagsOf(), [{ Key: "by", Value: "upload" }]);
    await refused("NoSuchTagSet", 404, s3.send(new GetBucketTaggingCommand({ Bucket })));
    await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "team", Value: "js" }] } }));
    assert.deepEqual((await s3.send(new GetBucketTaggingCommand({ Bucket }))).TagSet, [{ Key: "team", Value: "js" }]);
  },

  async "object lock"() {
    const s3 = client();
    const Bucket = await newBucket(s3, { ObjectLockEnabledForBucket: true });
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3600000);
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: until }));
    const kept = await s3.send(new GetObjectRetentionCommand({ Bucket, Key: "k" }));
    assert.deepEqual([kept.Retention.Mode, kept.Retention.RetainUntilDate], ["GOVERNANCE", until]);
    await refused("AccessDenied", 403, s3.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId })));
    await s3.send(new PutObjectLegalHoldCommand({ Bucket, Key: "k", LegalHold: { Status: "ON" } }));
    assert.equal((await s3.send(new GetObjectLegalHoldCommand({ Bucket, Key: "k" }))).LegalHold.Status, "ON");
    await refused("AccessDenied", 403, s3.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId, BypassGovernanceRetention: true })));
    await s3.send(new PutObjectLegalHoldCommand({ Bucket, Key: "k", LegalHold: { Status: "OFF" } }));
    const shorter = { Mode: "GOVERNANCE", RetainUntilDate: new Date(until - 60000) };
    await refused("AccessDenied", 403, s3.send(new PutObjectRetentionCommand({ Bucket, Key: "k", Retention: shorter })));
    await s3.send(new DeleteObjectCommand({ Bucket, Key: "k", VersionId, BypassGovernanceRetention: true }));
    const rule = { DefaultRetention: { Mode: "GOVERNANCE", Years: 1 } };
    await s3.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration: { ObjectLockEnabled: "Enabled", Rule: rule } }));
    assert.deepEqual((await s3.send(new GetObjectLockConfigurationCommand({ Bucket }))).ObjectLockConfiguration.Rule, rule);
    await new Upload({ client: s3, params: { Bucket, Key: "k", Body: content("locked", 6 * MiB) } }).done();
    assert.equal((await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }))).ObjectLockMode, "GOVERNANCE");
  },

  async attributes() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await new Upload({ client: s3, params: { Bucket, Key: "k", Body: content("parts", 11 * MiB) } }).done();
    const got = await s3.send(new GetObjectAttributesCommand({ Bucket, Key: "k", ObjectAttributes: ["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"] }));
    assert.deepEqual([got.ObjectSize, got.StorageClass, got.ObjectParts.TotalPartsCount], [11 * MiB, "STANDARD", 3]);
    assert.match(got.ETag, /^[0-9a-f]{32}-3$/);
    assert.deepEqual([got.Checksum.ChecksumType, got.ObjectParts.Parts.map((p) => p.Size)], ["COMPOSITE", [5 * MiB, 5 * MiB, MiB]]);
  },

  async "a page of another origin"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const CORSRules = [{ AllowedOrigins: ["https://*.example"], AllowedMethods: ["GET", "PUT"], AllowedHeaders: ["*"], ExposeHeaders: ["ETag"], MaxAgeSeconds: 60 }];
    await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    assert.deepEqual((await s3.send(new GetBucketCorsCommand({ Bucket }))).CORSRules, CORSRules);
    const headers = { Origin: "https://app.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-meta-a,content-type" };
    const preflight = await fetch(`${endpoint}/${Bucket}/k`, { method: "OPTIONS", headers });
    assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-origin")], [200, "https://app.example"]);
    assert.match(preflight.headers.get("vary"), /Origin/);
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "k" }));
    const answer = await fetch(url, { method: "PUT", body: "x", headers: { Origin: "https://app.example" } });
    assert.deepEqual([answer.status, answer.headers.get("access-control-expose-headers")], [200, "ETag"]);
  },

  async "posted forms"() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const body = content("posted", MiB);
    const submit = async (post, bytes, extra = {}) => {
      const form = new FormData();
      for (const [name, value] of Object.entries({ ...post.fields, ...extra })) form.append(name, value);
      form.append("file", new Blob([bytes]), "a photo ü.jpg");
      return fetch(post.url, { method: "POST", body: form, redirect: "manual" });
    };
    const Conditions = [["content-length-range", 1, 2 * MiB], ["starts-with", "$Content-Type", "image/"], { success_action_status: "201" }];
    const Fields = { "Content-Type": "image/jpeg", success_action_status: "201" };
    const post = await createPresignedPost(s3, { Bucket, Key: "in/${filename}", Conditions, Fields, Expires: 60 });
    const answer = await submit(post, body);
    const text = await answer.text();
    assert.equal(answer.status, 201, text);
    assert.match(text, /<Key>in\/a photo ü\.jpg<\/Key>/);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "in/a photo ü.jpg" }));
    assert.deepEqual([got.ContentType, got.ETag], ["image/jpeg", etagOf(body)]);
    sameBytes(await bytesOf(got), body, "posted");
    for (const [bytes, extra, status, code] of [
      [content("too large", 2 * MiB + 1), {}, 400, "EntityTooLarge"], [Buffer.alloc(0), {}, 400, "EntityTooSmall"], [body, { "Content-Type": "text/html" }, 403, "AccessDenied"],
      [body, { Policy: "e30=" }, 403, "SignatureDoesNotMatch"],
    ]) {
      const refusal = await submit(post, bytes, extra);
      const why = await refusal.text();
      assert.equal(refusal.status, status, why);
      assert.match(why, new RegExp(`<Code>${code}</Code>`));
    }
  },
});
