package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(environ map[string]string) (config, error) {
	return readConfig(func(name string) string { return environ[name] }, "host-1")
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := read(nil)
	require.NoError(t, err)
	assert.Equal(t, config{
		port: 3000, name: "hello", version: "v1", colour: "teal", message: "Hello, world!", pod: "host-1",
		backendTimeout: 3 * time.Second, failStatus: 500, shutdownDelay: 5 * time.Second, drainTimeout: 20 * time.Second,
	}, cfg)
}

func TestConfig(t *testing.T) {
	cfg, err := read(map[string]string{
		"LISTEN_HOST": "127.0.0.1", "PORT": "8080", "ADMIN_PORT": "9090", "TCP_PORT": "9000", "APP_NAME": "greeter", "APP_VERSION": "v2",
		"APP_COLOR": "#abc", "MESSAGE": "Hi", "BACKEND_URL": "http://backend:3000/api", "BACKEND_TIMEOUT": "1s",
		"STARTUP_DELAY": "2s", "READY_AFTER": "3s", "HEALTHY_FOR": "4s", "FAIL_RATE": "2/5", "FAIL_STATUS": "503",
		"DELAY": "5ms", "SHUTDOWN_DELAY": "0", "DRAIN_TIMEOUT": "6s", "IGNORE_SIGTERM": "true", "CRASH": "c",
		"TERMINATION_MESSAGE": "t", "POD_NAME": "p", "POD_IP": "10.0.0.1", "NODE_NAME": "n", "NAMESPACE": "ns",
		"SERVICE_ACCOUNT": "sa",
	})
	require.NoError(t, err)
	assert.Equal(t, config{
		listenHost: "127.0.0.1", port: 8080, adminPort: 9090, tcpPort: 9000, name: "greeter", version: "v2", colour: "#abc",
		message: "Hi", backend: "http://backend:3000/api", backendTimeout: time.Second, startupDelay: 2 * time.Second,
		readyAfter: 3 * time.Second, healthyFor: 4 * time.Second, failRate: rate{2, 5}, failStatus: 503,
		delay: 5 * time.Millisecond, drainTimeout: 6 * time.Second, ignoreSIGTERM: true, crash: "c",
		terminationMessage: "t", pod: "p", podIP: "10.0.0.1", node: "n", namespace: "ns", serviceAccount: "sa",
	}, cfg)
}

func TestConfigByVersion(t *testing.T) {
	for version, colour := range map[string]string{"v1": "teal", "v2": "plum", "v3": "amber", "v9": "slate"} {
		cfg, err := read(map[string]string{"APP_VERSION": version})
		require.NoError(t, err)
		assert.Equal(t, colour, cfg.colour)
	}
}

func TestConfigSamePort(t *testing.T) {
	cfg, err := read(map[string]string{"PORT": "3000", "ADMIN_PORT": "3000"})
	require.NoError(t, err)
	assert.Zero(t, cfg.adminPort)
}

func TestConfigNamesVariableAndValue(t *testing.T) {
	for _, c := range []struct{ name, value, why string }{
		{"PORT", "65536", "not a number from 0 to 65535"},
		{"PORT", "tcp://10.96.0.7:3000", "not a number"},
		{"ADMIN_PORT", "-1", "not a number"},
		{"TCP_PORT", "9000/tcp", "not a number"},
		{"APP_COLOR", "red;}", "not a colour"},
		{"APP_COLOR", "#12", "not a colour"},
		{"BACKEND_URL", "backend", "not an address"},
		{"BACKEND_URL", "ftp://backend", "not an address"},
		{"BACKEND_URL", "http://:80", "not an address"},
		{"BACKEND_TIMEOUT", "0s", "more than nothing"},
		{"STARTUP_DELAY", "10", "not a duration such as"},
		{"READY_AFTER", "-1s", "not a duration"},
		{"HEALTHY_FOR", "soon", "not a duration"},
		{"FAIL_RATE", "40%", "not a rate such as 2/5"},
		{"FAIL_RATE", "6/5", "not possible"},
		{"FAIL_STATUS", "200", "not a number from 400 to 599"},
		{"DELAY", "1", "not a duration"},
		{"SHUTDOWN_DELAY", "x", "not a duration"},
		{"DRAIN_TIMEOUT", "x", "not a duration"},
		{"IGNORE_SIGTERM", "maybe", "not true or false"},
	} {
		_, err := read(map[string]string{c.name: c.value})
		require.ErrorContains(t, err, c.name+"="+c.value+": ")
		assert.ErrorContains(t, err, c.why)
	}
	_, err := read(map[string]string{"PORT": "x", "DELAY": "y"})
	assert.ErrorContains(t, err, "PORT=x")
	assert.ErrorContains(t, err, "DELAY=y", "all problems are told at once")
}
