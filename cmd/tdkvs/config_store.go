package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"tdkvs/master"
	"tdkvs/master/erasure"
	"tdkvs/master/meta"
	"tdkvs/s3api"
)

// checkDirs checks the list of the file.
func (c *serverConfig) checkDirs(doc *document) {
	if len(c.Dirs) == 0 {
		doc.rejectf("dirs", "name at least one directory")
	}
	for i, d := range c.Dirs {
		path := fmt.Sprintf("dirs[%d]", i)
		d.check(doc, path)
		if d.Path == "" {
			doc.rejectf(path, "path is missing: name a directory")
		}
	}
}

// paths are the directories of the list.
func (c *serverConfig) paths() []string {
	paths := make([]string, len(c.Dirs))
	for i, d := range c.Dirs {
		paths[i] = d.Path
	}
	return paths
}

// entriesOf are directories of which nothing else is said.
func entriesOf(dirs []string) []dirEntry {
	entries := make([]dirEntry, len(dirs))
	for i, dir := range dirs {
		entries[i].Path = dir
	}
	return entries
}

// maxZoneName bounds the name of a zone, in bytes.
const maxZoneName = 128

func (p placeConfig) check(doc *document, path string) {
	if doc.has(path+".weight") && (p.Weight < 1 || p.Weight > master.MaxWeight) {
		doc.rejectf(path+".weight", "want 1 to %d, not %d", master.MaxWeight, p.Weight)
	}
	if p.Zone != nil && len(*p.Zone) > maxZoneName {
		doc.rejectf(path+".zone", "want at most %d bytes, not %d", maxZoneName, len(*p.Zone))
	}
}

// settings are the part of a volume in the store as the engine takes it.
func (p placeConfig) settings() master.VolumeSettings {
	return master.VolumeSettings{Zone: p.Zone, Weight: p.Weight}
}

// engine completes what an engine is made of.
func (s storeConfig) engine(c master.Config) master.Config {
	c.GarbageGrace, c.LeftoverGrace = engineGrace(s.GarbageGrace), engineGrace(s.LeftoverGrace)
	c.Replicas, c.Classes = s.Replicas, s.classes()
	c.MetadataCopies = master.UsualCopies
	if s.MetadataCopies != nil {
		c.MetadataCopies = *s.MetadataCopies
	}
	c.WriteMemory, c.ReadMemory = int64(s.BodyMemory/2), int64(s.BodyMemory/2)
	return c
}

// engineGrace is a setting as master.Config takes it: below zero is none.
func engineGrace(setting time.Duration) time.Duration {
	if setting == 0 {
		return -1
	}
	return setting
}

// minBodyMemory is enough for a few requests of any kind at a time.
const minBodyMemory = 16 << 20

// check refuses what can not be kept and, on a first start, what the volumes of
// the list are too few for. Later the engine judges: it knows which were lost.
func (s storeConfig) check(doc *document, volumes int, first bool) {
	if !first {
		volumes = max(meta.MaxReplicas, erasure.MaxShards)
	}
	switch {
	case !doc.has("replicas"):
	case s.Replicas < 1 || s.Replicas > meta.MaxReplicas:
		doc.rejectf("replicas", "want 1 to %d, not %d", meta.MaxReplicas, s.Replicas)
	case s.Replicas > volumes:
		doc.rejectf("replicas", "%d copies need %d volumes, and the list has %d", s.Replicas, s.Replicas, volumes)
	}
	if n := s.MetadataCopies; n != nil && (*n < 0 || *n > master.MaxMetadataCopies) {
		doc.rejectf("metadata_copies", "want 0 to %d, not %d", master.MaxMetadataCopies, *n)
	}
	if s.BodyMemory < minBodyMemory || s.BodyMemory > math.MaxInt64 {
		doc.rejectf("body_memory", "want at least %v, not %v", byteSize(minBodyMemory), s.BodyMemory)
	}
	for _, name := range slices.Sorted(maps.Keys(s.StorageClasses)) {
		path := "storage_classes." + name
		if !regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`).MatchString(name) {
			doc.rejectf(path, "want a name of at most 64 capital letters, digits and _ that begins with a letter")
		}
		s.StorageClasses[name].check(doc, path, volumes)
	}
}

func (c classConfig) check(doc *document, path string, volumes int) {
	at := path
	if doc.has(path + ".code") {
		at += ".code"
	}
	scheme := erasure.Scheme{Data: c.Code.Data, Parity: c.Code.Parity}
	switch err := scheme.Validate(); {
	case c.Code == meta.Code{}:
		doc.rejectf(path, "code is missing: want shards of data and of parity, such as 4+2")
	case err != nil:
		doc.rejectf(at, "%d+%d: want at least 1 shard of data, 1 to %d of parity, and at most %d together",
			c.Code.Data, c.Code.Parity, meta.MaxReplicas-1, erasure.MaxShards)
	case c.Code.Parity >= meta.MaxReplicas:
		doc.rejectf(at, "%d shards of parity: want at most %d", c.Code.Parity, meta.MaxReplicas-1)
	case c.Code.Shards() > volumes:
		doc.rejectf(at, "%d+%d needs %d volumes, and the list has %d", c.Code.Data, c.Code.Parity, c.Code.Shards(), volumes)
	}
}

// classes are the storage classes as the engine takes them.
func (s storeConfig) classes() map[string]master.Class {
	classes := make(map[string]master.Class, len(s.StorageClasses))
	for name, c := range s.StorageClasses {
		classes[s3api.RecordedClass(name)] = master.Class{Code: c.Code, MinSize: int64(c.MinSize)}
	}
	return classes
}

// classNames are the names of the storage classes, in order.
func (s storeConfig) classNames() []string {
	return slices.Sorted(maps.Keys(s.StorageClasses))
}

// parseCode reads an erasure code, as 4+2.
func parseCode(text string) (meta.Code, error) {
	m := regexp.MustCompile(`^([0-9]{1,3})\+([0-9]{1,3})$`).FindStringSubmatch(strings.ReplaceAll(text, " ", ""))
	if m == nil {
		return meta.Code{}, fmt.Errorf("want shards of data and of parity, such as 4+2, not %q", text)
	}
	var c meta.Code
	_, err := fmt.Sscan(m[1]+" "+m[2], &c.Data, &c.Parity)
	return c, err
}
