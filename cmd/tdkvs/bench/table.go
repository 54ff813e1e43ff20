package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Table writes the report for people. Columns that say nothing are left out.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	columns := r.columns()
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cell func(column) string) {
		for _, c := range columns {
			_, _ = fmt.Fprint(t, cell(c), "\t") // b takes everything
		}
		_, _ = fmt.Fprintln(t)
	}
	row(func(c column) string { return c.title })
	for _, l := range r.Loads {
		for _, e := range l.Endpoints {
			row(func(c column) string { return c.cell(l, e) })
		}
	}
	_ = t.Flush()
	r.footnotes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

type column struct {
	title string
	cell  func(LoadReport, EndpointReport) string
}

func (r *Report) columns() []column {
	columns := []column{
		{"load", func(l LoadReport, _ EndpointReport) string { return l.Title }},
		{"endpoint", func(_ LoadReport, e EndpointReport) string { return e.Endpoint }},
		{"requests/s", func(_ LoadReport, e EndpointReport) string { return fmt.Sprintf("%.0f", e.Rate) }},
		{"objects/s", func(_ LoadReport, e EndpointReport) string { return fmt.Sprintf("%.0f", e.Objects) }},
		{"MiB/s", func(_ LoadReport, e EndpointReport) string { return orDash(e.Bytes > 0, "%.1f", e.Bytes/(1<<20)) }},
		{"p50", func(_ LoadReport, e EndpointReport) string { return short(e.Latency.P50) }},
		{"p90", func(_ LoadReport, e EndpointReport) string { return short(e.Latency.P90) }},
		{"p99", func(_ LoadReport, e EndpointReport) string { return short(e.Latency.P99) }},
		{"p99.9", func(_ LoadReport, e EndpointReport) string { return short(e.Latency.P999) }},
		{"max", func(_ LoadReport, e EndpointReport) string { return short(e.Latency.Max) }},
		{"failed", func(_ LoadReport, e EndpointReport) string { return fmt.Sprint(e.Failed) }},
		{"client cpu", func(_ LoadReport, e EndpointReport) string { return short(e.ClientTime) }},
	}
	if r.any(func(e EndpointReport) bool { return e.ServerTime > 0 }) {
		columns = append(columns,
			column{"server cpu", func(_ LoadReport, e EndpointReport) string { return short(e.ServerTime) }},
			column{"peak MiB", func(_ LoadReport, e EndpointReport) string {
				return orDash(e.PeakMemory > 0, "%.0f", float64(e.PeakMemory)/(1<<20))
			}})
	}
	if r.any(func(e EndpointReport) bool { return e.Ratio > 0 }) {
		columns = append(columns, column{"first/this", func(_ LoadReport, e EndpointReport) string { return orDash(e.Ratio > 0, "%.2f", e.Ratio) }})
	}
	return columns
}

func (r *Report) any(has func(EndpointReport) bool) bool {
	for _, l := range r.Loads {
		for _, e := range l.Endpoints {
			if has(e) {
				return true
			}
		}
	}
	return false
}

// footnotes are what has no place in the table.
func (r *Report) footnotes(b *strings.Builder) {
	for _, l := range r.Loads {
		for _, e := range l.Endpoints {
			for _, o := range e.Operations {
				fmt.Fprintf(b, "%s at %s: %s %.0f/s, p50 %s, p99 %s, max %s\n", l.Title, e.Endpoint,
					o.Operation, o.Rate, short(o.Latency.P50), short(o.Latency.P99), short(o.Latency.Max))
			}
			if e.Failed > 0 {
				fmt.Fprintf(b, "%s at %s: failed: %s\n", l.Title, e.Endpoint, strings.Join(e.errorLines(), ", "))
			}
		}
	}
	if r.Disk != nil {
		fmt.Fprintf(b, "disk of %s: %.1f MiB/s written in order, %s for 4 KiB and its sync\n", r.Disk.Directory, r.Disk.Rate/(1<<20), short(r.Disk.Sync))
	}
}

func orDash(known bool, format string, value float64) string {
	if !known {
		return "-"
	}
	return fmt.Sprintf(format, value)
}

// short writes a duration with three digits.
func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	unit, name := time.Microsecond, "us"
	switch {
	case d >= time.Second:
		unit, name = time.Second, "s"
	case d >= time.Millisecond:
		unit, name = time.Millisecond, "ms"
	}
	value := float64(d) / float64(unit)
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f%s", value, name)
	case value >= 10:
		return fmt.Sprintf("%.1f%s", value, name)
	}
	return fmt.Sprintf("%.2f%s", value, name)
}
