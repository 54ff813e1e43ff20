package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is stamped by the build: -ldflags "-X main.version=...".
var version = ""

// versionText is the version alone. A binary made by plain "go build" or "go
// install" says what the toolchain recorded.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// versionLine says which build this is.
func versionLine() string {
	return fmt.Sprintf("tdkvs %s %s %s/%s", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
