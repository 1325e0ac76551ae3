package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// A config is what the environment says about the web application.
type config struct {
	listenHost string // LISTEN_HOST: the address to listen on, all of them when empty
	port       int    // PORT
	adminPort  int    // ADMIN_PORT: where /admin is; on port when 0
	tcpPort    int    // TCP_PORT: where lines are answered; nowhere when 0

	name    string // APP_NAME
	version string // APP_VERSION
	colour  string // APP_COLOR: by version when empty
	message string // MESSAGE

	backend        string        // BACKEND_URL: the next tier, none when empty
	backendTimeout time.Duration // BACKEND_TIMEOUT

	startupDelay time.Duration // STARTUP_DELAY: nothing listens before it is over
	readyAfter   time.Duration // READY_AFTER: until then the application answers 503
	healthyFor   time.Duration // HEALTHY_FOR: from then on /healthz fails; never when 0
	failRate     rate          // FAIL_RATE: how many of how many requests fail
	failStatus   int           // FAIL_STATUS: what they fail with
	delay        time.Duration // DELAY: how long every request takes at least

	shutdownDelay time.Duration // SHUTDOWN_DELAY: how long it still serves after SIGTERM
	drainTimeout  time.Duration // DRAIN_TIMEOUT: how long requests in flight may take after that
	ignoreSIGTERM bool          // IGNORE_SIGTERM

	crash              string // CRASH: why it ends as soon as it starts
	terminationMessage string // TERMINATION_MESSAGE: its last words

	pod, podIP, node, namespace, serviceAccount string // POD_NAME, POD_IP, NODE_NAME, NAMESPACE, SERVICE_ACCOUNT
}

// readConfig reads and checks all variables, and reports all that are wrong at once.
func readConfig(getenv func(string) string, hostname string) (config, error) {
	v := variables{getenv: getenv}
	cfg := config{
		listenHost: getenv("LISTEN_HOST"),
		port:       v.number("PORT", 3000, 0, 65535),
		adminPort:  v.number("ADMIN_PORT", 0, 0, 65535),
		tcpPort:    v.number("TCP_PORT", 0, 0, 65535),

		name:    v.text("APP_NAME", "hello"),
		version: v.text("APP_VERSION", "v1"),
		colour:  v.colour("APP_COLOR"),
		message: v.text("MESSAGE", "Hello, world!"),

		backend:        v.address("BACKEND_URL"),
		backendTimeout: v.duration("BACKEND_TIMEOUT", 3*time.Second),

		startupDelay: v.duration("STARTUP_DELAY", 0),
		readyAfter:   v.duration("READY_AFTER", 0),
		healthyFor:   v.duration("HEALTHY_FOR", 0),
		failRate:     v.rate("FAIL_RATE"),
		failStatus:   v.number("FAIL_STATUS", http.StatusInternalServerError, 400, 599),
		delay:        v.duration("DELAY", 0),

		shutdownDelay: v.duration("SHUTDOWN_DELAY", 5*time.Second),
		drainTimeout:  v.duration("DRAIN_TIMEOUT", 20*time.Second),
		ignoreSIGTERM: v.truth("IGNORE_SIGTERM"),

		crash:              getenv("CRASH"),
		terminationMessage: getenv("TERMINATION_MESSAGE"),

		pod:            v.text("POD_NAME", hostname),
		podIP:          getenv("POD_IP"),
		node:           getenv("NODE_NAME"),
		namespace:      getenv("NAMESPACE"),
		serviceAccount: getenv("SERVICE_ACCOUNT"),
	}
	if cfg.backendTimeout == 0 {
		v.bad("BACKEND_TIMEOUT", "must be more than nothing")
	}
	if cfg.colour == "" {
		cfg.colour = versionColour(cfg.version)
	}
	if cfg.adminPort == cfg.port {
		cfg.adminPort = 0
	}
	return cfg, errors.Join(v.problems...)
}

// variables reads environment variables and collects what is wrong with them. An empty variable is one that is not set.
type variables struct {
	getenv   func(string) string
	problems []error
}

func (v *variables) bad(name, why string) {
	v.problems = append(v.problems, fmt.Errorf("%s=%s: %s", name, v.getenv(name), why))
}

func (v *variables) text(name, fallback string) string {
	if s := v.getenv(name); s != "" {
		return s
	}
	return fallback
}

func (v *variables) number(name string, fallback, low, high int) int {
	s := v.getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		v.bad(name, fmt.Sprintf("not a number from %d to %d", low, high))
	}
	return n
}

func (v *variables) duration(name string, fallback time.Duration) time.Duration {
	s := v.getenv(name)
	if s == "" {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		v.bad(name, "not a duration such as 500ms, 10s or 2m")
		return fallback
	}
	return d
}

func (v *variables) truth(name string) bool {
	s := v.getenv(name)
	if s == "" {
		return false
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		v.bad(name, "not true or false")
	}
	return b
}

func (v *variables) rate(name string) rate {
	r, err := parseRate(v.getenv(name))
	if err != nil {
		v.bad(name, err.Error())
	}
	return r
}

func (v *variables) colour(name string) string {
	s := v.getenv(name)
	if s != "" && !regexp.MustCompile(`^([a-z]{3,20}|#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6})$`).MatchString(s) {
		v.bad(name, "not a colour such as teal or #0f766e")
	}
	return s
}

func (v *variables) address(name string) string {
	s := v.getenv(name)
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		v.bad(name, "not an address such as http://backend:3000/api")
	}
	return s
}
