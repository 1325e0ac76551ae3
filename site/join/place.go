package join

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A Place is an attendee's place in a class, as their machine remembers it. It
// holds a secret: nobody else may read its file.
type Place struct {
	Machine  string `json:"machine"`         // which machine this is: stays when it joins again
	Hub      string `json:"hub,omitempty"`   // address, without what is behind the host; empty when it has not joined
	CA       string `json:"ca,omitempty"`    // certificates (PEM) that the hub's is to be trusted by, beside the system's
	Token    string `json:"token,omitempty"` // lets the machine in
	Class    string `json:"class,omitempty"`
	Course   string `json:"course,omitempty"`
	ID       string `json:"id,omitempty"`       // of the attendee, in the class
	Name     string `json:"name,omitempty"`     // and what they are called
	Attendee string `json:"attendee,omitempty"` // who it is on this machine
}

// Joined reports whether the machine is in a class. No place is in none.
func (p *Place) Joined() bool { return p != nil && p.Token != "" }

// ReadPlace reads a machine's place in a class; one that has not joined when there
// is none yet.
func ReadPlace(file string) (*Place, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return &Place{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading which class this machine is in: %w", err)
	}
	var p Place
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("reading which class this machine is in: %s: %w", file, err)
	}
	return &p, nil
}

// Write keeps the place, whole or not at all.
func (p *Place) Write(file string) error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("remembering the class: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".join-") // 0600
	if err != nil {
		return fmt.Errorf("remembering the class: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("remembering the class: %w", err), os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return errors.Join(fmt.Errorf("remembering the class: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// NewMachine draws which machine this is.
func NewMachine() string { return rand.Text() }

// ErrAddress says that something is not the address of a hub.
var ErrAddress = errors.New("no address of a hub")

// ParseHub takes the address of a hub apart, or a personal link, which holds a token
// too. Without http:// or https:// it is taken to begin with http://.
func ParseHub(typed string) (hub, token string, err error) {
	text := strings.TrimSpace(typed)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	wrong := func(why string) (string, string, error) {
		return "", "", fmt.Errorf("%q is %w: %s", typed, ErrAddress, why)
	}
	switch {
	case err != nil:
		return wrong("it cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("it must begin with http:// or https://")
	case u.Hostname() == "":
		return wrong("it names no host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return wrong("it has more than a host and a path")
	}
	path, token, personal := strings.Cut(u.Path, "/in/")
	path = strings.TrimSuffix(path, "/in")
	token = strings.Trim(token, "/")
	if personal && (token == "" || strings.Contains(token, "/")) {
		return wrong("the link is not whole")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(path, "/")}).String(), token, nil
}
