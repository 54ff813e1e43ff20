package s3err

// The codes, as AWS "Error responses: list of error codes" names them, and a
// few that AWS answers without listing them.
const (
	AccessControlListNotSupported        = "AccessControlListNotSupported"
	AccessDenied                         = "AccessDenied"
	AccessForbidden                      = "AccessForbidden" // CORS: not allowed
	AuthorizationHeaderMalformed         = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError    = "AuthorizationQueryParametersError"
	BadDigest                            = "BadDigest"
	BadRequest                           = "BadRequest"
	BucketAlreadyExists                  = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou              = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                       = "BucketNotEmpty"
	ConditionalRequestConflict           = "ConditionalRequestConflict"
	EntityTooLarge                       = "EntityTooLarge"
	EntityTooSmall                       = "EntityTooSmall"
	ExpiredToken                         = "ExpiredToken"
	IllegalLocationConstraintException   = "IllegalLocationConstraintException"
	IllegalVersioningConfiguration       = "IllegalVersioningConfigurationException"
	IncompleteBody                       = "IncompleteBody"
	InternalError                        = "InternalError"
	InvalidAccessKeyID                   = "InvalidAccessKeyId"
	InvalidArgument                      = "InvalidArgument"
	InvalidBucketName                    = "InvalidBucketName"
	InvalidBucketState                   = "InvalidBucketState"
	InvalidChunkSizeError                = "InvalidChunkSizeError"
	InvalidDigest                        = "InvalidDigest"
	InvalidEncryptionAlgorithmError      = "InvalidEncryptionAlgorithmError"
	InvalidLocationConstraint            = "InvalidLocationConstraint"
	InvalidObjectState                   = "InvalidObjectState"
	InvalidPart                          = "InvalidPart"
	InvalidPartNumber                    = "InvalidPartNumber"
	InvalidPartOrder                     = "InvalidPartOrder"
	InvalidPolicyDocument                = "InvalidPolicyDocument"
	InvalidRange                         = "InvalidRange"
	InvalidRequest                       = "InvalidRequest"
	InvalidStorageClass                  = "InvalidStorageClass"
	InvalidTag                           = "InvalidTag"
	InvalidToken                         = "InvalidToken"
	InvalidURI                           = "InvalidURI"
	KeyTooLongError                      = "KeyTooLongError"
	MalformedACLError                    = "MalformedACLError"
	MalformedPOSTRequest                 = "MalformedPOSTRequest"
	MalformedPolicy                      = "MalformedPolicy"
	MalformedTrailerError                = "MalformedTrailerError"
	MalformedXML                         = "MalformedXML"
	MaxMessageLengthExceeded             = "MaxMessageLengthExceeded"
	MaxPostPreDataLengthExceededError    = "MaxPostPreDataLengthExceededError"
	MetadataTooLarge                     = "MetadataTooLarge"
	MethodNotAllowed                     = "MethodNotAllowed"
	MissingAuthenticationToken           = "MissingAuthenticationToken"
	MissingContentLength                 = "MissingContentLength"
	MissingRequestBodyError              = "MissingRequestBodyError"
	MissingSecurityHeader                = "MissingSecurityHeader"
	NoSuchBucket                         = "NoSuchBucket"
	NoSuchBucketPolicy                   = "NoSuchBucketPolicy"
	NoSuchCORSConfiguration              = "NoSuchCORSConfiguration"
	NoSuchKey                            = "NoSuchKey"
	NoSuchLifecycleConfiguration         = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration        = "NoSuchObjectLockConfiguration"
	NoSuchTagSet                         = "NoSuchTagSet"
	NoSuchUpload                         = "NoSuchUpload"
	NoSuchVersion                        = "NoSuchVersion"
	NoSuchWebsiteConfiguration           = "NoSuchWebsiteConfiguration"
	NotImplemented                       = "NotImplemented"
	NotModified                          = "NotModified"
	ObjectLockConfigurationNotFoundError = "ObjectLockConfigurationNotFoundError"
	OperationAborted                     = "OperationAborted"
	OwnershipControlsNotFoundError       = "OwnershipControlsNotFoundError"
	PermanentRedirect                    = "PermanentRedirect"
	PreconditionFailed                   = "PreconditionFailed"
	ReplicationConfigurationNotFound     = "ReplicationConfigurationNotFoundError"
	RequestHeaderSectionTooLarge         = "RequestHeaderSectionTooLarge"
	RequestTimeTooSkewed                 = "RequestTimeTooSkewed"
	RequestTimeout                       = "RequestTimeout"
	ServerSideEncryptionNotFound         = "ServerSideEncryptionConfigurationNotFoundError"
	ServiceUnavailable                   = "ServiceUnavailable"
	SignatureDoesNotMatch                = "SignatureDoesNotMatch"
	SlowDown                             = "SlowDown"
	TooManyBuckets                       = "TooManyBuckets"
	TokenRefreshRequired                 = "TokenRefreshRequired"
	UnexpectedContent                    = "UnexpectedContent"
	UnresolvableGrantByEmailAddress      = "UnresolvableGrantByEmailAddress"
	XAmzContentChecksumMismatch          = "XAmzContentChecksumMismatch"
	XAmzContentSHA256Mismatch            = "XAmzContentSHA256Mismatch"
	InsufficientStorage                  = "InsufficientStorage" // ours: the disk reserve is reached
)

type entry struct {
	status  int
	message string
}

// lookup is the table: the HTTP status and the usual message of every code.
func lookup(code string) (entry, bool) {
	e, ok := table[code]
	return e, ok
}

