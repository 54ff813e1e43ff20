// The SDK's error classes, and what they carry.
"use strict";

const {
  BucketAlreadyOwnedByYou, CreateBucketCommand, DeleteBucketCommand, GetBucketCorsCommand, GetBucketPolicyCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand,
  ListBucketsCommand, ListObjectsV2Command, NoSuchBucket, NoSuchKey, NotFound, PutObjectCommand, S3ServiceException, SelectObjectContentCommand,
} = require("@aws-sdk/client-s3");
const { assert, client, group, keys, newBucket, refused, region } = require("./harness");

group("errors", {
  async classes() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    const error = await refused("NoSuchKey", 404, s3.send(new GetObjectCommand({ Bucket, Key: "a/b" })));
    assert.ok(error instanceof NoSuchKey && error instanceof S3ServiceException);
    assert.equal(error.Key, "a/b");
    assert.equal(error.message, "The specified key does not exist.");
    assert.ok(error.$metadata.requestId && error.$metadata.extendedRequestId, JSON.stringify(error.$metadata));
    await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: "a/b" })), NotFound);
    await assert.rejects(s3.send(new HeadBucketCommand({ Bucket: "js-no-such-bucket" })), NotFound);
    await assert.rejects(s3.send(new ListObjectsV2Command({ Bucket: "js-no-such-bucket" })), NoSuchBucket);
    await assert.rejects(s3.send(new CreateBucketCommand({ Bucket })), BucketAlreadyOwnedByYou);
  },

  async codes() {
    const s3 = client();
    const Bucket = await newBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }));
    await refused("BucketNotEmpty", 409, s3.send(new DeleteBucketCommand({ Bucket })));
    await refused("InvalidBucketName", 400, s3.send(new CreateBucketCommand({ Bucket: "Not_A_Bucket" })));
    await refused("NoSuchBucketPolicy", 404, s3.send(new GetBucketPolicyCommand({ Bucket })));
    await refused("NoSuchCORSConfiguration", 404, s3.send(new GetBucketCorsCommand({ Bucket })));
    await refused("KeyTooLongError", 400, s3.send(new PutObjectCommand({ Bucket, Key: "x".repeat(1025), Body: "x" })));
    await refused("MetadataTooLarge", 400, s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", Metadata: { a: "x".repeat(2100) } })));
    const select = { Expression: "select * from s3object", ExpressionType: "SQL", InputSerialization: { CSV: {} }, OutputSerialization: { CSV: {} } };
    await refused("NotImplemented", 501, s3.send(new SelectObjectContentCommand({ Bucket, Key: "k", ...select })));
  },

  async credentials() {
    await refused("InvalidAccessKeyId", 403, client({ credentials: { accessKeyId: "AKNOBODY", secretAccessKey: "x" } }).send(new ListBucketsCommand({})));
    await refused("SignatureDoesNotMatch", 403, client({ credentials: { ...keys, secretAccessKey: "wrong" } }).send(new ListBucketsCommand({})));
    const elsewhere = await refused("AuthorizationHeaderMalformed", 400, client({ region: "us-west-2" }).send(new ListBucketsCommand({})));
    assert.equal(elsewhere.Region, region);
  },
});
