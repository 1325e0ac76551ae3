package main

import (
	"net/http"
	"slices"
	"strings"
)

// getEnv lists the names of all variables, and the values of those that are meant to be seen.
func (a *app) getEnv(w http.ResponseWriter, _ *http.Request) {
	names, values := []string{}, map[string]string{}
	for _, pair := range a.environ {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			continue
		}
		names = append(names, name)
		if showable(name) {
			values[name] = value
		}
	}
	slices.Sort(names)
	writeJSON(w, http.StatusOK, map[string]any{"names": slices.Compact(names), "values": values})
}

// showable tells whether the value of a variable may be shown: its name begins well and does not speak of secrets.
func showable(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range []string{"PASSWORD", "PASSWD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE"} {
		if strings.Contains(name, word) {
			return false
		}
	}
	for _, prefix := range []string{
		"APP_", "CONFIG_", "DEMO_", "FEATURE_", "FIRST_NAME", "GREETING", "HELLO_", "LAB_", "MESSAGE", "NAMESPACE",
		"NODE_NAME", "POD_", "PORT",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// getHeaders shows a request as it arrived.
func (a *app) getHeaders(w http.ResponseWriter, r *http.Request) {
	headers := map[string]string{}
	for name, values := range r.Header {
		headers[name] = strings.Join(values, ", ")
	}
	writeJSON(w, http.StatusOK, map[string]any{"method": r.Method, "host": r.Host, "headers": headers})
}
