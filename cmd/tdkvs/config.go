package main

import (
	"path/filepath"
	"time"

	"tdkvs/master"
	"tdkvs/master/meta"
)

// The comments of the fields below are the reference: the tables of
// docs/operations.md are made from them and from the defaults.

// serverConfig is the optional configuration file of "tdkvs server".
type serverConfig struct {
	addressConfig
	// The directories, each of which becomes a volume; the metadata and the
	// credentials lie in the first. A new one joins those of earlier starts, and
	// gets its share of the data. An entry is a path, or settings of its own.
	// Directories on the command line take the place of this list.
	Dirs []dirEntry `yaml:"dirs"`
	frontConfig
	storeConfig
	diskConfig
	blobConfig
	metricsConfig
	logConfig
}

// masterConfig is the configuration file of "tdkvs master".
type masterConfig struct {
	addressConfig
	// The volume processes, as http://host:port, in any order. Required. Those of
	// the first start are recorded: every later start must name them all. A new,
	// empty one joins, and gets its share of the data; `tdkvs admin` adds and
	// deletes them while the store runs. An entry is a URL, or settings of its own.
	Volumes []volumeEntry `yaml:"volumes"`
	// The directory of the metadata. It is made when it is missing.
	Data string `yaml:"data"`
	clusterConfig
	// How long a start waits for volumes that can not be reached yet, before it
	// gives up.
	VolumeWait time.Duration `yaml:"volume_wait"`
	frontConfig
	storeConfig
	diskConfig
	metricsConfig
	logConfig
}

// volumeEntry is one volume process of the list.
type volumeEntry struct {
	// Where it is, as http://host:port.
	URL string `yaml:"url"`
	placeConfig
}

// dirEntry is one directory of the list.
type dirEntry struct {
	// The directory. It is made when it is missing.
	Path string `yaml:"path"`
	placeConfig
}

// placeConfig is the part of a volume in the store.
type placeConfig struct {
	// The name of what fails together with it, such as a rack: copies and shards
	// are put in different zones as far as there are enough. Where it is not given,
	// what is recorded stays.
	Zone *string `yaml:"zone"`
	// Its share of the data beside the others', from 1 to 64. Where it is not given,
	// what is recorded stays; a new volume gets 1.
	Weight int `yaml:"weight"`
}

// volumeConfig is the configuration file of "tdkvs volume".
type volumeConfig struct {
	addressConfig
	// The directory that holds the volume. Required. It is made when it is
	// missing.
	Path string `yaml:"path"`
	clusterConfig
	diskConfig
	blobConfig
	metricsConfig
	logConfig
}

// addressConfig says where a process listens, and how it stops.
type addressConfig struct {
	// The TCP port to listen on, on every interface, from 1 to 65535. Either
	// this or `listen`.
	Port int `yaml:"port"`
	// The address to listen on, as host:port. Either this or `port`.
	Listen string `yaml:"listen"`
	// How long requests in flight may take to finish when the process is told
	// to end.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
}

// clusterConfig is what a master and its volumes share.
type clusterConfig struct {
	// The secret that the master and its volumes share, at least 8 characters.
	// Without it a volume serves only clients on its own machine.
	ClusterSecret string `yaml:"cluster_secret"`
}

// frontConfig is about the process that serves clients.
type frontConfig struct {
	// The root credentials: `access_key` of 3 to 128 characters and
	// `secret_key` of 8 to 128. The environment variables `TDKVS_ACCESS_KEY` and
	// `TDKVS_SECRET_KEY` take their place.
	Credentials credentialsConfig `yaml:"credentials"`
	// The region that clients sign for and buckets report.
	Region string `yaml:"region"`
	// Domain names under which a bucket may be the first label of the host
	// (virtual-host style): with s3.example.com, photos.s3.example.com is the
	// bucket photos.
	Domains []string `yaml:"domains"`
	// How long a client may take to send 16 KiB of a body, or to take what one
	// write sends it, before its connection is closed.
	ClientTimeout time.Duration `yaml:"client_timeout"`
}

// credentialsConfig is one pair of keys.
type credentialsConfig struct {
	// The access key, which names the root identity.
	AccessKey string `yaml:"access_key"`
	// The secret key, which proves it.
	SecretKey string `yaml:"secret_key"`
}

