package main

import (
	"cmp"
	"errors"
	"flag"
	"io"
	"os"
	"strings"

	"tdkvs/backup"
	"tdkvs/s3api/sigv4"
)

// Where the credentials of a bucket with backups are found: as every tool for S3
// finds them.
const (
	envAWSKey      = "AWS_ACCESS_KEY_ID"
	envAWSSecret   = "AWS_SECRET_ACCESS_KEY"
	envAWSToken    = "AWS_SESSION_TOKEN"
	envAWSRegion   = "AWS_REGION"
	envAWSEndpoint = "AWS_ENDPOINT_URL"
)

// bucketFlags say where a bucket with backups is.
type bucketFlags struct{ endpoint, region string }

func (f *bucketFlags) declare(flags *flag.FlagSet) {
	flags.StringVar(&f.endpoint, "s3-endpoint", "", "the `url` of what serves s3:// (default "+envAWSEndpoint+", else Amazon); its keys are "+envAWSKey+" and "+envAWSSecret)
	flags.StringVar(&f.region, "s3-region", "", "the `region` of the bucket of s3:// (default "+envAWSRegion+", else us-east-1)")
}

func bucketFlagNames() []string { return []string{"s3-endpoint", "s3-region"} }

// openedPlace is a place with backups that may have to be closed.
type openedPlace struct {
	backup.Place
	close func() error
}

// readPlace opens a place to read from it.
func (f *bucketFlags) readPlace(name string, env lookupEnv) (openedPlace, error) {
	switch {
	case name == "-":
		return openedPlace{}, misusef("a backup is read from a file, a directory or a bucket, not from the input")
	case strings.HasPrefix(name, "s3://"):
		return f.bucket(name, env)
	case isFile(name):
		a, err := backup.OpenArchive(name)
		if err != nil {
			return openedPlace{}, err
		}
		return openedPlace{a, a.Close}, nil
	}
	return openedPlace{backup.NewDir(name), noClose}, nil
}

func noClose() error { return nil }

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// writePlace opens the place that a backup is to be written to. end says how it
// went, and what it returns is the last that can fail.
func (f *bucketFlags) writePlace(name string, env lookupEnv, stdout io.Writer) (p backup.Place, end func(error) error, err error) {
	var archive *backup.ArchiveWriter
	switch {
	case name == "-":
		archive = backup.NewStream(stdout, "the output")
	case strings.HasPrefix(name, "s3://"):
		opened, err := f.bucket(name, env)
		return opened.Place, asItIs, err
	case strings.HasSuffix(name, ".tar"):
		if archive, err = backup.NewFile(name); err != nil {
			return nil, nil, err
		}
	case isFile(name):
		return nil, nil, misusef("%s is a file: a backup goes to a new file that ends in .tar, a directory, s3://bucket/prefix or -", name)
	default:
		return backup.NewDir(name), asItIs, nil
	}
	return archive, func(failed error) error {
		if failed != nil {
			return errors.Join(failed, archive.Abandon())
		}
		return archive.Finish()
	}, nil
}

func asItIs(err error) error { return err }

// bucket opens s3://bucket/prefix.
func (f *bucketFlags) bucket(name string, env lookupEnv) (openedPlace, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(name, "s3://"), "/")
	if bucket == "" {
		return openedPlace{}, misusef("%s names no bucket: want s3://bucket/prefix", name)
	}
	get := func(key string) string {
		v, _ := env(key)
		return v
	}
	region := cmp.Or(f.region, get(envAWSRegion), "us-east-1")
	cfg := backup.S3Config{
		Endpoint: cmp.Or(f.endpoint, get(envAWSEndpoint), "https://s3."+region+".amazonaws.com"),
		Bucket:   bucket, Prefix: strings.Trim(prefix, "/"), Region: region,
		Credentials: sigv4.Credentials{AccessKey: get(envAWSKey), SecretKey: get(envAWSSecret), Token: get(envAWSToken)},
	}
	if (cfg.AccessKey == "") != (cfg.SecretKey == "") {
		return openedPlace{}, misusef("set both %s and %s, or neither", envAWSKey, envAWSSecret)
	}
	p, err := backup.NewS3(cfg)
	if err != nil {
		return openedPlace{}, misusef("%v", err)
	}
	return openedPlace{p, noClose}, nil
}

// readPlaces opens places to read from; what was opened is closed by end.
func (f *bucketFlags) readPlaces(names []string, env lookupEnv) (places []backup.Place, end func(), err error) {
	var opened []openedPlace
	end = func() {
		for _, p := range opened {
			_ = p.close() // it was only read
		}
	}
	for _, name := range names {
		p, err := f.readPlace(name, env)
		if err != nil {
			end()
			return nil, nil, err
		}
		opened, places = append(opened, p), append(places, p.Place)
	}
	return places, end, nil
}
