#!/bin/sh
# Installs the clients and shells that the black-box tests use and this machine lacks: programs from Debian's archive, and the AWS SDK
# for JavaScript from the npm registry into .cache/js. Quiet and quick when there is nothing to do.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

missing=
want() { # program package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
want aws awscli
want curl curl
want fish fish
want node nodejs
want npm npm
want rclone rclone
want restic restic
want s3cmd s3cmd
want s3fs s3fs
want mkfs.ext4 e2fsprogs
want mkfs.xfs xfsprogs
want losetup mount
want blockdev util-linux
want zsh zsh
/usr/bin/python3 -c 'import boto3' >/dev/null 2>&1 || missing="$missing python3-boto3"

install_packages() {
	[ -n "$missing" ] || return 0
	echo "installing$missing"
	sudo=
	if [ "$(id -u)" -ne 0 ]; then
		sudo=sudo
		command -v sudo >/dev/null 2>&1 || {
			echo "install-tools.sh: not root, and no sudo: install$missing by hand" >&2
			exit 1
		}
	fi
	# shellcheck disable=SC2086  # a list of names
	if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
		tail -20 "$log" >&2
		echo "install-tools.sh: apt-get could not install$missing" >&2
		exit 1
	fi
}

# The copy of the lock file is made last: where it is, the installation is whole.
install_javascript() {
	js=$here/../.cache/js
	! cmp -s "$here/js/package-lock.json" "$js/installed.json" || return 0
	echo "installing the AWS SDK for JavaScript"
	mkdir -p "$js"
	cp "$here/js/package.json" "$here/js/package-lock.json" "$js"
	# Node trusts a list of its own; where the system's has more, as behind a company's proxy, npm needs that too.
	system=/etc/ssl/certs/ca-certificates.crt
	if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -r "$system" ]; then
		export NODE_EXTRA_CA_CERTS="$system"
	fi
	if ! npm ci --prefix "$js" --no-audit --no-fund --ignore-scripts >"$log" 2>&1; then
		tail -20 "$log" >&2
		echo "install-tools.sh: npm could not install what compat-tests/js/package-lock.json names" >&2
		exit 1
	fi
	cp "$here/js/package-lock.json" "$js/installed.json"
}

install_packages
install_javascript
[ -r /dev/fuse ] && [ -w /dev/fuse ] ||
	echo "NOTE: /dev/fuse can not be used on this machine: TestS3FS and the tests of power cuts mount nothing and prove nothing here" >&2
