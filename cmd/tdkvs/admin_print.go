package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// print writes a document for programs, or what table makes of it for people.
func (a *adminSession) print(document any, table func(io.Writer)) error {
	if a.output == "json" {
		b, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s\n", b)
		return err
	}
	var text strings.Builder
	table(&text)
	_, err := io.WriteString(a.stdout, text.String())
	return err
}

// columns writes rows with their columns aligned. Cells are separated by tabs.
func columns(w io.Writer, rows ...string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, row) // w takes everything
	}
	_ = t.Flush()
}

// row joins cells.
func row(cells ...any) string {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = printable(fmt.Sprint(c))
		if text[i] == "" {
			text[i] = "-"
		}
	}
	return strings.Join(text, "\t")
}

// printable quotes text with what a terminal would obey, or a table would break
// at: names are whatever clients chose.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// human writes bytes as people read them: 1.5 GiB.
func human(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", n)
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

func humanInt[T int64 | uint64](n T) string { return human(float64(n)) }

// grouped writes a number with commas: 1,234,567.
func grouped[T int64 | uint64 | int](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// moment writes a time in UTC.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
