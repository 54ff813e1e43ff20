// Package compattests holds black-box tests of tdkvs. They build the binary, run it as somebody would (one process with
// "tdkvs server", or a master and three volume processes from configuration files), and talk to it over the wire with
// the clients that people use: the AWS SDKs for Go, Python (folder boto3) and JavaScript (folder js), the MinIO SDK, the aws
// CLI, curl, s3cmd, rclone, restic, s3fs and Terraform's state store; what completes its command line in fish and zsh is typed
// into these. They import no other package of this module, so nothing
// here can know more than a user does; a test checks that.
//
// Every client test runs against both deployments. A client that is not installed fails its test: install-tools.sh, in
// this folder, installs them all on Debian.
//
// The default run is sized for CI. Environment variables make it long:
//
//	TDKVS_BINARY            test this binary instead of building one
//	TDKVS_BUILD_RACE=1      build the binary with the race detector
//	TDKVS_SEED              repeat the random choices of an earlier run, which printed its seed
//	TDKVS_CRASH_ROUNDS      rounds of SIGKILL under writes, per deployment (default 5)
//	TDKVS_FAILPOINT_KILLS   kills at every point in the code that is made for that, per deployment (default: some points once)
//	TDKVS_FAILPOINT_ONLY    what the names of the points must contain
//	TDKVS_LINEAR_ROUNDS     rounds of contending clients and one SIGKILL, per deployment and kind of bucket (default 2)
//	TDKVS_FAULT_CONTESTS    the same while everything goes wrong that can, per number of copies, each with a seed of its own (default 2)
//	TDKVS_FAULT_STEPS       requests of each of 16 clients in one of them (default 60)
//	TDKVS_RACE_ROUNDS       rounds of 32 writers on one key (default 20)
//	TDKVS_FLIP_ROUNDS       bytes flipped in data files, per deployment (default 6)
//	TDKVS_BIG_MIB           size of the big object (default 64)
//	TDKVS_MEMORY_PARTS      parts of 5 MiB of the object that is completed in the memory test (default 20)
//	TDKVS_MEMORY_DELETIONS  objects in each of 32 DeleteObjects at once (default 200, at most 1000)
//	TDKVS_MEMORY_CLIENTS    clients that each send, and then ask for, 1 MiB at once (default 256)
//	TDKVS_VERSIONS          versions of the key that has many (default 2000)
//	TDKVS_GROW_OBJECTS      objects while a volume comes, or goes, under load (default 2000)
//	TDKVS_HEAL_OBJECTS      objects in three copies while volumes fail (default 150; 40, or a fourth, while bytes are flipped)
//	TDKVS_CODED_OBJECTS     large objects as shards of 4+2 while any two volumes are away (default 6)
//	TDKVS_MOVE_MIB          what moves while the rebalance is timed, of small and of large objects (default 16)
//	TDKVS_YIELD_MIB         what there is to be spread while clients' latencies are measured, of small and of large objects (default 8)
//	TDKVS_POWER_CUTS        disks that a power cut may have left, per deployment and file system (default 12)
//	TDKVS_POWER_SECONDS     how long the store is at work on the disk that is recorded (default 2)
//	TDKVS_MANY_OBJECTS      number of small objects (default 5000)
package compattests
