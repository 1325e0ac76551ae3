package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	queryArgs         = "[-o text|json] [-server URL] [-timeout 10s] QUERY"
	defaultPrometheus = "http://prometheus.istio-system:9090"
	metricName        = "__name__" // the label in which Prometheus has a metric's name
)

// inOrder are queries whose answer has an order.
var inOrder = regexp.MustCompile(`^\s*(sort|topk|bottomk)`)

// A queried is what Prometheus says to a query.
type queried struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// A series has labels and the last value, or of a range all values.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  sample            `json:"value"`
	Values []sample          `json:"values"`
}

// A sample is a time and a number, which JSON has as text because it may be NaN.
type sample [2]any

func (s sample) String() string {
	text, _ := s[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(n, 'g', 4, 64)
}

// query asks Prometheus and prints a line for each series. Asking with get as well would do, but PromQL in an address
// is not for people, and neither is the answer.
func query(ctx context.Context, p process, args []string) int {
	flags := flag.NewFlagSet("query", flag.ContinueOnError)
	format := flags.String("o", "text", "print a line for each series as `text`, or json as Prometheus says it")
	server := flags.String("server", cmp.Or(p.getenv("PROMETHEUS_URL"), defaultPrometheus), "where Prometheus is, also by PROMETHEUS_URL")
	timeout := flags.Duration("timeout", 10*time.Second, "give up after this `time`")
	rest, err := parse(p, flags, queryArgs, args)
	if err == nil && (len(rest) != 1 || strings.TrimSpace(rest[0]) == "") {
		err = errors.New("give one query, in quotes")
	}
	if err == nil && *timeout <= 0 {
		err = errors.New("-timeout: must be more than nothing")
	}
	if err != nil {
		return p.misused("query", queryArgs, err)
	}
	asJSON, err := wantsJSON(*format)
	if err != nil {
		return p.misused("query", queryArgs, err)
	}
	base, err := address(*server)
	if err != nil {
		return p.misused("query", queryArgs, err)
	}
	ctx, cancel := p.untilSignal(ctx)
	defer cancel()
	a := fetch(ctx, newClient(), request{method: http.MethodGet, timeout: *timeout,
		url: strings.TrimSuffix(base, "/") + "/api/v1/query?" + url.Values{"query": {rest[0]}}.Encode()})
	if asJSON && a.err == nil && json.Valid(a.body) {
		fmt.Fprintf(p.stdout, "%s\n", strings.TrimSpace(string(a.body)))
		if a.status != http.StatusOK {
			return exitFailed
		}
		return exitOK
	}
	lines, err := queryLines(a)
	if err != nil {
		fmt.Fprintf(p.stderr, "hello query: %s: %v\n", base, err)
		return exitFailed
	}
	// Without being asked for an order Prometheus has none.
	if !inOrder.MatchString(rest[0]) {
		slices.Sort(lines)
	}
	for _, l := range lines {
		fmt.Fprintln(p.stdout, l)
	}
	if len(lines) == 0 {
		fmt.Fprintln(p.stderr, "hello query: no series: nothing has these labels, or nothing yet")
	}
	return exitOK
}

// queryLines are the lines for people of what Prometheus answered.
func queryLines(a answer) ([]string, error) {
	switch {
	case a.err != nil:
		return nil, a.err
	case a.truncated:
		return nil, fmt.Errorf("the answer is longer than %d bytes: ask for less", maxBody)
	}
	var q queried
	if err := json.Unmarshal(a.body, &q); err != nil || q.Status == "" {
		return nil, fmt.Errorf("HTTP %d %s, and not what Prometheus says", a.status, http.StatusText(a.status))
	}
	if q.Status != "success" {
		return nil, errors.New(short(q.Error, 400))
	}
	var all []series
	switch q.Data.Type {
	case "scalar", "string":
		var s sample
		if err := json.Unmarshal(q.Data.Result, &s); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		all = []series{{Value: s}}
	default:
		if err := json.Unmarshal(q.Data.Result, &all); err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
	}
	return seriesLines(all), nil
}

// widest is up to which length what stands before the values is made equally long.
const widest = 80

func seriesLines(all []series) []string {
	names, width := make([]string, len(all)), 0
	for i, s := range all {
		names[i] = short(s.name(), 2000)
		if n := utf8.RuneCountInString(names[i]); n <= widest {
			width = max(width, n)
		}
	}
	lines := make([]string, len(all))
	for i, s := range all {
		values := []string{s.Value.String()}
		if s.Values != nil {
			values = values[:0]
			for _, v := range s.Values {
				values = append(values, v.String())
			}
		}
		lines[i] = strings.TrimSpace(fmt.Sprintf("%-*s  %s", width, names[i], short(strings.Join(values, " "), 2000)))
	}
	return lines
}

// name writes a series as PromQL does.
func (s series) name() string {
	var labels []string
	for _, l := range slices.Sorted(maps.Keys(s.Metric)) {
		if l != metricName {
			labels = append(labels, l+"="+strconv.Quote(s.Metric[l]))
		}
	}
	if len(labels) == 0 {
		return cmp.Or(s.Metric[metricName], "{}")
	}
	return s.Metric[metricName] + "{" + strings.Join(labels, ", ") + "}"
}
