package metrics

import (
	"maps"
	"slices"

	"tdkvs/master"
)

// storeFamilies are those of a master or server.
func storeFamilies() []family[Snapshot] {
	return slices.Concat(requestFamilies(), memoryFamilies(), metadataFamilies(), volumesFamilies(), workFamilies(), checkFamilies())
}

// putter takes one value, with the values of the labels.
type putter = func(value float64, labels ...string)

// eachOperation makes a family of a value of each operation.
func eachOperation(value func(o Operation) float64) func(*Snapshot, putter) {
	return func(s *Snapshot, put putter) {
		for _, o := range s.Operations {
			put(value(o), o.API, o.Name)
		}
	}
}

// single makes a family of one value.
func single(value func(s *Snapshot) float64) func(*Snapshot, putter) {
	return func(s *Snapshot, put putter) { put(value(s)) }
}

// authCodes are the errors that say that somebody was not let in.
func authCodes() []string {
	return []string{
		"AccessDenied", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "ExpiredToken", "InvalidAccessKeyId",
		"InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "Unauthorized",
	}
}

func requestFamilies() []family[Snapshot] {
	return []family[Snapshot]{
		{name: "tdkvs_requests_total", kind: counter, labels: "api operation status", help: "Requests answered, by operation and class of status.",
			values: func(s *Snapshot, put putter) {
				for _, o := range s.Operations {
					for _, class := range slices.Sorted(maps.Keys(o.Statuses)) {
						put(float64(o.Statuses[class]), o.API, o.Name, class)
					}
				}
			}},
		{name: "tdkvs_request_errors_total", kind: counter, labels: "api operation code", help: "Requests answered with an error, by its code.",
			values: func(s *Snapshot, put putter) {
				for _, o := range s.Operations {
					for _, code := range slices.Sorted(maps.Keys(o.Errors)) {
						put(float64(o.Errors[code]), o.API, o.Name, code)
					}
				}
			}},
		{name: "tdkvs_auth_failures_total", kind: counter, labels: "code", help: "Requests that were refused for who has sent them, by the code of the error.",
			values: func(s *Snapshot, put putter) {
				for _, code := range authCodes() {
					n := uint64(0)
					for _, o := range s.Operations {
						n += o.Errors[code]
					}
					put(float64(n), code)
				}
			}},
		{name: "tdkvs_requests_in_flight", kind: gauge, help: "Requests that are being answered, this one included.",
			values: single(func(s *Snapshot) float64 { return float64(s.InFlight) })},
		{name: "tdkvs_request_duration_seconds", kind: histogram, labels: "api operation", help: "Time from the headers of a request to the end of its answer.",
			histograms: func(s *Snapshot, put func(Latency, ...string)) {
				for _, o := range s.Operations {
					put(o.Total, o.API, o.Name)
				}
			}},
		{name: "tdkvs_request_first_byte_seconds", kind: histogram, labels: "api operation", help: "Time from the headers of a request to the first byte of its answer.",
			histograms: func(s *Snapshot, put func(Latency, ...string)) {
				for _, o := range s.Operations {
					put(o.FirstByte, o.API, o.Name)
				}
			}},
		{name: "tdkvs_request_body_bytes_total", kind: counter, labels: "api operation", help: "Bytes of bodies received, as sent.",
			values: eachOperation(func(o Operation) float64 { return float64(o.BytesIn) })},
		{name: "tdkvs_response_body_bytes_total", kind: counter, labels: "api operation", help: "Bytes of bodies sent.",
			values: eachOperation(func(o Operation) float64 { return float64(o.BytesOut) })},
	}
}

func memoryFamilies() []family[Snapshot] {
	both := func(value func(m master.ShareStats) float64) func(*Snapshot, putter) {
		return func(s *Snapshot, put putter) {
			put(value(s.Engine.ReadMemory), "read")
			put(value(s.Engine.WriteMemory), "write")
		}
	}
	return []family[Snapshot]{
		{name: "tdkvs_body_memory_limit_bytes", kind: gauge, labels: "kind", help: "Memory for the bodies of requests, by kind: read or write.",
			values: both(func(m master.ShareStats) float64 { return float64(m.Size) })},
		{name: "tdkvs_body_memory_used_bytes", kind: gauge, labels: "kind", help: "What requests have taken of it.",
			values: both(func(m master.ShareStats) float64 { return float64(m.Used) })},
		{name: "tdkvs_body_memory_waiting_requests", kind: gauge, labels: "kind", help: "Requests that wait for a share of it.",
			values: both(func(m master.ShareStats) float64 { return float64(m.Waiting) })},
		{name: "tdkvs_body_memory_waits_total", kind: counter, labels: "kind", help: "Requests that had to wait for a share of it.",
			values: both(func(m master.ShareStats) float64 { return float64(m.Waits) })},
		{name: "tdkvs_body_memory_refusals_total", kind: counter, labels: "kind", help: "Requests that were told to come again (SlowDown) because they had waited too long.",
			values: both(func(m master.ShareStats) float64 { return float64(m.Refusals) })},
		{name: "tdkvs_open_readers", kind: gauge, help: "Objects that are being read.",
			values: single(func(s *Snapshot) float64 { return float64(s.Engine.Readers) })},
	}
}
