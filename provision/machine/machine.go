// Package machine makes a classroom machine out of a plain Debian or Ubuntu: a
// cloud-init file and a systemd unit that bring Docker, what nodes need of the
// kernel, and kindlab as a service. It writes texts; it runs nothing.
package machine

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"text/template"
)

//go:embed kindlab.service kindlab-join.service cloud-init.yaml
var files embed.FS

// Options are what differs from machine to machine.
type Options struct {
	User   string // who learns: is made, and may use Docker
	Binary string // where kindlab lives on the machine
	From   string // address that kindlab is fetched from; empty when it is in the image already
	SHA256 string // of what is fetched
	Hub    string // of the class to join; empty when the attendee does that
	Code   string // of the class
	Port   int    // of the pages
}

// Default are options that work.
func Default() Options {
	return Options{User: "learner", Binary: "/usr/local/bin/kindlab", Port: 8480}
}

var (
	userName   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	sum        = regexp.MustCompile(`^[0-9a-f]{64}$`)
	plainPath  = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
	plainWord  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	plainInURL = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/\[\]@%+,=?&-]+$`)
)

// Validate says what would not work. What goes into the files is plain in YAML,
// units and shell alike.
func (o Options) Validate() error {
	switch {
	case !userName.MatchString(o.User) || o.User == "root":
		return fmt.Errorf("user %q: use small letters, digits and '-', and not root", o.User)
	case !plainPath.MatchString(o.Binary):
		return fmt.Errorf("binary %q: give a whole path", o.Binary)
	case o.Port < 1024 || o.Port > 65535:
		return fmt.Errorf("port %d: use 1024 to 65535", o.Port)
	case o.From != "" && (!plainInURL.MatchString(o.From) || !isURL(o.From)):
		return fmt.Errorf("from %q: give an address with http:// or https://", o.From)
	case o.From != "" && !sum.MatchString(o.SHA256):
		return errors.New("what is fetched must be known: give its SHA-256, 64 letters of sha256sum")
	case o.Hub != "" && (!plainInURL.MatchString(o.Hub) || !isURL(o.Hub)):
		return fmt.Errorf("hub %q: give an address with http:// or https://", o.Hub)
	case (o.Hub == "") != (o.Code == ""):
		return errors.New("hub and code go together")
	case o.Code != "" && !plainWord.MatchString(o.Code):
		return fmt.Errorf("code %q: letters, digits and '-'", o.Code)
	}
	return nil
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != ""
}

// Unit is the systemd unit that serves kindlab.
func Unit(o Options) ([]byte, error) { return render("kindlab.service", o) }

// CloudInit is the user-data of a machine.
func CloudInit(o Options) ([]byte, error) { return render("cloud-init.yaml", o) }

func render(name string, o Options) ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"file": func(name string) (string, error) {
			data, err := render(name, o)
			return string(data), err
		},
		"indent": func(n int, text string) string {
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			for i := range lines[1:] {
				if lines[i+1] != "" {
					lines[i+1] = strings.Repeat(" ", n) + lines[i+1]
				}
			}
			return strings.Join(lines, "\n")
		},
	}).ParseFS(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, o); err != nil {
		return nil, fmt.Errorf("writing %s: %w", name, err)
	}
	return b.Bytes(), nil
}