// storeConfig is about the engine.
type storeConfig struct {
	// How long the bytes of a replaced or deleted object are kept before they
	// are removed, so that reads under way can finish.
	GarbageGrace time.Duration `yaml:"garbage_grace"`
	// How long blobs that nothing names, as a crash leaves them, are kept after they
	// were found. It is the time there is to put metadata back that was restored from
	// a copy too old.
	LeftoverGrace time.Duration `yaml:"leftover_grace"`
	// How many copies of each object are kept, on different volumes, from 1 to 8. It
	// is applied at a start where it differs from what the file said before; until
	// then a change by `tdkvs admin replicas` holds. Where it is not given, what is
	// recorded stays, which is 1 in a new store.
	Replicas int `yaml:"replicas"`
	// On how many volumes the metadata is journalled, from 1 to 4: each commit is
	// there before it is acknowledged, so that the metadata can be rebuilt from the
	// volumes where its own directory is lost. Where it is not given, it is 2, and 3
	// with three replicas or more. 0 keeps no journal: there is no way back then but a
	// backup.
	MetadataCopies *int `yaml:"metadata_copies"`
	// What a storage class of S3 means here, by its name: the erasure code of the
	// large objects in it, such as 4+2 for 4 shards of data and 2 of parity, or
	// settings of its own. In STANDARD it is that of all objects without another
	// class. A name that S3 does not know is one of your own, of capital letters,
	// digits and _.
	StorageClasses map[string]classConfig `yaml:"storage_classes"`
	// The memory for the bodies of requests, half of it for writes and half for
	// reads. A write of one copy takes 176 KiB of it, one of several 192 KiB and
	// 112 KiB for each, one of shards 64 KiB and 176 KiB for each; a read 96 KiB, one
	// of shards 224 KiB for each shard of data. Requests beyond it wait, up to 30
	// seconds, and are then told to come again. The process takes about twice as
	// much in all.
	BodyMemory byteSize `yaml:"body_memory"`
}

// classConfig is what a storage class means.
type classConfig struct {
	// The shards of data and of parity, each on a volume of its own: 4+2 is read
	// from any 4 of 6.
	Code meta.Code `yaml:"code"`
	// Objects and parts below this size are kept as copies, one more than there are
	// shards of parity.
	MinSize byteSize `yaml:"min_size"`
}

// diskConfig is about the directories of a process.
type diskConfig struct {
	// The space that is kept free on each disk: writes are refused below it, and
	// taken again above it. 0 means none. Where it is not given, it is 1 % of the
	// disk, at least 256 MiB, and never above 10 %.
	DiskReserve *byteSize `yaml:"disk_reserve"`
}

// blobConfig is about the bytes of volumes in this process.
type blobConfig struct {
	// How many bytes a second a volume re-reads in the background, round after round,
	// to find damage before a client does. 0 means that it does not. Where it is not
	// given, every byte is read once in 14 days, at 1 MiB a second or, on a volume of
	// more than 1 TB, as fast as that takes.
	ScrubRate *byteSize `yaml:"scrub_rate"`
	// How many bytes a second a volume reads at most to win back the space of
	// deleted objects. 0 means no bound.
	CompactRate byteSize `yaml:"compact_rate"`
}

// metricsConfig says who sees the metrics, at /-/metrics.
type metricsConfig struct {
	// The token that Prometheus shows (authorization: credentials) to read /-/metrics,
	// at least 8 characters. Without it a master or server shows them to requests that
	// are signed with the root credentials, and a volume, where it has no
	// cluster_secret, to clients on its own machine.
	MetricsToken string `yaml:"metrics_token"`
}

// logConfig is about the log, which goes to standard error.
type logConfig struct {
	// How the process logs.
	Log logSettings `yaml:"log"`
}

// logSettings are the settings of the log.
type logSettings struct {
	// `text` or `json`.
	Format string `yaml:"format"`
	// The least severe level to log: `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`
}

const (
	defaultServerListen = "127.0.0.1:3000"
	defaultServerDir    = "./data"
	defaultMasterData   = "./tdkvs-master"
	defaultShutdown     = 30 * time.Second
)

