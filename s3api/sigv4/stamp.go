package sigv4

import (
	"net/http"
	"time"
)

// readTime takes x-amz-date or Date: ISO 8601 basic, or one of the forms of an
// HTTP date.
func (c *claim) readTime(s string) (ok bool) {
	c.stamp = s
	if c.time, ok = parseStamp(s); ok {
		c.basic = s
		return true
	}
	t, err := http.ParseTime(s)
	if err != nil {
		t, err = time.Parse(time.RFC1123Z, s)
	}
	if err != nil {
		return false
	}
	c.time = t.UTC()
	c.basic = c.time.Format(timeFormat)
	return true
}

// parseStamp reads a time in timeFormat. It stands in every signed request, twice
// with its day, and time.Parse, which reads any layout, costs ten times as much.
func parseStamp(s string) (time.Time, bool) {
	if len(s) != len(timeFormat) || s[8] != 'T' || s[15] != 'Z' {
		return time.Time{}, false
	}
	day, ok := parseDay(s[:8])
	hour, minute, second := digits(s[9:11]), digits(s[11:13]), digits(s[13:15])
	if !ok || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	return day.Add(time.Duration(hour*3600+minute*60+second) * time.Second), true
}

// parseDay reads a day in dateFormat: its midnight in UTC.
func parseDay(s string) (time.Time, bool) {
	if len(s) != len(dateFormat) {
		return time.Time{}, false
	}
	year, month, day := digits(s[:4]), digits(s[4:6]), digits(s[6:])
	if year < 0 || month < 1 || month > 12 || day < 1 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, t.Day() == day // the 31st of April is the 1st of May
}

// digits reads a number of digits alone; -1 is none.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