// table is written by nobody.
var table = map[string]entry{
	AccessControlListNotSupported:        {400, "The bucket does not allow ACLs"},
	AccessDenied:                         {403, "Access Denied"},
	AccessForbidden:                      {403, "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."},
	AuthorizationHeaderMalformed:         {400, "The authorization header that you provided is not valid."},
	AuthorizationQueryParametersError:    {400, "The authorization query parameters that you provided are not valid."},
	BadDigest:                            {400, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	BadRequest:                           {400, "Bad Request"},
	BucketAlreadyExists:                  {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketAlreadyOwnedByYou:              {409, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:                       {409, "The bucket you tried to delete is not empty."},
	ConditionalRequestConflict:           {409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	EntityTooLarge:                       {400, "Your proposed upload exceeds the maximum allowed size"},
	EntityTooSmall:                       {400, "Your proposed upload is smaller than the minimum allowed size"},
	ExpiredToken:                         {400, "The provided token has expired."},
	IllegalLocationConstraintException:   {400, "The location constraint is incompatible for the region specific endpoint this request was sent to."},
	IllegalVersioningConfiguration:       {400, "The Versioning element must be specified"},
	IncompleteBody:                       {400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	InsufficientStorage:                  {507, "There is not enough free disk space to store this object."},
	InternalError:                        {500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyID:                   {403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:                      {400, "Invalid Argument"},
	InvalidBucketName:                    {400, "The specified bucket is not valid."},
	InvalidBucketState:                   {409, "The request is not valid with the current state of the bucket."},
	InvalidChunkSizeError:                {403, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:                        {400, "The Content-MD5 you specified was invalid."},
	InvalidEncryptionAlgorithmError:      {400, "The encryption request that you specified is not valid. The valid value is AES256."},
	InvalidLocationConstraint:            {400, "The specified location-constraint is not valid"},
	InvalidObjectState:                   {403, "The operation is not valid for the object's storage class"},
	InvalidPart:                          {400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:                    {416, "The requested partnumber is not satisfiable."},
	InvalidPartOrder:                     {400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	InvalidPolicyDocument:                {400, "The content of the form does not meet the conditions specified in the policy document."},
	InvalidRange:                         {416, "The requested range is not satisfiable"},
	InvalidRequest:                       {400, "Invalid Request"},
	InvalidStorageClass:                  {400, "The storage class you specified is not valid"},
	InvalidTag:                           {400, "The tag provided was not a valid tag."},
	InvalidToken:                         {400, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                           {400, "Couldn't parse the specified URI."},
	KeyTooLongError:                      {400, "Your key is too long"},
	MalformedACLError:                    {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MalformedPOSTRequest:                 {400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedPolicy:                      {400, "Policies must be valid JSON and the first byte must be '{'"},
	MalformedTrailerError:                {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                         {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MaxMessageLengthExceeded:             {400, "Your request was too big."},
	MaxPostPreDataLengthExceededError:    {400, "Your POST request fields preceding the upload file were too large."},
	MetadataTooLarge:                     {400, "Your metadata headers exceed the maximum allowed metadata size"},
	MethodNotAllowed:                     {405, "The specified method is not allowed against this resource."},
	MissingAuthenticationToken:           {403, "Missing Authentication Token"},
	MissingContentLength:                 {411, "You must provide the Content-Length HTTP header."},
	MissingRequestBodyError:              {400, "Request Body is empty"},
	MissingSecurityHeader:                {400, "Your request was missing a required header"},
	NoSuchBucket:                         {404, "The specified bucket does not exist."},
	NoSuchBucketPolicy:                   {404, "The bucket policy does not exist."},
	NoSuchCORSConfiguration:              {404, "The CORS configuration does not exist"},
	NoSuchKey:                            {404, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:         {404, "The lifecycle configuration does not exist"},
	NoSuchObjectLockConfiguration:        {404, "The specified object does not have a ObjectLock configuration."},
	NoSuchTagSet:                         {404, "The TagSet does not exist."},
	NoSuchUpload:                         {404, "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NoSuchVersion:                        {404, "The specified version does not exist."},
	NoSuchWebsiteConfiguration:           {404, "The specified bucket does not have a website configuration"},
	NotImplemented:                       {501, "A header you provided implies functionality that is not implemented."},
	NotModified:                          {304, "Not Modified"},
	ObjectLockConfigurationNotFoundError: {404, "Object Lock configuration does not exist for this bucket."},
	OperationAborted:                     {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFoundError:       {404, "The bucket ownership controls were not found."},
	PermanentRedirect:                    {301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	PreconditionFailed:                   {412, "At least one of the pre-conditions you specified did not hold."},
	ReplicationConfigurationNotFound:     {404, "The replication configuration was not found"},
	RequestHeaderSectionTooLarge:         {400, "Your request header section exceeds the maximum allowed request header size."},
	RequestTimeTooSkewed:                 {403, "The difference between the request time and the current time is too large."},
	RequestTimeout:                       {400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."},
	ServerSideEncryptionNotFound:         {404, "The server side encryption configuration was not found"},
	ServiceUnavailable:                   {503, "Service is unable to handle request."},
	SignatureDoesNotMatch:                {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SlowDown:                             {503, "Please reduce your request rate."},
	TooManyBuckets:                       {400, "You have attempted to create more buckets than allowed"},
	TokenRefreshRequired:                 {400, "The provided token must be refreshed."},
	UnexpectedContent:                    {400, "This request does not support content"},
	UnresolvableGrantByEmailAddress:      {400, "The email address you provided does not match any account on record."},
	XAmzContentChecksumMismatch:          {400, "The provided checksum header does not match what was computed."},
	XAmzContentSHA256Mismatch:            {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}
