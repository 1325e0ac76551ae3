package checker

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTellingLine(t *testing.T) {
	tests := map[string]struct{ log, want string }{
		"nothing":     {"", ""},
		"only blanks": {"\n \r\n\t\n", ""},
		"one line":    {"cannot find the greeting\n", "cannot find the greeting"},
		"the last line": {"starting\nlistening on :3000\nno disk\n\n",
			"no disk"},
		"a bare carriage return": {"10 %\r100 %\rno space left on device\r\n", "no space left on device"},
		"Go panics": {`starting
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1f3d]

goroutine 1 [running]:
main.connect(...)
	/src/main.go:8
main.main()
	/src/main.go:12 +0x1d
exit status 2
`, "panic: runtime error: invalid memory address or nil pointer dereference"},
		"Go panics again": {`panic: no database [recovered]
	panic: no database

goroutine 1 [running]:
main.main.func1()
	/src/main.go:9 +0x45
`, "panic: no database [recovered]"},
		"Go deadlocks": {"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:5 +0x25\n",
			"fatal error: all goroutines are asleep - deadlock!"},
		"Go logs and ends": {"2026/01/01 10:00:00 starting\n2026/01/01 10:00:00 listen tcp :80: bind: permission denied\nexit status 1\n",
			"2026/01/01 10:00:00 listen tcp :80: bind: permission denied"},
		"Rust": {"thread 'main' panicked at src/main.rs:4:37:\ncalled `Option::unwrap()` on a `None` value\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
			"called `Option::unwrap()` on a `None` value"},
		"Rust before": {"thread 'main' panicked at 'no PORT', src/main.rs:4:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
			"thread 'main' panicked at 'no PORT', src/main.rs:4:5"},
		"Python": {`Traceback (most recent call last):
  File "/app/app.py", line 1, in <module>
    from flask import Flask
ModuleNotFoundError: No module named 'flask'
`, "ModuleNotFoundError: No module named 'flask'"},
		"Python, one exception after another": {`Traceback (most recent call last):
  File "/app/app.py", line 3, in load
    return cache["user"]
KeyError: 'user'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/app.py", line 9, in <module>
    load()
ConnectionRefusedError: [Errno 111] Connection refused
`, "ConnectionRefusedError: [Errno 111] Connection refused"},
		"Gunicorn": {`[2026-01-01 10:00:00 +0000] [7] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "/app/wsgi.py", line 1, in <module>
    import app
ModuleNotFoundError: No module named 'app'
[2026-01-01 10:00:00 +0000] [7] [INFO] Worker exiting (pid: 7)
[2026-01-01 10:00:01 +0000] [1] [INFO] Shutting down: Master
[2026-01-01 10:00:01 +0000] [1] [INFO] Reason: Worker failed to boot.
`, "ModuleNotFoundError: No module named 'app'"},
		"Python went on": {"Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: once\n" + strings.Repeat("served\n", 20) + "out of files\n", "out of files"},
		"Node": {`node:internal/modules/cjs/loader:1143
  throw err;
  ^

Error: Cannot find module '/app/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)
    at Module._load (node:internal/modules/cjs/loader:981:27)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.11.0
`, "Error: Cannot find module '/app/server.js'"},
		"Node, with a stack of requires": {`Error: Cannot find module 'express'
Require stack:
- /app/index.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)

Node.js v20.11.0
`, "Error: Cannot find module 'express'"},
		"Node, an event that nobody hears": {`node:events:495
      throw er; // Unhandled 'error' event
      ^

Error: listen EADDRINUSE: address already in use :::3000
    at Server.setupListenHandle [as _listen2] (node:net:1817:16)
    at listenInCluster (node:net:1865:12)
Emitted 'error' event on Server instance at:
    at emitErrorNT (node:net:1844:8)
    at process.processTicksAndRejections (node:internal/process/task_queues:82:21) {
  code: 'EADDRINUSE',
  port: 3000
}

Node.js v20.11.0
`, "Error: listen EADDRINUSE: address already in use :::3000"},
		"Node throws at the top": {"/app/index.js:1\nthrow new Error('no token');\n^\n\nError: no token\n    at Object.<anonymous> (/app/index.js:1:7)\n\nNode.js v22.1.0\n",
			"Error: no token"},
		"Java": {`Exception in thread "main" java.lang.IllegalStateException: no PORT
	at shop.Main.port(Main.java:14)
	at shop.Main.main(Main.java:7)
`, `Exception in thread "main" java.lang.IllegalStateException: no PORT`},
		"Java, with causes": {`2026-01-01 10:00:00.000 ERROR 1 --- [main] o.s.boot.SpringApplication : Application run failed

org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'flyway'
	at org.springframework.beans.factory.Factory.create(Factory.java:1)
	at shop.Main.main(Main.java:7)
Caused by: java.lang.RuntimeException: Unable to obtain connection
	at org.flywaydb.core.Flyway.migrate(Flyway.java:2)
	... 12 more
Caused by: java.net.ConnectException: Connection refused
	at java.base/sun.nio.ch.Net.connect(Native Method)
	... 30 common frames omitted
`, "Caused by: java.net.ConnectException: Connection refused"},
		".NET": {"Unhandled exception. System.ArgumentNullException: Value cannot be null. (Parameter 'uri')\n   at Program.Main(String[] args) in /src/Program.cs:line 3\n",
			"Unhandled exception. System.ArgumentNullException: Value cannot be null. (Parameter 'uri')"},
		"Ruby": {"app.rb:1:in `require': cannot load such file -- sinatra (LoadError)\n\tfrom app.rb:1:in `<main>'\n",
			"app.rb:1:in `require': cannot load such file -- sinatra (LoadError)"},
		"a shell": {"+ start\n/entrypoint.sh: line 3: gunicorn: command not found\n", "/entrypoint.sh: line 3: gunicorn: command not found"},
		"nginx": {`/docker-entrypoint.sh: Configuration complete; ready for start up
2026/01/01 10:00:00 [emerg] 1#1: host not found in upstream "api" in /etc/nginx/conf.d/default.conf:3
nginx: [emerg] host not found in upstream "api" in /etc/nginx/conf.d/default.conf:3
nginx: configuration file /etc/nginx/nginx.conf test failed
`, `nginx: [emerg] host not found in upstream "api" in /etc/nginx/conf.d/default.conf:3`},
		"Postgres": {`Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
`, "Error: Database is uninitialized and superuser password is not specified."},
		"MySQL": {`2026-01-01 10:00:00+00:00 [Note] [Entrypoint]: Entrypoint script for MySQL Server 8 started.
2026-01-01 10:00:00+00:00 [ERROR] [Entrypoint]: Database is uninitialized and password option is not specified
    You need to specify one of the following as an environment variable:
    - MYSQL_ROOT_PASSWORD
`, "2026-01-01 10:00:00+00:00 [ERROR] [Entrypoint]: Database is uninitialized and password option is not specified"},
		"an error, and a goodbye": {"level=error msg=\"no route to database\"\nlevel=info msg=bye\n", `level=error msg="no route to database"`},
		"a word in what is told":  {"INFO the level is ERROR\nno disk\n", "no disk"},
		"JSON": {`{"level":"info","msg":"starting"}
{"level":"fatal","ts":1,"msg":"cannot open the database","error":"dial tcp 10.0.0.7:5432: connect: connection refused"}
{"level":"info","msg":"bye"}
`, "cannot open the database: dial tcp 10.0.0.7:5432: connect: connection refused"},
		"JSON of Pino":           {`{"level":50,"time":1,"msg":"listen EACCES"}` + "\n" + `{"level":30,"msg":"bye"}` + "\n", "listen EACCES"},
		"JSON without a level":   {`{"message":"no token"}` + "\n", "no token"},
		"JSON that says nothing": {`{"a":1}` + "\n", `{"a":1}`},
		"klog":                   {"E0101 10:00:00.000000       1 main.go:10] no kubeconfig\nI0101 10:00:00.000000       1 main.go:12] bye\n", "E0101 10:00:00.000000 1 main.go:10] no kubeconfig"},
		"the sample app": {`hello: unknown mode "frobnicate"
usage: hello [mode] [arguments]

  serve   the web application (this is the default)
  once    print a token and end
          [token]
`, `hello: unknown mode "frobnicate"`},
		"Go's flags":    {"flag provided but not defined: -e\nUsage of /server:\n  -port int\n    \tthe port (default 8080)\n", "flag provided but not defined: -e"},
		"argparse":      {"usage: app.py [-h] [--port PORT]\napp.py: error: unrecognized arguments: -e COLOUR=plum\n", "app.py: error: unrecognized arguments: -e COLOUR=plum"},
		"Cobra":         {"Error: unknown flag: --colour\nUsage:\n  app serve [flags]\n\nFlags:\n  -h, --help   help for serve\n\n", "Error: unknown flag: --colour"},
		"clap":          {"error: unexpected argument '--colour' found\n\n  tip: to pass '--colour' as a value, use '-- --colour'\n\nUsage: app [OPTIONS]\n\nFor more information, try '--help'.\n", "error: unexpected argument '--colour' found"},
		"BusyBox":       {"ls: unrecognized option: colour\nBusyBox v1.37.0 (2024-09-26) multi-call binary.\n\nUsage: ls [-1AaCxd] [FILE]...\n\nList directory contents\n", "ls: unrecognized option: colour"},
		"GNU":           {"ls: unrecognized option '--colour'\nTry 'ls --help' for more information.\n", "ls: unrecognized option '--colour'"},
		"usage alone":   {"Usage: app COMMAND\n\n  serve  serves\n", "Usage: app COMMAND"},
		"hostile":       {"\x1b[31mno\x1b[0m \x00disk\n", "[31mno[0m disk"},
		"one long line": {strings.Repeat("x", 1000), strings.Repeat("x", logLineMost-1) + "…"},
	}
	for name, tt := range tests {
		assert.Equal(t, tt.want, tellingLine(tt.log), name)
	}
}

// FuzzTellingLine picks from whatever a program may write: one of its lines, clipped, or
// what a line of JSON says.
func FuzzTellingLine(f *testing.F) {
	for _, seed := range []string{
		"panic: x\n\ngoroutine 1 [running]:\n", "Traceback (most recent call last):\n  File\nValueError: x", "Error: x\n    at y\n}\n",
		"Caused by: x\n\tat y\n\t... 12 more", "usage: x\nx: error: y", "Usage of x:\n  -y", `{"level":"error","msg":"x","err":{"message":"y"}}`,
		"nginx: [emerg] x", "thread 'main' panicked at x:\ny", "exit status 1", "\tat\n", "\u00a0\n \x00", "}\n]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, log string) {
		got := tellingLine(log)
		assert.LessOrEqual(t, len([]rune(got)), logLineMost)
		lines := strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' })
		one := slices.ContainsFunc(lines, func(l string) bool {
			return clip(l, logLineMost) == got || jsonLine(l) != nil && clip(saidInJSON(l), logLineMost) == got
		})
		empty := !slices.ContainsFunc(lines, func(l string) bool { return clip(l, logLineMost) != "" })
		assert.True(t, one || empty && got == "", "%q", got)
	})
}
