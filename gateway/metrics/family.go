package metrics

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tdkvs/master/latency"
)

// kind is the type of a family.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// family is one row of a table: metrics of one name. S is what the values are taken
// from.
type family[S any] struct {
	name   string
	kind   kind
	help   string
	labels string // names, with spaces between them
	// One of the two, by kind. put takes the labels' values in the order of labels.
	values     func(s *S, put func(value float64, labels ...string))
	histograms func(s *S, put func(l Latency, labels ...string))
}

func (f *family[S]) labelNames() []string { return strings.Fields(f.labels) }

// table collects the families of a table from a snapshot that it takes for each
// scrape.
type table[S any] struct {
	families []family[S]
	descs    []*prometheus.Desc
	snapshot func(ctx context.Context) *S
	ctx      context.Context // of the scrape
}

func newTable[S any](families []family[S], snapshot func(context.Context) *S) *table[S] {
	t := &table[S]{families: families, snapshot: snapshot, ctx: context.Background()}
	for i := range families {
		f := &families[i]
		t.descs = append(t.descs, prometheus.NewDesc(f.name, f.help, f.labelNames(), nil))
	}
	return t
}

// within is the table for one scrape.
func (t *table[S]) within(ctx context.Context) prometheus.Collector {
	of := *t
	of.ctx = ctx
	return &of
}

// Describe implements prometheus.Collector.
func (t *table[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range t.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (t *table[S]) Collect(ch chan<- prometheus.Metric) {
	s := t.snapshot(t.ctx)
	for i := range t.families {
		f, desc := &t.families[i], t.descs[i]
		send := func(m prometheus.Metric, err error) {
			if err != nil {
				m = prometheus.NewInvalidMetric(desc, err)
			}
			ch <- m
		}
		if f.kind == histogram {
			f.histograms(s, func(l Latency, labels ...string) {
				count, buckets := cumulated(l.Counts)
				send(prometheus.NewConstHistogram(desc, count, l.Sum.Seconds(), buckets, labels...))
			})
			continue
		}
		of := prometheus.GaugeValue
		if f.kind == counter {
			of = prometheus.CounterValue
		}
		f.values(s, func(value float64, labels ...string) { send(prometheus.NewConstMetric(desc, of, value, labels...)) })
	}
}

// bucketStep is how many buckets of a latency.Histogram are shown as one: bounds
// from 0.1 ms to 105 s, each four times the one before.
const bucketStep = 4

// cumulated turns the counts of a latency.Histogram into those of Prometheus, whose
// buckets hold all that is below their bound.
func cumulated(counts []uint64) (total uint64, buckets map[float64]uint64) {
	buckets = map[float64]uint64{}
	bounds := latency.Bounds()
	for i, bound := range bounds {
		if i < len(counts) {
			total += counts[i]
		}
		if i%bucketStep == 0 {
			buckets[bound] = total
		}
	}
	if len(counts) > len(bounds) {
		total += counts[len(bounds)]
	}
	return total, buckets
}

// is is 1 for what is so, and 0 for what is not.
func is(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// moment is a time as Prometheus has it; 0 for none.
func moment(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
