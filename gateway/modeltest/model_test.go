package modeltest_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"tdkvs/gateway/modeltest"
	"tdkvs/master"
	"tdkvs/master/meta"
)

// kinds are the deployments that are given the same streams.
func kinds() []kind {
	return []kind{
		{name: "one volume", volumes: 1},
		{name: "copies on four volumes", volumes: 4, replicas: 2},
		{name: "a code of 2+1 on five volumes", volumes: 5, classes: map[string]master.Class{
			"":            {Code: meta.Code{Data: 2, Parity: 1}, MinSize: 2000},
			"STANDARD_IA": {Code: meta.Code{Data: 3, Parity: 1}, MinSize: 1},
		}},
	}
}

// number is a setting of the environment.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestStoreModel sends random streams to stores of every kind. A failure prints
// what to replay.
func TestStoreModel(t *testing.T) {
	t.Parallel()
	cfg := modeltest.Config{
		Streams: number(t, "TDKVS_MODEL_STREAMS", 1), Steps: number(t, "TDKVS_MODEL_STEPS", 400),
		Seed: uint64(number(t, "TDKVS_SEED", int(time.Now().UnixNano()))), Replay: os.Getenv("TDKVS_MODEL_REPLAY"),
	}
	for _, k := range kinds() {
		cfg.Deployments = append(cfg.Deployments, k.deployment())
	}
	modeltest.Run(t, cfg)
}
