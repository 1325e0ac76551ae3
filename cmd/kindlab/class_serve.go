package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/provision"
	"github.com/kindlab/kindlab/site"
	"github.com/kindlab/kindlab/site/class"
	"github.com/spf13/cobra"
)

func newClassServe(a *app, file *string) *cobra.Command {
	d := door{port: sitePort, other: "kindlab class serve --port 9000"}
	var cert, key string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve everybody's pages and the instructor's board",
		Long: `serve is the hub of a class: each attendee comes in by a link of their own, or by the
class's code and their name, and sees their own pages; instructors see the board. It
serves until Ctrl-C; run it again to go on where it was.

Links are as good as passwords, and plain HTTP shows them to who listens on the network:
give a certificate, or set a proxy that speaks TLS before it. In both cases class.yaml says
with url: how the pages are opened.`,
		Args: cobra.NoArgs,
		RunE: a.withClass(file, func(ctx context.Context, c *classroom, args []string) error {
			c.warns = true
			c.keeper.log = c.logger()
			d.listen = first(d.listen, c.class.Address)
			var err error
			if d.cert, err = certificate(cert, key, c.class.URL); err != nil {
				return err
			}
			return c.serve(ctx, d)
		}),
	}
	c.Flags().IntVar(&d.port, "port", d.port, "port of the pages; the next free one when it is taken")
	c.Flags().StringVar(&d.listen, "listen", d.listen, "address that the pages are served on, instead of the class's")
	c.Flags().StringVar(&cert, "tls-cert", cert, "serve HTTPS with the certificate (and those of its issuers) in this PEM file")
	c.Flags().StringVar(&key, "tls-key", key, "the certificate's private key, a PEM file")
	return c
}

// certificate reads what to serve HTTPS with; nil when there is none. A certificate that
// browsers would refuse at the class's url is refused here.
func certificate(file, key, at string) (*tls.Certificate, error) {
	const both = "give both as PEM: --tls-cert FILE --tls-key FILE"
	u, err := url.Parse(at)
	if err != nil || file == "" && key == "" {
		return nil, err
	}
	if file == "" || key == "" {
		return nil, &provision.Hinted{Err: errors.New("a certificate is of no use without its key"), Hint: both}
	}
	cert, err := tls.LoadX509KeyPair(file, key)
	if err != nil {
		return nil, &provision.Hinted{Err: fmt.Errorf("reading the certificate: %w", err), Hint: both}
	}
	var hint string
	switch {
	case u.Scheme == "http":
		err, hint = errors.New("class.yaml has a url with http://"), "begin it with https://, as the pages are served with a certificate"
	case time.Now().After(cert.Leaf.NotAfter):
		err, hint = fmt.Errorf("the certificate %s was good until %s", file, cert.Leaf.NotAfter.Local().Format(time.DateTime)), "get a new one"
	case u.Hostname() != "":
		err, hint = cert.Leaf.VerifyHostname(u.Hostname()), "give in class.yaml a url whose name is in the certificate"
	}
	if err != nil {
		return nil, &provision.Hinted{Err: err, Hint: hint}
	}
	return &cert, nil
}