func defaultServer() serverConfig {
	return serverConfig{
		addressConfig: addressConfig{Listen: defaultServerListen, ShutdownTimeout: defaultShutdown},
		Dirs:          []dirEntry{{Path: defaultServerDir}},
		frontConfig:   defaultFront(),
		storeConfig:   defaultStore(),
		blobConfig:    defaultBlob(),
		logConfig:     defaultLog(),
	}
}

func defaultMaster() masterConfig {
	return masterConfig{
		addressConfig: addressConfig{ShutdownTimeout: defaultShutdown},
		Data:          defaultMasterData,
		VolumeWait:    30 * time.Second,
		frontConfig:   defaultFront(),
		storeConfig:   defaultStore(),
		logConfig:     defaultLog(),
	}
}

func defaultVolume() volumeConfig {
	return volumeConfig{
		addressConfig: addressConfig{ShutdownTimeout: defaultShutdown},
		blobConfig:    defaultBlob(), logConfig: defaultLog(),
	}
}

func defaultFront() frontConfig {
	return frontConfig{Region: "us-east-1", ClientTimeout: time.Minute}
}

func defaultStore() storeConfig {
	return storeConfig{GarbageGrace: 10 * time.Minute, LeftoverGrace: master.DefaultLeftoverGrace, BodyMemory: 2 * master.DefaultMemory}
}

func defaultBlob() blobConfig {
	return blobConfig{CompactRate: 64 << 20}
}

func defaultClass() classConfig {
	return classConfig{MinSize: 1 << 20}
}

func defaultLog() logConfig {
	return logConfig{Log: logSettings{Format: "text", Level: "info"}}
}

// loadServer reads the file of the role server; without one, the defaults hold.
// Directories that are given take the place of the file's.
func loadServer(file string, dirs []string) (serverConfig, error) {
	cfg := defaultServer()
	doc := newDocument(file)
	if file != "" {
		doc = decodeFile(file, &cfg)
	}
	if len(doc.problems) > 0 {
		return cfg, doc.err()
	}
	if doc.has("port") && !doc.has("listen") {
		cfg.Listen = ""
	}
	if doc.has("port") || doc.has("listen") {
		cfg.checkAddress(doc)
	}
	cfg.checkDirs(doc)
	if len(dirs) > 0 {
		cfg.Dirs = entriesOf(dirs)
	}
	if len(cfg.Dirs) == 0 {
		return cfg, doc.err()
	}
	cfg.frontConfig.check(doc)
	cfg.storeConfig.check(doc, len(cfg.Dirs), !isDir(filepath.Join(cfg.Dirs[0].Path, metadataDir)))
	cfg.metricsConfig.check(doc)
	cfg.logConfig.check(doc)
	return cfg, doc.err()
}

// loadMaster reads and checks the file of the role master.
func loadMaster(file string) (masterConfig, error) {
	cfg := defaultMaster()
	doc := decodeFile(file, &cfg)
	if len(doc.problems) > 0 {
		return cfg, doc.err()
	}
	cfg.checkAddress(doc)
	cfg.checkVolumes(doc)
	cfg.clusterConfig.check(doc)
	cfg.frontConfig.check(doc)
	cfg.storeConfig.check(doc, len(cfg.Volumes), !isDir(cfg.Data))
	cfg.metricsConfig.check(doc)
	cfg.logConfig.check(doc)
	if cfg.Data == "" {
		doc.rejectf("data", "is empty: want a directory")
	}
	return cfg, doc.err()
}

// loadVolume reads and checks the file of the role volume.
func loadVolume(file string) (volumeConfig, error) {
	cfg := defaultVolume()
	doc := decodeFile(file, &cfg)
	if len(doc.problems) > 0 {
		return cfg, doc.err()
	}
	cfg.checkAddress(doc)
	if cfg.Path == "" {
		if doc.has("path") {
			doc.rejectf("path", "is empty: want a directory")
		} else {
			doc.failf(0, "path is missing: name the directory that holds the volume")
		}
	}
	cfg.clusterConfig.check(doc)
	cfg.metricsConfig.check(doc)
	cfg.logConfig.check(doc)
	return cfg, doc.err()
}
