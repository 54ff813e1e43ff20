package s3api

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"tdkvs/master/meta"
	"tdkvs/s3api/s3err"
)

// createBucket serves CreateBucket. An existing bucket of one's own is 409
// BucketAlreadyOwnedByYou: AWS answers so in every region but us-east-1, where it
// is 200 for old times' sake, and clients (minio-go's makeBucket tests, Ceph's
// s3-tests) expect the 409 or take both.
func (h *handler) createBucket(ctx context.Context, r *Request) (*Response, error) {
	if !validBucketName(r.Bucket) {
		return nil, s3err.Of(s3err.InvalidBucketName)
	}
	if err := r.checkNewBucket(); err != nil {
		return nil, err
	}
	locked, err := h.wantsLock(ctx, r)
	if err != nil {
		return nil, err
	}
	wish, err := h.readBucketWish(ctx, r)
	if err != nil {
		return nil, err
	}
	b := meta.Bucket{Name: r.Bucket, Created: h.cfg.Now().UTC().Truncate(1e6), Owner: r.Identity.UserID, Region: h.cfg.Region}
	if locked {
		b.Versioning, b.Lock.Enabled = meta.VersioningEnabled, true
	}
	err = h.cfg.Backend.CreateBucket(ctx, b)
	if isKind(err, meta.KindBucketExists) {
		if b, lookup := h.cfg.Backend.Bucket(ctx, r.Bucket); lookup == nil && b.Owner != r.Identity.UserID {
			return nil, s3err.Of(s3err.BucketAlreadyExists)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := h.furnish(ctx, r, wish); err != nil {
		return nil, err
	}
	resp := new(Response)
	resp.set("Location", "/"+r.Bucket)
	resp.set("x-amz-bucket-arn", bucketARN(r.Bucket))
	return resp, nil
}

// checkNewBucket refuses headers of CreateBucket that ask for what there is not.
func (r *Request) checkNewBucket() error {
	if err := checkACL(r); err != nil {
		return err
	}
	switch v := r.header("X-Amz-Object-Ownership"); v {
	case "":
		return nil
	case ownerEnforced:
		if acl := r.header("X-Amz-Acl"); acl != "" && acl != "private" {
			return &s3err.Error{Code: "InvalidBucketAclWithObjectOwnership", Status: http.StatusBadRequest,
				Message: "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"}
		}
		return nil
	case ownerPreferred, objectWriter:
		return notImplemented("x-amz-object-ownership", "")
	default:
		return s3err.New(s3err.InvalidArgument, "Invalid x-amz-object-ownership header: "+v).With("ArgumentName", "x-amz-object-ownership")
	}
}

// bucketWish is the body of CreateBucket.
type bucketWish struct {
	constraint string
	tags       []tag
}

// readBucketWish reads and checks the body of CreateBucket, which may be missing.
// Tags need a permission of their own. Source: AWS CreateBucket.
func (h *handler) readBucketWish(ctx context.Context, r *Request) (bucketWish, error) {
	var wish bucketWish
	_, err := h.readXML(r, digestOptional, "CreateBucketConfiguration", func(x *reader) error {
		return x.children(func(name string) error {
			var err error
			switch name {
			case "LocationConstraint":
				wish.constraint, err = x.text()
				wish.constraint = strings.TrimSpace(wish.constraint)
			case "Tags":
				wish.tags, err = readTags(x)
			case "Location", "Bucket":
				err = notImplemented("CreateBucketConfiguration/"+name, "")
			default:
				err = unexpected(name)
			}
			return err
		})
	})
	if err != nil {
		return wish, err
	}
	if err := h.checkLocation(wish.constraint); err != nil {
		return wish, err
	}
	if len(wish.tags) == 0 {
		return wish, nil
	}
	if err := checkNewBucketTags(wish.tags); err != nil {
		return wish, err
	}
	return wish, h.authorize(ctx, r, Access{Permission: "s3:TagResource", Bucket: r.Bucket})
}

// furnish keeps the documents that a new bucket comes with.
func (h *handler) furnish(ctx context.Context, r *Request, wish bucketWish) error {
	if len(wish.tags) > 0 {
		if err := bucketTags().keep(ctx, h, r.Bucket, wish.tags); err != nil {
			return err
		}
	}
	if ownership := r.header("X-Amz-Object-Ownership"); ownership != "" {
		return ownershipControls().keep(ctx, h, r.Bucket, ownership)
	}
	return nil
}

// checkLocation compares a LocationConstraint with this store's region. None is
// taken for it, as on the one endpoint that a small store has; so is the name
// us-east-1, which AWS wants to be left out.
func (h *handler) checkLocation(constraint string) error {
	switch {
	case constraint == "", constraint == h.cfg.Region, constraint == "EU" && h.cfg.Region == "eu-west-1":
		return nil
	case regionName().MatchString(constraint):
		return s3err.New(s3err.IllegalLocationConstraintException,
			"The "+constraint+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	return s3err.Of(s3err.InvalidLocationConstraint).With("LocationConstraint", constraint)
}

func regionName() *regexp.Regexp { return regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`) }

// headBucket serves HeadBucket.
func (h *handler) headBucket(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	resp := &Response{contentType: "application/xml"}
	resp.set("x-amz-bucket-region", h.regionOf(b))
	resp.set("x-amz-access-point-alias", "false")
	resp.set("x-amz-bucket-arn", bucketARN(r.Bucket))
	return resp, nil
}

// bucketARN is how IAM names a bucket.
func bucketARN(name string) string { return "arn:aws:s3:::" + name }

// deleteBucket serves DeleteBucket.
func (h *handler) deleteBucket(ctx context.Context, r *Request) (*Response, error) {
	err := h.cfg.Backend.DeleteBucket(ctx, r.Bucket)
	if isKind(err, meta.KindBucketNotEmpty) {
		b, again := h.cfg.Backend.Bucket(ctx, r.Bucket)
		if again == nil && b.Versioning != meta.Unversioned {
			return nil, s3err.New(s3err.BucketNotEmpty, "The bucket you tried to delete is not empty. You must delete all versions in the bucket.").Wrap(err)
		}
	}
	return new(Response), err
}

// getBucketLocation serves GetBucketLocation, where us-east-1 is an empty
// element.
func (h *handler) getBucketLocation(ctx context.Context, r *Request) (*Response, error) {
	b, err := h.cfg.Backend.Bucket(ctx, r.Bucket)
	if err != nil {
		return nil, err
	}
	doc := new(document)
	doc.root("LocationConstraint")
	if region := h.regionOf(b); region != DefaultRegion {
		doc.b = appendText(doc.b, region)
	}
	doc.close("LocationConstraint")
	return &Response{doc: doc}, nil
}

// regionOf returns a bucket's region. A bucket that was made by other means than
// S3 may have none.
func (h *handler) regionOf(b meta.Bucket) string {
	if b.Region != "" {
		return b.Region
	}
	return h.cfg.Region
}

// maxBuckets is how many buckets one page of ListBuckets may have.
const maxBuckets = 10000

// listBuckets serves ListBuckets. Without max-buckets it gives up to 10,000, as
// on AWS.
func (h *handler) listBuckets(ctx context.Context, r *Request) (*Response, error) {
	limit := maxBuckets
	if s, ok := r.query["max-buckets"]; ok {
		n, err := strconv.Atoi(s[0])
		if err != nil || n < 1 || n > maxBuckets {
			return nil, s3err.Argument("Argument max-buckets must be an integer between 1 and 10000.", "max-buckets", s[0])
		}
		limit = n
	}
	after, err := r.continuation()
	if err != nil {
		return nil, err
	}
	buckets, truncated, err := h.collectBuckets(ctx, r, after, limit)
	if err != nil {
		return nil, err
	}
	doc := h.page()
	doc.root("ListAllMyBucketsResult")
	doc.owner("Owner", r.Identity)
	doc.open("Buckets")
	for _, b := range buckets {
		doc.open("Bucket")
		doc.text("Name", b.Name)
		doc.time("CreationDate", b.Created)
		doc.text("BucketRegion", h.regionOf(b))
		doc.close("Bucket")
	}
	doc.close("Buckets")
	if truncated {
		doc.text("ContinuationToken", continuationToken(buckets[len(buckets)-1].Name))
	}
	doc.optional("Prefix", r.param("prefix"))
	doc.close("ListAllMyBucketsResult")
	return &Response{doc: doc}, nil
}

// collectBuckets reads up to limit buckets with the prefix, and in the region
// where one is asked for, and whether there are more.
func (h *handler) collectBuckets(ctx context.Context, r *Request, after string, limit int) ([]meta.Bucket, bool, error) {
	region := r.param("bucket-region")
	var found []meta.Bucket
	for {
		page, err := h.cfg.Backend.ListBuckets(ctx, meta.BucketsRequest{Prefix: r.param("prefix"), After: after, Limit: maxKeys})
		if err != nil {
			return nil, false, err
		}
		for _, b := range page.Buckets {
			if region != "" && h.regionOf(b) != region {
				continue
			}
			if len(found) == limit {
				return found, true, nil
			}
			found = append(found, b)
		}
		if !page.Truncated || len(page.Buckets) == 0 {
			return found, false, nil
		}
		after = page.Buckets[len(page.Buckets)-1].Name
	}
}