func (c *classroom) serve(ctx context.Context, d door) error {
	if err := c.admit(ctx, c.class.Attendees, c.class.Instructors); err != nil {
		return err
	}
	hosts := hostNames(d.listen)
	if u, err := url.Parse(c.class.URL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	roll := &rollCall{class: c}
	config := class.Config{
		Class: c.class, Course: c.course, Store: c.store, URL: c.class.URL, Hosts: hosts, Log: c.logger(), Version: versions().Kindlab,
		Pages:      func(p labs.Person) site.Config { return c.pagesOf(ctx, p) },
		Kubeconfig: c.kubeconfig,
		Ready:      func(id string) (bool, string) { return roll.ready(ctx, id) },
		Trouble:    c.keeper.trouble,
	}
	if c.class.Isolation == labs.OwnMachine {
		files, _, err := findCourse(c.courseName)
		if err != nil {
			return err
		}
		// Whether a machine is there, the hub knows itself.
		config.Machines, config.Files, config.Ready, config.Kubeconfig = c.store, files, nil, nil
	}
	hub, err := class.New(config)
	if err != nil {
		return err
	}
	beside, stop := context.WithCancel(ctx)
	defer stop()
	go c.renew(beside)
	go c.keeper.run(beside, true)
	err = c.serveOn(ctx, hub, d, func(url string) {
		c.url = first(c.class.URL, url)
		page, err := c.writeHandout(ctx)
		if err != nil {
			fmt.Fprintf(c.err, "! the hand-out could not be written: %v\n", err)
		}
		at := c.paint(bold, c.url)
		if c.url != url {
			at += ", if that leads to " + url
		}
		fmt.Fprintf(c.err, "\nThe class is at %s\nLinks and the class's code: %s\nCtrl-C ends the pages; run `%s class serve` to go on.\n", at, page, callMe())
	})
	if err == nil {
		fmt.Fprintln(c.err, "\nThe pages are closed; environments and progress stay.")
	}
	return err
}

// renew keeps the kubeconfigs on this host valid while the hub runs.
func (c *classroom) renew(ctx context.Context) {
	if c.class.Isolation != labs.OwnNamespace {
		return
	}
	for tick := time.NewTicker(kubeconfigLasts / 4); ; {
		all, err := c.attendees(ctx)
		for _, p := range all {
			err = errors.Join(err, c.of(p.ID, provision.Quiet{}).renew(ctx))
		}
		if err != nil && ctx.Err() == nil {
			c.logger().Warn("renewing kubeconfigs", "err", err)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// pagesOf wires an attendee's pages to their environment.
func (c *classroom) pagesOf(ctx context.Context, p labs.Person) site.Config {
	s := c.of(p.ID, provision.Quiet{})
	if err := s.place.Attach(ctx); err != nil {
		c.logger().Warn("looking for an environment", "attendee", p.ID, "err", err)
	}
	config := s.pages(ctx, []*labs.Course{c.course})
	if c.class.Isolation == labs.OwnMachine {
		// Their work is elsewhere: what is known of it comes from their machine.
		config.Watch = func(ctx context.Context, _, _ string, _ func([]labs.Verdict)) { <-ctx.Done() }
		config.Reset, config.Answer, config.Question, config.Place = nil, nil, nil, nil
		return config
	}
	config.Place = func(course, lab string) site.Place {
		return site.Place{Work: s.place.LabFolder(course, lab), Namespace: s.place.Namespace(lab),
			Shell: callMe() + " class shell " + p.ID + " " + lab}
	}
	return config
}

// kubeconfig is what an attendee takes to their own kubectl.
func (c *classroom) kubeconfig(ctx context.Context, id, lab string) (string, []byte, error) {
	place := c.of(id, provision.Quiet{}).place
	if place.Tenant != nil {
		data, _, err := place.TenantKubeconfig(ctx, lab, kubeconfigLasts)
		return "", data, err
	}
	data, err := os.ReadFile(place.LabKubeconfig(lab))
	if err != nil {
		return "", nil, fmt.Errorf("reading the kubeconfig of %s: %w", id, err)
	}
	return "", data, nil
}

// kubeconfigLasts is how long a kubeconfig is good that an attendee downloads: a
// day of learning.
const kubeconfigLasts = 12 * time.Hour

// A rollCall knows whose environment is there. It asks a cluster once for all who
// share it, and not again at once.
type rollCall struct {
	class *classroom

	mu       sync.Mutex
	clusters map[string]startedAt
}

type startedAt struct {
	namespaces map[string]bool
	err        error
	at         time.Time
}

func (r *rollCall) ready(ctx context.Context, id string) (ok bool, missing string) {
	place := r.class.of(id, provision.Quiet{}).place
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.clusters[place.Cluster]
	if time.Since(known.at) > 4*time.Second {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		known.namespaces, known.err = place.Started(ctx)
		known.at = time.Now()
		if r.clusters == nil {
			r.clusters = map[string]startedAt{}
		}
		r.clusters[place.Cluster] = known
	}
	if known.err != nil {
		return false, "the cluster does not answer"
	}
	return place.Ready(r.class.course, known.namespaces)
}
