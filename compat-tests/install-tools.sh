#!/bin/sh
# Installs the clients that the black-box tests use and this machine lacks, from Debian's archive. Quiet when there is
# nothing to do.
set -eu

missing=
want() { # program package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
want aws awscli
want curl curl
want rclone rclone
want restic restic
want s3cmd s3cmd

[ -n "$missing" ] || exit 0
echo "installing$missing"
sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	command -v sudo >/dev/null 2>&1 || {
		echo "install-tools.sh: not root, and no sudo: install$missing by hand" >&2
		exit 1
	}
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086  # a list of names
if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	echo "install-tools.sh: apt-get could not install$missing" >&2
	exit 1
fi
